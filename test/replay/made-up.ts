// Events of a replay that nobody recorded, for what must be told ahead of the driver.
import type { ReplayEvent } from "../../src/replay/index.ts";

/** A free of page `line` on CPU 0 by task 1, and what differs. */
export function event(line: number, fields: Partial<ReplayEvent>): ReplayEvent {
  return {
    kind: "free",
    line,
    time: line,
    cpu: 0,
    pid: 1,
    kswapd: false,
    reclaimer: false,
    interrupt: false,
    pfn: line,
    order: 0,
    type: 0,
    gfp: "",
    flag: false,
    a: 0,
    b: 0,
    c: 0,
    pages: [],
    announced: false,
    batchOrder: -1,
    bulk: null,
    passEnd: false,
    lockedBy: -1,
    contig: null,
    drains: false,
    drainRun: 0,
    ...fields,
  };
}
