/**
 * From a request's bits to its ALLOC_* flags: which mark is asked for, and what may be done to get
 * below it. The numbering is that of 6.1 for all eras; ALLOC_HARDER of up to 6.2 and ALLOC_NON_BLOCK
 * of 6.3 are the same bit, as are ALLOC_HIGH and ALLOC_MIN_RESERVE, and what they are worth is the
 * watermark check's business.
 *
 * Linux: mm/internal.h; gfp_to_alloc_flags(), __gfp_pfmemalloc_flags(), mm/page_alloc.c
 */
import type { GfpEra } from "../kernels/gfp.ts";
import type { AllocRule } from "../kernels/gfp-alloc.ts";

export const ALLOC_WMARK_MIN = 0x00;
export const ALLOC_WMARK_LOW = 0x01;
export const ALLOC_WMARK_HIGH = 0x02;
export const ALLOC_WMARK_MASK = 0x03;
export const ALLOC_NO_WATERMARKS = 0x04;
export const ALLOC_OOM = 0x08;
export const ALLOC_HARDER = 0x10; // up to 6.2
export const ALLOC_NON_BLOCK = 0x10; // since 6.3
export const ALLOC_HIGH = 0x20; // up to 6.2
export const ALLOC_MIN_RESERVE = 0x20; // since 6.3
export const ALLOC_CPUSET = 0x40;
export const ALLOC_CMA = 0x80;
export const ALLOC_NOFRAGMENT = 0x100;
export const ALLOC_HIGHATOMIC = 0x200; // since 6.3; never for a single page
export const ALLOC_KSWAPD = 0x800;
/** What opens a reserve of any kind. */
export const ALLOC_RESERVES: number =
  ALLOC_NON_BLOCK | ALLOC_MIN_RESERVE | ALLOC_HIGHATOMIC | ALLOC_OOM;

/** Who asks, as far as bits do not tell. */
export interface AllocContext {
  readonly order: number;
  /** A realtime task, not an interrupt. */
  readonly realtime?: boolean;
  /** A cpuset beside the root one exists (fast path), and the request is bound to it. */
  readonly cpuset?: boolean;
  /** The kernel has CMA areas to lend. */
  readonly cma?: boolean;
  /** Lower zones of the node are tried before mobilities mix. */
  readonly noFragment?: boolean;
}

/** Bits of one era, looked up once. */
interface Masks {
  readonly wait: number;
  readonly kswapd: number;
  readonly high: number;
  readonly atomic: number;
  readonly memalloc: number;
  readonly nomemalloc: number;
  readonly movable: number;
  readonly mobility: number;
}

/**
 * Flags of the first pass: low mark, no reserve.
 *
 * Linux: prepare_alloc_pages(), alloc_flags_nofragment(), mm/page_alloc.c
 */
export function allocFlagsFast(bits: number, era: GfpEra, context: AllocContext): number {
  const masks = masksOf(era);
  let flags = ALLOC_WMARK_LOW | cmaFlag(bits, masks, context);
  if (context.cpuset === true) flags |= ALLOC_CPUSET;
  if (context.noFragment === true) flags |= ALLOC_NOFRAGMENT;
  if ((bits & masks.kswapd) !== 0) flags |= ALLOC_KSWAPD;
  return flags;
}

/**
 * Flags of the slow path: min mark, and the reserves that the request has a right to.
 *
 * Linux: gfp_to_alloc_flags(), mm/page_alloc.c
 */
export function allocFlagsSlow(
  bits: number,
  era: GfpEra,
  rule: AllocRule,
  context: AllocContext,
): number {
  const masks = masksOf(era);
  let flags = ALLOC_WMARK_MIN | ALLOC_CPUSET | cmaFlag(bits, masks, context);
  const high = (bits & masks.high) !== 0;
  if (high) flags |= ALLOC_MIN_RESERVE;
  if ((bits & masks.kswapd) !== 0) flags |= ALLOC_KSWAPD;
  if (triesHarder(bits, masks, rule)) {
    if (!rule.nomemallocForbids || (bits & masks.nomemalloc) === 0) {
      flags |= ALLOC_NON_BLOCK;
      const allowed =
        rule.highatomicBy === "non-blocking" || (rule.highatomicBy === "high" && high);
      if (allowed && context.order > 0) flags |= ALLOC_HIGHATOMIC;
    }
    if (rule.leavesCpusetBy === "harder" || high) flags &= ~ALLOC_CPUSET;
  } else if (context.realtime === true) {
    flags |= rule.realtimeGets === "harder" ? ALLOC_HARDER : ALLOC_MIN_RESERVE;
  }
  return flags;
}

/** Who asks, as far as the right to all memory goes. */
export interface ReserveContext {
  /** The task frees memory itself: PF_MEMALLOC. */
  readonly memalloc?: boolean;
  /** The OOM killer chose the task, or one that shares its memory. */
  readonly oomVictim?: boolean;
  /** In an interrupt, where the task below does not count. */
  readonly interrupt?: boolean;
  /** The interrupt is a soft one that works for that task. */
  readonly servingSoftirq?: boolean;
}

/**
 * The flag that replaces the marks for those who are freeing memory: ALLOC_NO_WATERMARKS,
 * ALLOC_OOM, or 0.
 *
 * Linux: __gfp_pfmemalloc_flags(), mm/page_alloc.c
 */
export function reserveFlags(bits: number, era: GfpEra, context: ReserveContext): number {
  const masks = masksOf(era);
  if ((bits & masks.nomemalloc) !== 0) return 0;
  if ((bits & masks.memalloc) !== 0) return ALLOC_NO_WATERMARKS;
  if (context.interrupt === true) {
    const lent = context.servingSoftirq === true && context.memalloc === true;
    return lent ? ALLOC_NO_WATERMARKS : 0;
  }
  if (context.memalloc === true) return ALLOC_NO_WATERMARKS;
  return context.oomVictim === true ? ALLOC_OOM : 0;
}

function triesHarder(bits: number, masks: Masks, rule: AllocRule): boolean {
  if (rule.harderBy === "atomic-bit") return (bits & masks.atomic) !== 0;
  return (bits & masks.wait) === 0;
}

/** Only movable pages may lie in CMA areas, because they must leave when asked. */
function cmaFlag(bits: number, masks: Masks, context: AllocContext): number {
  if (context.cma !== true) return 0;
  return masks.movable !== 0 && (bits & masks.mobility) === masks.movable ? ALLOC_CMA : 0;
}

const CACHE = new WeakMap<GfpEra, Masks>();

function masksOf(era: GfpEra): Masks {
  let masks = CACHE.get(era);
  if (masks === undefined) {
    const bit = (name: string): number => era.bits.get(`__GFP_${name}`) ?? 0;
    masks = {
      wait: bit("WAIT") | bit("DIRECT_RECLAIM"),
      kswapd: bit("KSWAPD_RECLAIM"),
      high: bit("HIGH"),
      atomic: bit("ATOMIC"),
      memalloc: bit("MEMALLOC"),
      nomemalloc: bit("NOMEMALLOC"),
      movable: bit("MOVABLE"),
      mobility: bit("MOVABLE") | bit("RECLAIMABLE"),
    };
    CACHE.set(era, masks);
  }
  return masks;
}
