// Goal: page parameters are sized as brute force over every value would, by replays of a whole
// workload; the recorded value is the recording itself; a zone that is too small, a reserve that is
// too small, and what nothing mends are told apart.
// Method: a made-up kernel records random and directed workloads; each value tried one by one beside
// the search; recordings of real kernels for what is not told and what costs nothing.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { freePages } from "../../../src/mm/allocate.ts";
import { parseGfp } from "../../../src/mm/gfp-text.ts";
import {
  keptRecording,
  type ListSnapshot,
  type MachineFacts,
  type PageSizeName,
  parseChange,
  type Recording,
  type ReplayEvent,
  recordingOf,
  replay,
  type Sizing,
  sizePageParameters,
} from "../../../src/replay/index.ts";
import { request } from "../../../src/replay/request.ts";
import { allFree, DMA32_END, FACTS, Kernel } from "../made-up-kernel.ts";
import { recorded } from "../recorded.ts";

const MIB = 2 ** 20;

interface Machine {
  readonly from: ListSnapshot;
  readonly facts: MachineFacts;
  readonly recording: Recording;
}

async function sizes(
  machine: Machine,
  names: readonly PageSizeName[],
  more: object = {},
): Promise<readonly Sizing[]> {
  const { from, facts, recording } = machine;
  const { sizings, issue } = await sizePageParameters({
    from,
    facts,
    recording,
    names,
    isNamed: true,
    margin: null,
    pause: async () => true,
    ...more,
  });
  equal(issue, null);
  return sizings;
}

const SYSCTLS = new Map([["min_free_kbytes", [1000]]]);
const NAMED: MachineFacts = { ...FACTS, sysctls: SYSCTLS };

/** Blocks of an order for a while: what the zone they ask for must hold. */
interface Block {
  readonly order: number;
  readonly for: number;
  readonly gfp: string;
}

function recordedBy(
  from: ListSnapshot,
  blocks: readonly Block[],
): Machine & { readonly events: readonly ReplayEvent[] } {
  const kernel = new Kernel(from, NAMED);
  const ends = new Map<number, { readonly pfn: number; readonly order: number }[]>();
  for (const [i, { order, gfp, for: length }] of blocks.entries()) {
    for (const own of ends.get(i) ?? []) {
      kernel.tell("free", { pfn: own.pfn, order: own.order });
      freePages(kernel.m, own.pfn, own.order);
    }
    const bits = parseGfp(gfp, kernel.m.gfp.era).value;
    const pfn = request(kernel.m, bits, order, { past: false, reclaimer: false, victim: false });
    kernel.tell("alloc", { pfn, gfp, order, type: 0 });
    if (pfn < 0) continue;
    const at = i + 1 + length;
    ends.set(at, [...(ends.get(at) ?? []), { pfn, order }]);
  }
  const { events } = kernel;
  return { from, facts: NAMED, events, recording: recordingOf(events, null) };
}

/** Machines tell which of their pages are the kernel's own: none here. */
function told(snap: ListSnapshot): ListSnapshot {
  return { ...snap, unmanaged: [] };
}

/** What `replay --set` says of a value. */
async function refusedAt({ from, facts, recording }: Machine, set: string): Promise<number> {
  const { value: change } = parseChange([set], facts);
  ok(change !== null, set);
  const { value } = await replay({ from, facts, recording, whatIf: change });
  ok(value !== null && value.whatIf !== null, set);
  return value.whatIf.refused.requests;
}

async function allOf(recording: Recording): Promise<ReplayEvent[]> {
  const events: ReplayEvent[] = [];
  for await (const block of recording.blocks()) events.push(...block);
  return events;
}

async function firstOf(recording: Recording): Promise<ReplayEvent> {
  const [first] = await allOf(recording);
  ok(first !== undefined);
  return first;
}

