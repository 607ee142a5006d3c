/**
 * One recorded request, by the kernel's passes: the low mark, what the request
 * has a right to, what a reclaimer has. The reclaim between the passes is in the
 * recording, so nothing is drained here, and that kswapd is asked for is only told.
 *
 * Linux: __alloc_pages(), __alloc_pages_slowpath(), mm/page_alloc.c
 */
import { allocPass, NO_PFN } from "../mm/allocate.ts";
import {
  ALLOC_CMA,
  ALLOC_HIGHATOMIC,
  ALLOC_KSWAPD,
  ALLOC_NON_BLOCK,
  ALLOC_WMARK_LOW,
  allocFlagsSlow,
  reserveFlags,
} from "../mm/gfp-alloc.ts";
import { type Memory, requestOf } from "../mm/memory.ts";
import { MOVABLE } from "../mm/rule.ts";

export interface Rights {
  /** The first pass is over: the task has reclaimed for this request already. */
  readonly past: boolean;
  /** PF_MEMALLOC. */
  readonly reclaimer: boolean;
}

/** Returns the pfn, or NO_PFN. */
export function request(m: Memory, gfp: number, order: number, rights: Rights): number {
  if (order > m.maxOrder) return NO_PFN;
  const word = requestOf(m, gfp);
  const kswapd = (gfp & m.gfp.kswapd) !== 0 ? ALLOC_KSWAPD : 0;
  const cma = m.cma && (word & 0xf) === MOVABLE ? ALLOC_CMA : 0;
  if (!rights.past) {
    const fast = ALLOC_WMARK_LOW | m.zonelist[word >> 8] | kswapd | cma;
    const pfn = allocPass(m, gfp, order, fast);
    if (pfn >= 0) return pfn;
  }
  if (m.events !== null && kswapd !== 0) wakeAll(m, word >> 8, order);
  const { era, rule } = m.gfp;
  let slow = allocFlagsSlow(gfp, era, rule, { order, cma: m.cma });
  const harder = order > 0 && rule.highatomicBy === "no-flag" && (slow & ALLOC_NON_BLOCK) !== 0;
  if (harder && m.rule.highatomic) slow |= ALLOC_HIGHATOMIC;
  const pfn = allocPass(m, gfp, order, slow);
  if (pfn >= 0) return pfn;
  const reserves = reserveFlags(gfp, era, { memalloc: rights.reclaimer });
  return reserves === 0 ? NO_PFN : allocPass(m, gfp, order, kswapd | cma | reserves);
}

/** Linux: wake_all_kswapds(), mm/page_alloc.c */
function wakeAll(m: Memory, list: number, order: number): void {
  for (let i = list + 1; m.zonelist[i] >= 0; i++) m.events?.wakeKswapd(m.zonelist[i], order);
}
