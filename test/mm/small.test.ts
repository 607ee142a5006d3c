// Goal: no program is too small to be wrong. Method: every program of up to 6 steps on 8 frames, in
// every era, each answer and each state compared with the naive twin. Programs that lead to the same
// state go on together, so that all of them are covered by the distinct states of each length.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { drainAllPages } from "../../src/mm/drain-all.ts";
import { restore, type Snapshot, snapshot } from "../../src/mm/image.ts";
import type { Memory } from "../../src/mm/memory.ts";
import { verify } from "../../src/mm/verify.ts";
import type { NaiveState } from "../support/naive-buddy.ts";
import type { NaiveMemory } from "../support/naive-memory.ts";
import { flagsOf4 } from "../support/naive-old.ts";
import { listen, naiveStateOf, naiveTwin, stateOf } from "../support/naive-twin.ts";

const STEPS = 6;
const FRAMES = 8;
type Request = readonly [gfp: number, order: number];

/** GFP_KERNEL and movable in all orders, GFP_ATOMIC once: who may use the reserve. */
const REQUESTS: readonly Request[] = [
  ...[0, 1, 2, 3].flatMap((order) => [[0xcc0, order] as const, [0xcc8, order] as const]),
  [0xa20, 1],
];
/** GFP_KERNEL in all orders, GFP_ATOMIC once. */
const REQUESTS_2_6: readonly Request[] = [
  [0xd0, 0],
  [0xd0, 1],
  [0xd0, 2],
  [0xd0, 3],
  [0x20, 1],
];

/** Movable ones beside them; what is atomic may not wait. */
const REQUESTS_2_6_39: readonly Request[] = [
  ...[0, 1, 2, 3].flatMap((order) => [[0xd0, order] as const, [0xd8, order] as const]),
  [0x20, 1],
];
const REQUESTS_4_9 = REQUESTS.map(([gfp, order]): Request => [flagsOf4("4.9", gfp), order]);

const REQUESTS_OF: Readonly<Record<string, readonly Request[]>> = {
  "2.6": REQUESTS_2_6,
  "2.6.9": REQUESTS_2_6,
  "2.6.39": REQUESTS_2_6_39,
  "4.9": REQUESTS_4_9,
};

/** What changed little from era to era is followed for a step less. */
const MACHINES: readonly (readonly [era: string, pageblockOrder: number, steps?: number])[] = [
  ["2.6", 3],
  ["2.6.9", 3, 5],
  ["2.6.39", 2, 5],
  ["4.9", 2, 5],
  ["5.15", 2, 5],
  ["5.10", 2],
  ["6.1", 2],
  ["6.1", 3],
  ["6.12", 2],
];

interface State {
  readonly image: Snapshot;
  /** JSON: many times faster to copy than structuredClone. */
  readonly naive: string;
}

for (const [era, pageblockOrder, most = STEPS] of MACHINES) {
  test(`${era}: all programs of ${most} steps on ${FRAMES} frames, pageblocks of order ${pageblockOrder}`, () => {
    const zones = [{ name: "Normal", startPfn: 0, pages: FRAMES }];
    const m = bootMemory({ era, zones, maxOrder: 3, pageblockOrder, minFreeKbytes: 0 });
    const twin = naiveTwin(m, [{ start: 0, end: FRAMES }]);
    const log = listen(m);
    let states = new Map([
      ["boot", { image: snapshot(m.image), naive: JSON.stringify(twin.state) }],
    ]);
    let programs = 0;
    for (let length = 1; length <= most; length++) {
      const longer = new Map<string, State>();
      const isLast = length === most;
      for (const state of states.values()) {
        programs += extend(m, twin, log, state, isLast ? null : longer);
      }
      states = longer;
    }
    // All frames taken one by one is 8 steps away; less than this would mean that steps did nothing.
    expect.ok(programs > (most < STEPS || era === "2.6" ? 1000 : 5000), `${programs} programs`);
  });
}

/** Every step that is possible in a state. Returns how many there were. */
function extend(
  m: Memory,
  twin: NaiveMemory,
  log: string[],
  from: State,
  found: Map<string, State> | null,
): number {
  const steps: (() => string)[] = [
    () => {
      drainAllPages(m);
      twin.drainAll();
      return "drain";
    },
  ];
  for (const [gfp, order] of REQUESTS_OF[m.rule.name] ?? REQUESTS) {
    steps.push(() => {
      expect.equal(allocPages(m, gfp, order), twin.alloc(gfp, order, 0), `${gfp} ${order}`);
      return `alloc ${gfp} ${order}`;
    });
  }
  for (const [pfn, { order }] of Object.entries(parse(from.naive).taken)) {
    steps.push(() => {
      freePages(m, Number(pfn), order);
      twin.free(Number(pfn), 0);
      return `free ${pfn}`;
    });
  }
  for (const step of steps) {
    restore(m.image, from.image);
    twin.state = parse(from.naive);
    const when = step();
    expect.equal(log.splice(0).join(), twin.log.splice(0).join(), when);
    expect.deepEqual(verify(m), [], when);
    const ours = stateOf(m);
    const naive = naiveStateOf(twin);
    const text = JSON.stringify(naive);
    if (JSON.stringify(ours) !== text) expect.deepEqual(ours, naive, when);
    if (found === null) continue;
    const key = text + JSON.stringify(twin.state.taken);
    if (!found.has(key))
      found.set(key, { image: snapshot(m.image), naive: JSON.stringify(twin.state) });
  }
  return steps.length;
}

function parse(naive: string): NaiveState {
  const state: NaiveState = JSON.parse(naive);
  return state;
}
