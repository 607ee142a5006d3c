/**
 * Asking for pages: which zones, which mark, which list; and giving them back.
 *
 * A request walks the zonelist of its node from the highest zone it may use
 * down: a normal request may end in DMA memory, a DMA request never leaves it.
 * The first pass asks for the low mark; the slow path wakes kswapd and goes
 * down to what the request has a right to.
 *
 * Linux: __alloc_pages(), get_page_from_freelist(), rmqueue(),
 * __alloc_pages_slowpath(), free_unref_page(), mm/page_alloc.c
 */
import { assert } from "../base/assert.ts";
import { assertOrder } from "./arguments.ts";
import { takeSmallest } from "./buddy.ts";
import { assertAttached, drainAllPages } from "./drain-all.ts";
import {
  ALLOC_CMA,
  ALLOC_HIGHATOMIC,
  ALLOC_KSWAPD,
  ALLOC_NO_WATERMARKS,
  ALLOC_NOFRAGMENT,
  ALLOC_NON_BLOCK,
  ALLOC_OOM,
  ALLOC_WMARK_LOW,
  allocFlagsSlow,
  reserveFlags,
} from "./gfp-alloc.ts";
import { reserveHighatomic, unreserveHighatomic } from "./highatomic.ts";
import { lockZone, unlockZone } from "./lock.ts";
import {
  KIND_MASK,
  type Memory,
  MIXED,
  MOBILE,
  ORDER_MASK,
  OWNED,
  pfnOf,
  requestOf,
  rowOf,
  TAKEN,
  Z_FLAGS,
  Z_INDEX,
  Z_NODE,
  ZONE_BOOSTED,
  ZONE_WORDS,
  zoneOf,
} from "./memory.ts";
import { giveToPcp, takeFromPcp } from "./pcp.ts";
import { countPages, returnToZone, takeFromZone } from "./queue.ts";
import { HIGHATOMIC, MOVABLE } from "./rule.ts";
import { watermarkFast } from "./zone-watermark.ts";

/** What `allocPages` returns when memory is refused; `explainRefusal` says why. */
export const NO_PFN = -1;

/**
 * Allocates 2^order pages that lie together, aligned to their size. Returns the
 * pfn of the first, or NO_PFN. `gfp` are the flags of the memory's era.
 *
 * Linux: __alloc_pages(), mm/page_alloc.c
 */
export function allocPages(m: Memory, gfp: number, order: number): number {
  assertOrder(m, order);
  const request = requestOf(m, gfp);
  const type = request & 0xf;
  const row = takeByPasses(m, gfp, order, request);
  if (row < 0) return NO_PFN;
  m.state[row] = (type === MOVABLE ? MOBILE : TAKEN) | order;
  const pfn = pfnOf(m, row);
  if ((gfp & m.gfp.zero) !== 0) zeroPages(m, pfn, order);
  return pfn;
}

/** A block of the own type from the zone itself, counted. */
export function takeOwn(m: Memory, zone: number, order: number, type: number): number {
  if (m.cpus !== null) assertAttached(m, m.cpus);
  lockZone(m, zone);
  const row = takeSmallest(m, zone, order, type);
  if (row >= 0) handOver(m, zone, row, order, type);
  unlockZone(m, zone);
  return row;
}

/** A block that leaves its zone for a request is somebody's before the lock is given back (S1). */
function handOver(m: Memory, zone: number, row: number, order: number, type: number): void {
  countPages(m, zone, row, -(1 << order));
  if (m.cpus !== null) m.owner[row] = ((m.cpu + 1) << 8) | order;
  m.state[row] = (type === MOVABLE ? MOBILE : TAKEN) | order;
}

/** The passes: low mark first, then the slow path. */
function takeByPasses(m: Memory, gfp: number, order: number, request: number): number {
  const list = request >> 8;
  const highest = (request >> 4) & 0xf;
  const type = request & 0xf;
  let flags = ALLOC_WMARK_LOW | m.zonelist[list];
  if ((gfp & m.gfp.kswapd) !== 0) flags |= ALLOC_KSWAPD;
  if (m.cma && type === MOVABLE) flags |= ALLOC_CMA;
  const row = takeFromList(m, order, highest, type, list, flags);
  return row >= 0 ? row : slowPath(m, gfp, order, highest, type, list);
}

/**
 * One pass over the request's zones with ALLOC_* flags of the caller's choice,
 * for those who decide on passes themselves: a replay knows which one the
 * kernel was in. Returns a pfn, or NO_PFN with nothing changed. Asserts the order.
 *
 * Linux: get_page_from_freelist(), mm/page_alloc.c
 */
