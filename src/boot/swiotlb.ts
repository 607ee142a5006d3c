/**
 * Whether a kernel sets up a bounce pool, how large it is, and where: the boot
 * log's word where there is one, else the rules of each architecture.
 *
 * A slot is 2 KiB, a segment 128 slots; no mapping spans two segments.
 *
 * `software IO TLB: mapped` is no proof either way: it is missing where
 * `swiotlb=force` made a pool on a small machine, and x86 prints "Using software
 * bounce buffering" with `swiotlb=noforce`, where there is none. The request to
 * memblock and, from 6.0 on, `area num` are right.
 *
 * Linux: swiotlb_init_remap(), kernel/dma/swiotlb.c; pci_swiotlb_detect(),
 * arch/x86/kernel/pci-dma.c; mem_init(), arch/{arm,arm64}/mm/init.c
 */
import type { BootLog } from "../formats/boot-log.ts";
import { type Arch, is32Bit, type Policy } from "../kernels/policy.ts";
import type { CommandLine } from "./command-line.ts";
import type { Hardware, Layout, SwiotlbPool } from "./hardware.ts";
import { grantsOf } from "./memblock.ts";

const SLOT_BYTES = 2048; // 1 << IO_TLB_SHIFT
const SEGMENT_SLOTS = 128; // IO_TLB_SEGSIZE
const DEFAULT_SLOTS = 32768; // IO_TLB_DEFAULT_SIZE >> IO_TLB_SHIFT: 64 MiB
const FOUR_GIB = 2 ** 32;

/** Callers of the requests for the pool and for its slot table, in this order. */
const POOL_CALLER = /^swiotlb_init/;

/**
 * Architectures where no rule of the whole kernel makes a pool: boards of powerpc and mips ask for one,
 * s390 has one in protected guests. Linux: swiotlb_detect_4g(), arch/powerpc/mm/; pv_init(), arch/s390/mm/init.c
 */
const POOLLESS: ReadonlySet<Arch> = new Set(["powerpc", "powerpc32", "s390", "mips", "mips64"]);

export type SwiotlbPlan =
  | { readonly pool: SwiotlbPool; readonly whyNot: null }
  | { readonly pool: null; readonly whyNot: string };

/** The pool of this boot, or why there is none; the log wins over the rules. */
export function planSwiotlb(
  hardware: Hardware,
  commandLine: CommandLine,
  layout: Layout,
  policy: Policy,
  log: BootLog | null,
): SwiotlbPlan {
  const ruled = swiotlbByRule(hardware, commandLine, layout, policy);
  if (log === null) return ruled;
  const seen = seenInLog(log, policy);
  if (seen === "unknown") return ruled;
  if (seen === "none") {
    return ruled.pool === null ? ruled : { pool: null, whyNot: "the boot log shows no pool" };
  }
  const size = ruled.pool ?? poolOf(hardware, commandLine, layout, policy, false, "");
  const bytes = seen.bytes ?? size.bytes;
  const slots = bytes / SLOT_BYTES;
  return {
    pool: {
      start: seen.start,
      bytes,
      slots,
      areas: policy.swiotlb.areas ? (log.swiotlb.areas ?? size.areas) : 1,
      maxMapping: maxMapping(slots),
      reason: ruled.pool?.reason ?? "the boot log shows it",
    },
    whyNot: null,
  };
}

