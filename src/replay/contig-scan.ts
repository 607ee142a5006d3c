/**
 * Where somebody takes a range of pages that he named himself: for a CMA area's
 * owner, for a huge page beyond the largest block. The recording tells the range
 * late, piece by piece, when pages in it are moved; but its pageblocks are
 * isolated before.
 *
 *   cma, or a drain   the call begins, and empties the per-CPU lists
 *   scan, scan, …     the range, piece by piece, from its start to its end
 *   isolate           it is taken: compaction, too, scans and takes, but never the same pages
 *
 * Looks at scanned and isolated ranges only, which are inputs. Writes the range
 * into the first of these events.
 *
 * Linux: alloc_contig_range(), mm/page_alloc.c; isolate_migratepages_range(), mm/compaction.c
 */
import type { ReplayEvent } from "./event.ts";
import type { Scanner } from "./look-ahead.ts";

/** pfns. */
export interface ContigCall {
  readonly start: number;
  readonly end: number;
}

interface Attempt {
  /** cma, the first of a run of drains, or the first scan: the range is written there. */
  begin: ReplayEvent | null;
  /** The event before was a drain of this run. */
  draining: boolean;
  /** What was scanned in one piece; nothing while they are equal. */
  start: number;
  end: number;
}

export class ContigScan implements Scanner {
  readonly #tasks: Map<number, Attempt> = new Map();

  note(e: ReplayEvent): void {
    e.contig = null;
    if (e.interrupt) return;
    if (e.kind === "drain" || e.kind === "cma" || e.kind === "compact-scan") this.#noteCall(e);
    else if (e.kind === "isolate") this.#close(e);
    else if (this.#tasks.size === 0) return;
    else if (e.kind === "alloc" || e.kind === "free" || e.kind === "batched") {
      const own = this.#tasks.get(e.pid);
      if (own === undefined) return;
      own.draining = false;
      // A request between a drain and a scan: the drain was another call's.
      if (e.kind === "alloc" && own.start === own.end) this.#tasks.delete(e.pid);
    }
  }

  #noteCall(e: ReplayEvent): void {
    const own = this.#tasks.get(e.pid);
    if (e.kind === "drain" && own !== undefined) {
      const known = own.draining || own.end > own.start || own.begin?.kind === "cma";
      own.draining = true;
      if (!known) own.begin = e;
      return;
    }
    const scan = e.kind === "compact-scan";
    if (!scan || own === undefined) {
      const draining = e.kind === "drain";
      const [start, end] = scan ? [e.pfn, e.a] : [0, 0];
      this.#tasks.set(e.pid, { begin: e, draining, start, end });
      return;
    }
    own.draining = false;
    if (own.end > own.start && e.pfn !== own.end) {
      own.begin = e;
      own.start = e.pfn;
    } else if (own.start === own.end) own.start = e.pfn;
    own.end = e.a;
  }

  #close(e: ReplayEvent): void {
    const own = this.#tasks.get(e.pid);
    if (own === undefined) return;
    this.#tasks.delete(e.pid);
    const { begin, start, end } = own;
    const taken = end > start && e.pfn <= start && e.pfn + e.c > start;
    if (taken && begin !== null) begin.contig = { start, end };
  }

  release(events: readonly ReplayEvent[]): void {
    if (this.#tasks.size === 0) return;
    for (const e of events) {
      const own = this.#tasks.get(e.pid);
      if (own?.begin === e) own.begin = null;
    }
  }
}
