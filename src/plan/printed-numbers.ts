/**
 * A kernel's formulas applied to zones that were printed: the numbers that an era's rules give for
 * counts and settings, and how many of the printed ones they equal.
 */
import type { Arch, Policy } from "../kernels/policy.ts";
import { type PagesetSize, pagesetSize } from "../mm/pageset.ts";
import { lowerZoneProtection, lowmemReserve } from "../mm/protection.ts";
import { type Marks, zoneMarks } from "../mm/watermark.ts";
import type { PrintedPageset, PrintedZone } from "./printed-zones.ts";

/** What numbers are computed from, besides counts. */
export interface PrintedSettings {
  readonly policy: Policy;
  /** arm's Movable is special by a rule of its own; null: some other architecture. */
  readonly arch: Arch | null;
  /** Names by zone index: where a column of a reserve stands. */
  readonly names: readonly string[];
  readonly pageSize: number;
  readonly minFreeKbytes: number;
  readonly watermarkScaleFactor: number;
  /** By zone index. */
  readonly ratios: readonly number[];
  readonly fraction: number;
  /** Online CPUs of each node. */
  readonly cpus: ReadonlyMap<number, number>;
  /** The last zone of a node kept the pageset of its first section. */
  readonly deferred: boolean;
}

/** Pages of one section, all that a zone set up late begins with. Linux: PAGES_PER_SECTION */
const SECTION_PAGES = 32768;

export function isSpecialZone(
  { name }: Pick<PrintedZone, "name">,
  zones: readonly PrintedZone[],
  { policy, arch, names }: Pick<PrintedSettings, "policy" | "arch" | "names">,
): boolean {
  if (name === "HighMem") return true;
  if (name !== "Movable") return false;
  const { movableIsSpecial: usual, movableIsSpecialOnArm: onArm } = policy.watermarks;
  const rule = arch === "arm" ? (onArm ?? usual) : usual;
  if (rule === "highmem-configured") return names.includes("HighMem");
  if (rule !== "donated-by-highmem") return rule === "always";
  return zones.some((zone) => zone.name === "HighMem" && zone.present > 0);
}

export function printedMarks(
  zones: readonly PrintedZone[],
  counts: readonly number[],
  settings: PrintedSettings,
): Marks[] {
  const rows = zones.map((zone, i) => ({
    managed: counts[i] ?? 0,
    special: isSpecialZone(zone, zones, settings),
  }));
  const { minFreeKbytes, watermarkScaleFactor, pageSize, policy } = settings;
  const rule = policy.watermarks.marks;
  return zoneMarks(rows, { minFreeKbytes, watermarkScaleFactor, pageSize, rule });
}

/** Reserves of each printed zone, by zone index. */
export function printedReserves(
  zones: readonly PrintedZone[],
  counts: readonly number[],
  { policy, names, ratios }: PrintedSettings,
  low: readonly number[],
): number[][] {
  const rows = new Map<number, number[][]>();
  for (const node of new Set(zones.map((zone) => zone.node))) {
    const at = (values: readonly number[]): number[] =>
      names.map((name) => {
        const i = zones.findIndex((zone) => zone.node === node && zone.name === name);
        return values[i] ?? 0;
      });
    const own = at(counts);
    const byRatio = policy.reserve.by === "ratio";
    rows.set(
      node,
      byRatio ? lowmemReserve(own, ratios, policy.reserve) : lowerZoneProtection(own, at(low), 0),
    );
  }
  return zones.map((zone) => rows.get(zone.node)?.[names.indexOf(zone.name)] ?? []);
}

export function printedPageset(
  zones: readonly PrintedZone[],
  i: number,
  counts: readonly number[],
  lowMark: number,
  settings: PrintedSettings,
): PagesetSize {
  const { policy, pageSize, fraction, cpus } = settings;
  const zone = zones[i];
  const last = zones.findLastIndex((one) => one.node === zone?.node && one.present > 0);
  const all = counts[i] ?? 0;
  const managed = settings.deferred && i === last ? Math.min(all, SECTION_PAGES) : all;
  const own = cpus.get(zone?.node ?? 0) ?? 1;
  return pagesetSize({ managed, lowMark, cpus: own, pageSize, fraction }, policy);
}

