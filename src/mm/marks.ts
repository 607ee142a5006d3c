/**
 * Marks, reserves and pageset sizes of a memory, from what its zones manage.
 *
 * Linux: setup_per_zone_wmarks(), setup_per_zone_lowmem_reserve(), zone_pcp_update(), mm/page_alloc.c
 */
import { assert } from "../base/assert.ts";
import {
  type Memory,
  P_BATCH,
  P_HIGH,
  P_HIGH_MAX,
  P_HIGH_MIN,
  PCP_WORDS,
  Z_BOOST,
  Z_HIGH,
  Z_INDEX,
  Z_LOW,
  Z_MANAGED,
  Z_MIN,
  Z_NODE,
  Z_PROMO,
  Z_RESERVE,
  Z_THRESHOLD,
  ZONE_WORDS,
} from "./memory.ts";
import { pagesetSize } from "./pageset.ts";
import { defaultReserveRatios, lowmemReserve } from "./protection.ts";
import { defaultMinFreeKbytes, zoneMarks } from "./watermark.ts";

/** Settings that marks, reserves and pagesets follow from; see `BootOptions`. */
export interface MarkOptions {
  /** KiB; by the kernel's square root by default. 0 keeps nothing back, whatever the gap above min is. */
  readonly minFreeKbytes?: number;
  readonly watermarkScaleFactor?: number;
  readonly lowmemReserveRatio?: readonly number[];
  /** Keeps per-CPU shares of the free count back, as SMP kernels do; exact counts by default. */
  readonly drift?: boolean;
}

/** Computes marks, reserves and pageset sizes anew from what the zones manage. Asserts its numbers. */
export function setMarks(m: Memory, options: MarkOptions): void {
  const { minFreeKbytes: given = 0, watermarkScaleFactor = 10, lowmemReserveRatio = [] } = options;
  for (const value of [given, watermarkScaleFactor, ...lowmemReserveRatio]) {
    assert(Number.isSafeInteger(value) && value >= 0, "marks follow from whole numbers", value);
  }
  const managed = Array.from(m.names, (_, z) => m.zone[z * ZONE_WORDS + Z_MANAGED]);
  const special = specialZones(m, managed);
  const lowmem = managed.reduce((sum, pages, z) => sum + (special[z] ? 0 : pages), 0);
  const minFreeKbytes =
    options.minFreeKbytes ??
    defaultMinFreeKbytes(lowmem, m.pageSize, m.rule.minFreeKbytesMax, m.rule.minFreeFactor);
  writeMinFree(m, minFreeKbytes, watermarkScaleFactor);
  for (let z = 0; z < m.zoneCount; z++) {
    const words = z * ZONE_WORDS;
    // A memory without a reserve has none at all: not even the gap above min.
    if (options.minFreeKbytes === 0) m.zone.fill(0, words + Z_MIN, words + Z_PROMO + 1);
    m.zone[words + Z_THRESHOLD] = options.drift === true ? driftThreshold(m, managed[z]) : 0;
  }
  const ratios = m.rule.reservesByRatio ? defaultReserveRatios(m.zoneNames) : [];
  setReserves(m, managed, options.lowmemReserveRatio ?? ratios);
  setPagesets(m, managed);
}

/**
 * What a write to min_free_kbytes changes: the marks, boosts, and the sizes of
 * pagesets. Linux: setup_per_zone_wmarks(), mm/page_alloc.c
 */
export function writeMinFree(m: Memory, minFreeKbytes: number, watermarkScaleFactor: number): void {
  const managed = Array.from(m.names, (_, z) => m.zone[z * ZONE_WORDS + Z_MANAGED]);
  const special = specialZones(m, managed);
  const marks = zoneMarks(
    managed.map((pages, z) => ({ managed: pages, special: special[z] ?? false })),
    {
      minFreeKbytes,
      watermarkScaleFactor,
      pageSize: m.pageSize,
      rule: m.rule.marks,
    },
  );
  marks.forEach(({ min, low, high, promo }, z) => {
    const words = z * ZONE_WORDS;
    m.zone[words + Z_MIN] = min;
    m.zone[words + Z_LOW] = low;
    m.zone[words + Z_HIGH] = high;
    m.zone[words + Z_PROMO] = promo;
    m.zone[words + Z_BOOST] = 0;
  });
  setPagesets(m, managed);
}

/** Zones that do not count as the kernel's own memory. Linux: is_highmem(), is_highmem_idx() */
export function specialZones(m: Memory, managed: readonly number[]): boolean[] {
  const highmem = m.names.some((name, z) => name === "HighMem" && (managed[z] ?? 0) > 0);
  const movable = m.rule.movableIsSpecial === "always" || highmem;
  return m.names.map((name) => name === "HighMem" || (name === "Movable" && movable));
}

/** Linux: calculate_normal_threshold(), mm/vmstat.c */
export function driftThreshold(m: Memory, managed: number): number {
  const fls = (n: number): number => 32 - Math.clz32(n);
  const blocks = Math.floor((managed * m.pageSize) / 2 ** 27);
  return Math.min(125, 2 * fls(m.cpuCount) * (1 + fls(blocks)));
}

/** lowmem_reserve of every zone, from pages by zone number. */
export function setReserves(
  m: Memory,
  managed: readonly number[],
  ratios: readonly number[],
): void {
  for (const node of m.nodes) {
    const own = m.zoneNames.map((_, index) => zoneAt(m, node, index));
    const rows = lowmemReserve(
      own.map((z) => (z < 0 ? 0 : (managed[z] ?? 0))),
      ratios,
    );
    rows.forEach((row, index) => {
      const z = own[index] ?? -1;
      if (z >= 0) m.zone.set(row.slice(0, 8), z * ZONE_WORDS + Z_RESERVE);
    });
  }
}

/** Zone number by node and index, -1 for none. */
function zoneAt(m: Memory, node: number, index: number): number {
  for (const z of m.names.keys()) {
    if (m.zone[z * ZONE_WORDS + Z_NODE] === node && m.zone[z * ZONE_WORDS + Z_INDEX] === index)
      return z;
  }
  return -1;
}

function setPagesets(m: Memory, managed: readonly number[]): void {
  const rule = m.rule;
  const policy = {
    pageset: {
      high: rule.pcp === "batch" ? ("six-batches" as const) : ("low-mark" as const),
      tuned: rule.pcp === "tuned",
      batchBytesMax: rule.batchBytesMax,
      batchBelowPower: rule.batchBelowPower,
      cold: "none" as const,
    },
  };
  for (const z of m.names.keys()) {
    const place = m.nodes.indexOf(m.zone[z * ZONE_WORDS + Z_NODE]);
    const own = m.cpuPlace.filter((at) => at === place).length;
    const size = pagesetSize(
      {
        managed: managed[z] ?? 0,
        lowMark: m.zone[z * ZONE_WORDS + Z_LOW],
        cpus: own > 0 ? own : m.cpuCount,
        pageSize: m.pageSize,
        fraction: 0,
      },
      policy,
    );
    for (let cpu = 0; cpu < m.cpuCount; cpu++) {
      const words = (z * m.cpuCount + cpu) * PCP_WORDS;
      m.pcp[words + P_HIGH] = size.high;
      m.pcp[words + P_BATCH] = size.batch;
      m.pcp[words + P_HIGH_MIN] = size.tunedTo?.min ?? size.high;
      m.pcp[words + P_HIGH_MAX] = size.tunedTo?.max ?? size.high;
    }
  }
}
