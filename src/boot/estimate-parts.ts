/**
 * What a kernel takes of RAM before the buddy allocator runs, part by part, when
 * there is no boot log to read it from: sizes only; `estimate.ts` decides where
 * each part lies.
 *
 * Parts that follow from the machine (memory map, log buffer, hash tables,
 * percpu, page tables, pools) are computed; the kernel's own image and its small
 * allocations are constants measured for each build.
 */

import type { BuildConstants } from "../kernels/builds.ts";
import { knownBuild } from "../kernels/builds.ts";
import { type Arch, is32Bit, type Policy } from "../kernels/policy.ts";
import type { CommandLine } from "./command-line.ts";
import type { Build, Hardware, Layout, Pools } from "./hardware.ts";

/** One part, in pages. */
export interface Part {
  readonly what: string;
  readonly best: number;
  readonly min: number;
  readonly max: number;
  /** The node it must come from; null for any. */
  readonly node: number | null;
  /** Exclusive upper limit in pfn; Infinity for none. */
  readonly limitPfn: number;
  /** Taken before the kernel knows its nodes. */
  readonly early: boolean;
  /** One piece, which no border between nodes may cut. */
  readonly whole?: boolean;
}

const MEASURED_PAGE = 4096; // bytes of a page on every build measured
const SECTION_BYTES = 2 ** 27; // SECTION_SIZE_BITS of x86-64, and of arm64 with 4 KiB pages
const LARGE_SECTION_BYTES = 2 ** 29; // of arm64 with 64 KiB pages

/** Pages of the devicetree that is inside the constants of arm and arm64; QEMU's FDT_MAX_SIZE. */
const DEVICETREE = 256;

/** Stands in for a build that was never measured: between the smallest and largest seen. */
const UNKNOWN: Omit<BuildConstants, "series" | "flavour" | "release"> = {
  image: 9000,
  imageFreed: 2000,
  alternatives: 8,
  rest: 0,
  spread: 4000,
  firstMib: null,
  percpu: 64,
  node: 43,
  pageStructBytes: 64,
  ramPerTablePage: 2 ** 30,
  logBufFactor: 4.5,
  initrd: 4000,
};

export interface Constants {
  readonly values: Omit<BuildConstants, "series" | "flavour" | "release">;
  /** How well the build is known. */
  readonly known: "release" | "series" | "no";
  /** Bounds of the part of the image that stays, pages. */
  readonly imageMin: number;
  readonly imageMax: number;
  readonly spread: number;
}

/** The constants to compute with, in pages of this build, and how far they may be off. */
export function constantsFor(build: Build, arch: Arch): Constants {
  const found = knownBuild(build.release, build.flavour);
  if (found === null) {
    const is32 = is32Bit(arch);
    const values = inPagesOf(
      is32 ? { ...UNKNOWN, image: 5000, pageStructBytes: 40, node: 0 } : UNKNOWN,
      build.pageSize,
    );
    const imageMin = Math.floor(values.image / 8);
    return { values, known: "no", imageMin, imageMax: values.image * 3, spread: values.spread };
  }
  const values = found.constants;
  const { image } = values;
  if (found.exactRelease) {
    return { values, known: "release", imageMin: image, imageMax: image, spread: values.spread };
  }
  // Releases of one series differ by fixes only; a tenth is far more than we have seen.
  const tenth = Math.ceil(image / 10);
  const spread = values.spread + 256;
  return { values, known: "series", imageMin: image - tenth, imageMax: image + tenth, spread };
}

function inPagesOf(values: Constants["values"], pageSize: number): Constants["values"] {
  const pages = (measured: number): number => Math.ceil((measured * MEASURED_PAGE) / pageSize);
  return {
    ...values,
    image: pages(values.image),
    imageFreed: pages(values.imageFreed),
    alternatives: pages(values.alternatives),
    spread: pages(values.spread),
    percpu: pages(values.percpu),
    node: pages(values.node),
    initrd: pages(values.initrd),
  };
}

/** A part of known size, without limit. */
export function exactly(what: string, pages: number, node: number | null = null): Part {
  const [best, min, max] = [Math.round(pages), Math.floor(pages), Math.ceil(pages)];
  return { what, best, min, max, node, limitPfn: Infinity, early: false };
}

