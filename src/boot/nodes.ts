/**
 * Which RAM belongs to which node: the firmware's affinity ranges, checked as
 * the kernel checks them, laid over RAM. Everything in pfns from here on.
 *
 * A description that contradicts itself or leaves RAM out is refused as a
 * whole, and the machine has one node then. Nodes without memory are kept.
 */
import type { Issue } from "../base/issue.ts";
import { clip, intersect, type Range, totalLength } from "../base/range.ts";
import type { NodeRange } from "../formats/boot-log.ts";
import type { Policy } from "../kernels/policy.ts";
import type { Bounds } from "./arch/bounds.ts";
import type { CommandLine } from "./command-line.ts";
import { fakeNodes } from "./fake-nodes.ts";
import type { Hardware } from "./hardware.ts";
import { hex } from "./memory-map.ts";

/** Nodes and their RAM. */
export interface Nodes {
  /** Online nodes, ascending. */
  readonly nodes: readonly number[];
  /** RAM by node in pfns, sorted by start. */
  readonly memory: readonly NodeRange[];
  /** RAM that the firmware marks as hot-pluggable, on nodes that the kernel does not lie on. */
  readonly hotplug: readonly NodeRange[];
}

/** MAX_NUMNODES with CONFIG_NODES_SHIFT=10, as Debian's amd64 and arm64 kernels have at most. */
const NODES_MAX = 1024;
/** RAM that SRAT may leave out, bytes. Linux: numa_meminfo_cover_memory(), arch/x86/mm/numa.c */
const SLACK_BYTES = 2 ** 20;

/**
 * Assigns RAM to nodes. Linux: numa_init(), arch/x86/mm/numa.c and
 * drivers/base/arch_numa.c
 */
export function assignNodes(
  hardware: Hardware,
  { numa }: CommandLine,
  policy: Policy,
  bounds: Bounds,
  issues: Issue[],
): Nodes {
  if (!hardware.build.numa) return oneNode(bounds.ram);
  const startsAtRam = policy.boot.nodesStartAtRam === true;
  const readsAffinity = numa.kind === "auto" || (numa.kind === "fake" && numa.over === undefined);
  const blocks = readsAffinity ? acceptedBlocks(hardware, bounds, startsAtRam, issues) : null;
  if (numa.kind !== "fake") {
    return blocks === null ? oneNode(bounds.ram) : laidOver(blocks, hardware, bounds.ram);
  }
  if (hardware.arch === "arm64") {
    issues.push({ severity: "warning", message: "numa=fake is not modelled on arm64; ignored" });
    return blocks === null ? oneNode(bounds.ram) : laidOver(blocks, hardware, bounds.ram);
  }
  const start = startsAtRam ? (bounds.ram[0]?.start ?? 0) : 0;
  const physical = blocks ?? [{ node: 0, start, end: bounds.maxPfn }];
  const faked = fakeNodes(numa.text, physical, bounds, hardware.build.pageSize, issues);
  if (faked !== null) return emulated(faked, bounds.ram);
  return blocks === null ? oneNode(bounds.ram) : laidOver(blocks, hardware, bounds.ram);
}

function oneNode(ram: readonly Range[]): Nodes {
  return { nodes: [0], memory: ram.map((range) => ({ node: 0, ...range })), hotplug: [] };
}

/**
 * The firmware's blocks in pfns, sorted, blocks of one node joined across holes
 * that no other node lies in; null when they are not used.
 * Linux: numa_cleanup_meminfo()
 */
function acceptedBlocks(
  hardware: Hardware,
  bounds: Bounds,
  startsAtRam: boolean,
  issues: Issue[],
): NodeRange[] | null {
  const page = hardware.build.pageSize;
  const floor = startsAtRam ? (bounds.ram[0]?.start ?? 0) : 0;
  const claims: NodeRange[] = [];
  for (const { node, start, end } of hardware.affinity) {
    if (start === end) continue;
    if (!(start < end) || !Number.isInteger(node) || node < 0 || node >= NODES_MAX) {
      issues.push({
        severity: "warning",
        message: `node ${node}: the memory range ${hex(start)} to ${hex(end)} is invalid; ignored`,
      });
      continue;
    }
    const inside = {
      node,
      start: Math.max(Math.floor(start / page), floor),
      end: Math.min(Math.floor(end / page), bounds.maxPfn),
    };
    if (clip(bounds.ram, inside.start, inside.end).length > 0) claims.push(inside);
  }
  if (claims.length === 0) return null;
  claims.sort((a, b) => a.start - b.start || a.end - b.end);
  const joined = joinClaims(claims, page, issues);
  if (joined === null) return null;

  const covered = intersect(bounds.ram, joined);
  const missing = totalLength(bounds.ram) - totalLength(covered);
  const slack = hardware.arch === "arm64" ? 1 : SLACK_BYTES / page;
  if (missing < slack) return joined;
  issues.push({
    severity: "warning",
    message:
      `the nodes leave out ${Math.ceil((missing * page) / 2 ** 20)} MiB of RAM:` +
      " the kernel does not use the description and has one node",
    mend: "make the affinity ranges cover all RAM",
  });
  return null;
}

