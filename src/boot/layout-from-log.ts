/**
 * The layout of a boot from what its log says about zones: `Zone ranges:`, the
 * start of Movable, and the memory of each node. Exact on any architecture,
 * whatever firmware and parameters did before those lines.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import { rangeList } from "../base/range.ts";
import type { BootLog, NodeRange } from "../formats/boot-log.ts";
import type { Hardware, Layout } from "./hardware.ts";
import { hex } from "./memory-map.ts";
import { mirroredPages } from "./movable.ts";
import { donorOf, sizeZones, type ZoneExtent, zonedMemory } from "./zones.ts";

/** arm without a narrower window. Linux: setup_dma_zone(), arch/arm/mm/init.c */
const ARM_DMA_LIMIT = 0xffffffff;

/**
 * All pfns and pages; null when the log has no zone lines. Of `hardware` only
 * the build, the nodes and the DMA limit of arm are used.
 */
export function layoutFromLog(log: BootLog, hardware: Hardware): Outcome<Layout | null> {
  const issues: Issue[] = [];
  if (log.zoneRanges === null) return { value: null, issues };
  const page = hardware.build.pageSize;
  const memory = memoryOf(log, page, issues);
  if (log.zoneRanges.length === 0 || memory.length === 0) {
    issues.push({
      severity: "warning",
      message: "the log names zones but not the memory of the nodes, or the other way round",
      mend: "give the log from its first line on",
    });
    return { value: null, issues };
  }
  const limits = extentsOf(log, page, issues);
  const extents = withUpperZones(limits, hardware);
  const movableStart = new Map<number, number>();
  for (const { node, address } of log.movableStarts) {
    movableStart.set(node, Math.floor(address / page));
  }
  const mirrors = /(?:^|\s)kernelcore=mirror\b/.test(log.commandLine ?? "");
  const mirrored = mirrors && movableStart.size > 0 ? mirroredPages(hardware) : null;
  if (mirrored?.length === 0 && log.mirroredMib !== null) {
    issues.push({
      severity: "warning",
      message: "with kernelcore=mirror the log does not tell which memory is mirrored",
      mend: "give the mirrored ranges with the hardware",
    });
  }
  const nodes = nodesOf(log, hardware, memory);
  const zones = sizeZones({ extents, nodes, memory, movableStart, mirrored, sizing: "limits" });
  return {
    value: {
      zoneNames: extents.map(({ name }) => name),
      zones,
      nodes,
      memory: zonedMemory(memory, limits),
      movableStart,
      ...endsOf(log, hardware, limits, memory),
      from: "log",
    },
    issues,
  };
}

/** `Early memory node ranges` in pfns, sorted; what claims the same pfns twice is reported. */
function memoryOf(log: BootLog, page: number, issues: Issue[]): NodeRange[] {
  const ranges: NodeRange[] = [];
  for (const { node, start, end } of log.nodeRanges) {
    const range = { node, start: Math.ceil(start / page), end: Math.floor(end / page) };
    if (range.start < range.end) ranges.push(range);
  }
  ranges.sort((a, b) => a.start - b.start || a.end - b.end);
  const memory: NodeRange[] = [];
  let reached = 0;
  for (const range of ranges) {
    if (range.start < reached) {
      issues.push({
        severity: "warning",
        message: `the log lists the memory at ${hex(range.start * page)} twice; the first counts`,
        mend: "give the log of one boot",
      });
    }
    const start = Math.max(range.start, reached);
    if (start < range.end) memory.push({ ...range, start });
    reached = Math.max(reached, range.end);
  }
  return memory;
}

/** `Zone ranges:` in pfns. An empty zone stands where the one below ends. */
function extentsOf(log: BootLog, page: number, issues: Issue[]): ZoneExtent[] {
  const extents: ZoneExtent[] = [];
  let reached = 0;
  for (const { name, start, end } of log.zoneRanges ?? []) {
    if (name === "Movable" || name === "Device") continue;
    const first = Math.floor(start / page);
    const last = Math.floor(end / page);
    if (first >= last) extents.push({ name, start: reached, end: reached });
    else if (first < reached) {
      issues.push({
        severity: "error",
        message: `zone ${name} of the log starts inside the zone below it`,
        mend: "give the log of one boot, unedited",
      });
      extents.push({ name, start: reached, end: Math.max(reached, last) });
    } else extents.push({ name, start: first, end: last });
    reached = Math.max(reached, last);
  }
  return extents;
}

/** The log lists Device but never Movable; both are printed by /proc/zoneinfo. */
function withUpperZones(extents: readonly ZoneExtent[], { build }: Hardware): ZoneExtent[] {
  const upper = [{ name: "Movable", start: 0, end: 0 }];
  if (build.zoneDevice) upper.push({ name: "Device", start: 0, end: 0 });
  return [...extents, ...upper];
}

/**
 * Nodes with memory, and of those without the ones that came online: all that
 * the log sets up, unless it counts fewer zonelists; then those with CPUs.
 */
function nodesOf(log: BootLog, hardware: Hardware, memory: readonly NodeRange[]): number[] {
  const online = new Set(memory.map(({ node }) => node));
  const empty = new Set<number>();
  for (const { node } of log.nodeSpans) if (!online.has(node)) empty.add(node);
  for (const { node } of log.fallbackOrders) if (!online.has(node)) empty.add(node);
  if (empty.size === 0 && log.nodeSpans.length === 0) {
    for (const node of hardware.nodes) if (!online.has(node)) empty.add(node);
  }
  const withCpus = new Set(log.sratCpus.map(({ node }) => node));
  const count = log.zonelists?.count ?? Infinity;
  const ranked = [...empty].sort(
    (a, b) => Number(withCpus.has(b)) - Number(withCpus.has(a)) || a - b,
  );
  for (const node of ranked) if (online.size < count) online.add(node);
  return [...online].sort((a, b) => a - b);
}

/** Where low memory, all memory and possible memory end. */
function endsOf(
  log: BootLog,
  hardware: Hardware,
  limits: readonly ZoneExtent[],
  memory: readonly NodeRange[],
): Pick<Layout, "maxLowPfn" | "maxPfn" | "maxPossiblePfn" | "dmaLimitPfn"> {
  const page = hardware.build.pageSize;
  const ramEnd = memory.at(-1)?.end ?? 0;
  const top = donorOf(limits)?.end ?? ramEnd;
  const low = donorOf(limits.filter(({ name }) => name !== "HighMem"))?.end ?? top;
  const affinityEnd = rangeList(log.sratRanges).at(-1)?.end ?? 0;
  const isX8664 = hardware.arch === "x86_64";
  return {
    maxLowPfn: low,
    maxPfn: Math.min(ramEnd, top),
    maxPossiblePfn: isX8664 ? Math.max(ramEnd, Math.ceil(affinityEnd / page)) : ramEnd,
    dmaLimitPfn: dmaLimitOf(hardware, limits, memory),
  };
}

function dmaLimitOf(
  { arch, build, armDmaZoneBytes }: Hardware,
  limits: readonly ZoneExtent[],
  memory: readonly NodeRange[],
): number | null {
  if (arch === "arm") {
    const base = (memory[0]?.start ?? 0) * build.pageSize;
    const last = armDmaZoneBytes === null ? ARM_DMA_LIMIT : base + armDmaZoneBytes - 1;
    return Math.max(0, Math.floor(last / build.pageSize));
  }
  if (arch !== "arm64") return null;
  const lowest = limits.find(({ name, start, end }) => name.startsWith("DMA") && end > start);
  return lowest?.end ?? limits.at(-1)?.end ?? null;
}