/** All parts but the image, the first MiB and what has a fixed place; in the order they are taken. */
export function allocatedParts(
  hardware: Hardware,
  commandLine: CommandLine,
  layout: Layout,
  pools: Pools,
  policy: Policy,
  constants: Constants,
): Part[] {
  const { values } = constants;
  const { pageSize } = hardware.build;
  const ramPages = layout.memory.reduce((sum, ram) => sum + ram.end - ram.start, 0);
  const memoryNodes = [...new Set(layout.memory.map((ram) => ram.node))];
  const parts: Part[] = [];
  const tables = exactly("page tables", (ramPages * pageSize) / values.ramPerTablePage);
  const logBuffer = logBufferPages(hardware, commandLine, values.logBufFactor);
  // Table pages of an unknown build: none with 1 GiB mappings, one to 2 MiB of RAM with 4 KiB ones.
  const bounds = constants.known === "no" ? { min: 0, max: Math.ceil(ramPages / 500) } : {};
  parts.push({ ...tables, ...bounds, early: true });
  parts.push({ ...exactly("log buffer", logBuffer), early: true });
  for (const node of layout.nodes) {
    const home = memoryNodes.includes(node) ? node : null;
    parts.push(exactly("node data", values.node, home));
  }
  parts.push(...memoryMaps(hardware, layout, memoryNodes, values.pageStructBytes));
  parts.push(...percpuParts(hardware, commandLine, memoryNodes, values.percpu));
  if (memoryNodes.length === 1 || is32Bit(hardware.arch)) {
    parts.push(hashTables(hardware, layout, values.pageStructBytes));
  }
  const { swiotlb } = pools;
  if (swiotlb !== null) {
    const bits = is32Bit(hardware.arch) ? "bits32" : "bits64";
    const slotBytes = policy.swiotlb.slotMetadataBytes[bits];
    const limitPfn = Math.min(2 ** 32 / pageSize, layout.dmaLimitPfn ?? Infinity);
    parts.push({ ...exactly("swiotlb", swiotlb.bytes / pageSize), limitPfn, whole: true });
    parts.push(exactly("swiotlb slots", (swiotlb.slots * slotBytes) / pageSize));
  }
  parts.push(exactly("rest", values.rest));
  const { devicetreeBytes } = hardware;
  if (devicetreeBytes !== undefined) {
    const best = Math.ceil(devicetreeBytes / pageSize) - DEVICETREE;
    const own = { best, min: best, max: Math.max(0, best) };
    parts.push({ ...exactly("devicetree", 0), ...own, limitPfn: nearImage(layout, pageSize) });
  } else if (hardware.arch === "arm64" && (hardware.unmapped ?? []).length > 0) {
    // The boards measured pad their devicetree to 1 MiB; EFI passes one of a page or two.
    parts.push({ ...exactly("devicetree", 0), best: -DEVICETREE, min: -DEVICETREE });
  }
  return parts;
}

/** Boot loaders put a devicetree near the kernel. Linux: Documentation/arm64/booting.rst, 512 MiB up to 4.2 */
function nearImage({ memory }: Layout, pageSize: number): number {
  return (memory[0]?.start ?? 0) + 2 ** 29 / pageSize;
}

/** Pages by which any zone may be off: small tables grow with RAM, nodes and CPUs, each in its way. */
export function doubtOf(hardware: Hardware, layout: Layout, constants: Constants): number {
  const ramPages = layout.memory.reduce((sum, ram) => sum + ram.end - ram.start, 0);
  const gib = (ramPages * hardware.build.pageSize) / 2 ** 30;
  // Options that cost memory by the page (page_owner, page_ext) may be set in a build we do not know.
  const perGib = constants.known === "no" ? 1024 : 1;
  const own = perGib * gib + 16 * layout.nodes.length + 4 * hardware.cpus.possible;
  return Math.ceil(constants.spread + own);
}

/** Bytes of `log_buf_len=`, or what many CPUs make of it. Linux: log_buf_add_cpu(), kernel/printk/printk.c */
function logBufferPages(hardware: Hardware, commandLine: CommandLine, factor: number): number {
  const builtIn = 2 ** 17; // CONFIG_LOG_BUF_SHIFT of Debian's builds
  const perCpu = 2 ** 12; // CONFIG_LOG_CPU_MAX_BUF_SHIFT
  const forCpus = (hardware.cpus.possible - 1) * perCpu;
  const asked = commandLine.logBufBytes ?? (forCpus > builtIn / 2 ? builtIn + forCpus : 0);
  return asked <= builtIn ? 0 : (powerOfTwo(asked) * factor) / hardware.build.pageSize;
}

