/**
 * The highatomic reserve: pageblocks kept for blocks of more than a page that
 * somebody needs who cannot wait.
 *
 * Linux: reserve_highatomic_pageblock(), unreserve_highatomic_pageblock(), mm/page_alloc.c
 */
import { moveFree } from "./fallback.ts";
import { freeHead, type Memory, Z_HIGHATOMIC, Z_MANAGED, ZONE_WORDS } from "./memory.ts";
import { HIGHATOMIC, PCP_TYPES } from "./rule.ts";

/** Keeps the pageblock that `row` was just taken from, while the zone's share is not used up. */
export function reserveHighatomic(m: Memory, zone: number, row: number): void {
  const words = zone * ZONE_WORDS;
  const block = 1 << m.pageblockOrder;
  const most = Math.floor(m.zone[words + Z_MANAGED] / 100) + block;
  if (m.zone[words + Z_HIGHATOMIC] >= most) return;
  const at = row >> m.pageblockOrder;
  if (m.blockType[at] >= PCP_TYPES) return;
  m.zone[words + Z_HIGHATOMIC] += block;
  m.blockType[at] = HIGHATOMIC;
  moveFree(m, zone, row & ~(block - 1), HIGHATOMIC);
}

/**
 * Gives one reserved pageblock of the zones of a zonelist back to `type`.
 * Without `force` the last one of a zone is kept. Returns whether pages moved.
 */
export function unreserveHighatomic(
  m: Memory,
  list: number,
  type: number,
  force: boolean,
): boolean {
  const block = 1 << m.pageblockOrder;
  for (let i = list + 1; m.zonelist[i] >= 0; i++) {
    const zone = m.zonelist[i];
    const words = zone * ZONE_WORDS;
    if (!force && m.zone[words + Z_HIGHATOMIC] <= block) continue;
    for (let order = 0; order <= m.maxOrder; order++) {
      const head = freeHead(zone, HIGHATOMIC, order);
      const row = m.next[head];
      if (row === head) continue;
      const at = row >> m.pageblockOrder;
      if (m.blockType[at] === HIGHATOMIC) {
        m.zone[words + Z_HIGHATOMIC] -= Math.min(block, m.zone[words + Z_HIGHATOMIC]);
      }
      m.blockType[at] = type;
      if (moveFree(m, zone, row & ~(block - 1), type) > 0) return true;
    }
  }
  return false;
}
