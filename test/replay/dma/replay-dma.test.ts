// Goal: what real kernels did with drivers' buffers is what the engine does: which mappings bounce,
// in which slots, how many are in use, what the driver gets; where coherent memory comes from.
// Method: recordings of 6.1 (probes) and 6.12 (tracepoints, with and without probes); facts changed
// one at a time to see that the recordings tell models apart; what-ifs against a second boot.
import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { swiotlbRule } from "../../../src/kernels/swiotlb.ts";
import type { DmaFacts, DmaReplay, SwiotlbChange } from "../../../src/replay/index.ts";
import { dmaNames } from "../../support/corpus.ts";
import { type RecordedDma, recordedDma, runDma } from "./recorded-dma.ts";

interface Totals {
  readonly decisions: readonly [number, number];
  readonly slots: readonly [number, number];
  readonly addresses: readonly [number, number];
}

/** Equal, and recorded. */
function totals({ score }: DmaReplay): Totals {
  const all = [...score.devices.values()];
  const sum = (of: (own: (typeof all)[number]) => number): number =>
    all.reduce((total, own) => total + of(own), 0);
  return {
    decisions: [sum((own) => own.decisionsEqual), sum((own) => own.decisions)],
    slots: [sum((own) => own.slotsEqual), sum((own) => own.bounces)],
    addresses: [sum((own) => own.dmaEqual), sum((own) => own.dmas)],
  };
}

const FORCE: SwiotlbChange = {
  text: "force",
  slots: null,
  areas: null,
  force: true,
  noforce: false,
};

