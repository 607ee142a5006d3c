/**
 * Bounce buffers that are not set aside: swiotlb without a pool of its own, as converted
 * in 2008. A mapping takes pages where the device reaches them and gives them back at
 * unmap; no slot, no segment of 128, no cap of 256 KiB: a page is the smallest buffer, and
 * the largest is what memory gives in one piece.
 *
 * Any mask will do, 29 bits or 24 as well as 32: swiotlb's own pool lies below 4 GiB
 * somewhere, this one looks for the highest place in reach of this device.
 *
 *   column    by page of a buffer
 *   head      first page of its buffer, as pfn + 1; 0 for no buffer
 *   start     at the first page: byte of the page where the mapping starts
 *   orig      at the first page: physical address that is bounced
 *   size      at the first page: bytes mapped
 *   bytes     at the first page: bytes taken from the pool
 *
 *   M1  every page of a buffer names its first page, which names itself
 *
 * Linux: map_single(), unmap_single(), lib/swiotlb.c after "mask allocator" 11/13, posted
 * 7 March 2008; never merged
 */
import { assert } from "../../base/assert.ts";
import { addChunkedRegion, addRegion, type Image } from "../../mm/image.ts";
import { BOUNCE_FULL, BOUNCE_TOO_LARGE, BOUNCE_UNREACHABLE, type Bounce } from "../bounce.ts";
import type { DmaDevice } from "../dma-device.ts";
import {
  DMA_ATTR_SKIP_CPU_SYNC,
  type DmaDirection,
  fromDevice,
  NO_LIMIT,
  toDevice,
} from "../words.ts";
import {
  SWIOTLB_BYTES_WASTED,
  SWIOTLB_NUM_ALLOCS,
  SWIOTLB_NUM_FREES,
  SWIOTLB_USED_PAGES,
} from "./mask-counts.ts";
import { allocMaskPages, canEver, freeMask, type MaskPool, maskRefusalLine } from "./mask-pool.ts";
import { type PoolWindow, poolWindows } from "./pool-windows.ts";

export interface PoolBounceOptions {
  /** GFP_ATOMIC of the era: a mapping cannot sleep. */
  readonly gfp: number;
  /** First pfn that is no RAM any more: columns reach up to there. */
  readonly endPfn: number;
  /** Copies `length` bytes from one physical address to another. */
  readonly copy: (from: number, to: number, length: number) => void;
  /** Since 5.18 every map copies to the buffer, so that no stale bytes come back. */
  readonly copiesAlways?: boolean;
}

interface Columns {
  readonly head: Float64Array;
  readonly start: Float64Array;
  readonly orig: Float64Array;
  readonly size: Float64Array;
  readonly bytes: Float64Array;
  readonly touched: Uint8Array;
  /** One word: buffers there are. */
  readonly live: Float64Array;
}

/** Pages of a chunk of the columns, as a power of two. */
const CHUNK_PAGES_SHIFT = 9;

/** Bounces through `pool`; its columns are regions of `image`. */
export function createPoolBounce(
  image: Image,
  pool: MaskPool,
  options: PoolBounceOptions,
): PoolBounce {
  return new PoolBounce(pool, options, addColumns(image, Math.max(pool.end, options.endPfn)));
}

export class PoolBounce implements Bounce {
  lastMessage: string | null = null;
  readonly #pool: MaskPool;
  readonly #options: PoolBounceOptions;
  readonly #columns: Columns;

  constructor(pool: MaskPool, options: PoolBounceOptions, columns: Columns) {
    this.#pool = pool;
    this.#options = options;
    this.#columns = columns;
  }

