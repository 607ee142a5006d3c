/**
 * swiotlb's state, all of it in the image:
 *
 *   used      one bit a slot: taken, or behind the end of its pool
 *   heads     one bit a slot: the first slot of a mapping
 *   orig      at a head: physical address that is bounced; NaN for pages of the pool itself
 *   size      at a head: bytes of its slots that are spoken for
 *   pad       at a head: slots before the buffer
 *   room      a segment's longest free run is not longer than this
 *   group     the same for 64 segments
 *   pools     a row a pool: where it lies, and which slots and areas are its own
 *   areas     a row an area: index of the next search, slots in use
 *   counts    see the C_ words
 *
 * Slots of all pools lie in one row of segments; a pool starts at a segment of
 * its own. Row 0 is the pool of the boot, then come pools that were added, the
 * oldest first, then those made for one mapping.
 */
import { addRegion, type Image } from "../../mm/image.ts";
import { SEGMENT } from "./bits.ts";

export const GROUP_SHIFT = 6;

export const POOL_WORDS = 7;
/** Words of a row of `pools`. */
export const P_LIVE = 0;
export const P_FIRST = 1;
export const P_SLOTS = 2;
export const P_AREAS = 3;
export const P_AREA_SLOTS = 4;
export const P_FIRST_AREA = 5;
/** 1 once its only mapping is gone and it waits to be freed. */
export const P_DEAD = 6;

export const AREA_WORDS = 2;
export const A_INDEX = 0;
export const A_USED = 1;

export const C_USED = 0;
export const C_HIGH = 1;
export const C_MAPS = 2;
export const C_UNMAPS = 3;
export const C_FULL = 4;
export const C_TOO_LARGE = 5;
export const C_UNREACHABLE = 6;
export const C_BYTES_IN = 7;
export const C_BYTES_OUT = 8;
export const C_TRANSIENT = 9;
export const C_POOLS = 10;
export const C_WORK = 11;
/** Warnings that are given once: bits of WARN_*. */
export const C_WARNED = 12;
export const C_MISUSE = 13;
export const C_OVERFLOWS = 14;
export const C_SPINS = 15;
export const C_CUT = 16;
const COUNT_WORDS = 17;

export interface SwiotlbState {
  readonly used: Uint32Array;
  readonly heads: Uint32Array;
  readonly orig: Float64Array;
  readonly size: Uint32Array;
  readonly pad: Uint8Array;
  readonly room: Uint8Array;
  readonly group: Uint8Array;
  readonly starts: Float64Array;
  readonly pools: Int32Array;
  readonly areas: Int32Array;
  readonly counts: Float64Array;
  /** Rows of `pools`: of the boot and added, then of one mapping. */
  readonly ownRows: number;
  readonly rows: number;
}

export interface StateSizes {
  readonly slots: number;
  readonly areas: number;
  /** Pools that can be added, and slots and areas of each. */
  readonly added: number;
  readonly addedSlots: number;
  readonly addedAreas: number;
  readonly transient: number;
}

/** Regions named after `name`. Every pool's place among the slots is fixed here. */
export function createState(image: Image, name: string, sizes: StateSizes): SwiotlbState {
  const { added, transient } = sizes;
  const first = segments(sizes.slots);
  const each = segments(sizes.addedSlots);
  const allSegments = first + added * each + transient;
  const slots = allSegments * SEGMENT;
  const allAreas = sizes.areas + added * sizes.addedAreas + transient;
  const rows = 1 + added + transient;
  const region = (part: string, bytes: number): { buffer: ArrayBufferLike; at: number } => {
    const { buffer, byteOffset } = addRegion(image, `${name}.${part}`, bytes);
    return { buffer, at: byteOffset };
  };
  const words = (part: string, count: number): Uint32Array => {
    const { buffer, at } = region(part, count * 4);
    return new Uint32Array(buffer, at, count);
  };
  const signed = (part: string, count: number): Int32Array => {
    const { buffer, at } = region(part, count * 4);
    return new Int32Array(buffer, at, count);
  };
  const bytes = (part: string, count: number): Uint8Array => {
    const { buffer, at } = region(part, count);
    return new Uint8Array(buffer, at, count);
  };
  const numbers = (part: string, count: number): Float64Array => {
    const { buffer, at } = region(part, count * 8);
    return new Float64Array(buffer, at, count);
  };
  const state: SwiotlbState = {
    used: words("used", slots >>> 5).fill(0xffffffff),
    heads: words("heads", slots >>> 5),
    orig: numbers("orig", slots),
    size: words("size", slots),
    pad: bytes("pad", slots),
    room: bytes("room", allSegments),
    group: bytes("group", (allSegments >> GROUP_SHIFT) + 1),
    starts: numbers("starts", rows),
    pools: signed("pools", rows * POOL_WORDS),
    areas: signed("areas", allAreas * AREA_WORDS),
    counts: numbers("counts", COUNT_WORDS),
    ownRows: 1 + added,
    rows,
  };
  placeRows(state, sizes, first, each);
  return state;
}

function placeRows(state: SwiotlbState, sizes: StateSizes, first: number, each: number): void {
  const { pools } = state;
  const { added } = sizes;
  for (let row = 1; row < state.rows; row++) {
    const isOwn = row < state.ownRows;
    const before = isOwn ? (row - 1) * each : added * each + row - state.ownRows;
    const areas = isOwn ? (row - 1) * sizes.addedAreas : added * sizes.addedAreas + row - 1 - added;
    pools[row * POOL_WORDS + P_FIRST] = (first + before) * SEGMENT;
    pools[row * POOL_WORDS + P_FIRST_AREA] = sizes.areas + areas;
  }
}

function segments(slots: number): number {
  return Math.ceil(slots / SEGMENT);
}
