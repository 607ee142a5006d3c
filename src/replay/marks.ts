/**
 * Watermarks that somebody wrote while the recording ran: sysctls and the switch of
 * transparent huge pages change them, and no event tells. Where the last snapshot's
 * marks are not the first one's, a repaired run assumes a write at the first request
 * that was served from a zone which only other marks explain, or at the first free that
 * has a per-CPU list drained, or not, which is as long as the marks say. Marks are tried
 * that somebody may have written:
 *
 *   end          those of the last snapshot
 *   default      the kernel's square root, which turning huge pages off brings back
 *   khugepaged   what turning them on raises the marks to
 *
 * Linux: min_free_kbytes_sysctl_handler(), set_recommended_min_free_kbytes()
 */
import { writeMinFree } from "../mm/marks.ts";
import {
  type Memory,
  P_COUNT,
  P_HIGH,
  PCP_WORDS,
  Z_FLAGS,
  Z_HIGH,
  Z_INDEX,
  Z_LOW,
  Z_MANAGED,
  Z_MIN,
  ZONE_RECLAIM_ACTIVE,
  ZONE_WORDS,
} from "../mm/memory.ts";
import { defaultMinFreeKbytes, khugepagedMinFreeKbytes } from "../mm/watermark.ts";
import { type Rights, servingZone } from "./request.ts";
import type { ListSnapshot } from "./snapshot.ts";
import type { StartState } from "./start-state.ts";

const KIB_A_PAGE = 4;
const MIN_FREE_KBYTES_MAX = 262_144;
/** Sysctl watermark_scale_factor by default. */
const SCALE_FACTOR = 10;

export class WrittenMarks {
  readonly #m: Memory;
  /** min_free_kbytes of the end; null where no write shows. */
  readonly #end: number | null;

  constructor({ m, zoneNumber }: StartState, end: ListSnapshot | null) {
    this.#m = m;
    const mins = m.names.map(() => 0);
    let written = false;
    for (const { node, index, min, low, high } of end?.zones ?? []) {
      const z = zoneNumber(node, index);
      if (z < 0) continue;
      mins[z] = min;
      const at = z * ZONE_WORDS;
      if (min !== m.zone[at + Z_MIN] || high - low !== m.zone[at + Z_HIGH] - m.zone[at + Z_LOW])
        written = true;
    }
    this.#end = written ? this.#kibOf(mins) : null;
  }

  /** Before a request that the zone `real` served, -1 for none, and that ours would serve elsewhere. Returns whether marks were written for it. */
  explain(gfp: number, order: number, rights: Rights, real: number): boolean {
    if (this.#end === null || order > 0) return false;
    const m = this.#m;
    const words = m.zone.slice();
    const stock = m.pcp.slice();
    for (const kib of this.#candidates(this.#end)) {
      writeMinFree(m, kib, SCALE_FACTOR);
      if (servingZone(m, gfp, order, rights) === real) return true;
    }
    m.zone.set(words);
    m.pcp.set(stock);
    return false;
  }

  /**
   * Before a block of `pages` goes to this CPU's list of a zone, when the list is drained next or
   * is not: the sizes of lists follow the marks. Returns whether marks were written for it.
   */
  explainDrain(zone: number, pages: number, drained: boolean): boolean {
    const m = this.#m;
    if (this.#end === null || (m.zone[zone * ZONE_WORDS + Z_FLAGS] & ZONE_RECLAIM_ACTIVE) !== 0) {
      return false;
    }
    const set = (zone * m.cpuCount + m.cpu) * PCP_WORDS;
    const count = m.pcp[set + P_COUNT] + pages;
    if (count >= m.pcp[set + P_HIGH] === drained) return false;
    const words = m.zone.slice();
    const stock = m.pcp.slice();
    for (const kib of this.#candidates(this.#end)) {
      writeMinFree(m, kib, SCALE_FACTOR);
      if (count >= m.pcp[set + P_HIGH] === drained) return true;
    }
    m.zone.set(words);
    m.pcp.set(stock);
    return false;
  }

  #candidates(end: number): Set<number> {
    const { zone, zoneCount, zoneNames } = this.#m;
    const normal = zoneNames.indexOf("Normal");
    let low = 0;
    let populated = 0;
    for (let z = 0; z < zoneCount; z++) {
      const at = z * ZONE_WORDS;
      if (zone[at + Z_MANAGED] === 0) continue;
      populated++;
      if (zone[at + Z_INDEX] <= normal) low += zone[at + Z_MANAGED] - zone[at + Z_HIGH];
    }
    const block = 2 ** this.#m.pageblockOrder;
    const bytes = KIB_A_PAGE * 1024;
    const plain = defaultMinFreeKbytes(low, bytes, MIN_FREE_KBYTES_MAX);
    return new Set([end, plain, khugepagedMinFreeKbytes(populated, block, low, bytes)]);
  }

  /** The setting that gives these min marks; null when none does. */
  #kibOf(mins: readonly number[]): number | null {
    const m = this.#m;
    const words = m.zone.slice();
    const stock = m.pcp.slice();
    const sum = mins.reduce((all, min) => all + min, 0);
    let found: number | null = null;
    // Each zone's share was rounded down.
    for (let pages = sum; found === null && pages <= sum + m.zoneCount; pages++) {
      writeMinFree(m, pages * KIB_A_PAGE, SCALE_FACTOR);
      if (mins.every((min, z) => m.zone[z * ZONE_WORDS + Z_MIN] === min))
        found = pages * KIB_A_PAGE;
    }
    m.zone.set(words);
    m.pcp.set(stock);
    return found;
  }
}