  map(
    device: DmaDevice,
    physical: number,
    wanted: number,
    allocSize: number,
    alignMask: number,
    direction: DmaDirection,
    attrs: number,
    _cpu: number,
  ): number {
    const { gfp, copy, copiesAlways = false } = this.#options;
    const windows = poolWindows(device);
    // The low bits that the device wants kept, in the buffer as in the original.
    const kept = device.minAlignMask === 0 ? 0 : physical % (device.minAlignMask + 1);
    const bytes = Math.max(MIN_BYTES, kept + Math.max(wanted, allocSize));
    const align = Math.max(device.minAlignMask, alignMask) + 1;
    const pfn = this.#take(device, bytes, align, windows);
    if (pfn < 0) {
      const limit = Math.min(device.streamingLimit, device.busLimit);
      this.lastMessage = maskRefusalLine(device.driver, { bytes, gfp, limit });
      return reasonOf(this.#pool, bytes, align, windows);
    }
    this.lastMessage = null;
    this.#enter(pfn, physical, kept, wanted, bytes);
    const buffer = pfn * this.#pool.pageSize + kept;
    const isAsked = toDevice(direction) && (attrs & DMA_ATTR_SKIP_CPU_SYNC) === 0;
    if (copiesAlways || isAsked) copy(physical, buffer, wanted);
    return buffer;
  }

  #take(device: DmaDevice, bytes: number, align: number, windows: readonly PoolWindow[]): number {
    const { segmentBoundary } = device;
    const boundary = segmentBoundary >= NO_LIMIT ? -1 : segmentBoundary;
    for (const { low, limit, offset } of windows) {
      // What the bus adds to an address would shift a boundary; `poolWindows` has cut there.
      const own = boundary >= 0 && offset % (boundary + 1) !== 0 ? -1 : boundary;
      const { gfp } = this.#options;
      const pfn = allocMaskPages(this.#pool, bytes, low, limit, align, own, gfp, 0);
      if (pfn >= 0) return pfn;
    }
    return -1;
  }

  /** Writes a new buffer down. */
  #enter(pfn: number, physical: number, kept: number, wanted: number, bytes: number): void {
    const { counts, pageSize } = this.#pool;
    const columns = this.#columns;
    const pages = Math.ceil(bytes / pageSize);
    const last = (pfn + pages - 1) >> CHUNK_PAGES_SHIFT;
    columns.head.fill(pfn + 1, pfn, pfn + pages);
    columns.touched.fill(1, pfn >> CHUNK_PAGES_SHIFT, last + 1);
    columns.start[pfn] = kept;
    columns.orig[pfn] = physical;
    columns.size[pfn] = wanted;
    columns.bytes[pfn] = bytes;
    columns.live[0]++;
    counts[SWIOTLB_USED_PAGES] += pages;
    counts[SWIOTLB_BYTES_WASTED] += pages * pageSize - wanted;
    counts[SWIOTLB_NUM_ALLOCS]++;
  }

  unmap(
    _device: DmaDevice,
    buffer: number,
    _size: number,
    direction: DmaDirection,
    attrs: number,
  ): void {
    const { head, start, size, bytes, live } = this.#columns;
    const { pageSize, counts } = this.#pool;
    const pfn = this.#bufferAt(buffer);
    const isAsked = fromDevice(direction) && (attrs & DMA_ATTR_SKIP_CPU_SYNC) === 0;
    if (isAsked) this.#sync(pfn * pageSize + start[pfn], size[pfn], false);
    head.fill(0, pfn, pfn + Math.ceil(bytes[pfn] / pageSize));
    live[0]--;
    counts[SWIOTLB_NUM_FREES]++;
    freeMask(this.#pool, pfn, bytes[pfn]);
  }

  syncForCpu(_device: DmaDevice, buffer: number, size: number, direction: DmaDirection): void {
    if (fromDevice(direction)) this.#sync(buffer, size, false);
  }

  syncForDevice(_device: DmaDevice, buffer: number, size: number, direction: DmaDirection): void {
    if (toDevice(direction)) this.#sync(buffer, size, true);
  }

  /** The part of [buffer, buffer + length) that is mapped, copied one way or the other. */
  #sync(buffer: number, length: number, isToBuffer: boolean): void {
    const { start, orig, size } = this.#columns;
    const pfn = this.#bufferAt(buffer);
    const first = pfn * this.#pool.pageSize + start[pfn];
    const from = Math.max(buffer, first);
    const many = Math.min(buffer + length, first + size[pfn]) - from;
    if (many <= 0) return;
    const original = orig[pfn] + from - first;
    if (isToBuffer) this.#options.copy(original, from, many);
    else this.#options.copy(from, original, many);
  }

