/**
 * A CMA area: memory for devices that want much at once, lent to movable pages
 * until then. Workers of a shared memory claim one after the other; what one that
 * died had claimed is lent again.
 *
 *   A1  while a bit is set its pages are allocated; the byte is the CPU that claimed it plus one
 *
 * Linux: cma_alloc(), cma_release(), mm/cma.c
 */
import { assert } from "../../base/assert.ts";
import { freePages } from "../allocate.ts";
import { lendCma } from "../contig.ts";
import { lockServing } from "../drain-all.ts";
import { unlockWord } from "../lock.ts";
import { rowOf } from "../memory.ts";
import { CMA } from "../rule.ts";
import { giveTo } from "./handle-lock.ts";
import { heldInRange, type RangeRefusal, takeRange } from "./move-range.ts";
import { type Pages, W_CMA_LOCK } from "./pages.ts";

export interface CmaArea {
  readonly pages: Pages;
  readonly name: string;
  readonly basePfn: number;
  readonly count: number;
  /** A bit stands for 2^orderPerBit pages. */
  readonly orderPerBit: number;
  /** One byte a bit: 0 while it is lent. */
  readonly bits: Uint8Array;
}

/** What a request for a range came to: its first pfn, or why not, with what the kernel would log. */
export type CmaAnswer =
  | { readonly pfn: number }
  | {
      readonly pfn: -1;
      readonly reason: RangeRefusal;
      /** pfns of the places that were busy, in the order they were tried. */
      readonly busy: readonly number[];
      /** pfns of pages that nobody may move, in those places. */
      readonly held: readonly number[];
      /** Nothing where the area is smaller than what was asked for. */
      readonly message: string;
      /** What is free in the area, as kernels with CONFIG_CMA_DEBUG add: pages@bit, run by run. */
      readonly available: string;
    };

/**
 * Lends whole pageblocks that lie in a hole of a zone as a CMA area. `count` is pages, `name` unique in
 * the memory; a bit of the area's map stands for 2^orderPerBit pages. Asserts all of it.
 */
export function createCma(
  pages: Pages,
  name: string,
  basePfn: number,
  count: number,
  orderPerBit = 0,
): CmaArea {
  const { m } = pages;
  assert(m.cma, "this memory was not made with cma: true");
  const isBits = Number.isInteger(orderPerBit) && orderPerBit >= 0;
  assert(isBits && count % 2 ** orderPerBit === 0, "an area is whole bits", orderPerBit);
  assert(cmaNamed(pages, name) === undefined, "another area has this name");
  lendCma(m, basePfn, count);
  return attachCma(pages, { name, basePfn, count, orderPerBit });
}

/** Where an area lies, and how it is called: what another worker needs to know of it. */
export type CmaPlace = Pick<CmaArea, "name" | "basePfn" | "count" | "orderPerBit">;

/** An area that was lent to the memory by whoever shares it. */
export function attachCma(pages: Pages, place: CmaPlace): CmaArea {
  const row = rowOf(pages.m, place.basePfn);
  const bits = pages.claimed.subarray(row, row + (place.count >> place.orderPerBit));
  const area = { pages, ...place, bits };
  pages.areas.push(area);
  return area;
}

/** An area of this memory by its name; undefined where there is none. */
export function cmaNamed(pages: Pages, name: string): CmaArea | undefined {
  return pages.areas.find((area) => area.name === name);
}

/**
 * `count` pages in a row, aligned to 2^alignOrder pages: the lowest that can be had. Movable pages
 * in them are moved away; a place that cannot be emptied is passed over for the next one. Asserts that
 * `count` is above 0 and `alignOrder` not below.
 */
export function cmaAlloc(area: CmaArea, count: number, alignOrder: number): CmaAnswer {
  const { m, shared } = area.pages;
  assert(Number.isInteger(count) && count > 0, "a range has pages", count);
  assert(Number.isInteger(alignOrder) && alignOrder >= 0, "no such alignment", alignOrder);
  if (shared === null) return claim(area, count, alignOrder);
  lockServing(m, shared.words, W_CMA_LOCK);
  try {
    return claim(area, count, alignOrder);
  } finally {
    unlockWord(shared.words, W_CMA_LOCK);
  }
}