describe("zone ends", () => {
  const block = (gfp: string): fc.Arbitrary<Block> =>
    fc.record({
      order: fc.integer({ min: 6, max: 10 }),
      for: fc.integer({ min: 0, max: 40 }),
      gfp: fc.constant(gfp),
    });
  const ATOMIC32 = "GFP_ATOMIC|GFP_DMA32";
  const workload = fc.array(block(ATOMIC32), { minLength: 10, maxLength: 60 });

  test("dma32 is where brute force over every end finds that nobody goes without", async () => {
    await fc.assert(
      fc.asyncProperty(workload, async (blocks) => {
        const machine = recordedBy(told(allFree()), blocks);
        const refused = machine.events.filter(({ kind, pfn }) => kind === "alloc" && pfn < 0);
        fc.pre(refused.length === 0);
        const [sizing] = await sizes(machine, ["dma32"]);
        const ends = [0];
        for (let end = 5; end * 4 * MIB < DMA32_END * 4096; end++) ends.push(end * 4 * MIB);
        const all: boolean[] = [];
        for (const end of ends) {
          all.push((await refusedAt(machine, `dma32=${end / MIB}M`)) === 0);
        }
        ends.push(DMA32_END * 4096);
        all.push(true);
        for (const trial of sizing?.trials ?? []) {
          equal(trial.carries, all[ends.indexOf(trial.value)], trial.set);
        }
        const answer = ends.indexOf(sizing?.answer?.value ?? -1);
        equal(all[answer], true);
        if (answer > 0) equal(all[answer - 1], false);
        // With one step in it, that step.
        if (!all.slice(all.indexOf(true)).includes(false)) equal(answer, all.indexOf(true));
      }),
      { numRuns: 4, seed: 11 },
    );
  });

  test("a zone that holds what is asked of it at once: the step below says who goes without", async () => {
    const blocks = Array.from({ length: 6 }, () => ({ order: 10, for: 99, gfp: ATOMIC32 }));
    const machine = recordedBy(told(allFree()), blocks);
    const [sizing] = await sizes(machine, ["dma32"]);
    ok(sizing !== undefined);
    const { status, answer, below, peak, recorded: own, monotonic } = sizing;
    equal(status, "sized");
    equal(peak?.amount, 24 * MIB);
    ok((answer?.value ?? 0) >= 24 * MIB, answer?.set);
    ok((answer?.value ?? 0) <= 48 * MIB, answer?.set);
    equal(below?.value, (answer?.value ?? 0) - 4 * MIB);
    ok((below?.refused ?? 0) > 0);
    match(below?.first?.because.join(" ") ?? "", /GFP_ATOMIC.*(free|skipped|mark|block)/);
    deepEqual([own?.refused, own?.carries, monotonic], [0, true, true]);
  });

  test("what the recorded zone refused is asked of larger ones, if they may take from others", async () => {
    // The zone has 14 MiB in blocks of at most 4.
    const blocks = Array.from({ length: 5 }, () => ({
      order: 10,
      for: 99,
      gfp: "GFP_ATOMIC|GFP_DMA",
    }));
    const machine = recordedBy(told(allFree()), blocks);
    ok(machine.events.some(({ kind, pfn }) => kind === "alloc" && pfn < 0));
    const [sizing] = await sizes(machine, ["dma"]);
    deepEqual(
      [sizing?.status, sizing?.answer?.set, sizing?.below?.set],
      ["sized", "dma=32M", "dma=16M"],
    );
    equal(sizing?.recorded?.carries, false);
    ok((sizing?.below?.first?.bytes ?? 0) === 4 * MIB);
  });

  test("who asks for the zone is served at once, also where waiting would be allowed", async () => {
    const blocks = [{ order: 6, for: 9, gfp: "GFP_KERNEL|GFP_DMA" }];
    const [sizing] = await sizes(recordedBy(told(allFree()), blocks), ["dma"]);
    const none = sizing?.trials[0];
    deepEqual([none?.value, none?.carries, none?.refused, none?.mayWait], [0, false, 1, 1]);
    equal(sizing?.status, "sized");
  });

  test("the recorded end is the recording itself, with marks as they were and not as computed anew", async () => {
    const filling = Array.from({ length: 1200 }, () => ({
      order: 6,
      for: 9999,
      gfp: "GFP_ATOMIC",
    }));
    const machine = recordedBy(told(allFree()), [
      { order: 6, for: 9999, gfp: "GFP_KERNEL|GFP_DMA" },
      ...filling,
    ]);
    // The snapshot's marks are of 1000.
    const facts = { ...machine.facts, sysctls: new Map([["min_free_kbytes", [60_000]]]) };
    ok((await refusedAt({ ...machine, facts }, "dma=16M")) > 0);
    const [sizing] = await sizes({ ...machine, facts }, ["dma"]);
    deepEqual([sizing?.recorded?.value, sizing?.recorded?.refused], [16 * MIB, 0]);
  });

  test("nobody asks for it: none is needed where it was named, and nothing is said where not", async () => {
    const machine = recordedBy(told(allFree()), [{ order: 0, for: 1, gfp: "GFP_KERNEL" }]);
    const [named] = await sizes(machine, ["dma"]);
    deepEqual([named?.status, named?.answer?.value], ["zero", 0]);
    match(named?.because ?? "", /no request asks for zone DMA/);
    const [unnamed] = await sizes(machine, ["dma"], { isNamed: false });
    deepEqual([unnamed?.status, unnamed?.trials], ["untold", []]);
  });

  test("a snapshot that does not tell what the kernel kept can answer for no end inside a zone", async () => {
    const blocks = [{ order: 10, for: 9, gfp: "GFP_ATOMIC|GFP_DMA" }];
    const [sizing] = await sizes(recordedBy(allFree(), blocks), ["dma"]);
    deepEqual([sizing?.status, sizing?.answer], ["untold", null]);
    match(sizing?.because ?? "", /kernel's own is not told/);
  });
});

describe("reserves", () => {
  /** Fills memory as far as requests that may wait get, then asks urgently. */
  function burst(urgent: number): Machine {
    const filling = Array.from({ length: 2000 }, () => ({
      order: 6,
      for: 9999,
      gfp: "GFP_KERNEL",
    }));
    const asking = Array.from({ length: urgent }, () => ({
      order: 3,
      for: 9999,
      gfp: "GFP_ATOMIC",
    }));
    return recordedBy(told(allFree()), [...filling, ...asking]);
  }

  test("a burst that the recorded reserve did not hold: more is named, and who would wait for it", async () => {
    const machine = burst(100);
    const [sizing] = await sizes(machine, ["min_free_kbytes"], { margin: 50 });
    ok(sizing !== undefined);
    const { status, answer, below, recorded: own, margin } = sizing;
    equal(status, "sized");
    ok((answer?.value ?? 0) > 1000, answer?.set);
    equal(own?.value, 1000);
    ok(own?.carries === false && (own?.refused ?? 0) > 0);
    equal(below?.carries, false);
    match(below?.first?.because[0] ?? "", /GFP_ATOMIC/);
    const with50 = 1.5 * (answer?.value ?? 0);
    ok((margin?.value ?? 0) >= with50 && (margin?.value ?? 0) < 1.03 * with50);
    const at = sizing.trials.find(({ set }) => set === answer?.set);
    ok((at?.mayWait ?? 0) > 0, "somebody has to reclaim first");
  });

  test("a smaller reserve is not free: what reclaim would have left in use is not there for a burst", async () => {
    const held = burst(20);
    const wake: ReplayEvent = { ...(await firstOf(held.recording)), kind: "kswapd", a: 0 };
    const events = [wake, ...(await allOf(held.recording))];
    const machine = { ...held, recording: recordingOf(events, null) };
    const [sizing] = await sizes(machine, ["min_free_kbytes"]);
    ok(sizing !== undefined);
    const { status, answer, recorded: own, trials } = sizing;
    deepEqual([status, own?.carries, own?.refused], ["sized", true, 0]);
    ok((answer?.value ?? 0) > 0 && (answer?.value ?? 0) < 1000, answer?.set);
    const none = trials.find(({ value }) => value === 0);
    ok(none?.carries === false && none.refused > none.mayWait);
    // By itself `replay --set` leaves the pages free, and would have it that nobody needs the marks.
    const { value: change } = parseChange(["min_free_kbytes=0"], machine.facts);
    ok(change !== null);
    const { value } = await replay({ ...machine, whatIf: change });
    equal(value?.whatIf?.refused.requests, 0);
  });

  test("who asks without a warning has another way, and is no reason for a reserve", async () => {
    const quiet = Array.from({ length: 2000 }, () => ({
      order: 6,
      for: 9999,
      gfp: "GFP_NOWAIT|__GFP_NOWARN",
    }));
    const machine = recordedBy(told(allFree()), quiet);
    ok(machine.events.some(({ kind, pfn }) => kind === "alloc" && pfn < 0));
    const [sizing] = await sizes(machine, ["min_free_kbytes"]);
    equal(sizing?.status, "untold");
  });

  test("memory was never short: a recording says nothing of the reserve", async () => {
    const machine = recordedBy(told(allFree()), [{ order: 0, for: 1, gfp: "GFP_ATOMIC" }]);
    const [sizing] = await sizes(machine, ["min_free_kbytes"]);
    equal(sizing?.status, "untold");
    match(sizing?.because ?? "", /never short/);
  });

  test("a lower zone's reserve for those who can use no other", async () => {
    // All of the higher zone is taken by who may use both, then the lower one is asked for.
    const filling = Array.from({ length: 1100 }, () => ({
      order: 6,
      for: 9999,
      gfp: "GFP_KERNEL",
    }));
    const low = Array.from({ length: 40 }, () => ({
      order: 3,
      for: 9999,
      gfp: "GFP_ATOMIC|GFP_DMA",
    }));
    const machine = recordedBy(told(allFree()), [...filling, ...low]);
    const [sizing] = await sizes(machine, ["lowmem_reserve_ratio"]);
    ok(sizing !== undefined);
    const { status, answer, below, trials } = sizing;
    equal(status, "sized");
    ok(/^lowmem_reserve_ratio=\d+_256_32_0_0$/.test(answer?.set ?? ""), answer?.set);
    ok((answer?.bytes ?? 0) > 0 && (below?.bytes ?? 0) < (answer?.bytes ?? 0));
    // A larger ratio is a smaller reserve.
    const bytes = trials.map((own) => own.bytes);
    deepEqual(
      bytes,
      [...bytes].sort((a, b) => a - b),
    );
    for (const { value, carries, refused } of trials) ok(carries || refused > 0, `${value}`);
  });
});

describe("recordings of kernels", () => {
  test("the recorded value is the recording: nobody goes without, on every parameter", async () => {
    const trace = await recorded("a-boot-512M-smp2");
    const recording = recordingOf(trace.events, trace.to);
    const found = await sizes({ ...trace, recording }, ["dma", "dma32", "lowmem_reserve_ratio"]);
    for (const { name, status, recorded: own } of found) {
      if (status === "untold") continue;
      deepEqual([name, own?.refused, own?.carries], [name, 0, true]);
    }
    ok(found.some(({ status }) => status !== "untold"));
  });

  test("without the kernel's lists nothing is changed, and that is said", async () => {
    const trace = await recorded("a-boot-512M-i386pae");
    const recording = recordingOf(trace.events, trace.to);
    const [sizing] = await sizes({ ...trace, recording }, ["min_free_kbytes"]);
    equal(sizing?.status, "untold");
    match(sizing?.because ?? "", /free lists/);
  });

  test("interrupted at any time, every parameter has its answer or says that it was stopped", async () => {
    const trace = await recorded("a-boot-512M-smp2");
    for (const blocks of [1, 6, 15]) {
      let left = blocks;
      const recording = recordingOf(trace.events, trace.to);
      const pause = async (): Promise<boolean> => left-- > 0;
      const found = await sizes({ ...trace, recording }, ["dma", "dma32"], { pause });
      equal(found.length, 2);
      ok(
        found.some(({ status }) => status === "stopped"),
        `after ${blocks} blocks`,
      );
    }
  });
});

test("a recording is read once where it fits, and anew where it does not", async () => {
  let readings = 0;
  const machine = recordedBy(
    told(allFree()),
    Array.from({ length: 50 }, () => ({ order: 0, for: 3, gfp: "GFP_KERNEL" })),
  );
  const counted: Recording = {
    blocks: () => {
      readings++;
      return machine.recording.blocks();
    },
    lists: async () => null,
  };
  const read = async (recording: Recording): Promise<number> => {
    let events = 0;
    for await (const block of recording.blocks()) events += block.length;
    return events;
  };
  const [kept, large] = [keptRecording(counted), keptRecording(counted, 10)];
  deepEqual([await read(kept), await read(kept)], [machine.events.length, machine.events.length]);
  equal(readings, 1);
  deepEqual([await read(large), await read(large)], [machine.events.length, machine.events.length]);
  equal(readings, 3);
});
