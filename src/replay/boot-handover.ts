/**
 * Memory handed from memblock to the buddy allocator, in the kernel's order:
 *
 *   at once   what is free below the deferred pages, ascending, each block to its list's tail
 *   HighMem   page by page, each to its list's head
 *   late      the deferred pages: whole pageblocks, the rest page by page
 *
 * Deferred are the pages of a node's highest zone from the first section border
 * after a section's worth of pages on.
 *
 * Linux: memblock_free_all(), mm/memblock.c; free_highmem_page(); defer_init(),
 * deferred_free_pages(), mm/page_alloc.c
 */
import { clip, type Range } from "../base/range.ts";
import type { Layout } from "../boot/hardware.ts";
import { zoneStretches } from "../boot/placement.ts";
import { giveBlock } from "../mm/buddy.ts";
import { type Memory, pfnOf, rowOf, Z_MANAGED, ZONE_WORDS, zoneOf } from "../mm/memory.ts";
import { countPages } from "../mm/queue.ts";
import { UNMOVABLE } from "../mm/rule.ts";

/** What memblock has free, in pfns, sorted; `late` lies at and above a node's first deferred pfn. */
export interface Handover {
  readonly early: readonly Range[];
  readonly highmem: readonly Range[];
  readonly late: readonly Range[];
  /** Where pages are deferred, in pfns. */
  readonly deferred: readonly Range[];
}

/** PAGES_PER_SECTION of x86-64, and of arm64 with 4 KiB pages. */
const SECTION_PAGES = 2 ** 15;

/** `free` in pfns; `defers`: the kernel initialises pages late. */
export function handoverOf(layout: Layout, free: readonly Range[], defers: boolean): Handover {
  const deferred = defers ? layout.nodes.flatMap((node) => deferredOf(layout, node)) : [];
  const high = layout.zones.filter(({ name, spanned }) => name === "HighMem" && spanned > 0);
  const highmem = high.flatMap(({ startPfn, spanned }) => clip(free, startPfn, startPfn + spanned));
  const apart = [
    ...deferred,
    ...high.map((z) => ({ start: z.startPfn, end: z.startPfn + z.spanned })),
  ];
  const low = apart
    .sort((a, b) => a.start - b.start)
    .reduceRight<Range[]>(
      (left, { start, end }) => {
        return left.flatMap((range) => [
          ...clip([range], 0, start),
          ...clip([range], end, Number.POSITIVE_INFINITY),
        ]);
      },
      [...free],
    );
  const late = deferred.flatMap(({ start, end }) => clip(free, start, end));
  return { early: low, highmem, late, deferred };
}

/** Linux: defer_init(), mm/page_alloc.c */
function deferredOf(layout: Layout, node: number): Range[] {
  const last = layout.zones.findLast((zone) => zone.node === node && zone.spanned > 0);
  if (last === undefined) return [];
  const slot = layout.zones.indexOf(last);
  const end = last.startPfn + last.spanned;
  let seen = 0;
  for (const stretch of zoneStretches(layout)) {
    if (stretch.slot !== slot) continue;
    const first = Math.max(stretch.start, stretch.start + SECTION_PAGES - seen);
    const border = Math.ceil(first / SECTION_PAGES) * SECTION_PAGES;
    if (border < stretch.end) return [{ start: border, end }];
    seen += stretch.end - stretch.start;
  }
  return [];
}

/** Linux: free_low_memory_core_early(), mm/memblock.c; set_highmem_pages_init() */
export function handOverEarly(m: Memory, { early, highmem, deferred, late }: Handover): void {
  for (const { start, end } of early) {
    for (let pfn = start; pfn < end; ) {
      let order = 0;
      while (order < m.maxOrder && pfn % 2 ** (order + 1) === 0 && pfn + 2 ** (order + 1) <= end) {
        order++;
      }
      give(m, pfn, order, m.rule.bootTail);
      pfn += 2 ** order;
    }
  }
  for (const { start, end } of highmem)
    for (let pfn = start; pfn < end; pfn++) give(m, pfn, 0, false);
  cutTypes(m, deferred, late);
}

/** A deferred pageblock becomes movable when its first page is freed; where that is taken, never. */
function cutTypes(m: Memory, deferred: readonly Range[], late: readonly Range[]): void {
  const size = 2 ** m.pageblockOrder;
  for (const { start, end } of deferred) {
    for (let pfn = start; pfn < end; pfn += size) {
      const row = rowOf(m, pfn);
      if (row < 0 || clip(late, pfn, pfn + 1).length > 0) continue;
      m.blockType[row >> m.pageblockOrder] = UNMOVABLE;
    }
  }
}

/**
 * Deferred pages on their way to the allocator. The kernel frees them with events,
 * which bypass the per-CPU lists; what has not come so when the log says that all
 * have is handed over then.
 *
 * Linux: deferred_init_maxorder(), deferred_free_range(), mm/page_alloc.c
 */
export class LatePages {
  readonly #late: readonly Range[];
  /** 1 for each row that is still to come. */
  readonly #waiting: Uint8Array;

  constructor(m: Memory, { late }: Handover) {
    this.#late = late;
    this.#waiting = new Uint8Array(m.rows);
    for (const { start, end } of late) {
      for (let pfn = start; pfn < end; pfn++) {
        const row = rowOf(m, pfn);
        if (row >= 0) this.#waiting[row] = 1;
      }
    }
  }

  /** A free of (row, order): true when it was such a page, which has been handed over then. */
  take(m: Memory, row: number, order: number): boolean {
    if (this.#waiting[row] !== 1) return false;
    this.#waiting.fill(0, row, row + 2 ** order);
    give(m, pfnOf(m, row), order, m.rule.bootTail);
    return true;
  }

  takeRest(m: Memory): void {
    const size = 2 ** m.pageblockOrder;
    for (const { start, end } of this.#late) {
      for (let pfn = start; pfn < end; ) {
        const order = pfn % size === 0 && pfn + size <= end ? m.pageblockOrder : 0;
        this.take(m, rowOf(m, pfn), order);
        pfn += 2 ** order;
      }
    }
  }
}

function give(m: Memory, pfn: number, order: number, toTail: boolean): void {
  const row = rowOf(m, pfn);
  const zone = row < 0 ? -1 : zoneOf(m, row);
  if (zone < 0 || zone >= m.zoneCount) return;
  m.state.fill(0, row, row + 2 ** order);
  giveBlock(m, zone, row, order, m.blockType[row >> m.pageblockOrder], toTail);
  countPages(m, zone, row, 2 ** order);
  m.zone[zone * ZONE_WORDS + Z_MANAGED] += 2 ** order;
}
