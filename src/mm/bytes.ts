/**
 * Real bytes behind the frames: one view over all of them, by pfn.
 *
 *   byte of `m.bytes` = (pfn - m.bytesPfn) * m.pageSize
 *
 * Low memory is always mapped, so its bytes are at hand; a HighMem page has an
 * address only while it is mapped: `kmap.ts`. Devices are no CPUs and do not
 * come here.
 *
 * Linux: page_address(), mm/highmem.c; lowmem_page_address(), include/linux/mm.h
 */
import { assert } from "../base/assert.ts";
import { assertOrder } from "./arguments.ts";
import { type Memory, rowOf, zoneOf } from "./memory.ts";

/** What holds bytes: a buffer, a view of one, or a WebAssembly.Memory, whose buffer changes. */
export type ByteSource = ArrayBufferLike | ArrayBufferView | { readonly buffer: ArrayBufferLike };

/** Where pages lie in a `ByteSource`. */
export interface BytePlace {
  /** Byte of pfn 0 in the source. Negative where the first page has a higher pfn. */
  readonly offset: number;
  /** The pages: first pfn, and the pfn after the last. */
  readonly firstPfn: number;
  readonly endPfn: number;
  /** Bytes. */
  readonly pageSize: number;
}

/**
 * The bytes of those pages, as a view; null when the source does not hold all
 * of them. To be asked again when the source's buffer was replaced.
 */
export function viewPages(source: ByteSource, place: BytePlace): Uint8Array | null {
  const whole = asBytes(source);
  const start = place.offset + place.firstPfn * place.pageSize;
  const length = (place.endPfn - place.firstPfn) * place.pageSize;
  if (!(start >= 0 && start + length <= whole.byteLength)) return null;
  return whole.subarray(start, start + length);
}

function asBytes(source: ByteSource): Uint8Array {
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  }
  return new Uint8Array("buffer" in source ? source.buffer : source);
}

/**
 * The bytes of 2^order pages from `pfn` on: a view, not a copy. It is good until
 * the buffer under the memory is replaced. Asserts that the memory has bytes,
 * and that the pages are low memory: HighMem pages are reached through `kmap`.
 *
 * Linux: page_address(), mm/highmem.c
 */
export function bytesOf(m: Memory, pfn: number, order: number): Uint8Array {
  const row = rowOf(m, pfn);
  const zone = row < 0 ? -1 : zoneOf(m, row);
  assert(zone >= 0, "pfn is not in this memory", pfn);
  assert(m.names[zone] !== "HighMem", "HighMem has no address of its own: use kmap", pfn);
  return pageBytes(m, pfn, order);
}

/** The same for any zone: for those who have mapped the page, or need no mapping. */
export function pageBytes(m: Memory, pfn: number, order: number): Uint8Array {
  const { bytes, pageSize } = m;
  assert(bytes !== null, "this memory has no bytes: give it some when it is made");
  assertOrder(m, order);
  const start = (pfn - m.bytesPfn) * pageSize;
  const end = start + pageSize * 2 ** order;
  assert(start >= 0 && end <= bytes.byteLength, "no bytes behind this pfn", pfn);
  return bytes.subarray(start, end);
}
