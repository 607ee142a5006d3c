/**
 * Hints on pageblocks that compaction passes over, cleared: after a run that a request
 * made went through a whole zone, where samples say that a visit may pay again.
 *
 * Linux: __reset_isolation_suitable(), __reset_isolation_pfn(), mm/compaction.c
 */
import type { CompactZone } from "./compaction.ts";
import {
  FREE,
  KIND_MASK,
  type Memory,
  MOBILE,
  ORDER_MASK,
  rowOf,
  Z_ROW,
  Z_ROW_END,
  ZONE_WORDS,
  zoneOf,
} from "./memory.ts";
import { MOVABLE } from "./rule.ts";

/** Frames from one sample to the next: 1 << PAGE_ALLOC_COSTLY_ORDER. */
const SAMPLE_STEP = 8;

/** Clears hints of a zone from `start` to `end`, and notes where the free scanner begins now. */
export function resetIsolationSuitable(
  m: Memory,
  zone: number,
  start: number,
  end: number,
  skip: Uint8Array,
  state: CompactZone,
): void {
  const block = 2 ** m.pageblockOrder;
  let source = start;
  let target = end - 1;
  let sourceSet = false;
  let targetSet = false;
  for (; source < target; source += block, target -= block) {
    if (resetBlock(m, zone, source, true, sourceSet, skip)) sourceSet = true;
    if (!resetBlock(m, zone, target, targetSet, true, skip) || targetSet) continue;
    targetSet = true;
    state.initFree = target;
  }
}

/** Returns whether the block may be a source, or a target, of the kind asked for. */
function resetBlock(
  m: Memory,
  zone: number,
  pfn: number,
  asSource: boolean,
  asTarget: boolean,
  skip: Uint8Array,
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
    if ((asSource && kind === MOBILE) || (asTarget && kind === FREE)) {
      skip[number] = 0;
      return true;
    }
  }
  return false;
}

/** A huge page, that there is no point in moving. Linux: pageblock_skip_persistent() */
function isHuge(m: Memory, row: number): boolean {
  const state = m.state[row];
  const kind = state & KIND_MASK;
  return kind !== FREE && kind !== 0 && (state & ORDER_MASK) >= m.pageblockOrder;
}
