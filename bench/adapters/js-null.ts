/**
 * The floor: what a workload costs without an allocator. Frames are handed out in rotation, so the
 * harness's own arrays see the numbers that they would otherwise see.
 */
import type { Adapter } from "../workloads.ts";

export function makeAdapter(frames: number): Adapter {
  const mask = 2 ** Math.ceil(Math.log2(frames)) - 1;
  let next = 0;
  return {
    name: "js-null",
    reset() {
      next = 0;
    },
    alloc(order) {
      next = (next + (1 << order)) & mask;
      return next;
    },
    free() {},
  };
}
