// Goal: the pool that is named is the smallest that the kernel could make without refusing a recorded
// mapping, and what is said about the next smaller one is what its machine did.
// Method: every size tried by brute force beside the search, on random workloads of short-lived and
// long-lived mappings in eras with and without areas; recordings of real kernels, one of which had a
// pool that got full, against their own counts and against other boots with the same work.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { swiotlbRule } from "../../../src/kernels/swiotlb.ts";
import { variantOf } from "../../../src/replay/dma/variant.ts";
import {
  type DmaCall,
  type DmaFacts,
  type DmaSources,
  type Sizing,
  sizeSwiotlb,
} from "../../../src/replay/index.ts";
import { tryPool } from "../../../src/replay/size/swiotlb-trial.ts";
import { type RecordedDma, recordedDma } from "../dma/recorded-dma.ts";

const SOURCES: DmaSources = { any: true, tracepoints: true, slotProbes: false, translated: false };
const HIGH = 2 ** 32;

function factsOf(kernel: string, areas: number): DmaFacts {
  const rule = swiotlbRule(kernel);
  ok(rule !== null);
  const slots = 32768;
  return {
    upstream: kernel,
    rule,
    pool: { start: 2 ** 31, slots, areas: rule.areas ? areas : 1 },
    force: false,
    usedBefore: 0,
    usedAfter: null,
    highWater: null,
    devices: new Map([["dev", { driver: "", limit: 2 ** 32 - 1, coherentLimit: null }]]),
    zones: [
      { name: "DMA32", startPfn: 0, spanned: 2 ** 20 },
      { name: "Normal", startPfn: 2 ** 20, spanned: 2 ** 20 },
    ],
  };
}

/** A mapping of so many bytes, which stays until so many others were made. */
interface Life {
  readonly bytes: number;
  readonly for: number;
  readonly cpu: number;
}

function callsOf(lives: readonly Life[]): DmaCall[] {
  const calls: DmaCall[] = [];
  const ends: { readonly at: number; readonly call: DmaCall }[] = [];
  for (const [i, { bytes, cpu, for: length }] of lives.entries()) {
    for (const end of ends.filter(({ at }) => at === i)) calls.push(end.call);
    const place = { line: i + 1, time: i, cpu, device: "dev", direction: 1 as const };
    calls.push({ kind: "map", ...place, physical: HIGH + i * 2 ** 20, bytes, dma: 10_000 + i });
    const end = { kind: "unmap" as const, ...place, dma: 10_000 + i, bytes };
    ends.push({ at: i + 1 + length, call: end });
  }
  return calls;
}

const life = fc.record({
  bytes: fc.integer({ min: 1, max: 128 * 2048 }),
  for: fc.integer({ min: 0, max: 60 }),
  cpu: fc.integer({ min: 0, max: 3 }),
});
const lives = fc.array(life, { minLength: 1, maxLength: 80 });

async function sized(
  facts: DmaFacts,
  calls: readonly DmaCall[],
  more: object = {},
): Promise<Sizing> {
  return sizeSwiotlb({
    facts,
    sources: SOURCES,
    calls,
    areas: null,
    force: false,
    margin: null,
    pause: async () => true,
    ...more,
  });
}

function carries(facts: DmaFacts, calls: readonly DmaCall[], slots: number): boolean {
  const areas = facts.pool?.areas ?? 1;
  const variant = variantOf(facts, { text: "", slots, areas, force: false, noforce: slots === 0 });
  return tryPool(facts, variant, "recorded", calls).refused === 0;
}

