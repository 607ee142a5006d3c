/**
 * The events of an ftrace text, one record a line.
 *
 * A record has the columns of its line (`TraceHead`), its `name`, and the fields
 * of that event. `name` is the kernel's; page events that were renamed have
 * today's name: `mm_page_free_direct` is `mm_page_free`, `mm_pagevec_free` is
 * `mm_page_free_batched`.
 *
 * Migratetypes are the numbers of the kernel that printed them.
 */
import type { EventRecords } from "./ftrace-fields.ts";

/** Where a CPU was when it wrote the event. */
export interface TraceFlags {
  /** The column as printed, e.g. `d..4.`. */
  readonly text: string;
  readonly irqsOff: boolean;
  readonly context: "task" | "softirq" | "hardirq" | "nmi";
  /** preempt_count of the moment; null where the kernel does not print one. */
  readonly preemptDepth: number | null;
}

/** The columns left of the event. */
export interface TraceHead {
  /** 1-based line. */
  readonly line: number;
  /** Name of the task as recorded, `<idle>` for the idle task, `<...>` where it was not. */
  readonly task: string;
  readonly pid: number;
  /** null without the record-tgid option. */
  readonly tgid: number | null;
  readonly cpu: number;
  /** null without the irq-info option, and before 3.0. */
  readonly flags: TraceFlags | null;
  /** Microseconds; of clocks that count something else, as printed. */
  readonly time: number;
}

/** Pages were handed out. Not printed for bulk requests. */
export interface PageAlloc extends TraceHead {
  readonly name: "mm_page_alloc";
  /** First page; -1 when the request failed. */
  readonly pfn: number;
  readonly order: number;
  readonly migratetype: number;
  /** The flags as printed, e.g. `GFP_KERNEL|__GFP_ZERO`. */
  readonly gfp: string;
}

/** A block was taken off a free list, for a per-CPU list or directly. */
export interface PageAllocZoneLocked extends TraceHead {
  readonly name: "mm_page_alloc_zone_locked";
  /** -1 when there was none. */
  readonly pfn: number;
  readonly order: number;
  readonly migratetype: number;
  /** Whether it refills a per-CPU list; before 5.19, whether it is a single page. */
  readonly percpuRefill: boolean;
}

/** Pages were given back, to a per-CPU list or to the free lists. */
export interface PageFree extends TraceHead {
  readonly name: "mm_page_free";
  readonly pfn: number;
  readonly order: number;
}

/** A single page of a list was given back; the same page has its `mm_page_free` before. */
export interface PageFreeBatched extends TraceHead {
  readonly name: "mm_page_free_batched";
  readonly pfn: number;
  /** null on kernels that do not distinguish. */
  readonly cold: boolean | null;
}

/** A block went from a per-CPU list to the free lists. */
export interface PagePcpuDrain extends TraceHead {
  readonly name: "mm_page_pcpu_drain";
  readonly pfn: number;
  readonly order: number;
  readonly migratetype: number;
}

/** A block of another migratetype was taken because the own lists were empty. */
export interface PageAllocExtfrag extends TraceHead {
  readonly name: "mm_page_alloc_extfrag";
  readonly pfn: number;
  readonly allocOrder: number;
  readonly fallbackOrder: number;
  readonly pageblockOrder: number;
  readonly allocMigratetype: number;
  readonly fallbackMigratetype: number;
  readonly fragmenting: boolean;
  readonly changeOwnership: boolean;
}

/** What somebody wrote to trace_marker. */
export interface TraceMarker extends TraceHead {
  readonly name: "tracing_mark_write";
  readonly text: string;
}

/** A value of a probe: numbers are exact, `string` and unknown types are text. */
export type ProbeValue = bigint | string | readonly (bigint | string)[];

/** A kprobe or kretprobe was hit. */
export interface ProbeHit extends TraceHead {
  readonly name: "probe";
  /** The probe's own name, e.g. `p_bulk`. */
  readonly probe: string;
  /** The probed function, without offset. */
  readonly symbol: string;
  /** Of a return: where it returned to, without offset; null for an entry. */
  readonly caller: string | null;
  readonly values: ReadonlyMap<string, ProbeValue>;
}

/** A mark of the kernel that events of one CPU are missing before this line. */
export interface TraceLost {
  readonly name: "lost";
  readonly line: number;
  readonly cpu: number;
  /** null where the kernel does not know how many. */
  readonly events: number | null;
}

/** Events whose fields a table describes. */
export type TableEvent = {
  readonly [Name in keyof EventRecords]: TraceHead & EventRecords[Name];
}[keyof EventRecords];

/** The events of the page allocator's fast paths. */
export type PageEvent =
  | PageAlloc
  | PageAllocZoneLocked
  | PageFree
  | PageFreeBatched
  | PagePcpuDrain
  | PageAllocExtfrag;

export type TraceEvent = PageEvent | TraceMarker | ProbeHit | TraceLost | TableEvent;

/** What a whole trace looks like. */
export interface TraceSummary {
  /** `# tracer: nop`; null without header. */
  readonly tracer: string | null;
  /** From the header: entries in the buffer and entries ever written; they differ after an overrun. */
  readonly entries: { readonly buffered: number; readonly written: number } | null;
  /** `#P:2` of the header. */
  readonly cpus: number | null;
  readonly lines: number;
  /** Event lines by printed name, probes and unknown ones too. */
  readonly counts: ReadonlyMap<string, number>;
  /** Those of `counts` that no record exists for: they did not reach the sink. */
  readonly unknown: ReadonlyMap<string, number>;
  /** Lines that were reported and left out. */
  readonly garbled: number;
  readonly lost: {
    readonly marks: number;
    /** Of the marks that say how many. */
    readonly events: number;
  };
  /** Events whose time lies before that of the line above: CPUs were written one by one. */
  readonly backwards: number;
  /** Times of the first and last event, as in `TraceHead`; null without events. */
  readonly firstTime: number | null;
  readonly lastTime: number | null;
  /** How pfn are printed: decimal in 2.6.39 to 4.19, hexadecimal in 6.1; null when none was. */
  readonly pfnBase: 10 | 16 | null;
}
