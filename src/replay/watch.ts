/**
 * What a run does, told while it does it: for those who do the same to another
 * memory. Pages are the recording's own, also where the engine answered wrong.
 */
import type { ReplayEvent } from "./event.ts";
import type { Rights } from "./request.ts";

/** A request as the run asks it. */
export interface Asked {
  readonly gfp: number;
  readonly rights: Rights;
  /** Its page is page cache, which can be moved. */
  readonly cache: boolean;
}

export interface Watch {
  /** Before the event is replayed; the CPU is set. */
  readonly event: (e: ReplayEvent) => void;
  /** Compaction took free pages: 2^order frames from `row` on. */
  readonly compacted: (row: number, order: number) => void;
  /** All that this event's compaction took is told. */
  readonly compactionDone: (e: ReplayEvent) => void;
  /** A request is served now, with `own`; -1 for none. */
  readonly request: (e: ReplayEvent, asked: Asked, own: number) => void;
  /** Its event is there: where e.pfn is not `own`, the memory was mended. */
  readonly answered: (e: ReplayEvent, own: number) => void;
  /** A block that the run did not expect was put from a per-CPU list onto a free list. */
  readonly putDown: (e: ReplayEvent, type: number) => void;
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
