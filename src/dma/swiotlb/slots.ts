/**
 * Taking slots, giving them back, and finding whose they are.
 *
 * Linux: swiotlb_search_pool_area() from `found` on, swiotlb_release_slots(), kernel/dma/swiotlb.c
 */
import { clearRun, freeBelow, freeRun, SEGMENT, SLOT_BYTES, setBelow, setRun } from "./bits.ts";
import {
  A_INDEX,
  A_USED,
  AREA_WORDS,
  C_HIGH,
  C_USED,
  GROUP_SHIFT,
  P_AREA_SLOTS,
  P_AREAS,
  P_FIRST,
  P_FIRST_AREA,
  P_LIVE,
  P_SLOTS,
  POOL_WORDS,
  type SwiotlbState,
} from "./state.ts";

/** Makes row `row` a pool with all of its slots free. */
export function openPool(
  s: SwiotlbState,
  row: number,
  start: number,
  slots: number,
  areas: number,
): void {
  const pool = row * POOL_WORDS;
  const first = s.pools[pool + P_FIRST];
  s.starts[row] = start;
  s.pools[pool + P_LIVE] = 1;
  s.pools[pool + P_SLOTS] = slots;
  s.pools[pool + P_AREAS] = areas;
  s.pools[pool + P_AREA_SLOTS] = Math.floor(slots / areas);
  s.areas.fill(
    0,
    s.pools[pool + P_FIRST_AREA] * AREA_WORDS,
    (s.pools[pool + P_FIRST_AREA] + areas) * AREA_WORDS,
  );
  for (let at = 0; at < slots; at += SEGMENT) {
    const size = Math.min(SEGMENT, slots - at);
    setRun(s.used, first + at, SEGMENT);
    clearRun(s.used, first + at, size);
    raiseRoom(s, first + at, size);
  }
}

function raiseRoom(s: SwiotlbState, slot: number, run: number): void {
  const segment = slot >>> 7;
  if (run > s.room[segment]) s.room[segment] = run;
  const group = segment >> GROUP_SHIFT;
  if (run > s.group[group]) s.group[group] = run;
}

export function takeSlots(
  s: SwiotlbState,
  row: number,
  area: number,
  slot: number,
  count: number,
): void {
  const pool = row * POOL_WORDS;
  const areaSlots = s.pools[pool + P_AREA_SLOTS];
  const words = (s.pools[pool + P_FIRST_AREA] + area) * AREA_WORDS;
  setRun(s.used, slot, count);
  s.heads[slot >>> 5] |= 1 << (slot & 31);
  const next = slot - s.pools[pool + P_FIRST] - area * areaSlots + count;
  s.areas[words + A_INDEX] = next < areaSlots ? next : 0;
  s.areas[words + A_USED] += count;
  const used = s.counts[C_USED] + count;
  s.counts[C_USED] = used;
  if (used > s.counts[C_HIGH]) s.counts[C_HIGH] = used;
}

/** Gives back the mapping whose first slot is `head`; the next search's index stays. */
export function giveSlots(s: SwiotlbState, row: number, head: number): void {
  const pool = row * POOL_WORDS;
  const count = slotsOf(s, head);
  const area = Math.floor((head - s.pools[pool + P_FIRST]) / s.pools[pool + P_AREA_SLOTS]);
  clearRun(s.used, head, count);
  s.heads[head >>> 5] &= ~(1 << (head & 31));
  s.areas[(s.pools[pool + P_FIRST_AREA] + area) * AREA_WORDS + A_USED] -= count;
  s.counts[C_USED] -= count;
  const end = head + count;
  const above = (end & (SEGMENT - 1)) === 0 ? 0 : freeRun(s.used, end);
  raiseRoom(s, head, freeBelow(s.used, head) + count + above);
}

/** Slots of the mapping whose first slot is `head`. */
export function slotsOf(s: SwiotlbState, head: number): number {
  return Math.ceil(s.size[head] / SLOT_BYTES);
}

/** The pool that a physical address lies in; -1 for none. */
export function poolOf(s: SwiotlbState, physical: number): number {
  for (let row = 0; row < s.rows; row++) {
    const pool = row * POOL_WORDS;
    if (s.pools[pool + P_LIVE] === 0) continue;
    const offset = physical - s.starts[row];
    if (offset >= 0 && offset < s.pools[pool + P_SLOTS] * SLOT_BYTES) return row;
  }
  return -1;
}

/** First slot of the mapping that `slot` belongs to; -1 when it is free. */
export function headOf(s: SwiotlbState, slot: number): number {
  const head = setBelow(s.heads, slot);
  return head >= 0 && slot < head + slotsOf(s, head) ? head : -1;
}
