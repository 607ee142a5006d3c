/**
 * When the kernel computes what. The same formulas run several times on
 * different counts, and what /proc/zoneinfo prints depends on which run was
 * the last:
 *
 *   1. init_per_zone_wmark_min() (an initcall: postcore since 5.8, before core
 *      or device): min_free_kbytes by default, marks, pagesets, protection; from `t1`
 *   2. hugepage_init() (subsys), where transparent huge pages are on:
 *      min_free_kbytes may be raised, marks and pagesets again; from `t2`.
 *      Protection is not touched
 *   3. initrd and init memory are freed: `end`. Nothing is computed again
 *   4. a sysctl write: marks and pagesets, or protection, from `end`; merely
 *      reading lowmem_reserve_ratio computes protection again
 *
 * Before 3.9 nothing counts what was handed over: present pages stand for all
 * four, and the moments do not differ.
 *
 * Steps 1 and 2 are the moment "boot". Step 4 is the moment "settled": the
 * model takes it as a whole, since what sets one sysctl (`sysctl --system`,
 * `sysctl -a`) reads or writes them all.
 */
import type { Arch, Policy } from "../kernels/policy.ts";
import { type PagesetSize, pagesetSize } from "../mm/pageset.ts";
import { defaultReserveRatios, lowerZoneProtection, lowmemReserve } from "../mm/protection.ts";
import {
  defaultMinFreeKbytes,
  khugepagedMinFreeKbytes,
  type Marks,
  zoneMarks,
} from "../mm/watermark.ts";
import type { Build, Cpus, Layout, ManagedCounts, ZoneSpan } from "./hardware.ts";

/** The sysctls that decide. Ratios are by zone index. */
export interface Settings {
  readonly minFreeKbytes: number;
  readonly minFreeKbytesFrom: "default" | "khugepaged" | "given";
  /** 0 where the era has none. */
  readonly watermarkScaleFactor: number;
  readonly lowmemReserveRatio: readonly number[];
  /** lower_zone_protection, where zones are protected by it (2.6.9); absent: 0. */
  readonly lowerZoneProtection?: number;
  /** percpu_pagelist_(high_)fraction; 0 = not set. */
  readonly pagelistFraction: number;
}

/** What was computed for one zone. Pages. */
export interface ZoneNumbers {
  readonly marks: Marks;
  /** The managed count that the marks were computed from. */
  readonly atMarks: number;
  readonly protection: readonly number[];
  readonly pageset: PagesetSize;
}

export interface Numbers {
  readonly settings: Settings;
  /** In the order of `layout.zones`. */
  readonly zones: readonly ZoneNumbers[];
}

export interface TimelineInput {
  readonly layout: Layout;
  /** In the order of `layout.zones`. */
  readonly managed: readonly ManagedCounts[];
  readonly build: Build;
  readonly cpus: Cpus;
  readonly policy: Policy;
  readonly arch: Arch;
  /** transparent_hugepage in force at boot. */
  readonly thpAtBoot: "always" | "madvise" | "never";
}

/** Changes of settings after boot; absent members keep their value. */
export interface SettingsChange {
  readonly minFreeKbytes?: number;
  readonly watermarkScaleFactor?: number;
  readonly lowmemReserveRatio?: readonly number[];
  readonly lowerZoneProtection?: number;
  readonly pagelistFraction?: number;
}

/** Default of watermark_scale_factor. */
const WATERMARK_SCALE_FACTOR = 10;
/** Below this much RAM hugepage_init() turns transparent huge pages off, bytes. */
const THP_RAM_MIN = 512 * 1024 * 1024;

/** Numbers as the boot leaves them: steps 1 and 2. */
export function bootNumbers(input: TimelineInput): Numbers {
  const { layout, policy } = input;
  const t1 = countedAt(input, "t1");
  const t2 = countedAt(input, "t2");
  const settings: Settings = {
    minFreeKbytes: defaultMinFree(input, t1, null),
    minFreeKbytesFrom: "default",
    watermarkScaleFactor:
      policy.sysctls.watermarkScaleFactorMax === null ? 0 : WATERMARK_SCALE_FACTOR,
    lowmemReserveRatio: defaultReserveRatios(layout.zoneNames, policy.reserve.highmemRatio),
    pagelistFraction: 0,
  };
  const first = marksOf(input, t1, settings);
  const atReserves = policy.reserve.followsManaged ? countedAt(input, "end") : t1;
  const protection = protections(input, atReserves, settings, first);
  if (!thpPossible(input)) return assemble(input, settings, t1, first, protection);
  if (input.thpAtBoot === "never" && !policy.khugepaged.neverRecomputes) {
    return assemble(input, settings, t1, first, protection);
  }
  const raised = khugepagedSettings(input, settings, t2, first);
  return assemble(input, raised, t2, marksOf(input, t2, raised), protection);
}