/**
 * The memory map: struct pages of every section that has RAM (64-bit), or of the
 * whole span of a node (32-bit). Linux: sparse_init_nid(), mm/sparse.c;
 * alloc_node_mem_map(), mm/mm_init.c
 */
function memoryMaps(
  hardware: Hardware,
  layout: Layout,
  nodes: readonly number[],
  structBytes: number,
): Part[] {
  const { pageSize } = hardware.build;
  const sectionPages = (pageSize > 2 ** 14 ? LARGE_SECTION_BYTES : SECTION_BYTES) / pageSize;
  if (!is32Bit(hardware.arch)) return sectionMaps(layout, sectionPages, structBytes / pageSize);
  return nodes.map((node) => {
    // Of the zones, not of RAM: highmem= leaves RAM outside of every zone.
    const zones = layout.zones.filter((zone) => zone.node === node && zone.spanned > 0);
    const start = Math.min(...zones.map((zone) => zone.startPfn));
    const end = Math.max(...zones.map((zone) => zone.startPfn + zone.spanned));
    return exactly("memory map", (Math.max(0, end - start) * structBytes) / pageSize, node);
  });
}

/**
 * A section that two nodes share has one map, on the node of its first RAM.
 * Linux: memory_present(), mm/sparse.c
 */
function sectionMaps(layout: Layout, sectionPages: number, mapPagesPerPage: number): Part[] {
  const sectionsOf = new Map<number, number>();
  let next = 0;
  for (const ram of layout.memory) {
    const first = Math.max(next, Math.floor(ram.start / sectionPages));
    const end = Math.ceil(ram.end / sectionPages);
    sectionsOf.set(ram.node, (sectionsOf.get(ram.node) ?? 0) + Math.max(0, end - first));
    next = Math.max(next, end);
  }
  return [...sectionsOf].map(([node, sections]) =>
    exactly("memory map", sections * sectionPages * mapPagesPerPage, node),
  );
}

/** First chunks of the possible CPUs, on their nodes where those are known. */
function percpuParts(
  hardware: Hardware,
  commandLine: CommandLine,
  memoryNodes: readonly number[],
  pages: number,
): Part[] {
  const { byNode, possible } = hardware.cpus;
  const parts: Part[] = [];
  let left = possible;
  if (commandLine.numa.kind === "fake" && hardware.affinity.length === 0) {
    // Firmware names no node of a CPU, so they are dealt to the fake ones. Linux: numa_init_array()
    return memoryNodes.map((node, nth) => {
      const dealt = Math.ceil((possible - nth) / memoryNodes.length);
      return exactly("percpu", Math.max(0, dealt) * pages, node);
    });
  }
  for (const [node, cpus] of memoryNodes.length > 1 && byNode !== null ? byNode : []) {
    const here = Math.min(left, cpus.length);
    left -= here;
    parts.push(exactly("percpu", here * pages, memoryNodes.includes(node) ? node : null));
  }
  parts.push(exactly("percpu", left * pages));
  return parts;
}

/**
 * Dentry and inode hash tables, the large ones taken from memblock (not with
 * several nodes on 64-bit: then they are mapped later from pages).
 * Linux: alloc_large_system_hash(), mm/mm_init.c
 */
function hashTables(hardware: Hardware, layout: Layout, structBytes: number): Part {
  const { pageSize } = hardware.build;
  const pointer = is32Bit(hardware.arch) ? 4 : 8;
  let low = 0;
  for (const ram of layout.memory) {
    low += Math.max(0, Math.min(ram.end, layout.maxLowPfn) - ram.start);
  }
  const size = (kernelPages: number): number => {
    // One bucket to 8 KiB whatever the page size; above 64 GiB half as fast as memory grows.
    let entries = powerOfTwo((kernelPages * pageSize) / 8192);
    for (let at = 2 ** 36 / pageSize; at < kernelPages; at *= 4) entries /= 2;
    return (entries * pointer * 1.5) / pageSize;
  };
  const kernelPages = low - (low * structBytes) / pageSize;
  const part = exactly("hash tables", size(kernelPages));
  return { ...part, min: size(kernelPages * 0.97), max: Math.ceil(size(low)) };
}

export function powerOfTwo(value: number): number {
  let power = 1;
  while (power < value) power *= 2;
  return power;
}