export function allocPass(m: Memory, gfp: number, order: number, allocFlags: number): number {
  assertOrder(m, order);
  const request = requestOf(m, gfp);
  const type = request & 0xf;
  const row = takeFromList(m, order, (request >> 4) & 0xf, type, request >> 8, allocFlags);
  if (row < 0) return NO_PFN;
  m.state[row] = (type === MOVABLE ? MOBILE : TAKEN) | order;
  return pfnOf(m, row);
}

/** Zeroes the bytes of a block, where the memory has bytes. */
export function zeroPages(m: Memory, pfn: number, order: number): void {
  if (m.bytes === null) return;
  const start = (pfn - m.bytesPfn) * m.pageSize;
  m.bytes.fill(0, start, start + m.pageSize * 2 ** order);
}

/** One pass over a zonelist. Returns a row, or -1. Linux: get_page_from_freelist() */
export function takeFromList(
  m: Memory,
  order: number,
  highest: number,
  type: number,
  list: number,
  allocFlags: number,
): number {
  const { zonelist, zone: words } = m;
  const local = words[zonelist[list + 1] * ZONE_WORDS + Z_NODE];
  for (let i = list + 1; zonelist[i] >= 0; i++) {
    const zone = zonelist[i];
    const at = zone * ZONE_WORDS;
    // Mixing types here is better than memory of another node.
    if ((allocFlags & ALLOC_NOFRAGMENT) !== 0 && words[at + Z_NODE] !== local) break;
    if (
      !watermarkFast(words, at, order, highest, allocFlags, m.marks) &&
      (allocFlags & ALLOC_NO_WATERMARKS) === 0
    ) {
      continue;
    }
    const row = takeFromOne(m, zone, order, type, allocFlags);
    if (row < 0) continue;
    if ((allocFlags & ALLOC_HIGHATOMIC) !== 0) reserveHighatomic(m, zone, row, order);
    return row;
  }
  if ((allocFlags & ALLOC_NOFRAGMENT) === 0) return -1;
  return takeFromList(m, order, highest, type, list, allocFlags & ~ALLOC_NOFRAGMENT);
}

/** A block of one zone, whose mark was asked. Linux: rmqueue() */
function takeFromOne(
  m: Memory,
  zone: number,
  order: number,
  type: number,
  allocFlags: number,
): number {
  let row = -1;
  let listed = false;
  if (m.pcpListOf[order * 8 + type] >= 0) {
    const lent = m.cma && m.rule.pcpMixesCma && type === MOVABLE && (allocFlags & ALLOC_CMA) === 0;
    listed = !lent;
    if (listed) row = takeFromPcp(m, zone, order, type, allocFlags);
  }
  if (row < 0 && !(listed && m.rule.pcpOnly)) row = takeFromBuddy(m, zone, order, type, allocFlags);
  const flags = zone * ZONE_WORDS + Z_FLAGS;
  if ((allocFlags & ALLOC_KSWAPD) !== 0 && (m.zone[flags] & ZONE_BOOSTED) !== 0) {
    lockZone(m, zone);
    m.zone[flags] &= ~ZONE_BOOSTED;
    unlockZone(m, zone);
    m.events?.wakeKswapd(zone, 0, m.zone[zone * ZONE_WORDS + Z_INDEX]);
    m.pressure?.wake(zone, 0, m.zone[zone * ZONE_WORDS + Z_INDEX], false);
  }
  return row;
}

/** Linux: rmqueue_buddy() */
function takeFromBuddy(
  m: Memory,
  zone: number,
  order: number,
  type: number,
  allocFlags: number,
): number {
  let row = -1;
  if (m.cpus !== null) assertAttached(m, m.cpus);
  lockZone(m, zone);
  if ((allocFlags & ALLOC_HIGHATOMIC) !== 0) {
    row = takeSmallest(m, zone, order, HIGHATOMIC);
  }
  if (row < 0) row = takeFromZone(m, zone, order, type, allocFlags);
  const last = (allocFlags & (ALLOC_OOM | ALLOC_NON_BLOCK)) !== 0 && !m.marks.harderAlone;
  if (row < 0 && last) {
    row = takeSmallest(m, zone, order, HIGHATOMIC);
  }
  if (row >= 0) handOver(m, zone, row, order, type);
  unlockZone(m, zone);
  return row;
}

/**
 * After the first pass failed: kswapd, the min mark and the request's reserves.
 * A request that may wait then has every CPU's lists drained and the highatomic
 * reserve opened, which is what stands before an OOM kill.
 *
 * Linux: __alloc_pages_slowpath(), mm/page_alloc.c
 */
