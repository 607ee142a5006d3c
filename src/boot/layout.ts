/**
 * The layout of a boot from nothing but hardware and parameters: which pfns
 * are in which zone of which node, in the order in which a kernel finds out:
 * RAM after `mem=` and `memmap=`, the architecture's limits, nodes, Movable,
 * zones. Every step costs by the number of ranges, never by the number of pages.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import { rangeList } from "../base/range.ts";
import type { Arch, Policy, ZoneSizing } from "../kernels/policy.ts";
import { boundsArm } from "./arch/arm.ts";
import { boundsArm64 } from "./arch/arm64.ts";
import type { Bounds, FindBounds, ZoneBound } from "./arch/bounds.ts";
import { boundsCustom } from "./arch/custom.ts";
import { boundsPlain } from "./arch/plain.ts";
import { boundsX8632 } from "./arch/x86_32.ts";
import { boundsX8664 } from "./arch/x86_64.ts";
import type { CommandLine } from "./command-line.ts";
import type { Hardware, Layout } from "./hardware.ts";
import { findMovableStarts, mirroredPages } from "./movable.ts";
import { assignNodes } from "./nodes.ts";
import {
  donorOf,
  extentsOf,
  netOfMemmap,
  sizeZones,
  type ZoneExtent,
  zonedMemory,
} from "./zones.ts";

const RULES: Record<Arch, FindBounds> = {
  x86_64: boundsX8664,
  i386: boundsX8632,
  arm: boundsArm,
  arm64: boundsArm64,
  ia64: boundsPlain,
  riscv: boundsPlain,
  powerpc: boundsPlain,
  powerpc32: boundsPlain,
  s390: boundsPlain,
  mips: boundsPlain,
  mips64: boundsPlain,
  custom: boundsCustom,
};

/**
 * Lays out the zones. All pfns and pages. With an issue of severity "error" the
 * value is a layout without zones. Never throws on bad input.
 * Linux: setup_arch() to free_area_init()
 */
export function layOut(
  described: Hardware,
  commandLine: CommandLine,
  policy: Policy,
): Outcome<Layout> {
  const issues: Issue[] = [];
  const hardware = withSoundLimits(described, issues);
  if (!isPowerOfTwo(hardware.build.pageSize)) {
    issues.push({ severity: "error", message: "the page size must be a power of two" });
    return { value: emptyLayout(), issues };
  }
  const bounds = RULES[hardware.arch](hardware, commandLine, policy, issues);
  if (bounds === null) {
    if (!issues.some(({ severity }) => severity === "error")) {
      issues.push({ severity: "error", message: "the zones cannot be laid out" });
    }
    return { value: emptyLayout(), issues };
  }
  const sizing = sizingOf(hardware, policy);
  const start = sizing === "limits" ? (bounds.ram[0]?.start ?? 0) : 0;
  const limits = extentsOf(withFixed(bounds.zones, policy.boot.fixedZones), start);
  if (donorOf(limits) === undefined) {
    issues.push({
      severity: "error",
      message: "all RAM lies above what this kernel can use",
      mend: "check where RAM starts, mem= and vmalloc=, or use a kernel with HIGHMEM",
    });
    return { value: emptyLayout(), issues };
  }
  return { value: layoutOf(hardware, commandLine, policy, bounds, limits, issues), issues };
}

/** ia64's zones start with the node's RAM where it is built for several nodes (discontig.c). */
function sizingOf({ arch, build }: Hardware, { boot }: Policy): ZoneSizing {
  if (arch === "custom" || (arch === "ia64" && build.numa)) return "limits";
  return boot.sizingOn?.[arch] ?? boot.sizing;
}

/** The zones of a kernel that has always the same, those that were not found empty. */
function withFixed(found: readonly ZoneBound[], fixed: readonly string[] | null): ZoneBound[] {
  if (fixed === null) return [...found];
  let last = 0;
  return fixed.map((name) => {
    last = found.find((zone) => zone.name === name)?.limitPfn ?? last;
    return { name, limitPfn: last };
  });
}