/** Sorted claims without overlaps; null when two nodes claim the same address. */
function joinClaims(
  claims: readonly NodeRange[],
  page: number,
  issues: Issue[],
): NodeRange[] | null {
  const joined: NodeRange[] = [];
  for (const claim of claims) {
    const last = joined.at(-1);
    if (last?.node === claim.node) {
      joined[joined.length - 1] = { ...last, end: Math.max(last.end, claim.end) };
      continue;
    }
    if (last !== undefined && claim.start < last.end) {
      issues.push({
        severity: "warning",
        message:
          `nodes ${last.node} and ${claim.node} both claim ${hex(claim.start * page)}:` +
          " the kernel does not use the description and has one node",
        mend: "correct the affinity ranges",
      });
      return null;
    }
    joined.push(claim);
  }
  return joined;
}

/** RAM of each block; memoryless nodes stay where the kernel brings them online. */
function laidOver(blocks: readonly NodeRange[], hardware: Hardware, ram: readonly Range[]): Nodes {
  const memory = ramOfBlocks(blocks, ram);
  const online = new Set(memory.map(({ node }) => node));
  const named = new Set([...hardware.nodes, ...hardware.affinity.map(({ node }) => node)]);
  for (const node of named) {
    // x86 brings a node without memory online when one of its CPUs comes up.
    const cpus = hardware.cpus.byNode;
    const hasCpus = cpus === null || (cpus.get(node)?.length ?? 0) > 0;
    const valid = Number.isInteger(node) && node >= 0 && node < NODES_MAX;
    if (valid && (hardware.arch !== "x86_64" || hasCpus)) online.add(node);
  }
  const nodes = [...online].sort((a, b) => a - b);
  return { nodes, memory, hotplug: hotplugRam(hardware, memory) };
}

function emulated(blocks: readonly NodeRange[], ram: readonly Range[]): Nodes {
  const memory = ramOfBlocks(blocks, ram);
  const nodes = [...new Set(memory.map(({ node }) => node))].sort((a, b) => a - b);
  return { nodes, memory, hotplug: [] };
}

/** `blocks` sorted and without overlaps, so that one pass over RAM is enough. */
function ramOfBlocks(blocks: readonly NodeRange[], ram: readonly Range[]): NodeRange[] {
  const memory: NodeRange[] = [];
  let next = 0;
  for (const { node, start, end } of blocks) {
    while ((ram[next]?.end ?? Infinity) <= start) next++;
    for (let i = next; (ram[i]?.start ?? Infinity) < end; i++) {
      const range = ram[i];
      if (range === undefined) break;
      memory.push({ node, start: Math.max(range.start, start), end: Math.min(range.end, end) });
    }
  }
  return memory;
}

/**
 * What `movable_node` may take. The node with the lowest RAM holds what the
 * kernel reserved before it read SRAT, and such nodes lose the mark.
 * Linux: numa_clear_kernel_node_hotplug()
 */
function hotplugRam(hardware: Hardware, memory: readonly NodeRange[]): NodeRange[] {
  const kernelNode = memory[0]?.node;
  const page = hardware.build.pageSize;
  const marked: NodeRange[] = [];
  for (const { node, start, end, hotplug } of hardware.affinity) {
    if (!hotplug || node === kernelNode) continue;
    const own = memory.filter((range) => range.node === node);
    for (const range of clip(own, Math.ceil(start / page), Math.floor(end / page))) {
      marked.push({ node, ...range });
    }
  }
  return marked.sort((a, b) => a.start - b.start);
}
