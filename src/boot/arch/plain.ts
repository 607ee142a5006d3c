/**
 * Architectures whose firmware names RAM and nothing else, and whose zones have fixed limits:
 *
 *   ia64       DMA (DMA32 since 3.11) is all below 4 GiB, Normal the rest
 *   riscv      DMA32 to 4 GiB, Normal above; no DMA
 *   s390       DMA to 2 GiB, which is what 31 bits reach, Normal above
 *   powerpc    DMA to 2 GiB, on 32-bit to 1 GiB; before 5.0 all low memory. HighMem on 32-bit
 *   mips       DMA to 16 MiB and DMA32 to 4 GiB where configured; HighMem on 32-bit
 *
 * What a build does not configure is left out, and the next zone reaches down; HighMem is truncated.
 */
import type { Issue } from "../../base/issue.ts";
import { clip, type Range } from "../../base/range.ts";
import { is32Bit, type Policy } from "../../kernels/policy.ts";
import type { CommandLine } from "../command-line.ts";
import type { Hardware } from "../hardware.ts";
import { plainRam, wholePages } from "../memory-map.ts";
import { type Bounds, endOf, reportNoRam, type ZoneBound } from "./bounds.ts";

const MIB = 2 ** 20;
const FOUR_GIB = 2 ** 32;
/** MAX_DMA_ADDRESS. Linux: arch/s390/include/asm/dma.h */
const S390_DMA_BYTES = 2 ** 31;
/** The ISA bus again. Linux: MAX_DMA_PFN, arch/mips/include/asm/dma.h */
const MIPS_DMA_BYTES = 16 * MIB;
/** CONFIG_LOWMEM_SIZE. Linux: arch/powerpc/Kconfig */
const POWERPC_LOW_BYTES = 768 * MIB;
/** HIGHMEM_START, the reach of the unmapped segments. Linux: arch/mips/include/asm/mach-generic/spaces.h */
const MIPS_LOW_BYTES = 512 * MIB;

/** One zone of an architecture: its limit in bytes, exclusive; null where the kernel has no such zone. */
interface Limits {
  readonly dma: number | null;
  readonly dma32: number | null;
  /** End of what is permanently mapped; Infinity for all. */
  readonly low: number;
}

/**
 * Linux: paging_init() of arch/ia64/mm, arch/powerpc/mm/mem.c, arch/s390/mm/init.c, arch/mips/mm/init.c;
 * zone_sizes_init(), arch/riscv/mm/init.c
 */
export function boundsPlain(
  hardware: Hardware,
  commandLine: CommandLine,
  policy: Policy,
  issues: Issue[],
): Bounds | null {
  const { build } = hardware;
  const page = build.pageSize;
  const firmware = plainRam(hardware.memory, issues);
  const all = wholePages(limited(firmware, commandLine), page);
  if (all.length === 0) return reportNoRam(wholePages(firmware, page), issues);
  const limits = limitsOf(hardware, policy);
  const maxLowPfn = Math.min(Math.floor(limits.low / page), endOf(all));
  const ram = build.highmem ? all : truncated(all, maxLowPfn, page, issues);
  const maxPfn = endOf(ram);
  const pfnOf = (bytes: number): number => Math.min(Math.floor(bytes / page), maxLowPfn);
  const zones: ZoneBound[] = [];
  if (limits.dma !== null) zones.push({ name: "DMA", limitPfn: pfnOf(limits.dma) });
  if (limits.dma32 !== null) zones.push({ name: "DMA32", limitPfn: pfnOf(limits.dma32) });
  zones.push({ name: "Normal", limitPfn: maxLowPfn });
  if (build.highmem) zones.push({ name: "HighMem", limitPfn: maxPfn });
  const reach = limits.dma ?? limits.dma32;
  const dmaLimitPfn = reach === null || reach === Infinity ? null : Math.floor(reach / page);
  return { ram, zones, maxLowPfn, maxPfn, maxPossiblePfn: maxPfn, dmaLimitPfn };
}

/** A board's own limit stands for the usual one where boards have any (SGI's ia64 reach all memory). */
function limitsOf({ arch, build, dmaLimit }: Hardware, policy: Policy): Limits {
  const dma = (bytes: number): number | null => (build.zoneDma ? bytes : null);
  const dma32 = (bytes: number): number | null => (build.zoneDma32 ? bytes : null);
  switch (arch) {
    case "ia64":
      // One zone below 4 GiB, under either name; which option configures it changed with the name.
      return policy.boot.ia64ZoneDma32
        ? { dma: null, dma32: dma(dmaLimit ?? FOUR_GIB), low: Infinity }
        : { dma: dma(dmaLimit ?? FOUR_GIB), dma32: null, low: Infinity };
    case "s390":
      return { dma: dma(S390_DMA_BYTES), dma32: null, low: Infinity };
    case "powerpc":
    case "powerpc32": {
      const low = arch === "powerpc32" ? POWERPC_LOW_BYTES : Infinity;
      const bits = policy.boot.powerpcDmaBits?.[is32Bit(arch) ? "bits32" : "bits64"];
      const usual = bits === undefined ? Infinity : 2 ** bits;
      return { dma: dma(dmaLimit ?? usual), dma32: null, low };
    }
    case "mips":
    case "mips64":
      return {
        dma: dma(dmaLimit ?? MIPS_DMA_BYTES),
        dma32: dma32(FOUR_GIB),
        low: arch === "mips" ? MIPS_LOW_BYTES : Infinity,
      };
    default:
      return { dma: null, dma32: dma32(FOUR_GIB), low: Infinity };
  }
}

/** `mem=` is the end of RAM, counted from its start. Linux: early_mem() of each architecture */
function limited(ram: readonly Range[], { edits }: CommandLine): readonly Range[] {
  const last = edits.findLast((edit) => edit.kind === "mem");
  const base = ram[0]?.start ?? 0;
  return last === undefined ? ram : clip(ram, 0, base + last.bytes);
}

/** Without HIGHMEM what lies above low memory is not used. */
function truncated(all: readonly Range[], lowPfn: number, page: number, issues: Issue[]): Range[] {
  const lost = endOf(all) - lowPfn;
  if (lost <= 0) return [...all];
  issues.push({
    severity: "warning",
    message: `built without HIGHMEM, the kernel ignores ${Math.round((lost * page) / MIB)} MiB above low memory`,
    mend: "use a kernel with HIGHMEM",
  });
  return clip(all, 0, lowPfn);
}