/** What the zones count at a moment, pages, in the order of `layout.zones`. */
function countedAt(input: TimelineInput, moment: "t1" | "t2" | "end"): number[] {
  if (input.policy.counts === "present") return input.layout.zones.map((zone) => zone.present);
  return input.managed.map((counts) => counts[moment]);
}

/**
 * Whether transparent huge pages come into being at all; where they do not,
 * the running machine says `never` by itself.
 *
 * Linux: hugepage_init(), mm/huge_memory.c
 */
function thpPossible(input: TimelineInput): boolean {
  if (!input.policy.khugepaged.exists) return false;
  const pages = sum(input.managed.map((counts) => counts.t2));
  return input.build.thp && pages * input.build.pageSize >= THP_RAM_MIN;
}

/** Numbers after the sysctls of `change` were written: step 4. */
export function settledNumbers(
  input: TimelineInput,
  booted: Numbers,
  change: SettingsChange,
): Numbers {
  const end = countedAt(input, "end");
  const settings: Settings = {
    ...booted.settings,
    ...change,
    minFreeKbytesFrom:
      change.minFreeKbytes === undefined ? booted.settings.minFreeKbytesFrom : "given",
  };
  const marks = marksOf(input, end, settings);
  return assemble(input, settings, end, marks, protections(input, end, settings, marks));
}

/**
 * Numbers after `never` was written to transparent_hugepage/enabled on a running
 * machine that had them on: the default min_free_kbytes again, from what the marks now leave free.
 *
 * Linux: set_recommended_min_free_kbytes(), mm/khugepaged.c
 */
export function thpSwitchedOffNumbers(input: TimelineInput, booted: Numbers): Numbers {
  if (!thpPossible(input) || input.thpAtBoot === "never") return booted;
  if (!input.policy.khugepaged.neverRecomputes) return booted;
  const end = countedAt(input, "end");
  const before = booted.zones.map((zone) => zone.marks);
  const minFreeKbytes = defaultMinFree(input, end, before);
  const settings: Settings = {
    ...booted.settings,
    minFreeKbytes,
    minFreeKbytesFrom: "default",
  };
  const protection = booted.zones.map((zone) => zone.protection);
  return assemble(input, settings, end, marksOf(input, end, settings), protection);
}

/** Step 2. Linux: set_recommended_min_free_kbytes(), mm/khugepaged.c */
function khugepagedSettings(
  input: TimelineInput,
  settings: Settings,
  managed: readonly number[],
  marks: readonly Marks[],
): Settings {
  if (input.thpAtBoot === "never") {
    return { ...settings, minFreeKbytes: defaultMinFree(input, managed, marks) };
  }
  const { layout, build, policy } = input;
  const every = policy.khugepaged.zones === "all";
  const wanted = layout.zones.filter((zone) => every || isLowmem(zone));
  const populated = wanted.filter((zone) => zone.present > 0).length;
  const recommended = khugepagedMinFreeKbytes(
    populated,
    build.pageblockPages,
    lowFree(input, managed, marks),
    build.pageSize,
  );
  if (recommended <= settings.minFreeKbytes) return settings;
  return { ...settings, minFreeKbytes: recommended, minFreeKbytesFrom: "khugepaged" };
}

function defaultMinFree(
  input: TimelineInput,
  managed: readonly number[],
  marks: readonly Marks[] | null,
): number {
  const { build, policy } = input;
  const { minFreeFactor, minFreeKbytesMax } = policy.watermarks;
  const free = lowFree(input, managed, marks);
  return defaultMinFreeKbytes(free, build.pageSize, minFreeKbytesMax, minFreeFactor);
}

/**
 * Low memory above the high marks, pages; `marks` is null before there are any.
 *
 * Linux: nr_free_buffer_pages(), mm/page_alloc.c
 */