  holds(physical: number): boolean {
    return this.#headOf(physical) >= 0;
  }

  maxMapping(device: DmaDevice): number {
    return maxMapping(this.#pool, device);
  }

  /** Buffers there are now. */
  live(): number {
    return this.#columns.live[0];
  }

  verify(): string[] {
    return verifyColumns(this.#columns, this.#pool.pageSize);
  }

  /** First page of the buffer that holds a physical address, or -1. */
  #headOf(physical: number): number {
    const { head } = this.#columns;
    const pfn = Math.floor(physical / this.#pool.pageSize);
    return pfn >= 0 && pfn < head.length ? head[pfn] - 1 : -1;
  }

  #bufferAt(address: number): number {
    const pfn = this.#headOf(address);
    assert(pfn >= 0, "this address is in no bounce buffer", address);
    return pfn;
  }
}

/** Why there is no buffer of so many bytes. */
function reasonOf(
  { pageSize, ranges, pages: all, normal, force }: MaskPool,
  bytes: number,
  align: number,
  windows: readonly PoolWindow[],
): number {
  const fits = (pages: number): boolean =>
    windows.some(({ low, limit }) => {
      const first = Math.ceil(low / pageSize);
      const end = Math.floor((limit + 1) / pageSize);
      const alignPages = Math.max(1, align / pageSize);
      return (
        canEver({ ranges, pages: all }, pages, first, end, alignPages, 0, 0) ||
        (normal !== null && !force && pages <= normal.largest(first, end))
      );
    });
  if (fits(Math.ceil(bytes / pageSize))) return BOUNCE_FULL;
  return fits(1) ? BOUNCE_TOO_LARGE : BOUNCE_UNREACHABLE;
}

/** What `allocMask` takes for a mistake, the least that is asked for. */
const MIN_BYTES = 16;

function addColumns(image: Image, pages: number): Columns {
  const chunks = Math.ceil(pages / 2 ** CHUNK_PAGES_SHIFT);
  const touched = new Uint8Array(addRegion(image, "maskPool.bounce.touched", chunks).buffer);
  const column = (name: string): Float64Array => {
    const full = `maskPool.bounce.${name}`;
    const region = addChunkedRegion(image, full, pages * 8, CHUNK_PAGES_SHIFT + 3, touched);
    return new Float64Array(region.buffer);
  };
  return {
    head: column("head"),
    start: column("start"),
    orig: column("orig"),
    size: column("size"),
    bytes: column("bytes"),
    touched,
    live: new Float64Array(addRegion(image, "maskPool.bounce.live", 8).buffer),
  };
}

/** Bytes of the longest piece that this device could be given were everything free. */
function maxMapping(pool: MaskPool, device: DmaDevice): number {
  const { pageSize, ranges, normal } = pool;
  let pages = 0;
  for (const { low, limit } of poolWindows(device)) {
    const first = Math.ceil(low / pageSize);
    const end = Math.floor((limit + 1) / pageSize);
    for (const range of ranges)
      pages = Math.max(pages, Math.min(end, range.end) - Math.max(first, range.start));
    if (normal !== null && !pool.force) pages = Math.max(pages, normal.largest(first, end));
  }
  // The low bits that are kept may cost all but one byte of them.
  const kept = device.minAlignMask;
  const whole = Math.max(0, pages * pageSize - kept);
  return device.segmentBoundary >= NO_LIMIT ? whole : Math.min(whole, device.segmentBoundary + 1);
}

function verifyColumns({ head, bytes, live }: Columns, pageSize: number): string[] {
  const broken: string[] = [];
  let buffers = 0;
  for (let pfn = 0; pfn < head.length; pfn++) {
    const own = head[pfn] - 1;
    if (own < 0) continue;
    if (own === pfn) buffers++;
    const end = own + Math.ceil(bytes[own] / pageSize);
    if (head[own] !== own + 1 || pfn < own || pfn >= end)
      broken.push(`M1: page ${pfn} names ${own}, whose buffer ends at ${end}`);
  }
  if (buffers !== live[0]) broken.push(`M1: ${buffers} buffers are there, ${live[0]} are counted`);
  return broken;
}
