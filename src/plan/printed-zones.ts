/**
 * Zones as a kernel printed them, in /proc/zoneinfo or in a report: what its own formulas can be asked
 * about. One row a zone that was printed, by node then index; pages throughout.
 */
import type { MemoryReport, ReportZone } from "../formats/memory-report.ts";
import type { Zoneinfo, ZoneinfoZone } from "../formats/zoneinfo.ts";

/** One per-CPU list as printed; null where the era does not print it. */
export interface PrintedPageset {
  readonly cpu: number;
  /** 0 for hot pages, 1 for cold ones, where a CPU has two. */
  readonly pcp: number;
  readonly low: number | null;
  readonly high: number;
  readonly batch: number;
  readonly highMin: number | null;
  readonly highMax: number | null;
}

export interface PrintedZone {
  readonly node: number;
  readonly name: string;
  readonly startPfn: number | null;
  readonly spanned: number;
  readonly present: number;
  /** Null where the era has no such count. */
  readonly managed: number | null;
  /** Without the boost that the kernel adds to each. */
  readonly min: number;
  readonly low: number;
  readonly high: number;
  readonly promo: number | null;
  /** Whether the boost was printed, and is taken off above; false: it may be in the marks. */
  readonly boostTold: boolean;
  readonly protection: readonly number[];
  readonly pagesets: readonly PrintedPageset[];
}

export function zonesOfZoneinfo(zoneinfo: Zoneinfo): PrintedZone[] {
  return zoneinfo.zones.map((zone): PrintedZone => {
    const boost = zone.boost ?? 0;
    return {
      node: zone.node,
      name: zone.name,
      startPfn: zone.startPfn,
      spanned: zone.spanned,
      present: zone.present,
      managed: zone.managed,
      min: zone.min - boost,
      low: zone.low - boost,
      high: zone.high - boost,
      promo: zone.promo === null ? null : zone.promo - boost,
      boostTold: zone.boost !== null,
      protection: zone.protection,
      pagesets: pagesetsOf(zone),
    };
  });
}

function pagesetsOf(zone: ZoneinfoZone): PrintedPageset[] {
  return zone.pagesets.map((set) => ({
    cpu: set.cpu,
    pcp: set.pcp ?? 0,
    low: set.low ?? null,
    high: set.high,
    batch: set.batch,
    highMin: set.highMin,
    highMax: set.highMax,
  }));
}

/** The zones of a report whose marks, reserve and size were printed whole; the others are left out. */
export function zonesOfReport(report: MemoryReport): PrintedZone[] {
  const kib = report.pageKib ?? 4;
  return report.zones.flatMap((zone) => {
    const printed = zoneOfReport(zone, kib);
    return printed === null ? [] : [printed];
  });
}

function zoneOfReport(zone: ReportZone, kib: number): PrintedZone | null {
  const pages = (name: string): number | null => {
    const reading = zone.fields.get(name);
    return reading === undefined ? null : reading.value / kib;
  };
  const [min, low, high] = [pages("min"), pages("low"), pages("high")];
  const present = pages("present");
  if (min === null || low === null || high === null || present === null) return null;
  const boost = pages("boost") ?? 0;
  return {
    node: zone.node,
    name: zone.name,
    startPfn: null,
    spanned: present,
    present,
    managed: pages("managed"),
    min: min - boost,
    low: low - boost,
    high: high - boost,
    promo: null,
    boostTold: zone.fields.has("boost"),
    // protections[] of 2.6.9 counts otherwise, and is all 0 unless somebody asked for it.
    protection: (zone.protection ?? []).map((reading) => reading.value),
    pagesets: [],
  };
}

/** Zones in the order of their indexes. */
const ORDER = ["DMA", "DMA32", "Normal", "HighMem", "Movable", "Device"] as const;

/** The same by how often a kernel has such a zone and no memory in it. */
const LIKELIEST: (typeof ORDER)[number][] = [
  "Movable",
  "Device",
  "DMA32",
  "DMA",
  "Normal",
  "HighMem",
];

/**
 * The lists of zone names that `columns` reserves may stand for, where empty zones are not printed:
 * each holds all `printed` names in their order. One list, the names themselves, where the number fits
 * or a name is no kernel's.
 */
export function nameLists(printed: readonly string[], columns: number): string[][] {
  const known = printed.every((name) => ORDER.some((one) => one === name));
  const missing = columns - printed.length;
  if (missing <= 0 || !known) return [[...printed]];
  const others = LIKELIEST.filter((name) => !printed.includes(name));
  return choose(others, missing).map((added) =>
    ORDER.filter((name) => printed.includes(name) || added.includes(name)),
  );
}

function choose<T>(from: readonly T[], count: number): T[][] {
  if (count === 0) return [[]];
  return from.flatMap((one, i) =>
    choose(from.slice(i + 1), count - 1).map((rest) => [one, ...rest]),
  );
}
