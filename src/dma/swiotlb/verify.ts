/**
 * Does a swiotlb hold together? Each mapping's slots against the bitmap, the
 * counts of areas and all, and the short cuts of the search.
 *
 *   S1  a mapping has 1 to 128 slots in one segment, all of them marked used, and no other's
 *   S2  a used slot belongs to a mapping or lies behind its pool's end
 *   S3  an area's count is the slots of its mappings; the total is that of all areas
 *   S4  no free run of a segment is longer than its bound, no segment's bound above its group's
 *   S5  a pool of one mapping lives as long as the mapping
 */
import { freeRun, nextFree, SEGMENT, setBelow } from "./bits.ts";
import { slotsOf } from "./slots.ts";
import {
  A_USED,
  AREA_WORDS,
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

/** Everything that does not hold, with the label of its invariant; empty when all is well. */
export function verifySwiotlb(s: SwiotlbState): string[] {
  const broken: string[] = [];
  let used = 0;
  for (let row = 0; row < s.rows; row++) {
    if (s.pools[row * POOL_WORDS + P_LIVE] === 0) continue;
    const mine = verifyPool(s, row, broken);
    if (row >= s.ownRows && mine === 0) broken.push(`S5 pool ${row} lives without a mapping`);
    used += mine;
  }
  if (used !== s.counts[C_USED]) broken.push(`S3 ${s.counts[C_USED]} counted in use, ${used} are`);
  return broken;
}

/** Slots that mappings have in this pool. */
function verifyPool(s: SwiotlbState, row: number, broken: string[]): number {
  const pool = row * POOL_WORDS;
  const first = s.pools[pool + P_FIRST];
  const slots = s.pools[pool + P_SLOTS];
  const areas = new Float64Array(s.pools[pool + P_AREAS]);
  let covered = first;
  let used = 0;
  for (let slot = first; slot < first + slots; slot++) {
    const isUsed = ((s.used[slot >>> 5] >>> (slot & 31)) & 1) === 1;
    const isHead = setBelow(s.heads, slot) === slot;
    if (isHead) {
      const count = slotsOf(s, slot);
      const isPlaced = count >= 1 && (slot & (SEGMENT - 1)) + count <= SEGMENT;
      if (slot < covered || !isPlaced || s.pad[slot] >= count) {
        broken.push(
          `S1 the mapping at slot ${slot} has ${count} slots, the one before ends at ${covered}`,
        );
      }
      covered = slot + count;
      used += count;
      areas[Math.floor((slot - first) / s.pools[pool + P_AREA_SLOTS])] += count;
    }
    if (isUsed !== slot < covered)
      broken.push(`${isUsed ? "S2" : "S1"} slot ${slot} is used: ${isUsed}`);
  }
  if (covered > first + slots) broken.push(`S1 a mapping ends behind the pool, at ${covered}`);
  for (let area = 0; area < areas.length; area++) {
    const counted = s.areas[(s.pools[pool + P_FIRST_AREA] + area) * AREA_WORDS + A_USED];
    if (counted !== areas[area]) {
      broken.push(
        `S3 area ${area} of pool ${row} counts ${counted}, its mappings have ${areas[area]}`,
      );
    }
  }
  verifyRoom(s, first, slots, broken);
  return used;
}

function verifyRoom(s: SwiotlbState, first: number, slots: number, broken: string[]): void {
  for (let from = first; from < first + slots; from += SEGMENT) {
    const segment = from >>> 7;
    let longest = 0;
    for (let at = nextFree(s.used, from); at < from + SEGMENT; ) {
      const run = freeRun(s.used, at);
      longest = Math.max(longest, run);
      at += run;
      if (at < from + SEGMENT) at = nextFree(s.used, at);
    }
    const bound = s.room[segment];
    if (longest > bound)
      broken.push(`S4 segment ${segment} has a run of ${longest}, bound ${bound}`);
    if (bound > s.group[segment >> GROUP_SHIFT]) {
      broken.push(`S4 segment ${segment} is bound by ${bound}, its group by less`);
    }
  }
}