describe("brute force", () => {
  for (const [kernel, areas] of [
    ["4.19", 1],
    ["5.10", 1],
    ["6.1", 1],
    ["6.1", 4],
    ["6.12", 2],
  ] as const) {
    test(`${kernel} with ${areas} areas: no other size carries from the one named on`, async () => {
      const facts = factsOf(kernel, areas);
      const most = 128 * 64;
      const step = (slots: number): number => (facts.rule.areas ? slots * 2 : slots + 128);
      const sizes = [0];
      for (let slots = 128 * areas; slots <= most; slots = step(slots)) sizes.push(slots);
      await fc.assert(
        fc.asyncProperty(lives, async (workload) => {
          const calls = callsOf(workload);
          const all = sizes.map((slots) => carries(facts, calls, slots));
          const { answer, monotonic, trials, below, status } = await sized(facts, calls, { most });
          for (const trial of trials) equal(trial.carries, all[sizes.indexOf(trial.value)]);
          const last = all.lastIndexOf(true);
          const isMonotonic = !all.slice(all.indexOf(true)).includes(false);
          if (last < 0) return equal(status, "none");
          if (isMonotonic) {
            equal(answer?.value, sizes[all.indexOf(true)]);
            equal(monotonic, true);
          }
          // Powers of two are few, and all tried; of others a gap may lie between two tries.
          if (facts.rule.areas) {
            equal(answer?.value, sizes[all.slice(0, last).lastIndexOf(false) + 1]);
            equal(monotonic, isMonotonic);
          }
          equal(all[sizes.indexOf(answer?.value ?? -1)], true);
          equal(below?.value, sizes[sizes.indexOf(answer?.value ?? 0) - 1]);
          equal(below?.carries, false);
          ok((below?.refused ?? 0) > 0 && below?.first !== null);
        }),
        { numRuns: 40 },
      );
    });
  }
});

test("a larger pool may refuse what a smaller one takes: both are found", async () => {
  // The next search begins behind the last one, so what is left of a pool depends on its size.
  const facts = factsOf("5.10", 1);
  const most = 128 * 12;
  let seen = 0;
  const slots = (from: number, to: number): fc.Arbitrary<number> =>
    fc.integer({ min: from * 2048, max: to * 2048 });
  const short = fc.record({ bytes: slots(90, 128), for: fc.nat(3), cpu: fc.constant(0) });
  const long = fc.record({ bytes: slots(1, 40), for: fc.nat(60), cpu: fc.constant(0) });
  const mixed = fc.array(fc.oneof(short, long), { minLength: 20, maxLength: 80 });
  const property = fc.asyncProperty(mixed, async (workload) => {
    const calls = callsOf(workload);
    const sizes = [0, ...Array.from({ length: 12 }, (_, i) => 128 * (i + 1))];
    const all = sizes.map((slots) => carries(facts, calls, slots));
    const isMonotonic = !all.slice(Math.max(0, all.indexOf(true))).includes(false);
    const { monotonic, answer } = await sized(facts, calls, { most });
    equal(monotonic, isMonotonic || !all.includes(true));
    if (!all.includes(true) || isMonotonic) return;
    seen++;
    ok(answer !== null && all.indexOf(true) < sizes.indexOf(answer.value));
  });
  await fc.assert(property, { numRuns: 300, seed: 7 });
  ok(seen > 0, "none of 300 workloads has a gap");
});

describe("clear answers", () => {
  const facts = factsOf("6.12", 1);

  test("a workload that never bounces needs none", async () => {
    const reached: DmaCall[] = callsOf([{ bytes: 4096, for: 3, cpu: 0 }]).map((call) =>
      call.kind === "map" ? { ...call, physical: 4096 } : call,
    );
    const { status, answer, because } = await sized(facts, reached);
    deepEqual([status, answer?.value, answer?.set], ["zero", 0, "swiotlb=noforce"]);
    match(because ?? "", /no mapping of the recording bounces/);
  });

  test("a mapping above 256 KiB is carried by no pool, and that is said of it", async () => {
    const large = callsOf([
      { bytes: 4096, for: 0, cpu: 0 },
      { bytes: 128 * 2048 + 1, for: 0, cpu: 0 },
    ]);
    const { status, answer, because, trials } = await sized(facts, large);
    deepEqual([status, answer], ["none", null]);
    match(because ?? "", /maps 256.0 KiB at once: one mapping is 256 KiB at most/);
    ok(trials.every(({ carries: own }) => !own));
  });

  test("the margin is rounded as the kernel rounds, and apart from the answer", async () => {
    const calls = callsOf(Array.from({ length: 9 }, () => ({ bytes: 2048, for: 20, cpu: 0 })));
    const modern = await sized(facts, calls, { margin: 25 });
    deepEqual([modern.answer?.value, modern.margin?.value], [128, 256]);
    const old = await sized(factsOf("5.10", 1), calls, { margin: 150 });
    deepEqual([old.answer?.set, old.margin?.set], ["swiotlb=128", "swiotlb=384"]);
  });

  test("nothing to go by", async () => {
    const { status, because } = await sized(facts, []);
    equal(status, "untold");
    match(because ?? "", /record the events dma/);
    const translated = await sized(facts, callsOf([{ bytes: 1, for: 0, cpu: 0 }]), {
      sources: { ...SOURCES, translated: true },
    });
    deepEqual([translated.status, translated.answer], ["untold", null]);
  });

  test("interrupted, it gives what it knows", async () => {
    let left = 3;
    const calls = callsOf([{ bytes: 4096, for: 0, cpu: 0 }]);
    const pause = async (): Promise<boolean> => left-- > 0;
    const { status, trials, alternatives } = await sized(facts, calls, { pause });
    deepEqual([status, trials.length, alternatives], ["stopped", 3, []]);
  });
});

