/**
 * Trace events to what a replay takes: only those that move pages, from one
 * marker to the next.
 *
 *   SNAP BEGIN before   the snapshot that the memory starts from
 *   SNAP BEGIN after    the one it is compared with
 *
 * A trace without such markers is taken whole. Probes are known by the function
 * they sit on: what they are called is up to who set them.
 *
 * Linux: __alloc_pages_bulk(), __vmap_pages_range_noflush(), compaction_alloc()
 */
import type { ProbeHit, TraceEvent, TraceHead } from "../formats/ftrace-event.ts";
import type { ReplayEvent, ReplayKind } from "./event.ts";

/** struct page of pfn 0 and its size: x86-64 without KASLR. Linux: __VMEMMAP_BASE_L4 */
const VMEMMAP = 0xffffea0000000000n;
const PAGE_STRUCT_BYTES = 64n;

/** Collects a window's events as they come from `ftraceReader`. */
export class WindowCollector {
  #events: ReplayEvent[] = [];
  /** Events of the window so far, and requests among them. */
  seen = 0;
  allocations = 0;
  /** Events that the kernel dropped within the window; marks without a number count one. */
  lost = 0;
  /** Line of the first such mark; 0 for none. */
  lostAt = 0;
  /** Markers seen: "SNAP BEGIN before" is "before". */
  readonly moments: string[] = [];
  /** Tasks that are kswapd, by what they do: a recording may have forgotten their names. */
  readonly #kswapds: Set<number> = new Set();
  readonly #from: string | null;
  readonly #to: string | null;
  #open: boolean;
  #done = false;

  /** The marker that the window begins with was seen, and the one that it ends with. */
  get begun(): boolean {
    return this.#open;
  }

  get ended(): boolean {
    return this.#done;
  }

  /** From the snapshot named `from` to the one named `to`; null: from the first, to the last event. */
  constructor(from: string | null, to: string | null) {
    this.#from = from;
    this.#to = to;
    this.#open = from === null;
  }