const IS_PROBE = /^\S* +\S+ +\[\d+\].*: [pr]_\w+: \(|: [pr]_\w+: \(/;

describe("recordings", () => {
  const known: Readonly<Record<string, Totals & { readonly high: number }>> = {
    "e-dma-6G": { decisions: [348, 348], slots: [302, 302], addresses: [348, 348], high: 259 },
    "e-dma-6G-swiotlbforce": {
      decisions: [2793, 2793],
      slots: [2793, 2793],
      addresses: [2793, 2793],
      high: 896,
    },
    "e-dma-6G-piix": {
      decisions: [1577, 1577],
      slots: [1577, 1577],
      addresses: [1577, 1577],
      high: 384,
    },
    "e-dma-6G-smp2": {
      decisions: [2274, 2274],
      slots: [2274, 2274],
      addresses: [2274, 2274],
      high: 2146,
    },
    "e-dma-6G-6.12-small": {
      decisions: [3119, 3119],
      slots: [3119, 3119],
      addresses: [3119, 3119],
      high: 500,
    },
    "e-dma-6G-6.12-smp2": {
      decisions: [2994, 2994],
      slots: [2994, 2994],
      addresses: [2994, 2994],
      high: 634,
    },
    "e-dma-6G-6.12": {
      decisions: [3134, 3134],
      slots: [1722, 1722],
      addresses: [3134, 3134],
      high: 384,
    },
    "e-dma-6G-6.12-swiotlbforce": {
      decisions: [3087, 3087],
      slots: [3087, 3087],
      addresses: [3087, 3087],
      high: 414,
    },
  };
  assert.deepEqual(dmaNames(), Object.keys(known).sort());
  for (const [name, { high, ...expected }] of Object.entries(known)) {
    test(`${name}: every decision, slot and address; slots in use; coherent memory`, async () => {
      const recorded = await recordedDma(name);
      const run = await runDma(recorded);
      assert.deepEqual(totals(run), expected);
      const { facts, score } = run;
      assert.equal(run.used, facts.usedAfter);
      assert.equal(run.highWater, facts.highWater ?? high);
      assert.equal(run.highWater, high);
      const { recorded: events } = score.events;
      assert.deepEqual(score.events, { recorded: events, maskEqual: events, forceEqual: events });
      // What a full pool refused, and what its lists had taken by then, are attempts, too.
      if (name !== "e-dma-6G-6.12-small") assert.equal(events, expected.slots[1]);
      const { coherent } = score;
      assert.ok(coherent.recorded >= 4);
      assert.deepEqual(new Set(Object.values(coherent)), new Set([coherent.recorded]));
      assert.deepEqual([score.unknownEnds, score.missing], [0, 0]);
    });
  }

  test("a pool that gets full refuses what the kernel's did, and goes on as it did", async () => {
    const keep = (line: string): boolean => !IS_PROBE.test(line);
    const { score } = await runDma(await recordedDma("e-dma-6G-6.12-small", keep));
    const nvme = score.devices.get("0000:00:05.0");
    assert.ok(nvme !== undefined);
    // Seven times swiotlb_tbl_map_single() returned an error, say the probes.
    assert.deepEqual([nvme.refusals, nvme.refusalsEqual, nvme.refused], [7, 7, 7]);
    assert.deepEqual([nvme.bounces, nvme.slotsEqual], [1409, 1409]);
  });

  test("6.12 without any probe tells the same", async () => {
    const recorded = await recordedDma("e-dma-6G-6.12", (line) => !IS_PROBE.test(line));
    assert.deepEqual(recorded.sources, {
      any: true,
      tracepoints: true,
      slotProbes: false,
      translated: false,
    });
    const run = await runDma(recorded);
    assert.deepEqual(totals(run).slots, [1722, 1722]);
    assert.deepEqual([run.used, run.highWater], [256, 384]);
  });
});

describe("the recordings tell models apart", () => {
  const changed = async (name: string, change: (facts: DmaFacts) => DmaFacts): Promise<Totals> => {
    const recorded = await recordedDma(name);
    return totals(await runDma({ ...recorded, facts: change(recorded.facts) }));
  };

  test("the search of another kernel", async () => {
    const rule = swiotlbRule("6.12");
    assert.ok(rule !== null);
    const { slots } = await changed("e-dma-6G-swiotlbforce", (facts) => ({ ...facts, rule }));
    assert.deepEqual(slots, [2, 2793]);
  });

  test("a driver that is not known asks for nothing", async () => {
    const { slots } = await changed("e-dma-6G-6.12", (facts) => ({ ...facts, devices: new Map() }));
    assert.ok(slots[0] < 600, `${slots}`);
  });

  test("one area for both CPUs", async () => {
    const { slots } = await changed("e-dma-6G-6.12-smp2", (facts) => {
      assert.equal(facts.pool?.areas, 2);
      return { ...facts, pool: { ...facts.pool, areas: 1 } };
    });
    assert.ok(slots[0] < 600, `${slots}`);
  });

  test("force, and no force", async () => {
    const normal = await changed("e-dma-6G-6.12", (facts) => ({ ...facts, force: true }));
    // Segments of more than 256 KiB refuse their lists, whose rest is not looked at.
    assert.deepEqual(normal.decisions, [1722, 3132]);
    const forced = await changed("e-dma-6G-swiotlbforce", (facts) => ({ ...facts, force: false }));
    assert.ok(forced.decisions[0] < 400, `${forced.decisions}`);
  });
});

describe("what another pool would do", () => {
  test("swiotlb=force, from a recording without it, against a boot with it", async () => {
    const { whatIf } = await runDma(await recordedDma("e-dma-6G-6.12"), FORCE);
    const kernel = await runDma(await recordedDma("e-dma-6G-6.12-swiotlbforce"));
    assert.ok(whatIf !== null);
    for (const { name, slots, bounces, refused } of whatIf.devices) {
      const real = kernel.score.devices.get(name);
      assert.ok(real !== undefined);
      assert.equal(slots.changed, real.slots, name);
      const off = Math.abs(bounces.changed - real.bounces) / real.bounces;
      assert.ok(off <= 0.03, `${name}: ${bounces.changed} maps, the kernel made ${real.bounces}`);
      assert.equal(refused, 0);
    }
    assert.deepEqual(
      whatIf.devices.map(({ driver, cut }) => [driver, cut]),
      [
        ["nvme", { requests: 8, became: 17, segments: 4 }],
        ["ata_piix", null],
        ["e1000", null],
      ],
    );
    const { low, high } = whatIf.peak;
    assert.deepEqual([low, high], [384, 2304]);
    assert.ok(low <= kernel.highWater && kernel.highWater <= high);
  });

  const pool = async (recorded: RecordedDma, slots: number) => {
    const { whatIf } = await runDma(recorded, { ...FORCE, text: `${slots}`, slots, force: false });
    assert.ok(whatIf !== null);
    return whatIf;
  };

  test("swiotlb=SLOTS: what is refused first, and the smallest pool that refuses nothing", async () => {
    const recorded = await recordedDma("e-dma-6G-6.12");
    const small = await pool(recorded, 256);
    assert.equal(small.pool?.slots, 256);
    assert.ok(small.refused > 0);
    // The network card's ring has taken all: the first packet that it sends finds none.
    assert.equal(small.firstRefusal?.bytes, 86);
    assert.equal(small.firstRefusal?.used, 256);
    assert.deepEqual(small.smallest, { recorded: 512, high: 512 });
    const enough = await pool(recorded, 512);
    assert.deepEqual([enough.refused, enough.firstRefusal, enough.peak.changed], [0, null, 384]);
    assert.deepEqual([enough.peak.low, enough.peak.high], [384, 384]);
  });

  test("force is not asked of a recording that tells no mappings but bounces", async () => {
    const { whatIf } = await runDma(await recordedDma("e-dma-6G"), FORCE);
    assert.equal(whatIf, null);
  });
});
