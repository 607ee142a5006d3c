/**
 * How much more a running machine would grant: for each class of requests and some orders, how many
 * allocations before kswapd is woken and before one is refused, summed over the zones it may use; and
 * how much of each zone's free memory is in pieces.
 *
 * From zoneinfo and buddyinfo. Which blocks are whose (pagetypeinfo, for root only) decides about CMA
 * and the highatomic reserve; without it there are bounds. "Refused" is the allocator's own answer
 * without reclaim, which is what atomic requests get; those that may wait make kswapd and themselves
 * free more first.
 *
 * Linux: get_page_from_freelist(), gfp_to_alloc_flags(), mm/page_alloc.c
 */
import type { Issue } from "../base/issue.ts";
import type { Capture } from "../formats/capture.ts";
import type { ZoneinfoZone } from "../formats/zoneinfo.ts";
import { findGfpEra, type GfpEra } from "../kernels/gfp.ts";
import { type AllocRule, allocRuleOf } from "../kernels/gfp-alloc.ts";
import { type WatermarkRule, watermarkRuleOf } from "../kernels/watermark.ts";
import { type Blocks, fragmentationIndex, unusableIndex } from "../mm/fragmentation.ts";
import { gfpZoneIndex } from "../mm/gfp.ts";
import { allocFlagsFast, allocFlagsSlow } from "../mm/gfp-alloc.ts";
import { parseGfp } from "../mm/gfp-text.ts";
import { allocationsLeft, type FreeZone } from "../mm/headroom.ts";
import { freeZones } from "./free-zones.ts";

/** The classes, by what callers write. The last resort of each name is what older kernels have. */
const CLASSES: readonly (readonly [string, readonly string[]])[] = [
  ["atomic", ["GFP_ATOMIC"]],
  ["kernel", ["GFP_KERNEL"]],
  ["movable", ["GFP_HIGHUSER_MOVABLE", "GFP_HIGHUSER"]],
  ["DMA32", ["GFP_KERNEL|__GFP_DMA32", "GFP_KERNEL"]],
  ["DMA", ["GFP_KERNEL|__GFP_DMA"]],
];

/** One page; the largest stack or jumbo frame; what drivers ask for at most; a huge page. */
export const HEADROOM_ORDERS: readonly number[] = [0, 2, 4, 9];

/** A number that is known, or known to lie between two; equal where known. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

export interface ClassHeadroom {
  /** "atomic", "kernel", "movable", "DMA32", "DMA". */
  readonly name: string;
  /** "GFP_KERNEL|__GFP_DMA". */
  readonly gfp: string;
  /** Zones it may use, in the order in which a node's are asked. */
  readonly zones: readonly string[];
  readonly orders: readonly {
    readonly order: number;
    /** Allocations before the low marks are met and kswapd is woken. */
    readonly beforeKswapd: Bounds;
    /** Allocations before one is refused, if nothing is freed meanwhile. */
    readonly beforeRefusal: Bounds;
  }[];
}

export interface ZoneFragmentation {
  readonly node: number;
  readonly zone: string;
  /** Free blocks by order. */
  readonly blocks: Blocks;
  /** Thousandths, by order: share of the free pages that a request cannot use. */
  readonly unusable: readonly number[];
  /** Thousandths, by order: -1000 where a block is there; else towards 1000 for fragmentation. */
  readonly index: readonly number[];
}

export interface Headroom {
  readonly classes: readonly ClassHeadroom[];
  readonly fragmentation: readonly ZoneFragmentation[];
  /** Whether pagetypeinfo told whose the free blocks are. */
  readonly byType: boolean;
}

/** Value null, with the reason among the issues, where zoneinfo or buddyinfo is missing. */
export function headroomOf(capture: Capture): {
  readonly value: Headroom | null;
  readonly issues: readonly Issue[];
} {
  const { zoneinfo, buddyinfo } = capture;
  if (zoneinfo === null || buddyinfo === null) {
    const missing = zoneinfo === null ? "zoneinfo" : "buddyinfo";
    const message = `how much more can be allocated is not told: ${missing} is missing`;
    return { value: null, issues: [{ severity: "note", source: "headroom", message }] };
  }
  const names = zoneNames(zoneinfo.zones);
  const rules = rulesOf(capture);
  if (names === null || rules === null) {
    const what = names === null ? "the zones of this kernel are" : "this kernel's release is";
    const message = `how much more can be allocated is not told: ${what} not known`;
    return { value: null, issues: [{ severity: "note", source: "headroom", message }] };
  }
  const pair = freeZones(capture, names);
  const classes = CLASSES.map(([name, gfps]) => classHeadroom(name, gfps, names, pair, rules));
  const fragmentation = buddyinfo.zones.map(({ node, name, free }): ZoneFragmentation => {
    const orders = [...free.keys()];
    return {
      node,
      zone: name,
      blocks: free,
      unusable: orders.map((order) => unusableIndex(free, order)),
      index: orders.map((order) => fragmentationIndex(free, order)),
    };
  });
  const byType = (capture.pagetypeinfo?.free.length ?? 0) > 0;
  return { value: { classes, fragmentation, byType }, issues: [] };
}

