/**
 * Settings that printed numbers were computed with: those that are told, and what the numbers tell of
 * the others. Each guess is said, with its value.
 */
import type { Policy } from "../kernels/policy.ts";
import { defaultReserveRatios } from "../mm/protection.ts";
import type { Marks } from "../mm/watermark.ts";
import type { PrintedInput } from "./printed-input.ts";
import { hiddenBoost, isSpecialZone, type PrintedSettings } from "./printed-numbers.ts";
import type { PrintedZone } from "./printed-zones.ts";

/** A setting that was not told, and where its value comes from. */
export interface Inferred {
  readonly field: string;
  readonly why: string;
}

/** Marks of a zone that has none. */
export const NO_MARKS: Marks = { min: 0, low: 0, high: 0, promo: 0 };

export function settingsFor(
  input: PrintedInput,
  policy: Policy,
  names: readonly string[],
): PrintedSettings {
  const told = input.sysctls.get("lowmem_reserve_ratio");
  const usual = defaultReserveRatios(names, policy.reserve.highmemRatio);
  // The file has no entry for the last zones.
  const ratios = told === undefined ? usual : names.map((_, i) => told[i] ?? 0);
  const one = (name: string): number => input.sysctls.get(name)?.[0] ?? 0;
  return {
    policy,
    arch: input.arch,
    names,
    pageSize: input.pageSize,
    minFreeKbytes: one("min_free_kbytes"),
    watermarkScaleFactor: input.sysctls.get("watermark_scale_factor")?.[0] ?? 10,
    ratios,
    fraction: one("percpu_pagelist_high_fraction") || one("percpu_pagelist_fraction"),
    cpus: input.cpus ?? cpusPrinted(input.zones),
    deferred: false,
  };
}

/** Every zone prints all online CPUs; how they are spread over nodes is not told. */
export function cpusPrinted(zones: readonly PrintedZone[]): Map<number, number> {
  const online = new Set(zones.flatMap((zone) => zone.pagesets.map((set) => set.cpu))).size;
  return new Map(zones.map((zone) => [zone.node, Math.max(1, online)]));
}

/** Zones that share min_free_kbytes. */
export function lowZones(
  zones: readonly PrintedZone[],
  counts: readonly number[],
  settings: PrintedSettings,
): number[] {
  return zones.flatMap((zone, i) =>
    isSpecialZone(zone, zones, settings) || (counts[i] ?? 0) === 0 ? [] : [i],
  );
}

/**
 * min_free_kbytes as told, or every value whose shares the zones' min marks can be: their sum, and a
 * page more for each zone that was rounded down. A lone zone whose marks may hide a boost tells its
 * share by its gap.
 */
export function minFrees(
  { zones, sysctls, pageSize }: PrintedInput,
  counts: readonly number[],
  settings: PrintedSettings,
): number[] {
  const told = sysctls.get("min_free_kbytes")?.[0];
  if (told !== undefined) return [told];
  const low = lowZones(zones, counts, settings);
  const kib = pageSize / 1024;
  const least = low.reduce((sum, z) => sum + (zones[z]?.min ?? 0), 0);
  const values = low.map((_, more) => (least + more) * kib);
  const only = zones[low[0] ?? -1];
  if (low.length !== 1 || only === undefined || !mayHideBoost(only, settings)) return values;
  const share = 4 * (only.low - only.min);
  return [...values, share * kib];
}

function mayHideBoost(zone: PrintedZone, { policy }: PrintedSettings): boolean {
  return policy.watermarks.boost && !zone.boostTold && policy.watermarks.marks === "gap";
}

/** What was added to marks without being printed. */
export function boostsIn(
  zones: readonly PrintedZone[],
  marks: readonly Marks[],
  settings: PrintedSettings,
): Inferred[] {
  return zones.flatMap((zone, i) => {
    const boost = hiddenBoost(zone, marks[i] ?? NO_MARKS, settings);
    if (boost === 0) return [];
    const why = `not printed: ${boost} pages in N${zone.node}/${zone.name} make its marks one set`;
    return [{ field: "boost", why }];
  });
}

/** watermark_scale_factor as told, its default, or what the largest zone's gap tells. */
export function scaleFactors(
  { zones, sysctls }: PrintedInput,
  counts: readonly number[],
  { policy }: PrintedSettings,
): number[] {
  const told = sysctls.get("watermark_scale_factor")?.[0];
  if (told !== undefined) return [told];
  if (policy.watermarks.marks !== "gap") return [0];
  const largest = counts.indexOf(Math.max(...counts));
  const zone = zones[largest];
  const own = counts[largest] ?? 0;
  const gap = zone === undefined ? 0 : zone.low - zone.min;
  if (own === 0 || zone === undefined || gap <= Math.floor(zone.min / 4)) return [10];
  const first = Math.ceil((gap * 10000) / own);
  const last = Math.min(Math.ceil(((gap + 1) * 10000) / own) - 1, first + 2);
  const values = [10];
  for (let factor = first; factor <= last; factor++) if (factor !== 10) values.push(factor);
  return values;
}

export function inferredBy(
  { sysctls, pageSize }: PrintedInput,
  settings: PrintedSettings,
): Inferred[] {
  const inferred: { field: string; why: string }[] = [];
  if (!sysctls.has("min_free_kbytes")) {
    const kib = settings.minFreeKbytes;
    const why = `not told: ${kib} to ${kib + pageSize / 1024 - 1} KiB follows from the marks themselves`;
    inferred.push({ field: "sysctl min_free_kbytes", why });
  }
  if (!sysctls.has("watermark_scale_factor") && settings.policy.watermarks.marks === "gap") {
    const { watermarkScaleFactor: factor } = settings;
    const why =
      factor === 10
        ? "not told: the default of 10 taken"
        : `not told: ${factor} follows from the gaps`;
    inferred.push({ field: "sysctl watermark_scale_factor", why });
  }
  if (!sysctls.has("lowmem_reserve_ratio")) {
    const why = `not told: the defaults ${settings.ratios.join(" ")} taken`;
    inferred.push({ field: "sysctl lowmem_reserve_ratio", why });
  }
  return inferred;
}