function slowPath(
  m: Memory,
  gfp: number,
  order: number,
  highest: number,
  type: number,
  list: number,
): number {
  const { era, rule, direct } = m.gfp;
  let flags = allocFlagsSlow(gfp, era, rule, { order, cma: m.cma });
  // Up to 6.2 trying harder was by itself the right to HighAtomic blocks.
  const harder = order > 0 && rule.highatomicBy === "no-flag" && (flags & ALLOC_NON_BLOCK) !== 0;
  if (harder && m.rule.highatomic) flags |= ALLOC_HIGHATOMIC;
  if (m.gfp.kswapd === 0 || (gfp & m.gfp.kswapd) !== 0) wakeAll(m, gfp, order, highest, list);
  let row = takeFromList(m, order, highest, type, list, flags);
  if (row >= 0) return row;
  const reserves = reserveFlags(gfp, era, {});
  if (reserves !== 0) {
    // They take the place of all other rights.
    const kept = flags & (ALLOC_KSWAPD | ALLOC_CMA);
    row = takeFromList(m, order, highest, type, list, kept | reserves);
    if (row >= 0) return row;
  }
  if ((gfp & direct) === 0) return -1;
  if (m.pressure !== null) return m.pressure.relieve(gfp, order, highest, type, list, flags);
  drainAllPages(m);
  do row = takeFromList(m, order, highest, type, list, flags);
  while (row < 0 && m.rule.highatomic && unreserveHighatomic(m, list, type, true));
  return row;
}

/** Linux: wake_all_kswapds() */
export function wakeAll(
  m: Memory,
  gfp: number,
  order: number,
  highest: number,
  list: number,
): void {
  const { events, pressure } = m;
  const waits = (gfp & m.gfp.direct) !== 0;
  if (events === null && pressure === null) return;
  for (let i = list + 1; m.zonelist[i] >= 0; i++) {
    events?.wakeKswapd(m.zonelist[i], order, highest);
    pressure?.wake(m.zonelist[i], order, highest, waits);
  }
}

/**
 * Gives back 2^order pages. The order must be the one they were taken with;
 * giving pages back twice, a page in the middle of a block, or one that a handle
 * or an owner has is a bug: asserted.
 *
 * Linux: __free_pages(), mm/page_alloc.c
 */
export function freePages(m: Memory, pfn: number, order: number): void {
  const row = rowOf(m, pfn);
  // TAKEN and MOBILE differ in one bit. Rows below 0 read undefined, which is no state.
  const kind = m.state[row] | (TAKEN ^ MOBILE);
  if (order < 0 || kind !== MOBILE + order) refuseFree(m, row, pfn, order);
  const block = row >> m.pageblockOrder;
  const own = m.blockZone[block];
  const zone = own === MIXED ? zoneOf(m, row) : own;
  const type = m.blockType[block];
  const list = m.pcpListOf[order * 8 + type];
  if (list >= 0) {
    giveToPcp(m, zone, row, order, type, list);
    return;
  }
  giveToBuddy(m, zone, row, order);
}

/**
 * The same past the per-CPU lists: what an interrupt does that finds this CPU's
 * lists of the zone locked. Linux: free_one_page(), mm/page_alloc.c
 */
export function freePagesPastPcp(m: Memory, pfn: number, order: number): void {
  const row = rowOf(m, pfn);
  const kind = m.state[row] | (TAKEN ^ MOBILE);
  if (order < 0 || kind !== MOBILE + order) refuseFree(m, row, pfn, order);
  giveToBuddy(m, zoneOf(m, row), row, order);
}

function giveToBuddy(m: Memory, zone: number, row: number, order: number): void {
  if (m.cpus !== null) assertAttached(m, m.cpus);
  lockZone(m, zone);
  returnToZone(m, zone, row, order);
  unlockZone(m, zone);
}

/** Says which mistake of the caller it was. */
function refuseFree(m: Memory, row: number, pfn: number, order: number): void {
  assert(row >= 0, "pfn is not in this memory", pfn);
  const isOwned = (m.state[row] & OWNED) !== 0;
  assert(!isOwned, "freed, but it has a handle or an owner: dropPage() or disownPages()", pfn);
  const kind = m.state[row] & KIND_MASK;
  assert(kind === TAKEN || kind === MOBILE, "freed, but it does not head an allocated block", pfn);
  const own = m.state[row] & ORDER_MASK;
  assert(own === order, "freed with another order than it was taken with", pfn);
}