interface Rules {
  readonly gfp: GfpEra;
  readonly alloc: AllocRule;
  readonly marks: WatermarkRule;
}

function rulesOf({ version }: Capture): Rules | null {
  if (version === null) return null;
  const upstream = version.numbers.some((part) => part > 0)
    ? version.numbers.join(".")
    : version.release;
  const gfp = findGfpEra(upstream);
  const alloc = allocRuleOf(upstream);
  const marks = watermarkRuleOf(upstream);
  if (gfp === null || alloc === null || marks === null) return null;
  return { gfp, alloc, marks };
}

/** The kernel's zones from the lowest up, those that no node prints too; null where they do not add up. */
export function zoneNames(zones: readonly ZoneinfoZone[]): readonly string[] | null {
  const printed = [...new Set(zones.map(({ name }) => name))];
  const columns = Math.max(0, ...zones.map(({ protection }) => protection.length));
  const inOrder = ALL_ZONES.filter((name) => printed.includes(name));
  if (printed.length !== inOrder.length) return null;
  if (columns === 0 || columns === inOrder.length) return inOrder;
  // Kernels that print zones with memory only: the set that has as many as there are columns.
  const fits = KERNEL_ZONES.filter(
    (set) => set.length === columns && inOrder.every((name) => set.includes(name)),
  );
  return fits[0] ?? null;
}

const ALL_ZONES: readonly string[] = ["DMA", "DMA32", "Normal", "HighMem", "Movable", "Device"];

/** Linux: enum zone_type, include/linux/mmzone.h; the likelier first. */
const KERNEL_ZONES: readonly (readonly string[])[] = [
  ["DMA", "Normal", "HighMem"],
  ["DMA", "DMA32", "Normal"],
  ["DMA", "Normal", "Movable"],
  ["Normal", "Movable"],
  ["Normal", "HighMem", "Movable"],
  ["DMA32", "Normal", "Movable"],
  ["DMA", "DMA32", "Normal", "Movable"],
  ["DMA", "Normal", "HighMem", "Movable"],
  ["DMA", "DMA32", "Normal", "HighMem"],
  ["DMA", "DMA32", "Normal", "Movable", "Device"],
];

type Pair = readonly {
  readonly zone: ZoneinfoZone;
  readonly best: FreeZone;
  readonly worst: FreeZone;
}[];

function classHeadroom(
  name: string,
  gfps: readonly string[],
  names: readonly string[],
  zones: Pair,
  { gfp: era, alloc, marks }: Rules,
): ClassHeadroom {
  const gfp = gfps.find((text) => parseGfp(text, era).issues.length === 0) ?? "GFP_KERNEL";
  const bits = parseGfp(gfp, era).value;
  const highest = gfpZoneIndex(bits, names, era.zoneRule);
  const own = zones.filter(({ zone }) => names.indexOf(zone.name) <= highest);
  const cma = zones.some(({ zone }) => (zone.counters.get("nr_free_cma") ?? 0) > 0);
  const sum = (order: number, allocFlags: number): Bounds => {
    const request = { order, highest, allocFlags };
    let low = 0;
    let high = 0;
    for (const { best, worst } of own) {
      high += allocationsLeft(best, request, marks);
      low += allocationsLeft(worst, request, marks);
    }
    return { low: Math.min(low, high), high };
  };
  return {
    name,
    gfp,
    zones: names.filter((zone) => own.some((one) => one.zone.name === zone)).toReversed(),
    orders: HEADROOM_ORDERS.map((order) => ({
      order,
      beforeKswapd: sum(order, allocFlagsFast(bits, era, { order, cma })),
      beforeRefusal: sum(order, allocFlagsSlow(bits, era, alloc, { order, cma })),
    })),
  };
}
