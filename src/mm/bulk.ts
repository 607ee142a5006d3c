/**
 * Many single pages at once, from one zone's per-CPU list: what vmalloc and
 * page pools ask for. The zone must hold all of them above its low mark.
 *
 * Linux: __alloc_pages_bulk(), mm/page_alloc.c
 */
import { assert } from "../base/assert.ts";
import { ALLOC_CMA, ALLOC_KSWAPD, ALLOC_WMARK_LOW } from "./gfp-alloc.ts";
import { type Memory, MOBILE, pfnOf, requestOf, TAKEN, Z_NODE, ZONE_WORDS } from "./memory.ts";
import { popFromPcp } from "./pcp.ts";
import { MOVABLE } from "./rule.ts";
import { markOf, watermarkOk } from "./zone-watermark.ts";

/**
 * Allocates up to `count` single pages and writes their pfns to `pfns`, in the
 * order they were taken. Returns how many: fewer than asked when no zone of the
 * node has room for all, or when its lists ran dry; the rest is for `allocPages`. Asserts the count.
 */
export function allocPagesBulk(m: Memory, gfp: number, count: number, pfns: number[]): number {
  assert(count >>> 0 === count, "a number of pages", count);
  const request = requestOf(m, gfp);
  const list = request >> 8;
  const type = request & 0xf;
  let flags = ALLOC_WMARK_LOW | m.zonelist[list];
  if ((gfp & m.gfp.kswapd) !== 0) flags |= ALLOC_KSWAPD;
  if (m.cma && type === MOVABLE) flags |= ALLOC_CMA;
  const zone = roomyZone(m, list, (request >> 4) & 0xf, count, flags);
  if (zone < 0) return 0;
  for (let taken = 0; taken < count; taken++) {
    const row = popFromPcp(m, zone, 0, type, flags);
    if (row < 0) return taken;
    m.state[row] = type === MOVABLE ? MOBILE : TAKEN;
    pfns[taken] = pfnOf(m, row);
  }
  return count;
}

/** First zone of the list's first node whose low mark leaves room for all pages; -1 for none. */
function roomyZone(
  m: Memory,
  list: number,
  highest: number,
  count: number,
  allocFlags: number,
): number {
  const local = m.zone[m.zonelist[list + 1] * ZONE_WORDS + Z_NODE];
  for (let i = list + 1; m.zonelist[i] >= 0; i++) {
    const zone = m.zonelist[i];
    const at = zone * ZONE_WORDS;
    if (m.zone[at + Z_NODE] !== local) return -1;
    const mark = markOf(m.zone, at, allocFlags) + count;
    if (watermarkOk(m.zone, at, 0, mark, highest, allocFlags, m.marks)) return zone;
  }
  return -1;
}
