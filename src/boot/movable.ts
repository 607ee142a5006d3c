/**
 * Where Movable starts on each node: `kernelcore=` and `movablecore=` leave so
 * much memory to the kernel, spread evenly over the nodes; `movable_node` gives
 * whole hot-pluggable ranges away, `kernelcore=mirror` what is not mirrored.
 *
 * All in pfns and pages. A node without an entry has no Movable.
 */
import type { Issue } from "../base/issue.ts";
import { type Range, rangeList, subtract, totalLength } from "../base/range.ts";
import type { Policy } from "../kernels/policy.ts";
import type { CommandLine, CoreSize } from "./command-line.ts";
import type { Hardware } from "./hardware.ts";
import { wholePages } from "./memory-map.ts";
import type { Nodes } from "./nodes.ts";

/** Linux: MAX_ORDER_NR_PAGES by page size: 4 MiB, 32 MiB, 512 MiB. */
export function maxOrderPages({ build }: Hardware): number {
  if (build.maxOrderPages !== undefined) return build.maxOrderPages;
  const usual = build.pageSize === 65536 ? 8192 : build.pageSize === 16384 ? 2048 : 1024;
  return Math.max(usual, build.pageblockPages);
}

/** First pfn of Movable by node. Linux: find_zone_movable_pfns_for_nodes(), mm/mm_init.c */
export function findMovableStarts(
  hardware: Hardware,
  commandLine: CommandLine,
  policy: Policy,
  nodes: Nodes,
  /** First pfn of the zone that gives pages to Movable. */
  donorStart: number,
  issues: Issue[],
): Map<number, number> {
  const ranges = rangesByNode(nodes);
  const round = maxOrderPages(hardware);
  if (commandLine.movableNode) {
    const starts = new Map<number, number>();
    for (const { node, start } of nodes.hotplug) {
      starts.set(node, Math.min(starts.get(node) ?? Infinity, start));
    }
    return rounded(starts, ranges, round);
  }
  if (commandLine.kernelcore?.kind === "mirror") {
    return rounded(unmirroredStarts(hardware, policy, ranges, issues), ranges, round);
  }
  const total = totalLength(nodes.memory);
  const kernelcore = kernelcorePages(commandLine, total, hardware.build.pageSize, round);
  if (kernelcore === 0 || kernelcore >= total) return new Map();
  return rounded(spread(kernelcore, ranges, donorStart), ranges, round);
}

/** RAM of each node with memory, nodes ascending. */
function rangesByNode({ memory }: Nodes): Map<number, Range[]> {
  const byNode = new Map<number, Range[]>();
  for (const { node, start, end } of memory) {
    const list = byNode.get(node);
    if (list === undefined) byNode.set(node, [{ start, end }]);
    else list.push({ start, end });
  }
  return new Map([...byNode].sort(([a], [b]) => a - b));
}

function kernelcorePages(
  { kernelcore, movablecore }: CommandLine,
  total: number,
  pageSize: number,
  round: number,
): number {
  const core = pagesOf(kernelcore, total, pageSize);
  const movable = pagesOf(movablecore, total, pageSize);
  if (movable === 0) return core;
  const atLeast = Math.min(total, Math.ceil(movable / round) * round);
  return Math.max(core, total - atLeast);
}

function pagesOf(size: CoreSize | null, total: number, pageSize: number): number {
  if (size === null || size.kind === "mirror") return 0;
  if (size.kind === "bytes") return Math.floor(size.bytes / pageSize);
  return Math.floor((total * size.percent) / 100);
}

/** Divides `kernelcore` pages over the nodes, and again what a small node could not take. */
function spread(
  kernelcore: number,
  ranges: ReadonlyMap<number, readonly Range[]>,
  donorStart: number,
): Map<number, number> {
  const starts = new Map<number, number>();
  let required = kernelcore;
  let usable = ranges.size;
  do {
    let perNode = Math.floor(required / usable);
    for (const [node, own] of ranges) {
      if (required < perNode) perNode = Math.floor(required / usable);
      required -= takeFromNode(node, own, perNode, required, donorStart, starts);
    }
    usable--;
  } while (usable > 0 && required > usable);
  return starts;
}

/** Moves the node's start up by its share and returns how much of `required` that met. */
function takeFromNode(
  node: number,
  own: readonly Range[],
  share: number,
  required: number,
  donorStart: number,
  starts: Map<number, number>,
): number {
  let remaining = share;
  let met = 0;
  for (const range of own) {
    let start = Math.max(range.start, starts.get(node) ?? 0);
    if (start >= range.end) continue;
    if (start < donorStart) {
      // Pages that Movable could not have anyway count as the kernel's.
      const below = Math.min(range.end, donorStart) - start;
      remaining -= Math.min(below, remaining);
      met += Math.min(below, required - met);
      if (range.end <= donorStart) {
        starts.set(node, range.end);
        continue;
      }
      start = donorStart;
    }
    const pages = Math.min(range.end - start, remaining);
    starts.set(node, start + pages);
    met += Math.min(required - met, pages);
    remaining -= pages;
    if (remaining === 0) break;
  }
  return met;
}

/** Where memory that is not mirrored begins above 4 GiB. */
function unmirroredStarts(
  hardware: Hardware,
  policy: Policy,
  ranges: ReadonlyMap<number, readonly Range[]>,
  issues: Issue[],
): Map<number, number> {
  const starts = new Map<number, number>();
  const mirrored = mirroredPages(hardware);
  if (mirrored.length === 0) {
    const isIgnored = policy.boot.mirrorNeedsMirrors === true;
    issues.push({
      severity: "warning",
      message: `the machine has no mirrored memory: ${
        isIgnored ? "kernelcore=mirror is ignored" : "all of it above 4 GiB becomes Movable"
      }`,
      mend: "give the mirrored ranges with the hardware",
    });
    if (isIgnored) return starts;
  }
  const fourGib = 2 ** 32 / hardware.build.pageSize;
  for (const [node, own] of ranges) {
    const first = subtract(own, mirrored).find(({ start }) => start >= fourGib);
    if (first !== undefined) starts.set(node, first.start);
  }
  return starts;
}

/** Mirrored ranges in pfns. */
export function mirroredPages({ mirrored, build }: Hardware): Range[] {
  return wholePages(rangeList(mirrored ?? []), build.pageSize);
}

/** Starts rounded up to a block of the highest order; beyond the node there is no Movable. */
function rounded(
  starts: ReadonlyMap<number, number>,
  ranges: ReadonlyMap<number, readonly Range[]>,
  round: number,
): Map<number, number> {
  const result = new Map<number, number>();
  for (const [node, start] of starts) {
    const up = Math.ceil(start / round) * round;
    if (up < (ranges.get(node)?.at(-1)?.end ?? 0)) result.set(node, up);
  }
  return result;
}
