/**
 * A kernel's configuration as build facts: which zones it has, how large its pages are, how it splits
 * the address space, CMA, huge pages, NUMA.
 *
 * A whole configuration file names every option that is on; an excerpt, as people write it into a
 * description, leaves the rest as it usually is.
 */
import type { Build } from "../boot/hardware.ts";
import type { KernelConfig } from "../formats/config.ts";
import { type Arch, is32Bit } from "../kernels/policy.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** `base` corrected by what the configuration says. */
export function configured(base: Build, arch: Arch, config: KernelConfig, excerpt: boolean): Build {
  const on = (name: string, otherwise: boolean): boolean => {
    const value = config.get(`CONFIG_${name}`);
    if (value === undefined) return excerpt && otherwise;
    return value === "y" || value === "m";
  };
  const extended =
    arch === "i386"
      ? on("HIGHMEM64G", false) || on("X86_PAE", base.physicalExtension)
      : arch === "arm" && on("ARM_LPAE", base.physicalExtension);
  // i386 says how much high memory it has; HIGHMEM follows from either answer.
  const named = on("HIGHMEM64G", false) || on("HIGHMEM4G", false);
  const highmem =
    is32Bit(arch) && !on("NOHIGHMEM", false) && (named || on("HIGHMEM", base.highmem));
  const cma = on("CMA", base.cma) && on("DMA_CMA", base.cma);
  const megabytes = config.get("CONFIG_CMA_SIZE_MBYTES");
  const always = on("TRANSPARENT_HUGEPAGE_MADVISE", base.thpDefault === "madvise")
    ? "madvise"
    : "always";
  return {
    ...base,
    ...pageSizes(arch, config),
    physicalExtension: extended,
    zoneDma: zoneBelow4G(arch, on, base),
    zoneDma32: on("ZONE_DMA32", base.zoneDma32),
    highmem,
    zoneDevice: on("ZONE_DEVICE", base.zoneDevice),
    cma,
    cmaDefaultBytes: cmaBytes(cma, megabytes, base),
    thp: on("TRANSPARENT_HUGEPAGE", base.thp),
    thpDefault: on("TRANSPARENT_HUGEPAGE_NEVER", base.thpDefault === "never") ? "never" : always,
    numa: on("NUMA", base.numa),
    deferredStructPages: on("DEFERRED_STRUCT_PAGE_INIT", base.deferredStructPages ?? false),
    pageOffset: pageOffsetOf(arch, config) ?? base.pageOffset,
  };
}

type IsOn = (name: string, otherwise: boolean) => boolean;

/** ia64 has one zone below 4 GiB, whose option has had two names. */
function zoneBelow4G(arch: Arch, on: IsOn, base: Build): boolean {
  if (arch === "ia64" && on("ZONE_DMA32", false)) return true;
  return on("ZONE_DMA", base.zoneDma);
}

function cmaBytes(cma: boolean, megabytes: string | undefined, base: Build): number {
  if (!cma) return 0;
  return megabytes === undefined ? base.cmaDefaultBytes : Number(megabytes) * MIB;
}

/** Where the kernel's part of the address space begins: by name, then by number. */
const SPLITS: ReadonlyMap<string, number> = new Map([
  ["VMSPLIT_3G", 0xc0000000],
  ["VMSPLIT_3G_OPT", 0xb0000000],
  ["VMSPLIT_2G", 0x80000000],
  ["VMSPLIT_2G_OPT", 0x78000000],
  ["VMSPLIT_1G", 0x40000000],
]);

/** Linux: config PAGE_OFFSET, arch/x86/Kconfig and arch/arm/Kconfig */
function pageOffsetOf(arch: Arch, config: KernelConfig): number | null {
  const offset = config.get("CONFIG_PAGE_OFFSET");
  if (offset !== undefined) return Number(offset);
  if (arch !== "i386" && arch !== "arm") return null;
  for (const [name, start] of SPLITS) if (config.get(`CONFIG_${name}`) === "y") return start;
  return null;
}

/** Options that choose the page size, in KiB. */
const PAGE_OPTIONS: ReadonlyMap<string, number> = new Map([
  ["ARM64_64K_PAGES", 64],
  ["ARM64_16K_PAGES", 16],
  ["ARM64_4K_PAGES", 4],
  ["IA64_PAGE_SIZE_64KB", 64],
  ["IA64_PAGE_SIZE_16KB", 16],
  ["IA64_PAGE_SIZE_8KB", 8],
  ["IA64_PAGE_SIZE_4KB", 4],
  ["PPC_256K_PAGES", 256],
  ["PPC_64K_PAGES", 64],
  ["PPC_16K_PAGES", 16],
  ["PPC_4K_PAGES", 4],
  ["PAGE_SIZE_256KB", 256],
  ["PAGE_SIZE_64KB", 64],
  ["PAGE_SIZE_32KB", 32],
  ["PAGE_SIZE_16KB", 16],
  ["PAGE_SIZE_8KB", 8],
  ["PAGE_SIZE_4KB", 4],
]);

/**
 * Page size, and what follows from it: the huge page that a pageblock is, and the largest block.
 *
 * Linux: ARCH_FORCE_MAX_ORDER, arch/arm64/Kconfig; FORCE_MAX_ZONEORDER, arch/powerpc/Kconfig
 */
function pageSizes(arch: Arch, config: KernelConfig): Partial<Build> {
  const shift = config.get("CONFIG_PAGE_SHIFT");
  let kib = shift === undefined ? null : 2 ** Number(shift) / KIB;
  for (const [name, size] of PAGE_OPTIONS) if (config.get(`CONFIG_${name}`) === "y") kib ??= size;
  const order = Number(config.get("CONFIG_ARCH_FORCE_MAX_ORDER") ?? Number.NaN);
  // The option counts orders up to 6.3 and names the largest one later; with 4 KiB pages 11 and
  // 10 mean the same, so only arm's 12 of the older form is told apart by its size.
  if (kib === null) return order === 12 ? { maxOrderPages: 2048 } : {};
  const pageSize = kib * KIB;
  const blocks = BLOCKS.get(`${arch} ${kib}`);
  if (blocks !== undefined) return { pageSize, ...blocks };
  return order === 12 ? { pageSize, maxOrderPages: 2048 } : { pageSize };
}

/** Pages of a pageblock and of the largest block, by architecture and page size in KiB. */
const BLOCKS: ReadonlyMap<string, Pick<Build, "pageblockPages" | "maxOrderPages">> = new Map([
  ["arm64 64", { pageblockPages: 8192, maxOrderPages: 8192 }],
  ["arm64 16", { pageblockPages: 2048, maxOrderPages: 2048 }],
  // Huge pages of 16 MiB with the hashed page table, 2 MiB with the radix tree; the latter is today's.
  ["powerpc 64", { pageblockPages: 32, maxOrderPages: 256 }],
  // Huge pages of 256 MiB; blocks end at 2^16 pages.
  ["ia64 64", { pageblockPages: 4096, maxOrderPages: 65536 }],
  ["ia64 4", { pageblockPages: 65536, maxOrderPages: 65536 }],
]);
