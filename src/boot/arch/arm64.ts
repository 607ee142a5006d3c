/**
 * arm64: DMA is what every restricted device reaches, DMA32 the rest below
 * 4 GiB, Normal the rest. Without a restriction DMA takes all below 4 GiB and
 * DMA32 stays empty.
 *
 * The rule changed often. Up to 4.15 DMA was 4 GiB, then up to 5.4 the same was
 * called DMA32, each counted from a multiple of 4 GiB below the first RAM. 5.5
 * put a DMA of 1 GiB below it for one board; since 5.11 its limit is a number of
 * address bits that the devicetree or IORT names, since 6.12 an address.
 */
import type { Issue } from "../../base/issue.ts";
import { clip, type Range, totalLength } from "../../base/range.ts";
import type { Policy } from "../../kernels/policy.ts";
import type { CommandLine } from "../command-line.ts";
import type { Hardware } from "../hardware.ts";
import { plainRam, wholePages } from "../memory-map.ts";
import { type Bounds, endOf, reportNoRam, type ZoneBound } from "./bounds.ts";

const FOUR_GIB = 2 ** 32;

/** Linux: arm64_memblock_init(), zone_sizes_init(), arch/arm64/mm/init.c */
export function boundsArm64(
  hardware: Hardware,
  commandLine: CommandLine,
  policy: Policy,
  issues: Issue[],
): Bounds | null {
  const { build } = hardware;
  const page = build.pageSize;
  const firmware = plainRam(hardware.memory, issues);
  const ram = wholePages(limited(firmware, page, commandLine), page);
  const first = ram[0];
  if (first === undefined) return reportNoRam(wholePages(firmware, page), issues);

  const dram = { start: first.start * page, end: endOf(ram) * page };
  const rule = policy.boot.arm64ZoneDma;
  const { dma, dma32 } = LIMITS[rule](dram, hardware.dmaLimit);
  const maxPfn = endOf(ram);
  const zones: ZoneBound[] = [];
  const hasDma = rule !== "dma32" && build.zoneDma;
  const hasDma32 = rule !== "dma" && build.zoneDma32;
  if (hasDma) zones.push({ name: "DMA", limitPfn: Math.floor(dma / page) });
  if (hasDma32) zones.push({ name: "DMA32", limitPfn: Math.floor(dma32 / page) });
  zones.push({ name: "Normal", limitPfn: maxPfn });
  const dmaLimit = hasDma ? dma : hasDma32 ? dma32 : dram.end;
  return {
    ram,
    zones,
    maxLowPfn: maxPfn,
    maxPfn,
    maxPossiblePfn: maxPfn,
    dmaLimitPfn: Math.floor(dmaLimit / page),
  };
}

/**
 * `mem=` keeps that much RAM from the lowest address up, holes not counted; the
 * last one counts. Linux: memblock_mem_limit_remove_map(), mm/memblock.c
 */
function limited(ram: readonly Range[], page: number, { edits }: CommandLine): readonly Range[] {
  const last = edits.findLast((edit) => edit.kind === "mem");
  if (last === undefined) return ram;
  let left = Math.floor(last.bytes / page) * page;
  if (totalLength(ram) <= left) return ram;
  for (const { start, end } of ram) {
    if (left <= end - start) return clip(ram, 0, start + left);
    left -= end - start;
  }
  return ram;
}

interface Limits {
  /** Exclusive, bytes. */
  readonly dma: number;
  readonly dma32: number;
}

/** Up to 5.10: a window of `bytes` from a multiple of it at or below the first RAM. */
function window(dram: Range, bytes: number): number {
  return Math.min(Math.floor(dram.start / bytes) * bytes + bytes, dram.end);
}

/** Up to 5.4. Linux: max_zone_dma_phys() */
function fourGib(dram: Range): Limits {
  const end = window(dram, FOUR_GIB);
  return { dma: end, dma32: end };
}

/** 5.5 to 5.10. Linux: max_zone_phys() with ARM64_ZONE_DMA_BITS */
function oneGib(dram: Range): Limits {
  return { dma: window(dram, 2 ** 30), dma32: window(dram, FOUR_GIB) };
}

/** 5.11 to 6.11. Linux: max_zone_phys() with zone_dma_bits */
function limitByBits(dram: Range, dmaLimit: number | null): Limits {
  const bits = dmaLimit === null ? 32 : Math.min(32, bitsOf(dmaLimit - 1));
  const reach = (size: number): number => {
    if (dram.start >= FOUR_GIB) return dram.end;
    return Math.min(dram.start >= size ? FOUR_GIB : size, dram.end);
  };
  return { dma: reach(2 ** bits), dma32: reach(FOUR_GIB) };
}

/** 6.12 on. Linux: max_zone_phys() with zone_dma_limit */
function limitByAddress(dram: Range, dmaLimit: number | null): Limits {
  const reached = dmaLimit ?? Infinity;
  const dma = dram.start < FOUR_GIB ? Math.min(reached, FOUR_GIB) : reached;
  return { dma: Math.min(dma, dram.end), dma32: Math.min(FOUR_GIB, dram.end) };
}

const LIMITS: Record<
  Policy["boot"]["arm64ZoneDma"],
  (dram: Range, dmaLimit: number | null) => Limits
> = {
  dma: fourGib,
  dma32: fourGib,
  thirty: oneGib,
  bits: limitByBits,
  limit: limitByAddress,
};

/** Position of the highest set bit, from 1; 0 for nothing below 1. Linux: fls64() */
function bitsOf(address: number): number {
  return address < 1 ? 0 : Math.floor(address).toString(2).length;
}
