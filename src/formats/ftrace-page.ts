/**
 * The page events, by a scanner of their own: they are nearly all lines of a
 * trace of the allocator.
 *
 *   mm_page_alloc: page=(____ptrval____) pfn=0x55f0 order=0 migratetype=0 gfp_flags=GFP_KERNEL
 *   mm_page_alloc_zone_locked: page=… pfn=… order=0 migratetype=0 percpu_refill=1
 *   mm_page_free: page=… pfn=… order=0
 *   mm_page_free_batched: page=… pfn=… order=0          2.6.39: cold=0
 *   mm_page_pcpu_drain: page=… pfn=… order=0 migratetype=1
 *   mm_page_alloc_extfrag: page=… pfn=… alloc_order=0 fallback_order=10 …
 *
 * The pfn is decimal up to 4.19 and hexadecimal behind 0x in 6.1.
 *
 * Linux: include/trace/events/kmem.h
 */
import type { PageEvent, TraceHead } from "./ftrace-event.ts";
import { type Scan, Texts } from "./ftrace-scan.ts";

const ZERO = 48;
const LOWER_X = 120;
/** How a request that got nothing prints its page: by kernel, `trace-cmd` and `perf`. */
const NO_PAGE = /^ *(?:\(null\)|\(nil\)|(?:0x)?0+)$/;

/** Reads the fields of one event at `scan`; null when they are not all there. */
export type PageReader = (pages: PageScan, head: TraceHead) => PageEvent | null;

/** The scan of page events and what it has seen. */
export class PageScan {
  readonly scan: Scan;
  readonly texts: Texts = new Texts();
  /** How the last pfn was printed; null when it was 0 or none was read. */
  base: 10 | 16 | null = null;

  constructor(scan: Scan) {
    this.scan = scan;
  }

  /** `page=… pfn=…`: the pfn, -1 for no page, NaN when it is not there. */
  pfn(): number {
    const { scan } = this;
    this.base = null;
    if (!scan.skip("page=")) return Number.NaN;
    const from = scan.at;
    if (!scan.find(" pfn=")) return Number.NaN;
    const to = scan.at - " pfn=".length;
    const prefixed = scan.code() === ZERO && scan.text.charCodeAt(scan.at + 1) === LOWER_X;
    const pfn = scan.number();
    if (pfn === 0) return NO_PAGE.test(scan.text.slice(from, to)) ? -1 : 0;
    this.base = prefixed ? 16 : 10;
    return pfn >= 0 ? pfn : Number.NaN;
  }

  /** ` name=number`; NaN when it does not stand here. */
  field(name: string): number {
    return this.scan.skip(name) ? this.scan.number() : Number.NaN;
  }
}

export const PAGE_READERS: ReadonlyMap<string, PageReader> = new Map([
  ["mm_page_alloc", readAlloc],
  ["mm_page_alloc_zone_locked", readZoneLocked],
  ["mm_page_free", readFree],
  ["mm_page_free_direct", readFree],
  ["mm_page_free_batched", readBatched],
  ["mm_pagevec_free", readBatched],
  ["mm_page_pcpu_drain", readDrain],
  ["mm_page_alloc_extfrag", readExtfrag],
]);

function readAlloc(pages: PageScan, head: TraceHead): PageEvent | null {
  const pfn = pages.pfn();
  const order = pages.field(" order=");
  const migratetype = pages.field(" migratetype=");
  const { scan } = pages;
  // A NaN of any field makes the sum one.
  if (Number.isNaN(pfn + order + migratetype) || !scan.skip(" gfp_flags=")) return null;
  const gfp = pages.texts.keep(scan.text.slice(scan.at).trimEnd());
  // Flags end with a name or a number: a bar is where the line was cut.
  if (gfp === "" || gfp.endsWith("|")) return null;
  const { line, task, pid, tgid, cpu, flags, time } = head;
  const name = "mm_page_alloc";
  return { line, task, pid, tgid, cpu, flags, time, name, pfn, order, migratetype, gfp };
}

function readZoneLocked(pages: PageScan, head: TraceHead): PageEvent | null {
  const pfn = pages.pfn();
  const order = pages.field(" order=");
  const migratetype = pages.field(" migratetype=");
  const refill = pages.field(" percpu_refill=");
  if (Number.isNaN(pfn + order + migratetype + refill)) return null;
  const percpuRefill = refill !== 0;
  const { line, task, pid, tgid, cpu, flags, time } = head;
  const name = "mm_page_alloc_zone_locked";
  return { line, task, pid, tgid, cpu, flags, time, name, pfn, order, migratetype, percpuRefill };
}

function readFree(pages: PageScan, head: TraceHead): PageEvent | null {
  const pfn = pages.pfn();
  const order = pages.field(" order=");
  if (Number.isNaN(pfn + order)) return null;
  const { line, task, pid, tgid, cpu, flags, time } = head;
  return { line, task, pid, tgid, cpu, flags, time, name: "mm_page_free", pfn, order };
}

function readBatched(pages: PageScan, head: TraceHead): PageEvent | null {
  const pfn = pages.pfn();
  let cold: boolean | null = null;
  let last = pages.field(" order=");
  if (Number.isNaN(last)) {
    last = pages.field(" cold=");
    cold = last !== 0;
  } else if (pages.scan.code() === 32) {
    // 2.6.32 to 4.14 print both.
    last = pages.field(" cold=");
    cold = last !== 0;
  }
  if (Number.isNaN(pfn + last)) return null;
  const { line, task, pid, tgid, cpu, flags, time } = head;
  return { line, task, pid, tgid, cpu, flags, time, name: "mm_page_free_batched", pfn, cold };
}

function readDrain(pages: PageScan, head: TraceHead): PageEvent | null {
  const pfn = pages.pfn();
  const order = pages.field(" order=");
  const migratetype = pages.field(" migratetype=");
  if (Number.isNaN(pfn + order + migratetype)) return null;
  const { line, task, pid, tgid, cpu, flags, time } = head;
  const name = "mm_page_pcpu_drain";
  return { line, task, pid, tgid, cpu, flags, time, name, pfn, order, migratetype };
}

function readExtfrag(pages: PageScan, head: TraceHead): PageEvent | null {
  const pfn = pages.pfn();
  const allocOrder = pages.field(" alloc_order=");
  const fallbackOrder = pages.field(" fallback_order=");
  const pageblockOrder = pages.field(" pageblock_order=");
  const allocMigratetype = pages.field(" alloc_migratetype=");
  const fallbackMigratetype = pages.field(" fallback_migratetype=");
  const fragmenting = pages.field(" fragmenting=");
  const change = pages.field(" change_ownership=");
  const orders = allocOrder + fallbackOrder + pageblockOrder;
  if (Number.isNaN(pfn + orders + allocMigratetype + fallbackMigratetype)) return null;
  if (Number.isNaN(fragmenting + change)) return null;
  const { line, task, pid, tgid, cpu, flags, time } = head;
  return {
    line,
    task,
    pid,
    tgid,
    cpu,
    flags,
    time,
    name: "mm_page_alloc_extfrag",
    pfn,
    allocOrder,
    fallbackOrder,
    pageblockOrder,
    allocMigratetype,
    fallbackMigratetype,
    fragmenting: fragmenting !== 0,
    changeOwnership: change !== 0,
  };
}