/** DMA limits that are no addresses are reported and dropped. */
function withSoundLimits(hardware: Hardware, issues: Issue[]): Hardware {
  const sound = (bytes: number | null): number | null => {
    if (bytes === null || bytes === Infinity) return null;
    if (bytes >= 1) return bytes;
    issues.push({
      severity: "warning",
      message: `a DMA limit of ${bytes} bytes is ignored`,
      mend: "give the first address that devices do not reach",
    });
    return null;
  };
  const { dmaLimit, armDmaZoneBytes } = hardware;
  return { ...hardware, dmaLimit: sound(dmaLimit), armDmaZoneBytes: sound(armDmaZoneBytes) };
}

function layoutOf(
  hardware: Hardware,
  commandLine: CommandLine,
  policy: Policy,
  bounds: Bounds,
  limits: readonly ZoneExtent[],
  issues: Issue[],
): Layout {
  const nodes = assignNodes(hardware, commandLine, policy, bounds, issues);
  const donorStart = donorOf(limits)?.start ?? 0;
  const fixed = policy.boot.fixedZones !== null;
  const movableStart = fixed
    ? new Map<number, number>()
    : findMovableStarts(hardware, commandLine, policy, nodes, donorStart, issues);
  const extents = fixed ? limits : withUpperZones(limits, hardware, movableStart.size > 0);
  const mirrors = commandLine.kernelcore?.kind === "mirror" && !commandLine.movableNode;
  const mirrored = mirrors ? mirroredPages(hardware) : null;
  const sizing = sizingOf(hardware, policy);
  const gross = sizeZones({ ...nodes, extents, movableStart, mirrored, sizing });
  const zones = netOfMemmap(gross, hardware, policy);
  return {
    zoneNames: extents.map(({ name }) => name),
    zones,
    nodes: nodes.nodes,
    memory: zonedMemory(nodes.memory, limits),
    movableStart,
    maxLowPfn: bounds.maxLowPfn,
    maxPfn: bounds.maxPfn,
    maxPossiblePfn: Math.max(bounds.maxPossiblePfn, endOfAffinity(hardware, commandLine)),
    dmaLimitPfn: bounds.dmaLimitPfn,
    from: "parameters",
  };
}

/**
 * Movable and Device, which have no limits. Every kernel prints Movable; a
 * machine that is made up has it when it lists it or pages go there.
 */
function withUpperZones(
  extents: readonly ZoneExtent[],
  { arch, build, customZones }: Hardware,
  hasMovable: boolean,
): ZoneExtent[] {
  const names: string[] = [];
  const listed = customZones.some(({ name }) => name === "Movable");
  if (arch !== "custom" || listed || hasMovable) names.push("Movable");
  if (build.zoneDevice) names.push("Device");
  return [...extents, ...names.map((name) => ({ name, start: 0, end: 0 }))];
}

/**
 * x86 counts memory that SRAT names as possible, present or not: bounce buffers
 * are then ready for what may be plugged in. Linux: acpi_numa_memory_affinity_init()
 */
function endOfAffinity({ arch, build, affinity }: Hardware, { numa }: CommandLine): number {
  const isRead = numa.kind === "auto" || (numa.kind === "fake" && numa.over === undefined);
  if (arch !== "x86_64" || !build.numa || !isRead) return 0;
  const end = rangeList(affinity).at(-1)?.end ?? 0;
  return Math.ceil(end / build.pageSize);
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}

function emptyLayout(): Layout {
  return {
    zoneNames: [],
    zones: [],
    nodes: [],
    memory: [],
    movableStart: new Map(),
    maxLowPfn: 0,
    maxPfn: 0,
    maxPossiblePfn: 0,
    dmaLimitPfn: null,
    from: "parameters",
  };
}