/** The rules alone; the place stays open. */
function swiotlbByRule(
  hardware: Hardware,
  commandLine: CommandLine,
  layout: Layout,
  policy: Policy,
): SwiotlbPlan {
  const { force, noforce } = commandLine.swiotlb;
  const { arch, build } = hardware;
  if (arch === "custom") return { pool: null, whyNot: "the machine description has no pool" };
  if (!force && POOLLESS.has(arch)) {
    return { pool: null, whyNot: `${arch} sets one up for some boards or guests only` };
  }
  if (is32Bit(arch) && !build.physicalExtension) {
    return { pool: null, whyNot: "no address of this build is above 4 GiB" };
  }
  if (noforce) return { pool: null, whyNot: "swiotlb=noforce" };
  const plan = (reduced: boolean, reason: string): SwiotlbPlan => {
    const pool = poolOf(hardware, commandLine, layout, policy, reduced, reason);
    if (pool.bytes <= largestRange(hardware, layout)) return { pool, whyNot: null };
    return { pool: null, whyNot: `${pool.slots} slots fit in no range of RAM below 4 GiB` };
  };
  if (arch === "x86_64" || arch === "i386") {
    const off = commandLine.iommu.includes("off");
    if (layout.maxPossiblePfn * build.pageSize > FOUR_GIB && !off) {
      return plan(false, "RAM above 4 GiB");
    }
    if (commandLine.iommu.includes("soft")) return plan(false, "iommu=soft");
    if (force) return plan(false, "swiotlb=force");
    return { pool: null, whyNot: off ? "iommu=off" : "all RAM is below 4 GiB" };
  }
  // arm's limit is the pfn of the last byte that is reached, 0xfffff, so RAM up to 4 GiB is beyond it.
  const reach = FOUR_GIB / build.pageSize - (arch === "arm" ? 1 : 0);
  const beyond = layout.maxPfn > (layout.dmaLimitPfn ?? reach);
  if (beyond) return plan(false, "RAM above the DMA limit");
  if (force) return plan(false, "swiotlb=force");
  if (arch === "arm64" && policy.swiotlb.alwaysOnArm64) {
    return plan(true, "small kmalloc() buffers are bounced");
  }
  return { pool: null, whyNot: "all RAM is below the DMA limit" };
}

/** Bytes of the largest range that memblock could take a pool from; it tries nothing smaller. */
function largestRange({ build }: Hardware, layout: Layout): number {
  const limit = Math.min(FOUR_GIB / build.pageSize, layout.dmaLimitPfn ?? Infinity);
  const sizes = layout.memory.map((ram) => Math.min(ram.end, limit) - ram.start);
  return Math.max(0, ...sizes) * build.pageSize;
}

/**
 * Size and areas: `swiotlb=` or 64 MiB, rounded up to segments; with areas at
 * least a segment an area, and a power of two. `reduced` is 1/1024 of RAM at
 * most, for a machine where no address needs the pool.
 */
function poolOf(
  hardware: Hardware,
  commandLine: CommandLine,
  layout: Layout,
  policy: Policy,
  reduced: boolean,
  reason: string,
): SwiotlbPool {
  const asked = commandLine.swiotlb.slots ?? 0;
  let slots = asked === 0 ? DEFAULT_SLOTS : roundUp(asked, SEGMENT_SLOTS);
  if (reduced && slots === DEFAULT_SLOTS) {
    const ramPages = layout.memory.reduce((sum, ram) => sum + ram.end - ram.start, 0);
    const wanted = Math.ceil((ramPages * hardware.build.pageSize) / 1024 / SLOT_BYTES);
    slots = Math.min(slots, roundUp(wanted, SEGMENT_SLOTS));
  }
  let areas = 1;
  if (policy.swiotlb.areas) {
    areas = powerOfTwo(commandLine.swiotlb.areas ?? hardware.cpus.possible);
    slots = powerOfTwo(Math.max(slots, areas * SEGMENT_SLOTS));
  }
  const bytes = slots * SLOT_BYTES;
  return { start: null, bytes, slots, areas, maxMapping: maxMapping(slots), reason };
}

interface Seen {
  readonly start: number | null;
  readonly bytes: number | null;
}

/** What the log proves about the pool. */
function seenInLog(log: BootLog, policy: Policy): Seen | "none" | "unknown" {
  const grant = grantsOf(log.memblock, POOL_CALLER)[0];
  if (grant !== undefined) return { start: grant.range.start, bytes: grant.bytes };
  const { mapped, areas } = log.swiotlb;
  if (mapped !== null) return { start: mapped.start, bytes: mapped.end - mapped.start };
  if (log.memory === null) return "unknown";
  if (log.memblock.length > 0) return "none";
  if (!policy.swiotlb.areas) return "unknown";
  return areas === null ? "none" : { start: null, bytes: null };
}

function maxMapping(slots: number): number {
  return Math.min(slots, SEGMENT_SLOTS) * SLOT_BYTES;
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function powerOfTwo(value: number): number {
  let power = 1;
  while (power < value) power *= 2;
  return power;
}
