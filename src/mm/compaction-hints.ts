/**
 * Hints on pageblocks that compaction passes over, cleared: after a run that a request
 * made went through a whole zone, where samples say that a visit may pay again.
 *
 * Linux: __reset_isolation_suitable(), __reset_isolation_pfn(), mm/compaction.c
 */
import type { CompactZone } from "./compaction.ts";
import {
  EXTENT,
  FREE,
  KIND_MASK,
  type Memory,
  MOBILE,
  ORDER_MASK,
  rowOf,
  TAKEN,
  Z_ROW,
  Z_ROW_END,
  ZONE_WORDS,
  zoneOf,
} from "./memory.ts";
import { MOVABLE } from "./rule.ts";

/** Frames from one sample to the next: 1 << PAGE_ALLOC_COSTLY_ORDER. */
const SAMPLE_STEP = 8;

/**
 * Clears hints of a zone from `start` to `end`, and notes where its scanners begin now. `isListed`:
 * whether the page at a row is on an LRU list; whoever may move stands for it by default.
 */
export function resetIsolationSuitable(
  m: Memory,
  zone: number,
  start: number,
  end: number,
  skip: Uint8Array,
  state: CompactZone,
  isListed: IsListed = (row) => (m.state[row] & KIND_MASK) === MOBILE,
): void {
  const block = 2 ** m.pageblockOrder;
  let source = start;
  let target = end - 1;
  let firstSource = target;
  let firstTarget = source;
  let sourceSet = false;
  let targetSet = false;
  for (; source < target; source += block, target -= block) {
    if (resetBlock(m, zone, source, true, sourceSet, skip, isListed) && !sourceSet) {
      sourceSet = true;
      firstSource = source;
      state.initMigrate = source;
      state.cachedAsync = source;
      state.cachedSync = source;
    }
    if (!resetBlock(m, zone, target, targetSet, true, skip, isListed) || targetSet) continue;
    targetSet = true;
    firstTarget = target;
    state.initFree = target;
    state.cachedFree = target;
  }
  if (firstSource < firstTarget) return;
  // No way from one to the other: the next run ends at once.
  state.cachedAsync = source;
  state.cachedSync = source;
  state.cachedFree = target;
}

/** Whether the page at a row is on an LRU list. */
type IsListed = (row: number) => boolean;

/** Returns whether the block may be a source, or a target, of the kind asked for. */
function resetBlock(
  m: Memory,
  zone: number,
  pfn: number,
  asSource: boolean,
  asTarget: boolean,
  skip: Uint8Array,
  isListed: IsListed,
): boolean {
  const row = rowOf(m, pfn);
  if (row < m.firstRow || zoneOf(m, row) !== zone) return false;
  const number = row >> m.pageblockOrder;
  const first = number << m.pageblockOrder;
  if (isHuge(m, first)) return false;
  if (asSource && asTarget && skip[number] === 0) return true;
  if (!asSource && m.blockType[number] !== MOVABLE) return false;
  const end = Math.min(first + (1 << m.pageblockOrder), m.zone[zone * ZONE_WORDS + Z_ROW_END]);
  for (let at = Math.max(first, m.zone[zone * ZONE_WORDS + Z_ROW]); at < end; at += SAMPLE_STEP) {
    const kind = m.state[at] & KIND_MASK;
    const isFree = kind === FREE || kind === EXTENT;
    if ((asSource && isListed(at)) || (asTarget && isFree)) {
      skip[number] = 0;
      return true;
    }
  }
  return false;
}

/** Within a huge page, that there is no point in moving. Linux: pageblock_skip_persistent() */
export function isHuge(m: Memory, row: number): boolean {
  for (let order = m.pageblockOrder; order <= m.maxOrder; order++) {
    const state = m.state[row & (-1 << order)];
    const kind = state & KIND_MASK;
    if ((kind === TAKEN || kind === MOBILE) && (state & ORDER_MASK) >= order) return true;
  }
  return false;
}
