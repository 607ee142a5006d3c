/**
 * What a run does, told while it does it: for those who do the same to another
 * memory. Pages are the recording's own, also where the engine answered wrong.
 */
import type { ReplayEvent } from "./event.ts";
import type { Rights } from "./request.ts";

export interface Watch {
  /** Before the event is replayed; the CPU is set. */
  readonly event: (e: ReplayEvent) => void;
  /** Compaction took free pages: 2^order frames from `row` on. */
  readonly compacted: (row: number, order: number) => void;
  /** All that this event's compaction took is told. */
  readonly compactionDone: (e: ReplayEvent) => void;
  /** e.pfn is the page that the recording's owner got, -1 for none. */
  readonly request: (e: ReplayEvent, gfp: number, rights: Rights, cache: boolean) => void;
  /** A free that is done; `past`: past the per-CPU lists, which were locked. */
  readonly free: (e: ReplayEvent, order: number, past: boolean) => void;
  /** Single pages that no event tells, in order. */
  readonly bulk: (gfp: number, pfns: readonly number[]) => void;
  /** All of a pageset went back to the zone, or it decayed. */
  readonly drained: (kind: "remote" | "decay", zone: number, cpu: number) => void;
  /** kswapd of the node is through. */
  readonly passEnds: (node: number) => void;
  /** A request below the low mark, or a boosted zone, asks for kswapd. */
  readonly wake: (zone: number, order: number) => void;
}
