/**
 * What a recording tells of CMA areas: who took how many pages at which
 * alignment, and which were given back.
 *
 * Linux: include/trace/events/cma.h
 */
import type { TraceEvent, TraceHead } from "../../formats/ftrace-event.ts";

export interface CmaCall {
  readonly kind: "take" | "give";
  /** 1-based line in the trace, and its clock in microseconds. */
  readonly line: number;
  readonly time: number;
  /** Name of the area; "" where events have none (before 5.12). */
  readonly area: string;
  /** First page; -1 for a request that was refused. */
  readonly pfn: number;
  readonly pages: number;
  /** Order that the first page is aligned to. */
  readonly align: number;
  readonly by: string;
}

export class CmaCalls {
  readonly calls: CmaCall[] = [];

  readonly sink = (e: TraceEvent): void => {
    switch (e.name) {
      case "cma_alloc_finish":
      case "cma_alloc": {
        const { count: pages, alignOrder: align } = e;
        // cma_alloc has no error, and cma_alloc_finish none at first: no page is none.
        const failed = e.pfn <= 0 || ("error" in e && (e.error ?? 0) !== 0);
        const area = "area" in e ? (e.area ?? "") : "";
        this.#put(e, { kind: "take", area, pfn: failed ? -1 : e.pfn, pages, align });
        return;
      }
      case "cma_release":
        this.#put(e, { kind: "give", area: e.area ?? "", pfn: e.pfn, pages: e.count, align: 0 });
    }
  };

  #put(
    { line, time, task, pid }: TraceHead,
    call: Pick<CmaCall, "kind" | "area" | "pfn" | "pages" | "align">,
  ): void {
    this.calls.push({ ...call, line, time, by: `${task}-${pid}` });
  }
}
