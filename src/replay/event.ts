/**
 * What a recording says about pages, one flat record an event: only what moves
 * pages, or tells who may take them.
 *
 *   kind         drives                                    checked
 *   alloc        order, gfp, cpu                           pfn
 *   free         pfn, order, cpu
 *   batched      pfn, cpu: the free of a list is done now
 *   refill       -                                         pfn, order, type
 *   drain        that a list is emptied, how far           pfn, order, type
 *   extfrag      -                                         pfn, orders, types, ownership
 *   bulk, bulk-end      gfp, and how many pages            (vmap: their pfns)
 *   reclaim, reclaim-end, wakeup, kswapd, suitable, victim -
 *   isolate, take       what compaction took               -
 *   snap                a snapshot is taken (boots only)   -
 *   scan, cma           which range somebody wants         -
 *
 * The pfn of a checked event is never looked at before the engine has answered.
 *
 * Linux: include/trace/events/{kmem,vmscan,compaction}.h
 */
import type { ContigCall } from "./contig-scan.ts";

export type ReplayKind =
  | "alloc"
  | "free"
  | "batched"
  | "refill"
  | "drain"
  | "extfrag"
  | "bulk"
  | "bulk-end"
  | "vmap"
  | "reclaim"
  | "reclaim-end"
  | "kswapd"
  | "kswapd-sleep"
  | "wakeup"
  | "victim"
  | "suitable"
  | "compact"
  | "compact-begin"
  | "compact-next"
  | "compact-scan"
  | "compact-moved"
  | "compact-end"
  | "isolate"
  | "snap"
  | "take"
  | "give"
  | "cma";

export interface ReplayEvent {
  readonly kind: ReplayKind;
  /** 1-based line in the trace. */
  readonly line: number;
  /** The trace's clock, microseconds. */
  readonly time: number;
  readonly cpu: number;
  readonly pid: number;
  /** The task is kswapd. */
  kswapd: boolean;
  /** In a hard or soft interrupt. */
  readonly interrupt: boolean;
  /** First page; -1 for none. isolate, scan: start of the range. */
  readonly pfn: number;
  readonly order: number;
  /** Migratetype by the kernel's number; -1 for none. */
  readonly type: number;
  /** As printed, e.g. "GFP_KERNEL|__GFP_ZERO"; bulk: the number. */
  readonly gfp: string;
  /** refill: it fills a per-CPU list. extfrag: the block changes its owner. compact: it is kcompactd's. */
  readonly flag: boolean;
  /** alloc: 1 when interrupts were on. isolate: end of the range. extfrag: the fallback's order. bulk-end: pages. kswapd, wakeup: node. reclaim-end: pages. victim: its task. */
  readonly a: number;
  /** isolate: frames scanned. extfrag: the fallback's type. vmap: number of the first page. */
  readonly b: number;
  /** isolate: pages taken. */
  readonly c: number;
  /** vmap: pfns of the pages that a bulk call took. */
  readonly pages: readonly number[];

  // Written ahead of the driver by the scans of inputs.ts.

  /** free: only announced, its `batched` event does it. */
  announced: boolean;
  /** batched: order of the free, which its own event does not tell; -1 for none. */
  batchOrder: number;
  /** Before this event a bulk call took pages. */
  bulk: BulkCall | null;
  /** After this event kswapd's pass is over. */
  passEnd: boolean;
  /** In an interrupt between two frees of a batch: pfn of the free before it; -1 for none. */
  lockedBy: number;
  /** Here begins a call for this range. */
  contig: ContigCall | null;
  /** free, batched: the next event of this CPU is a drain by the same task. */
  drains: boolean;
  /** drain: pages from here to the end of the run of drains on this CPU. */
  drainRun: number;
  /** The CPU's next event is a drain. */
  drainsNext: boolean;
  /** compact-next: start of the range that the migrate scanner goes over next; -1 for none. */
  scansAt: number;
}

export interface BulkCall {
  /** Single pages that no mm_page_alloc tells. */
  readonly pages: number;
  readonly gfp: number;
}

/** Whether the event is one of the page allocator's own. */
export function isPageEvent({ kind }: ReplayEvent): boolean {
  return (
    kind === "alloc" ||
    kind === "free" ||
    kind === "batched" ||
    kind === "refill" ||
    kind === "drain" ||
    kind === "extfrag"
  );
}
