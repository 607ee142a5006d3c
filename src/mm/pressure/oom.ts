/**
 * Whether a request that found nothing would have somebody killed, and within which
 * bounds: the last thing a kernel does before it says no.
 *
 * Linux: __alloc_pages_may_oom(), mm/page_alloc.c; constrained_alloc(), mm/oom_kill.c
 */
import { ALLOC_CMA, ALLOC_WMARK_HIGH } from "../gfp-alloc.ts";
import { COSTLY_ORDER, type Memory, requestOf, Z_NODE, ZONE_WORDS } from "../memory.ts";
import { MOVABLE } from "../rule.ts";
import { watermarkFast } from "../zone-watermark.ts";
import type { Pages } from "./pages.ts";

/** Where the memory that lacks could have come from. */
export type OomConstraint = "none" | "cpuset" | "memory-policy";

export interface OomVerdict {
  readonly kills: boolean;
  /** Why it does, or why it does not; one sentence. */
  readonly because: string;
  readonly constraint: OomConstraint;
}

/** Nodes that the asking task may use, where that is not all of them. */
export interface OomBounds {
  readonly cpuset?: readonly number[];
  readonly policy?: readonly number[];
}

/** What a kernel of the memory's era does with a request that was refused just now. */
export function oomVerdict(
  pages: Pages,
  gfp: number,
  order: number,
  bounds: OomBounds = {},
): OomVerdict {
  const constraint = constraintOf(pages.m, bounds);
  const spared = whySpared(pages, gfp, order);
  if (spared !== null) return { kills: false, because: spared, constraint };
  const where = {
    none: "no zone of the request has memory left, and nothing more can be reclaimed",
    cpuset: "the nodes of the task's cpuset have no memory left",
    "memory-policy": "the nodes of the task's memory policy have no memory left",
  }[constraint];
  return { kills: true, because: where, constraint };
}

/** The reason for which nobody is killed; null for none. */
function whySpared({ m, rule }: Pages, gfp: number, order: number): string | null {
  const has = (...names: readonly string[]): boolean =>
    names.some((name) => (gfp & (m.gfp.era.bits.get(`__GFP_${name}`) ?? 0)) !== 0);
  const word = requestOf(m, gfp);
  const highest = m.zoneNames[(word >> 4) & 0xf] ?? "";
  if ((gfp & m.gfp.direct) === 0) return "the request cannot wait (no direct reclaim)";
  if (has("NORETRY")) return "the request does not insist (__GFP_NORETRY)";
  if (rule.costlyNeverKills && order > COSTLY_ORDER)
    return `killing does not make blocks of order ${order}: above PAGE_ALLOC_COSTLY_ORDER`;
  if (rule.costlyNeverKills && has("RETRY_MAYFAIL", "REPEAT", "THISNODE"))
    return "the request says that it may fail, or stays on its node";
  if (rule.lowmemNeverKills && (highest === "DMA" || highest === "DMA32"))
    return `a request for ${highest} never kills: who uses that memory is not known`;
  if (!has("FS")) return "the request may not enter file systems: others may free memory yet";
  if (canServeHigh(m, word, order)) return "a zone is above its high mark again";
  return null;
}

/** A last look at the high mark: another kill may have freed memory meanwhile. */
function canServeHigh(m: Memory, word: number, order: number): boolean {
  const flags = ALLOC_WMARK_HIGH | (m.cma && (word & 0xf) === MOVABLE ? ALLOC_CMA : 0);
  for (let i = (word >> 8) + 1; m.zonelist[i] >= 0; i++) {
    const at = m.zonelist[i] * ZONE_WORDS;
    if (watermarkFast(m.zone, at, order, (word >> 4) & 0xf, flags, m.marks)) return true;
  }
  return false;
}

function constraintOf(m: Memory, { cpuset, policy }: OomBounds): OomConstraint {
  const nodes = new Set<number>();
  for (let zone = 0; zone < m.zoneCount; zone++) nodes.add(m.zone[zone * ZONE_WORDS + Z_NODE]);
  const isNarrow = (allowed: readonly number[] | undefined): boolean =>
    allowed !== undefined && [...nodes].some((node) => !allowed.includes(node));
  if (isNarrow(policy)) return "memory-policy";
  return isNarrow(cpuset) ? "cpuset" : "none";
}