describe("recordings", () => {
  const of = async ({ facts, sources, calls }: RecordedDma, more: object = {}): Promise<Sizing> =>
    sized(facts, calls, { sources, ...more });

  test("a pool of 512 slots that got full: more is named, and the kernel's own peak and refusals are told", async () => {
    const recorded = await recordedDma("e-dma-6G-6.12-small");
    const { answer, below, recorded: own } = await of(recorded);
    equal(answer?.set, "swiotlb=1024,force");
    equal(below?.value, 512);
    // The probes say seven, debugfs says 500.
    deepEqual([own?.value, own?.refused, own?.peak?.amount], [512, 7, 500]);
    equal(own?.peak?.amount, recorded.facts.highWater);
    deepEqual(own?.first, below?.first);
  });

  test("other boots with the same work agree: what is named holds the most that they had in use", async () => {
    const small = await of(await recordedDma("e-dma-6G-6.12-small"));
    for (const name of ["e-dma-6G-6.12-swiotlbforce", "e-dma-6G-6.12-smp2"]) {
      const other = await recordedDma(name);
      ok((other.facts.highWater ?? Number.POSITIVE_INFINITY) <= (small.answer?.value ?? 0), name);
      const { answer, below, recorded: own } = await of(other);
      equal(own?.peak?.amount, other.facts.highWater, name);
      ok((answer?.value ?? 0) >= (other.facts.highWater ?? 0), name);
      ok((below?.value ?? 0) < (answer?.value ?? 0) && below?.carries === false, name);
    }
  });

  test("e-dma-6G-6.12: 384 slots in use need 512, and the network card is the first to go without", async () => {
    const { answer, below, trials, recorded: own } = await of(await recordedDma("e-dma-6G-6.12"));
    deepEqual([answer?.value, answer?.set], [512, "swiotlb=512"]);
    equal(trials.find(({ value }) => value === 512)?.peak?.amount, 384);
    deepEqual([own?.value, own?.refused], [32768, 0]);
    deepEqual(
      [below?.value, below?.first?.by, below?.first?.bytes],
      [256, "0000:00:04.0 e1000", 86],
    );
    deepEqual(below?.first?.because, ["it needs a slot, 0 of 256 are free"]);
  });

  test("areas multiply: each has a segment at least, and one area would do with less", async () => {
    const recorded = await recordedDma("e-dma-6G-6.12-smp2");
    const { answer, alternatives } = await of(recorded, { areas: 64 });
    deepEqual([answer?.value, answer?.set], [8192, "swiotlb=8192,64,force"]);
    deepEqual(
      alternatives.map(({ set }) => set),
      ["swiotlb=1024,1,force"],
    );
  });

  test("force where it was not: bounds beside the answer hold what a boot with it had in use", async () => {
    const { answer, alternatives } = await of(await recordedDma("e-dma-6G-6.12"), { force: true });
    const [low, high] = alternatives.map(({ value }) => value);
    const peaks = ["e-dma-6G-6.12-swiotlbforce", "e-dma-6G-6.12-small"];
    for (const name of peaks) {
      const { facts } = await recordedDma(name);
      ok((facts.highWater ?? 0) <= (high ?? 0), name);
    }
    deepEqual([low, answer?.value, high], [1024, 2048, 4096]);
    const untold = await of(await recordedDma("e-dma-6G"), { force: true });
    equal(untold.status, "untold");
  });
});
