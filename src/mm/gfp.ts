/**
 * Requests as bits: which zones they may use and how mobile they are. The functions here are for
 * the hot path; text is in gfp-text.ts, the right to reserves in gfp-alloc.ts, both re-exported.
 *
 * A request's four zone bits name the *highest* zone it may use; every lower one is allowed too.
 * Constants are those of 6.1; other eras are data (kernels/gfp.ts).
 *
 * Linux: gfp_zone(), gfp_migratetype(), include/linux/gfp.h
 */
import { type GfpEra, gfpEra } from "../kernels/gfp.ts";

export * from "../kernels/gfp.ts";
export * from "../kernels/gfp-alloc.ts";
export * from "./gfp-alloc.ts";
export * from "./gfp-text.ts";

// include/linux/gfp_types.h of 6.1
export const __GFP_DMA = 0x01;
export const __GFP_HIGHMEM = 0x02;
export const __GFP_DMA32 = 0x04;
export const __GFP_MOVABLE = 0x08;
export const __GFP_RECLAIMABLE = 0x10;
export const __GFP_HIGH = 0x20;
export const __GFP_IO = 0x40;
export const __GFP_FS = 0x80;
export const __GFP_ZERO = 0x100;
export const __GFP_ATOMIC = 0x200;
export const __GFP_DIRECT_RECLAIM = 0x400;
export const __GFP_KSWAPD_RECLAIM = 0x800;
export const __GFP_WRITE = 0x1000;
export const __GFP_NOWARN = 0x2000;
export const __GFP_RETRY_MAYFAIL = 0x4000;
export const __GFP_NOFAIL = 0x8000;
export const __GFP_NORETRY = 0x10000;
export const __GFP_MEMALLOC = 0x20000;
export const __GFP_COMP = 0x40000;
export const __GFP_NOMEMALLOC = 0x80000;
export const __GFP_HARDWALL = 0x100000;
export const __GFP_THISNODE = 0x200000;
export const __GFP_ACCOUNT = 0x400000;
export const __GFP_ZEROTAGS = 0x800000;

export const __GFP_RECLAIM: number = __GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM;
export const GFP_ATOMIC: number = __GFP_HIGH | __GFP_ATOMIC | __GFP_KSWAPD_RECLAIM;
export const GFP_KERNEL: number = __GFP_RECLAIM | __GFP_IO | __GFP_FS;
export const GFP_KERNEL_ACCOUNT: number = GFP_KERNEL | __GFP_ACCOUNT;
export const GFP_NOWAIT = 0x800; // __GFP_KSWAPD_RECLAIM
export const GFP_NOIO = 0xc00; // __GFP_RECLAIM
export const GFP_NOFS: number = __GFP_RECLAIM | __GFP_IO;
export const GFP_USER: number = GFP_KERNEL | __GFP_HARDWALL;
export const GFP_DMA = 0x01; // __GFP_DMA
export const GFP_DMA32 = 0x04; // __GFP_DMA32
export const GFP_HIGHUSER: number = GFP_USER | __GFP_HIGHMEM;
export const GFP_HIGHUSER_MOVABLE: number = GFP_HIGHUSER | __GFP_MOVABLE;
export const GFP_TRANSHUGE_LIGHT: number =
  (GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN) & ~__GFP_RECLAIM;
export const GFP_TRANSHUGE: number = GFP_TRANSHUGE_LIGHT | __GFP_DIRECT_RECLAIM;

/** GFP_ZONEMASK: the bits that choose a zone. */
export const GFP_ZONE_BITS = 0x0f;

/**
 * Index of the highest zone that a request of these bits may use, among zones named `zoneNames`
 * (lowest first, as the kernel was configured). A named zone that is not configured means Normal,
 * never a lower one; a combination that is not legal gives the first zone.
 *
 * Linux: gfp_zone(), include/linux/gfp.h
 */
export function gfpZoneIndex(
  bits: number,
  zoneNames: readonly string[],
  rule: GfpEra["zoneRule"] = "table",
): number {
  const normal = normalIndex(zoneNames);
  const at = (name: string): number => {
    const index = zoneNames.indexOf(name);
    return index === -1 ? normal : index;
  };
  if (rule === "first-match") {
    if ((bits & __GFP_DMA) !== 0) return at("DMA");
    if ((bits & __GFP_DMA32) !== 0) return at("DMA32");
    return (bits & __GFP_HIGHMEM) !== 0 ? at("HighMem") : normal;
  }
  switch (bits & GFP_ZONE_BITS) {
    case 0:
    case __GFP_MOVABLE:
      return normal;
    case __GFP_DMA:
    case __GFP_DMA | __GFP_MOVABLE:
      return at("DMA");
    case __GFP_DMA32:
    case __GFP_DMA32 | __GFP_MOVABLE:
      return at("DMA32");
    case __GFP_HIGHMEM:
      return at("HighMem");
    case __GFP_HIGHMEM | __GFP_MOVABLE:
      return zoneNames.includes("Movable") ? zoneNames.indexOf("Movable") : at("HighMem");
    default:
      return 0;
  }
}

/**
 * `gfpZoneIndex` for all sixteen zone bits, to be indexed with `bits & GFP_ZONE_BITS`.
 *
 * Linux: GFP_ZONE_TABLE, include/linux/gfp.h
 */
export function gfpZoneTable(
  zoneNames: readonly string[],
  rule: GfpEra["zoneRule"] = "table",
): Int8Array {
  return Int8Array.from({ length: 16 }, (_, bits) => gfpZoneIndex(bits, zoneNames, rule));
}

/**
 * Whether the zone bits make sense together: at most one of DMA, HIGHMEM and DMA32. The kernel
 * stops at others only when built for debugging.
 *
 * Linux: GFP_ZONE_BAD, include/linux/gfp.h
 */
export function isLegalZoneBits(bits: number): boolean {
  const zone = bits & (__GFP_DMA | __GFP_HIGHMEM | __GFP_DMA32);
  return (zone & (zone - 1)) === 0;
}

/** Where Normal is; on a machine that no kernel has: the highest zone a kernel could use for itself. */
function normalIndex(zoneNames: readonly string[]): number {
  const normal = zoneNames.indexOf("Normal");
  if (normal !== -1) return normal;
  const special = ["HighMem", "Movable", "Device"];
  return Math.max(
    0,
    zoneNames.findLastIndex((name) => !special.includes(name)),
  );
}

/** The era of the constants above. */
const ERA_6_1: GfpEra = gfpEra("6.1");

/**
 * Migratetype a request asks for, numbered as in its era: 0 Unmovable; Movable 1 and Reclaimable 2
 * since 4.4, the other way round before; always 0 before 2.6.24. Both bits together are a bug of the
 * caller and give 3, as in the kernel.
 *
 * Linux: gfp_migratetype(), include/linux/gfp.h
 */
export function gfpMigratetype(bits: number, era: GfpEra = ERA_6_1): number {
  if (era.migratetypes === "movable-1") return (bits >> 3) & 3;
  // Before 2.6.24 there is no bit to be found.
  const movable = (bits & (era.bits.get("__GFP_MOVABLE") ?? 0)) !== 0 ? 2 : 0;
  return movable | ((bits & (era.bits.get("__GFP_RECLAIMABLE") ?? 0)) !== 0 ? 1 : 0);
}
