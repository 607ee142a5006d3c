/**
 * Whether a request that found nothing would have somebody killed, and within which
 * bounds: the last thing a kernel does before it says no.
 *
 * Linux: __alloc_pages_may_oom(), mm/page_alloc.c; out_of_memory(), constrained_alloc(),
 * mm/oom_kill.c; try_charge_memcg(), mem_cgroup_oom(), mm/memcontrol.c
 */
import { assertOrder } from "../arguments.ts";
import { ALLOC_CMA, ALLOC_WMARK_HIGH } from "../gfp-alloc.ts";
import { COSTLY_ORDER, type Memory, requestOf, Z_NODE, ZONE_WORDS } from "../memory.ts";
import { MOVABLE } from "../rule.ts";
import { watermarkFast } from "../zone-watermark.ts";
import { zonesOfList } from "./direct.ts";
import type { Pages } from "./pages.ts";

/** Where the memory that lacks could have come from. */
export type OomConstraint = "none" | "cpuset" | "memory-policy" | "memcg";

export interface OomVerdict {
  readonly kills: boolean;
  /** Why it does, or why it does not; one sentence. */
  readonly because: string;
  readonly constraint: OomConstraint;
}

/** What bounds the asking task; nothing by default. */
export interface OomBounds {
  /** Nodes of its cpuset. They bind requests with __GFP_HARDWALL, and others by `hardwall`. */
  readonly cpuset?: readonly number[];
  /** Nodes of the nearest cpuset above that is a hard wall; all by default. */
  readonly hardwall?: readonly number[];
  /** Nodes of the memory policy that the request is bound to. */
  readonly policy?: readonly number[];
  /** It was the limit of a memory cgroup that refused, and not a zone; judged by 6.1's rules. */
  readonly memcg?: boolean;
}

/** What a kernel of the memory's era does with a request that was refused just now. */
export function oomVerdict(
  pages: Pages,
  gfp: number,
  order: number,
  bounds: OomBounds = {},
): OomVerdict {
  assertOrder(pages.m, order);
  const has = (...names: readonly string[]): boolean =>
    names.some((name) => (gfp & (pages.m.gfp.era.bits.get(`__GFP_${name}`) ?? 0)) !== 0);
  const constraint = constraintOf(pages, gfp, has, bounds);
  const spared =
    bounds.memcg === true
      ? whySparedByLimit(pages, gfp, order, has)
      : whySpared(pages, gfp, order, has, bounds);
  if (spared !== null) return { kills: false, because: spared, constraint };
  const where = {
    none: "no zone of the request has memory left, and nothing more can be reclaimed",
    cpuset: "the nodes of the task's cpuset have no memory left",
    "memory-policy": "the nodes of the task's memory policy have no memory left",
    memcg: "the memory cgroup is at its limit, and nothing more of it can be reclaimed",
  }[constraint];
  return { kills: true, because: where, constraint };
}

type Has = (...names: readonly string[]) => boolean;

const CANNOT_WAIT = "the request cannot wait (no direct reclaim)";
const NO_RETRY = "the request does not insist (__GFP_NORETRY)";
const costly = (order: number): string =>
  `killing does not make blocks of order ${order}: above PAGE_ALLOC_COSTLY_ORDER`;

/** The reason for which nobody is killed; null for none. */
function whySpared(
  { m, rule }: Pages,
  gfp: number,
  order: number,
  has: Has,
  bounds: OomBounds,
): string | null {
  const word = requestOf(m, gfp);
  const highest = m.zoneNames[(word >> 4) & 0xf] ?? "";
  if ((gfp & m.gfp.direct) === 0) return CANNOT_WAIT;
  if (has("NORETRY")) return NO_RETRY;
  if (canServeHigh(m, word, order, bounds)) return "a zone is above its high mark again";
  const insists = has("NOFAIL") ? rule.nofailKills : "never";
  if (insists === "never") {
    if (rule.costlyNeverKills && order > COSTLY_ORDER) return costly(order);
    if (rule.mayFailNeverKills && has("RETRY_MAYFAIL")) return "the request says that it may fail";
    if (rule.costlyNeverKills && has("THISNODE")) return "the request stays on its node";
    if (rule.lowmemNeverKills && (highest === "DMA" || highest === "DMA32"))
      return `a request for ${highest} never kills: who uses that memory is not known`;
  }
  if (!has("FS") && insists !== "always")
    return "the request may not enter file systems: others may free memory yet";
  return null;
}

/** Linux: try_charge_memcg(), mem_cgroup_oom() of 6.1 */
function whySparedByLimit({ m }: Pages, gfp: number, order: number, has: Has): string | null {
  if ((gfp & m.gfp.direct) === 0) return CANNOT_WAIT;
  if (has("NORETRY")) return NO_RETRY;
  if (has("RETRY_MAYFAIL")) return "the request says that it may fail";
  return order > COSTLY_ORDER ? costly(order) : null;
}

/** A last look at the high mark, inside all walls: another kill may have freed memory meanwhile. */
function canServeHigh(m: Memory, word: number, order: number, bounds: OomBounds): boolean {
  const flags = ALLOC_WMARK_HIGH | (m.cma && (word & 0xf) === MOVABLE ? ALLOC_CMA : 0);
  return zonesOfList(m, word >> 8).some((zone) => {
    const at = zone * ZONE_WORDS;
    const node = m.zone[at + Z_NODE];
    if (!isIn(node, bounds.policy) || !isIn(node, bounds.cpuset)) return false;
    return watermarkFast(m.zone, at, order, (word >> 4) & 0xf, flags, m.marks);
  });
}

function isIn(node: number, nodes: readonly number[] | undefined): boolean {
  return nodes === undefined || nodes.includes(node);
}

/** Linux: constrained_alloc(), mm/oom_kill.c; cpuset_node_allowed(), kernel/cgroup/cpuset.c */
function constraintOf(
  { m, rule }: Pages,
  gfp: number,
  has: Has,
  { cpuset, hardwall, policy, memcg }: OomBounds,
): OomConstraint {
  if (memcg === true) return "memcg";
  if (rule.constraint === "none" || (rule.constraint === "policy-first" && has("THISNODE")))
    return "none";
  const zones = zonesOfList(m, requestOf(m, gfp) >> 8).filter((zone) =>
    isIn(nodeOf(m, zone), policy),
  );
  const isWalled = zones.some((zone) => {
    const node = nodeOf(m, zone);
    return !isIn(node, cpuset) && (has("HARDWALL") || !isIn(node, hardwall));
  });
  const reached =
    rule.constraint === "cpuset-first" ? zones.map((zone) => nodeOf(m, zone)) : policy;
  const isNarrow = m.nodes.some((node) => !isIn(node, reached));
  if (rule.constraint === "cpuset-first") {
    if (isWalled) return "cpuset";
    return isNarrow ? "memory-policy" : "none";
  }
  if (isNarrow) return "memory-policy";
  return isWalled ? "cpuset" : "none";
}

function nodeOf(m: Memory, zone: number): number {
  return m.zone[zone * ZONE_WORDS + Z_NODE];
}
