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
  ALLOC_NO_WATERMARKS,
  ALLOC_NON_BLOCK,
  ALLOC_WMARK_LOW,
  allocFlagsSlow,
  reserveFlags,
} from "../mm/gfp-alloc.ts";
import { type Memory, requestOf, ZONE_WORDS } from "../mm/memory.ts";
import { MOVABLE } from "../mm/rule.ts";
import { watermarkFast } from "../mm/zone-watermark.ts";

export interface Rights {
  /** The first pass is over: the task has reclaimed for this request already. */
  readonly past: boolean;
  /** PF_MEMALLOC. */
  readonly reclaimer: boolean;
  /** The OOM killer chose the task. */
  readonly victim: boolean;
}

/** `word` is the request's: see `requestOf`. Linux: wake_all_kswapds(), mm/page_alloc.c */
export function wakeAllKswapds(m: Memory, word: number, order: number): void {
  if (m.events === null) return;
  for (let i = (word >> 8) + 1; m.zonelist[i] >= 0; i++) {
    m.events.wakeKswapd(m.zonelist[i], order, (word >> 4) & 0xf);
  }
}

/** Returns the pfn, or NO_PFN. */
export function request(m: Memory, gfp: number, order: number, rights: Rights): number {
  return passes(m, gfp, order, rights, allocPass);
}

/** The zone that would serve the request, -1 for none, going by the marks alone. */
export function servingZone(m: Memory, gfp: number, order: number, rights: Rights): number {
  const { events } = m;
  m.events = null;
  const zone = passes(m, gfp, order, rights, firstZone);
  m.events = events;
  return zone;
}

/** Whether no zone is above its low mark for the request: it wakes kswapd then. */
export function wantsKswapd(m: Memory, gfp: number, order: number): boolean {
  const word = requestOf(m, gfp);
  const cma = m.cma && (word & 0xf) === MOVABLE ? ALLOC_CMA : 0;
  return order > m.maxOrder || firstZone(m, gfp, order, ALLOC_WMARK_LOW | cma) === NO_PFN;
}

/** Linux: get_page_from_freelist(), mm/page_alloc.c */
function firstZone(m: Memory, gfp: number, order: number, allocFlags: number): number {
  const word = requestOf(m, gfp);
  for (let i = (word >> 8) + 1; m.zonelist[i] >= 0; i++) {
    const at = m.zonelist[i] * ZONE_WORDS;
    if ((allocFlags & ALLOC_NO_WATERMARKS) !== 0) return m.zonelist[i];
    if (watermarkFast(m.zone, at, order, (word >> 4) & 0xf, allocFlags, m.marks)) {
      return m.zonelist[i];
    }
  }
  return NO_PFN;
}

function passes(
  m: Memory,
  gfp: number,
  order: number,
  rights: Rights,
  pass: (m: Memory, gfp: number, order: number, allocFlags: number) => number,
): number {
  if (order > m.maxOrder) return NO_PFN;
  const word = requestOf(m, gfp);
  const kswapd = (gfp & m.gfp.kswapd) !== 0 ? ALLOC_KSWAPD : 0;
  const cma = m.cma && (word & 0xf) === MOVABLE ? ALLOC_CMA : 0;
  if (!rights.past) {
    const fast = ALLOC_WMARK_LOW | m.zonelist[word >> 8] | kswapd | cma;
    const pfn = pass(m, gfp, order, fast);
    if (pfn >= 0) return pfn;
  }
  if (kswapd !== 0) wakeAllKswapds(m, word, order);
  const { era, rule } = m.gfp;
  let slow = allocFlagsSlow(gfp, era, rule, { order, cma: m.cma });
  const harder = order > 0 && rule.highatomicBy === "no-flag" && (slow & ALLOC_NON_BLOCK) !== 0;
  if (harder && m.rule.highatomic) slow |= ALLOC_HIGHATOMIC;
  const pfn = pass(m, gfp, order, slow);
  if (pfn >= 0) return pfn;
  const reserves = reserveFlags(gfp, era, { memalloc: rights.reclaimer, oomVictim: rights.victim });
  return reserves === 0 ? NO_PFN : pass(m, gfp, order, kswapd | cma | reserves);
}
