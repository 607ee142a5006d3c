/**
 * A report of the page allocator or of the OOM killer, as printed: a request, and the state of the
 * memory shortly after it was refused. Nothing is filled in; what was not printed is null, and every
 * number has its line.
 *
 *   bash: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP), nodemask=(null)
 *   CPU: 0 PID: 7 Comm: bash Not tainted 6.1.0
 *   Call Trace: …
 *   Mem-Info:
 *   active_anon:434 … free:439 free_pcp:49 free_cma:0            pages
 *   Node 0 active_anon:1736kB … all_unreclaimable? yes
 *   Node 0 DMA free:824kB min:72kB … managed:15360kB …           KiB
 *   lowmem_reserve[]: 0 188 188 188                              pages
 *   Node 0 DMA: 2*4kB (UM) 0*8kB … = 824kB
 *   65399 pages RAM
 *
 * Linux: warn_alloc(), show_free_areas(), mm/page_alloc.c, mm/show_mem.c; dump_header(), mm/oom_kill.c
 */
import type { Reading } from "./report-text.ts";

export type MemoryReportKind =
  | "page-allocation-failure"
  | "oom"
  /** A request that took long: a delay, no failure (4.10 to 4.14). */
  | "stall"
  /** A state without a request: SysRq-m. */
  | "mem-info";

/** Which caller's words open the report. */
export type ReportOpening = "page" | "vmemmap" | "vmalloc" | "oom" | "stall" | "state" | "rows";

export interface ReportBlocks {
  readonly order: number;
  readonly count: number;
  /** Letters of the types that have such a block: "UM"; null where none were printed. */
  readonly types: string | null;
}

export interface ReportFreeList {
  readonly line: number;
  readonly blocks: readonly ReportBlocks[];
  /** The sum after "=", KiB. */
  readonly sum: Reading | null;
  /** The sum was printed and is that of the blocks: nothing is cut off. */
  readonly complete: boolean;
}

export interface ReportZone {
  /** 0 where no node was printed. */
  readonly node: number;
  readonly name: string;
  readonly line: number;
  /** By the names printed: free, min, managed, free_cma …; KiB, but pages_scanned. */
  readonly fields: ReadonlyMap<string, Reading>;
  /** lowmem_reserve[], or protections[] of 2.6.9. Pages. */
  readonly protection: readonly Reading[] | null;
  readonly reserveName: "lowmem_reserve" | "protections" | null;
  readonly allUnreclaimable: boolean | null;
  readonly freeList: ReportFreeList | null;
}

export interface ReportGfp {
  readonly bits: number;
  /** "GFP_KERNEL|__GFP_COMP"; null where only bits were printed. */
  readonly names: string | null;
  readonly line: number;
}

export interface ReportNode {
  readonly node: number;
  readonly line: number;
  readonly allUnreclaimable: boolean | null;
}

/** What the OOM killer says of whom it may choose. */
export interface ReportOom {
  /** CONSTRAINT_NONE, _CPUSET, _MEMORY_POLICY or _MEMCG; null where not printed. */
  readonly constraint: string | null;
  /** The limit of a memory cgroup was reached, by any era's words. */
  readonly memcg: boolean;
  /** Line of the words that say so. */
  readonly line: number | null;
  /** "/task=hog"; null where nobody was named. */
  readonly victim: string | null;
  readonly noVictim: boolean;
  /** memory.max of the group, KiB. */
  readonly usage: Reading | null;
  readonly limit: Reading | null;
}

/** What vmalloc says of its own failure. */
export interface ReportVmalloc {
  /** Bytes. */
  readonly size: Reading;
  /** "pages": single pages or blocks could not be had, the report is about those. */
  readonly what: "exceeds" | "addresses" | "page-list" | "unmapped" | "pages";
}

export interface MemoryReport {
  readonly kind: MemoryReportKind;
  readonly opening: ReportOpening;
  readonly line: number;
  readonly endLine: number;
  /** As printed: seconds since boot, or a date. */
  readonly time: string | null;
  /** The opening line without its prefix. */
  readonly text: string;
  /** Who asked. */
  readonly comm: string | null;
  /** -1: SysRq-f, nobody asked. */
  readonly order: Reading | null;
  readonly gfp: ReportGfp | null;
  /** "0-1"; null where not printed or "(null)". */
  readonly nodemask: string | null;
  readonly cpuset: string | null;
  readonly memsAllowed: string | null;
  /** "6.1.0-50-amd64", of the report's own words or of the log's banner before it. */
  readonly release: string | null;
  /** "6.1.176" where the distribution tells. */
  readonly upstream: string | null;
  /** Names of functions on the stack, innermost first. */
  readonly frames: readonly string[];
  /** Words of the processor's width, where addresses of the stack show it. */
  readonly addressBits: 32 | 64 | null;
  /** Of the whole machine, by name: free, free_cma, slab_reclaimable …; pages. */
  readonly counters: ReadonlyMap<string, Reading>;
  readonly nodes: readonly ReportNode[];
  readonly zones: readonly ReportZone[];
  /** KiB of a page: the unit of the free lists; null without any. */
  readonly pageKib: number | null;
  /** KiB. */
  readonly swapFree: Reading | null;
  readonly swapTotal: Reading | null;
  /** Pages. */
  readonly ram: Reading | null;
  readonly reserved: Reading | null;
  /** KiB in huge pages, taken or not. */
  readonly hugeKib: number;
  readonly oom: ReportOom | null;
  readonly vmalloc: ReportVmalloc | null;
}
