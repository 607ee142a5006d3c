/**
 * Pools that come and go while the machine runs: a small one at once for a
 * mapping that found no slots, and work that adds a larger one for those to
 * come. When the work runs, and when memory of dead pools is given back (RCU
 * and another work), is the caller's to say.
 *
 * Linux: swiotlb_find_slots(), swiotlb_dyn_alloc(), swiotlb_alloc_pool(), swiotlb_del_pool(),
 * kernel/dma/swiotlb.c (CONFIG_SWIOTLB_DYNAMIC)
 */
import type { DmaDevice } from "../dma-device.ts";
import { reachOf } from "./address.ts";
import { SEGMENT, SLOT_BYTES } from "./bits.ts";
import type { Own } from "./own.ts";
import { openPool } from "./slots.ts";
import {
  C_POOLS,
  C_TRANSIENT,
  C_WORK,
  P_AREAS,
  P_DEAD,
  P_LIVE,
  P_SLOTS,
  POOL_WORDS,
} from "./state.ts";

/** Slots that a pool must have at least: 1 MiB. Linux: IO_TLB_MIN_SLABS */
export const MIN_SLOTS = 512;
/** Largest block of the page allocator: order 10. Linux: MAX_PAGE_ORDER */
const MAX_BLOCK_PAGES = 1024;

/** Slots of the largest pool that can be added. */
export function addedSlots(slots: number, pageSize: number): number {
  return Math.min(slots, (MAX_BLOCK_PAGES * pageSize) / SLOT_BYTES);
}

/** Areas that a pool of `slots` can have. Linux: limit_nareas() */
export function limitAreas(areas: number, slots: number): number {
  return slots < areas * SEGMENT ? Math.floor(slots / SEGMENT) : areas;
}

/** A pool for one mapping of `slots`: its row, or -1. Asks for the work, too. */
export function transientPool(own: Own, device: DmaDevice, slots: number): number {
  const { s, spec } = own;
  if (spec.grow === undefined) return -1;
  s.counts[C_WORK] = 1;
  const row = freeRow(own, s.ownRows, s.rows);
  if (row < 0) return -1;
  const start = spec.grow.pages.take(slots * SLOT_BYTES, reachOf(device), false);
  if (start < 0) return -1;
  openPool(s, row, start, slots, 1);
  s.counts[C_TRANSIENT] += slots;
  return row;
}

/** The mapping of a pool of its own is gone: nobody finds the pool any more. */
export function retire(own: Own, row: number): void {
  const { s } = own;
  const pool = row * POOL_WORDS;
  s.pools[pool + P_LIVE] = 0;
  s.pools[pool + P_DEAD] = 1;
  s.counts[C_TRANSIENT] -= s.pools[pool + P_SLOTS];
}

/** Gives the memory of dead pools back; returns how many there were. */
export function freeDead({ s, spec }: Own): number {
  let freed = 0;
  for (let row = s.ownRows; row < s.rows; row++) {
    const pool = row * POOL_WORDS;
    if (s.pools[pool + P_DEAD] === 0) continue;
    s.pools[pool + P_DEAD] = 0;
    spec.grow?.pages.give(s.starts[row], s.pools[pool + P_SLOTS] * SLOT_BYTES);
    freed++;
  }
  return freed;
}

/** Adds a pool where one was asked for: its slots, 0 when none was asked for or none could be had. */
export function growNow(own: Own): number {
  const { s, spec } = own;
  if (spec.grow === undefined || s.counts[C_WORK] === 0) return 0;
  s.counts[C_WORK] = 0;
  const row = freeRow(own, 1, s.ownRows);
  if (row < 0) return 0;
  let slots = addedSlots(spec.slots, spec.pageSize);
  let areas = limitAreas(spec.areas, slots);
  let start = -1;
  for (;;) {
    start = spec.grow.pages.take(slots * SLOT_BYTES, spec.grow.limit, true);
    if (start >= 0 || slots <= MIN_SLOTS) break;
    slots = Math.ceil(slots / 2 / SEGMENT) * SEGMENT;
    areas = limitAreas(areas, slots);
  }
  if (start < 0) return 0;
  openPool(s, row, start, slots, areas);
  s.counts[C_POOLS]++;
  return slots;
}

function freeRow({ s }: Own, from: number, to: number): number {
  for (let row = from; row < to; row++) {
    const pool = row * POOL_WORDS;
    if (s.pools[pool + P_LIVE] === 0 && s.pools[pool + P_DEAD] === 0) return row;
  }
  return -1;
}

/**
 * Whether a search with `offset` from its first CPU comes to this pool, and
 * which area it looks at there; -1 for no.
 */
export function areaAt({ s }: Own, row: number, cpu: number, offset: number): number {
  const areas = s.pools[row * POOL_WORDS + P_AREAS];
  return offset >= areas ? -1 : (cpu + offset) & (areas - 1);
}
