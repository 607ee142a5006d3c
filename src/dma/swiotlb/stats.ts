/** What one swiotlb says of itself: the numbers of debugfs, and those that only a model has. */
import {
  A_INDEX,
  A_USED,
  AREA_WORDS,
  C_BYTES_IN,
  C_BYTES_OUT,
  C_CUT,
  C_FULL,
  C_HIGH,
  C_MAPS,
  C_MISUSE,
  C_OVERFLOWS,
  C_POOLS,
  C_SPINS,
  C_TOO_LARGE,
  C_TRANSIENT,
  C_UNMAPS,
  C_UNREACHABLE,
  C_USED,
  P_AREA_SLOTS,
  P_AREAS,
  P_FIRST_AREA,
  P_LIVE,
  P_SLOTS,
  POOL_WORDS,
  type SwiotlbState,
} from "./state.ts";

export interface AreaStats {
  readonly pool: number;
  readonly slots: number;
  readonly used: number;
  /** Slot of the area that the next search starts at. */
  readonly index: number;
}

/** Counts since the pool was made; slots unless said otherwise. */
export interface SwiotlbStats {
  /** io_tlb_nslabs: without pools of single mappings. */
  readonly slots: number;
  /** io_tlb_used and io_tlb_used_hiwater. */
  readonly used: number;
  readonly highWater: number;
  /** io_tlb_transient_nslabs. */
  readonly transient: number;
  /** Pools added while it ran. */
  readonly pools: number;
  readonly maps: number;
  readonly unmaps: number;
  /** Refused: no slots, larger than a segment, out of the device's reach. */
  readonly full: number;
  readonly tooLarge: number;
  readonly unreachable: number;
  /** Copied to buffers, and back. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Accesses that were cut at the end of their mapping. */
  readonly cut: number;
  /** Calls that no correct driver makes; those that would have corrupted the slots were left undone. */
  readonly misuse: number;
  /** Times that the overflow buffer was given, and that the kernel's search would never have ended. */
  readonly overflows: number;
  readonly spins: number;
  readonly areas: readonly AreaStats[];
}

export function statsOf(s: SwiotlbState): SwiotlbStats {
  const { counts } = s;
  const areas: AreaStats[] = [];
  let slots = 0;
  for (let row = 0; row < s.ownRows; row++) {
    const pool = row * POOL_WORDS;
    if (s.pools[pool + P_LIVE] === 0) continue;
    slots += s.pools[pool + P_SLOTS];
    for (let area = 0; area < s.pools[pool + P_AREAS]; area++) {
      const words = (s.pools[pool + P_FIRST_AREA] + area) * AREA_WORDS;
      areas.push({
        pool: row,
        slots: s.pools[pool + P_AREA_SLOTS],
        used: s.areas[words + A_USED],
        index: s.areas[words + A_INDEX],
      });
    }
  }
  return {
    slots,
    used: counts[C_USED],
    highWater: counts[C_HIGH],
    transient: counts[C_TRANSIENT],
    pools: counts[C_POOLS],
    maps: counts[C_MAPS],
    unmaps: counts[C_UNMAPS],
    full: counts[C_FULL],
    tooLarge: counts[C_TOO_LARGE],
    unreachable: counts[C_UNREACHABLE],
    bytesIn: counts[C_BYTES_IN],
    bytesOut: counts[C_BYTES_OUT],
    cut: counts[C_CUT],
    misuse: counts[C_MISUSE],
    overflows: counts[C_OVERFLOWS],
    spins: counts[C_SPINS],
    areas,
  };
}