  readonly sink = (e: TraceEvent): void => {
    if (e.name === "tracing_mark_write") this.#mark(e.text);
    else if (e.name === "mm_vmscan_kswapd_wake" || e.name === "mm_vmscan_kswapd_sleep") {
      this.#kswapds.add(e.pid);
    }
    if (!this.#open || this.#done) return;
    if (e.name === "lost") {
      this.lost += e.events ?? 1;
      if (this.lostAt === 0) this.lostAt = e.line;
      return;
    }
    const event = this.#from === null ? (toSnap(e) ?? toReplay(e)) : toReplay(e);
    if (event === null) return;
    if (this.#kswapds.has(event.pid)) event.kswapd = true;
    this.seen++;
    if (event.kind === "alloc") this.allocations++;
    this.#events.push(event);
  };

  /** Events that wait to be taken. */
  get waiting(): number {
    return this.#events.length;
  }

  /** The events since the last call. */
  take(): ReplayEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #mark(text: string): void {
    const moment = /^SNAP BEGIN (\S+)/.exec(text.trim())?.[1];
    if (moment === undefined) return;
    this.moments.push(moment);
    if (moment === this.#from) this.#open = true;
    else if (this.#open && moment === this.#to) this.#done = true;
  }
}

type Fields = Partial<Omit<ReplayEvent, "kind" | "line" | "time" | "cpu" | "pid">>;

function record(kind: ReplayKind, e: TraceHead, fields: Fields): ReplayEvent {
  return {
    kind,
    line: e.line,
    time: e.time,
    cpu: e.cpu,
    pid: e.pid,
    kswapd: e.task.startsWith("kswapd"),
    interrupt: e.flags !== null && e.flags.context !== "task",
    pfn: fields.pfn ?? -1,
    order: fields.order ?? 0,
    type: fields.type ?? -1,
    gfp: fields.gfp ?? "",
    flag: fields.flag ?? false,
    a: fields.a ?? 0,
    b: fields.b ?? 0,
    c: fields.c ?? 0,
    pages: fields.pages ?? NO_PAGES,
    announced: false,
    batchOrder: -1,
    bulk: null,
    passEnd: false,
    lockedBy: -1,
    contig: null,
    drains: false,
    drainRun: 0,
    drainsNext: false,
    scansAt: -1,
  };
}

/** kcompactd heeds the hints on pageblocks: COMPACT_PRIO_SYNC_LIGHT. */
const KCOMPACTD_PRIORITY = 1;

const NO_PAGES: readonly number[] = [];

/** Whoever takes a snapshot reads the sysctls, too, and one of them computes reserves anew. */
function toSnap(e: TraceEvent): ReplayEvent | null {
  const isMark = e.name === "tracing_mark_write" && e.text.trim().startsWith("SNAP BEGIN ");
  return isMark ? record("snap", e, {}) : null;
}

function toReplay(e: TraceEvent): ReplayEvent | null {
  switch (e.name) {
    case "mm_page_alloc":
      return record("alloc", e, {
        pfn: e.pfn,
        order: e.order,
        type: e.migratetype,
        gfp: e.gfp,
        a: e.flags?.irqsOff === false ? 1 : 0,
      });
    case "mm_page_free":
      return record("free", e, { pfn: e.pfn, order: e.order });
    case "mm_page_free_batched":
      return record("batched", e, { pfn: e.pfn });
    case "mm_page_alloc_zone_locked": {
      const { pfn, order, migratetype: type, percpuRefill: flag } = e;
      return record("refill", e, { pfn, order, type, flag });
    }
    case "mm_page_pcpu_drain":
      return record("drain", e, { pfn: e.pfn, order: e.order, type: e.migratetype });
    case "mm_page_alloc_extfrag":
      return record("extfrag", e, {
        pfn: e.pfn,
        order: e.allocOrder,
        type: e.allocMigratetype,
        flag: e.changeOwnership,
        a: e.fallbackOrder,
        b: e.fallbackMigratetype,
      });
    case "probe":
      return fromProbe(e);
    default:
      return toReclaim(e) ?? toCompaction(e);
  }
}

/** Who reclaims, and for whom. */
function toReclaim(e: TraceEvent): ReplayEvent | null {
  switch (e.name) {
    case "mm_vmscan_direct_reclaim_begin":
      return record("reclaim", e, { order: e.order, gfp: e.gfp });
    case "mm_vmscan_direct_reclaim_end":
      return record("reclaim-end", e, { a: e.reclaimed });
    case "mm_vmscan_kswapd_wake":
      return record("kswapd", e, { a: e.nid, order: e.order });
    case "mm_vmscan_wakeup_kswapd":
      return record("wakeup", e, { a: e.nid, order: e.order ?? 0, gfp: e.gfp ?? "none" });
    case "mm_vmscan_kswapd_sleep":
      return record("kswapd-sleep", e, { a: e.nid });
    case "mark_victim":
      return record("victim", e, { a: e.pid });
    default:
      return null;
  }
}

function toCompaction(e: TraceEvent): ReplayEvent | null {
  switch (e.name) {
    case "mm_compaction_suitable":
      return record("suitable", e, {});
    case "mm_compaction_try_to_compact_pages":
      return record("compact", e, { order: e.order, gfp: e.gfp, a: e.priority ?? 0 });
    case "mm_compaction_kcompactd_wake":
      return record("compact", e, { order: e.order, a: KCOMPACTD_PRIORITY, flag: true });
    case "mm_compaction_begin": {
      const { zoneStart: pfn, migratePfn: a, freePfn: b, zoneEnd: c } = e;
      return record("compact-begin", e, { pfn, a, b, c, flag: e.mode === "async" });
    }
    case "mm_compaction_finished": {
      const flag = e.result === "continue" || e.result === "no_suitable_page";
      const met = e.result === "complete" || e.result === "partial_skipped";
      return record("compact-next", e, { order: e.order, flag, a: met ? 1 : 0 });
    }
    case "mm_compaction_isolate_migratepages":
      return record("compact-scan", e, { pfn: e.start, a: e.end, b: e.scanned, c: e.taken });
    case "mm_compaction_migratepages":
      return record("compact-moved", e, { a: e.migrated, b: e.failed });
    case "mm_compaction_end":
      return record("compact-end", e, {});
    case "cma_alloc_start":
      return record("cma", e, {});
    case "mm_compaction_isolate_freepages":
      return record("isolate", e, { pfn: e.start, a: e.end, b: e.scanned, c: e.taken });
    default:
      return null;
  }
}

function fromProbe(e: ProbeHit): ReplayEvent | null {
  const isReturn = e.caller !== null;
  if (e.symbol === "__alloc_pages_bulk" || e.symbol === "alloc_pages_bulk_noprof") {
    if (isReturn) return record("bulk-end", e, { a: numberOf(e, "n") });
    return record("bulk", e, { gfp: String(numberOf(e, "gfp")) });
  }
  if (e.symbol === "compaction_alloc" && isReturn) {
    const pfn = pfnOfPage(e.values.get("page"));
    return record("take", e, { pfn });
  }
  if (e.symbol === "compaction_free" && !isReturn) {
    const pfn = pfnOfPage(e.values.get("page"));
    return pfn < 0 ? null : record("give", e, { pfn });
  }
  if (e.symbol !== "__vmap_pages_range_noflush") return null;
  // A probe shows 128 pages; further ones on the same function go on from there.
  const first = Number(/(\d*)$/.exec(e.probe)?.[1] ?? 0);
  const pages: number[] = [];
  for (const value of e.values.values()) {
    if (typeof value !== "object") continue;
    for (const page of value) pages.push(pfnOfPage(page));
  }
  const unknown = pages.findIndex((pfn) => pfn < 0);
  return record("vmap", e, { b: first, pages: unknown < 0 ? pages : pages.slice(0, unknown) });
}

function numberOf(e: ProbeHit, name: string): number {
  const value = e.values.get(name);
  return typeof value === "bigint" ? Number(value) : 0;
}

/** pfn of a struct page's address; -1 when it is none of x86-64's. */
function pfnOfPage(value: unknown): number {
  if (typeof value !== "bigint" || value < VMEMMAP) return -1;
  const pfn = (value - VMEMMAP) / PAGE_STRUCT_BYTES;
  return pfn < 2n ** 31n ? Number(pfn) : -1;
}
