// Goal: the workloads are the published ones, and ask the same of every allocator in both languages.
// Method: end states known from elsewhere; a toy allocator that checks each call; and the C twins,
// built to look at every block, run on the same sizes where there is a compiler.
import { deepEqual, equal, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { z } from "zod";
import { makeAdapter as makeNull } from "../../bench/adapters/js-null.ts";
import { makeAdapter as makeEngine } from "../../bench/adapters/zonewright.ts";
import { compileTwin, findCompiler } from "../../bench/native.ts";
import {
  type Adapter,
  type Clock,
  FRAMES,
  type Result,
  runWorkload,
  WORKLOADS,
} from "../../bench/workloads.ts";

const SMALL = 65536; // frames: enough that 75 % of them in mixed orders are never refused
const SCALE = 100;

/** Starts and stops once, in this order. */
function countingClock(): Clock & { calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    start() {
      calls.push("start");
    },
    stop() {
      calls.push("stop");
      return 1;
    },
  };
}

/** A buddy allocator of sets, which knows what is held and refuses what was never given. */
function toy(frames: number): Adapter & { readonly held: Map<number, number> } {
  const free = Array.from({ length: 11 }, () => new Set<number>());
  const held = new Map<number, number>();
  const give = (frame: number, order: number): void => {
    const buddy = frame ^ (1 << order);
    if (order < 10 && free[order]?.delete(buddy)) give(frame & buddy, order + 1);
    else free[order]?.add(frame);
  };
  const take = (order: number): number => {
    if (order > 10) return -1;
    for (const frame of free[order] ?? []) {
      free[order]?.delete(frame);
      return frame;
    }
    const whole = take(order + 1);
    if (whole >= 0) free[order]?.add(whole + (1 << order));
    return whole;
  };
  return {
    name: "toy",
    held,
    reset() {
      held.clear();
      for (const list of free) list.clear();
      for (let frame = 0; frame < frames; frame += 1024) free[10]?.add(frame);
    },
    alloc(order) {
      const frame = take(order);
      if (frame >= 0) held.set(frame, order);
      return frame;
    },
    free(frame, order) {
      equal(held.get(frame), order, `frame ${frame} is freed as it was allocated`);
      held.delete(frame);
      give(frame, order);
    },
  };
}

function endState({ ops, held, used, fails }: Result): object {
  return { ops, held, used, fails };
}

describe("the mixed workload ends as published", () => {
  for (const [scale, held, used] of [
    [1, 36257, 196582],
    [4, 35293, 196497],
  ] as const) {
    test(`at scale ${scale}: ${held} blocks, ${used} frames`, () => {
      const result = runWorkload("W4", makeNull(FRAMES), FRAMES, scale, countingClock());
      deepEqual(endState(result), { ops: 5_000_000 / scale, held, used, fails: 0 });
    });
  }
});

describe("each workload on a toy allocator", () => {
  for (const workload of WORKLOADS) {
    test(`${workload} holds what it says, and as on the floor`, () => {
      const adapter = toy(SMALL);
      const clock = countingClock();
      const result = runWorkload(workload, adapter, SMALL, SCALE, clock);
      deepEqual(clock.calls, ["start", "stop"]);
      equal(adapter.held.size, result.held);
      const frames = [...adapter.held.values()].reduce((sum, order) => sum + 2 ** order, 0);
      equal(frames, result.used);
      const floor = runWorkload(workload, makeNull(SMALL), SMALL, SCALE, countingClock());
      deepEqual(endState(result), endState(floor));
      equal(result.fails, 0);
      ok(result.ops > 0);
    });

    test(`${workload} counts what is refused, and ends`, () => {
      const adapter = toy(SMALL / 2);
      const result = runWorkload(workload, adapter, SMALL, SCALE, countingClock());
      equal(adapter.held.size, result.held);
      if (workload !== "W3") ok(result.fails > 0);
      const never: Adapter = { name: "never", reset() {}, alloc: () => -1, free() {} };
      const refused = runWorkload(workload, never, 2048, 10_000, countingClock());
      deepEqual([refused.held, refused.used], [0, 0]);
      ok(refused.fails > 0);
    });
  }
});

test("the engine refuses nothing in the configuration that is measured", () => {
  for (const workload of WORKLOADS) {
    const result = runWorkload(workload, makeEngine(SMALL, 0), SMALL, SCALE, countingClock());
    const floor = runWorkload(workload, makeNull(SMALL), SMALL, SCALE, countingClock());
    deepEqual(endState(result), endState(floor), workload);
  }
});

const compiler = findCompiler();
describe("the C twins", { skip: compiler === null ? "no C compiler" : false }, () => {
  const Answer = z.object({
    ops: z.number(),
    ns: z.number(),
    held: z.number(),
    used: z.number(),
    fails: z.number(),
  });
  for (const twin of ["null", "plain", "same"] as const) {
    test(`${twin} does the same operations, without overlap, and merges again`, () => {
      const program = compileTwin(compiler ?? "", twin, "check");
      for (const workload of WORKLOADS) {
        // The floor hands out frames without looking: there is nothing to check.
        const fast = twin === "null" ? compileTwin(compiler ?? "", twin, "fast") : program;
        const args = [workload, String(SMALL), String(SCALE)];
        const { status, stdout, stderr } = spawnSync(fast, args, { encoding: "utf8" });
        equal(status, 0, `${workload}: ${stderr}`);
        const here = runWorkload(workload, makeNull(SMALL), SMALL, SCALE, countingClock());
        deepEqual(endState(Answer.parse(JSON.parse(stdout))), endState(here), workload);
      }
    });
  }
});