function claim(area: CmaArea, count: number, alignOrder: number): CmaAnswer {
  const { bits, orderPerBit, basePfn } = area;
  const mark = area.pages.shared === null ? 1 : area.pages.m.cpu + 1;
  const wanted = Math.ceil(count / 2 ** orderPerBit);
  const align = 2 ** Math.max(alignOrder - orderPerBit, 0);
  const offset = Math.floor((basePfn % 2 ** alignOrder) / 2 ** orderPerBit);
  const held: number[] = [];
  const busy: number[] = [];
  const { counts } = area.pages;
  let reason: RangeRefusal = "-ENOMEM";
  for (let start = 0; ; ) {
    const bit = nextZeroArea(bits, start, wanted, align, offset);
    if (bit < 0) break;
    const pfn = basePfn + bit * 2 ** orderPerBit;
    bits.fill(mark, bit, bit + wanted);
    const refusal = takeRange(area.pages, pfn, count, CMA);
    if (refusal === null) {
      counts.cmaAllocSuccess++;
      return { pfn };
    }
    bits.fill(0, bit, bit + wanted);
    reason = refusal;
    if (refusal !== "-EBUSY") break;
    busy.push(pfn);
    held.push(...heldInRange(area.pages, pfn, count));
    start = bit + align;
  }
  counts.cmaAllocFail++;
  const errno = reason === "-EBUSY" ? -16 : -12;
  const failed = `cma: cma_alloc: ${area.name}: alloc failed, req-size: ${count} pages, ret: ${errno}`;
  const message = wanted > bits.length ? "" : failed;
  return { pfn: -1, reason, busy, held: [...new Set(held)], message, available: showFree(area) };
}

/** Linux: cma_debug_show_areas(), mm/cma.c */
function showFree({ bits, orderPerBit, count }: CmaArea): string {
  const runs: string[] = [];
  let total = 0;
  for (let at = bits.indexOf(0); at >= 0; ) {
    const length = bits.subarray(at).findIndex((bit) => bit !== 0);
    const next = length < 0 ? -1 : at + length;
    const stop = next < 0 ? bits.length : next;
    const pages = (stop - at) * 2 ** orderPerBit;
    runs.push(`${pages}@${at}`);
    total += pages;
    at = next < 0 ? -1 : bits.indexOf(0, next);
  }
  return `number of available pages: ${runs.join("+")}=> ${total} free of ${count} total pages`;
}

/** First bit of `wanted` zeros from `start` on, aligned with the area's own offset. Linux: bitmap_find_next_zero_area_off() */
function nextZeroArea(
  bits: Uint8Array,
  start: number,
  wanted: number,
  align: number,
  offset: number,
): number {
  for (let at = start; ; ) {
    const zero = bits.indexOf(0, at);
    if (zero < 0) return -1;
    const from = Math.ceil((zero + offset) / align) * align - offset;
    if (from + wanted > bits.length) return -1;
    const taken = bits.subarray(from, from + wanted).findLastIndex((bit) => bit !== 0);
    if (taken < 0) return from;
    at = from + taken + 1;
  }
}

/** Gives a range back. Asserts that all of it was allocated from this area. */
export function cmaRelease(area: CmaArea, pfn: number, count: number): void {
  const { bits, orderPerBit, basePfn } = area;
  const bit = (pfn - basePfn) / 2 ** orderPerBit;
  const wanted = Math.ceil(count / 2 ** orderPerBit);
  const own = bits.subarray(bit, bit + wanted);
  assert(
    count > 0 && Number.isInteger(bit) && bit >= 0 && own.length === wanted && own.indexOf(0) < 0,
    "this range is not allocated from the area",
    pfn,
  );
  const { m, shared } = area.pages;
  if (shared !== null) {
    // Should this worker die now, all of it goes with it, whoever had claimed it.
    own.fill(m.cpu + 1);
    for (let at = pfn; at < pfn + count; at++) giveTo(m, rowOf(m, at), m.cpu);
  }
  for (let at = pfn; at < pfn + count; at++) freePages(m, at, 0);
  own.fill(0);
}