function lowFree(
  input: TimelineInput,
  managed: readonly number[],
  marks: readonly Marks[] | null,
): number {
  let free = 0;
  input.layout.zones.forEach((zone, i) => {
    const high = marks?.[i]?.high ?? 0;
    if (isLowmem(zone)) free += Math.max(0, (managed[i] ?? 0) - high);
  });
  return free;
}

/** Zones that GFP_USER may use: up to Normal. A zone that no kernel has counts. */
function isLowmem(zone: ZoneSpan): boolean {
  return zone.name !== "HighMem" && zone.name !== "Movable" && zone.name !== "Device";
}

function isSpecial(zone: ZoneSpan, layout: Layout, policy: Policy, arch: Arch): boolean {
  if (zone.name === "HighMem") return true;
  if (zone.name !== "Movable") return false;
  const { movableIsSpecial, movableIsSpecialOnArm } = policy.watermarks;
  switch (arch === "arm" ? (movableIsSpecialOnArm ?? movableIsSpecial) : movableIsSpecial) {
    case "never":
      return false;
    case "always":
      return true;
    case "highmem-configured":
      return layout.zoneNames.includes("HighMem");
    case "donated-by-highmem":
      return layout.zones.some((other) => other.name === "HighMem" && other.present > 0);
  }
}

function marksOf(input: TimelineInput, managed: readonly number[], settings: Settings): Marks[] {
  const { layout, policy, build } = input;
  const rows = layout.zones.map((zone, i) => ({
    managed: managed[i] ?? 0,
    special: isSpecial(zone, layout, policy, input.arch),
  }));
  return zoneMarks(rows, {
    minFreeKbytes: settings.minFreeKbytes,
    watermarkScaleFactor: settings.watermarkScaleFactor,
    pageSize: build.pageSize,
    rule: policy.watermarks.marks,
  });
}

/** Reserves of every zone, each node by itself. */
function protections(
  input: TimelineInput,
  managed: readonly number[],
  settings: Settings,
  marks: readonly Marks[],
): readonly (readonly number[])[] {
  const { layout, policy } = input;
  const byZone: (readonly number[])[] = [];
  for (const node of layout.nodes) {
    const rows = layout.zones
      .map((zone, i) => ({ zone, i }))
      .filter((row) => row.zone.node === node);
    const own = rows.map(({ i }) => managed[i] ?? 0);
    if (policy.reserve.by === "ratio") {
      byZone.push(...lowmemReserve(own, settings.lowmemReserveRatio, policy.reserve));
    } else {
      const low = rows.map(({ i }) => marks[i]?.low ?? 0);
      byZone.push(...lowerZoneProtection(own, low, settings.lowerZoneProtection ?? 0));
    }
  }
  return byZone;
}

function assemble(
  input: TimelineInput,
  settings: Settings,
  managed: readonly number[],
  marks: readonly Marks[],
  protection: readonly (readonly number[])[],
): Numbers {
  const zones = input.layout.zones.map((zone, i): ZoneNumbers => {
    const pages = managed[i] ?? 0;
    const own = marks[i] ?? { min: 0, low: 0, high: 0, promo: 0 };
    const pageset = pagesetSize(
      {
        managed: staysSmall(input, i) ? Math.min(pages, SECTION_PAGES) : pages,
        lowMark: own.low,
        cpus: cpusOf(zone.node, input.cpus),
        pageSize: input.build.pageSize,
        fraction: settings.pagelistFraction,
      },
      input.policy,
    );
    return { marks: own, atMarks: pages, protection: protection[i] ?? [], pageset };
  });
  return { settings, zones };
}

/** Pages of one section, all that a zone set up late begins with. Linux: PAGES_PER_SECTION */
const SECTION_PAGES = 32768;

/** Whether a zone keeps the pageset of its first section: the last one of a node, set up late. */
function staysSmall({ layout, build, policy }: TimelineInput, i: number): boolean {
  if (!policy.pageset.deferredStaysSmall || build.deferredStructPages !== true) return false;
  const node = layout.zones[i]?.node;
  return i === layout.zones.findLastIndex((zone) => zone.node === node && zone.present > 0);
}

/** CPUs that share a node's pagesets: its own, or all where it has none. Linux: zone_highsize() */
function cpusOf(node: number, cpus: Cpus): number {
  const own = cpus.byNode?.get(node)?.length ?? 0;
  return own > 0 ? own : cpus.online;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}
