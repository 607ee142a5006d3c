/**
 * The highatomic reserve: pageblocks kept for blocks of more than a page that
 * somebody needs who cannot wait.
 *
 * Linux: reserve_highatomic_pageblock(), unreserve_highatomic_pageblock(), mm/page_alloc.c
 */
import { moveToList } from "./buddy.ts";
import { movableFrom, moveFree } from "./fallback.ts";
import { lockZone, unlockZone } from "./lock.ts";
import { freeHead, type Memory, Z_HIGHATOMIC, Z_MANAGED, ZONE_WORDS } from "./memory.ts";
import { HIGHATOMIC, PCP_TYPES } from "./rule.ts";

/**
 * Keeps the pageblock that `row` was just taken from, while the zone's share is not used up. Since
 * 6.10 a larger block keeps all of its pageblocks, and one that a zone boundary cuts is left alone.
 */
export function reserveHighatomic(m: Memory, zone: number, row: number, order: number): void {
  lockZone(m, zone);
  reserveLocked(m, zone, row, order);
  unlockZone(m, zone);
}

function reserveLocked(m: Memory, zone: number, row: number, order: number): void {
  const words = zone * ZONE_WORDS;
  const block = 1 << m.pageblockOrder;
  if (m.zone[words + Z_HIGHATOMIC] >= shareOf(m, m.zone[words + Z_MANAGED])) return;
  const at = row >> m.pageblockOrder;
  if (m.blockType[at] >= PCP_TYPES) return;
  const start = movableFrom(m, zone, row);
  if (m.rule.mergeRetypes && start < 0) return;
  const wide = m.rule.mergeRetypes && order > m.pageblockOrder;
  const blocks = wide ? 1 << (order - m.pageblockOrder) : 1;
  m.zone[words + Z_HIGHATOMIC] += blocks * block;
  m.blockType.fill(HIGHATOMIC, at, at + blocks);
  if (start >= 0) moveFree(m, zone, start, HIGHATOMIC);
}

/** Pages that a zone may reserve: a hundredth of it, and a pageblock on top up to 6.7. */
function shareOf(m: Memory, managed: number): number {
  const block = 1 << m.pageblockOrder;
  const hundredth = Math.floor(managed / 100);
  if (!m.rule.highatomicWhole) return hundredth + block;
  return hundredth < block ? 0 : Math.ceil(hundredth / block) * block;
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
    lockZone(m, zone);
    const moved = unreserveOne(m, zone, type);
    unlockZone(m, zone);
    if (moved) return true;
  }
  return false;
}

function unreserveOne(m: Memory, zone: number, type: number): boolean {
  const block = 1 << m.pageblockOrder;
  const words = zone * ZONE_WORDS;
  for (let order = 0; order <= m.maxOrder; order++) {
    const head = freeHead(zone, HIGHATOMIC, order);
    const row = m.next[head];
    if (row === head) continue;
    const at = row >> m.pageblockOrder;
    const wide = m.rule.mergeRetypes && order > m.pageblockOrder;
    const pages = wide ? 1 << order : block;
    if (m.blockType[at] === HIGHATOMIC) {
      m.zone[words + Z_HIGHATOMIC] -= Math.min(pages, m.zone[words + Z_HIGHATOMIC]);
    }
    m.blockType.fill(type, at, at + (pages >> m.pageblockOrder));
    if (wide) {
      moveToList(m, zone, row, order, type);
      return true;
    }
    const start = movableFrom(m, zone, row);
    if (start >= 0 && moveFree(m, zone, start, type) > 0) return true;
  }
  return false;
}