/** A boost is a pageblock at the least, which is 2 MiB at the least. Linux: boost_watermark(), mm/page_alloc.c */
const BOOST_LEAST_BYTES = 2 * 2 ** 20;

/** What a zone's three marks are all too high by; 0 where they are not, or where the boost was printed. */
export function hiddenBoost(
  zone: PrintedZone,
  marks: Marks,
  { policy, pageSize }: Pick<PrintedSettings, "policy" | "pageSize">,
): number {
  if (zone.boostTold || !policy.watermarks.boost) return 0;
  const boost = zone.min - marks.min;
  const alike = zone.low - marks.low === boost && zone.high - marks.high === boost;
  return alike && boost * pageSize >= BOOST_LEAST_BYTES ? boost : 0;
}

/** One field that was compared. */
export interface Compared {
  readonly field: string;
  readonly predicted: number | null;
  readonly kernel: number;
}

/** `boost` is what the kernel added to each mark without saying so. */
export function comparedMarks(zone: PrintedZone, marks: Marks, boost = 0): Compared[] {
  const [min, low, high] = [zone.min - boost, zone.low - boost, zone.high - boost];
  const promo = zone.promo === null ? null : zone.promo - boost;
  const fields: Compared[] = [
    { field: "min", predicted: marks.min, kernel: min },
    { field: "low", predicted: marks.low, kernel: low },
    { field: "high", predicted: marks.high, kernel: high },
  ];
  if (promo !== null) fields.push({ field: "promo", predicted: marks.promo, kernel: promo });
  return fields;
}

/**
 * A column that stands for a zone nobody printed is left out where the reserve tells of memory there:
 * a report may be cut, and its zones with it.
 */
export function comparedReserve(
  zone: PrintedZone,
  reserve: readonly number[],
  names: readonly string[],
  zones: readonly PrintedZone[],
): Compared[] {
  const isPrinted = (name: string): boolean =>
    zones.some((other) => other.node === zone.node && other.name === name);
  const own = names.indexOf(zone.name);
  return zone.protection.flatMap((kernel, j): Compared[] => {
    const predicted = reserve[j] ?? null;
    const hidden = !names.slice(own + 1, j + 1).every(isPrinted);
    if (hidden && predicted !== null && kernel > predicted) return [];
    return [{ field: `protection[${j}]`, predicted, kernel }];
  });
}

export function comparedPagesets(zone: PrintedZone, size: PagesetSize): Compared[] {
  return zone.pagesets.flatMap((printed) => comparedPageset(printed, size));
}

function comparedPageset(printed: PrintedPageset, size: PagesetSize): Compared[] {
  const cold = printed.pcp === 1 ? (size.cold ?? null) : null;
  const own = cold ?? size;
  const name = `pageset[${printed.cpu}]${printed.pcp === 1 ? ".cold" : ""}`;
  const fields: Compared[] = [
    { field: `${name}.batch`, predicted: own.batch, kernel: printed.batch },
  ];
  const { tunedTo } = size;
  // A tuned high moves; its bounds do not, and late eras print them.
  if (tunedTo === null) {
    fields.push({ field: `${name}.high`, predicted: own.high, kernel: printed.high });
  } else if (printed.highMin !== null && printed.highMax !== null) {
    const { min, max } = tunedTo;
    fields.push({ field: `${name}.high_min`, predicted: min, kernel: printed.highMin });
    fields.push({ field: `${name}.high_max`, predicted: max, kernel: printed.highMax });
  }
  if (printed.low !== null && size.low !== undefined) {
    const low = cold === null ? size.low : 0;
    fields.push({ field: `${name}.low`, predicted: low, kernel: printed.low });
  }
  return fields;
}

export function equalOf(fields: readonly Compared[]): number {
  return fields.filter(({ predicted, kernel }) => predicted === kernel).length;
}
