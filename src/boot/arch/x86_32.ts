/**
 * x86-32: DMA to 16 MiB, Normal to the end of low memory, HighMem above it.
 * Low memory is what fits between PAGE_OFFSET and the vmalloc area, which the
 * build places and `vmalloc=` enlarges; `highmem=` moves the border down.
 */
import type { Issue } from "../../base/issue.ts";
import type { Range } from "../../base/range.ts";
import type { Policy } from "../../kernels/policy.ts";
import type { CommandLine } from "../command-line.ts";
import type { Hardware } from "../hardware.ts";
import { wholePages } from "../memory-map.ts";
import type { Bounds, ZoneBound } from "./bounds.ts";
import { endOfRamPfn, ISA_LIMIT_BYTES, pcRam } from "./x86.ts";

const MIB = 2 ** 20;
/** VMALLOC_RESERVE without `vmalloc=`. Linux: arch/x86/mm/pgtable_32.c */
const VMALLOC_DEFAULT_BYTES = 128 * MIB;
/** Hole before the vmalloc area, added to `vmalloc=`. Linux: VMALLOC_OFFSET, parse_vmalloc() */
const VMALLOC_OFFSET_BYTES = 8 * MIB;
/** Start of the kernel's half with CONFIG_VMSPLIT_3G. */
const PAGE_OFFSET_DEFAULT = 0xc0000000;
/**
 * Before fixmaps grew with the CPUs nothing but the address space's end bounded
 * the vmalloc area: low memory was 896 MiB. Used when the build does not say.
 */
const VMALLOC_END_DEFAULT = 2 ** 32;
/** `highmem=` must leave this much low memory. Linux: lowmem_pfn_init(), arch/x86/mm/init_32.c */
const LOWMEM_LEAST_BYTES = 64 * MIB;
/** MAX_ARCH_PFN: 36 address bits with PAE, 32 without. */
const PAE_LIMIT_BYTES = 2 ** 36;
const NON_PAE_LIMIT_BYTES = 2 ** 32;

/** Linux: setup_arch(), find_low_pfn_range(), zone_sizes_init(), arch/x86/mm/init_32.c */
export function boundsX8632(
  hardware: Hardware,
  commandLine: CommandLine,
  policy: Policy,
  issues: Issue[],
): Bounds | null {
  const { build } = hardware;
  const page = build.pageSize;
  const bytes = pcRam(hardware, commandLine, policy, issues);
  if (bytes === null) return null;
  const limit = build.physicalExtension ? PAE_LIMIT_BYTES : NON_PAE_LIMIT_BYTES;
  const maxPossiblePfn = endOfRamPfn(bytes, page, limit / page);
  const ram = wholePages(build.physicalExtension ? bytes : addressable(bytes, issues), page);
  const lowestBytes = lowMemoryBytes(hardware, commandLine, policy, issues);
  if (lowestBytes === null || ram.length === 0) return null;

  const mapped = Math.floor(lowestBytes / page);
  const { maxLowPfn, maxPfn } =
    maxPossiblePfn <= mapped
      ? allLow(maxPossiblePfn, hardware, commandLine, issues)
      : lowAndHigh(maxPossiblePfn, mapped, hardware, commandLine, issues);
  const zones: ZoneBound[] = [];
  if (build.zoneDma) {
    zones.push({ name: "DMA", limitPfn: Math.min(ISA_LIMIT_BYTES / page, maxLowPfn) });
  }
  zones.push({ name: "Normal", limitPfn: maxLowPfn });
  if (build.highmem) zones.push({ name: "HighMem", limitPfn: maxPfn });
  return { ram, zones, maxLowPfn, maxPfn, maxPossiblePfn, dmaLimitPfn: null };
}

/**
 * Without PAE a range whose end does not fit 32 bits is not taken at all, also
 * when it starts below. Linux: e820__memblock_setup(), arch/x86/kernel/e820.c
 */
function addressable(bytes: readonly Range[], issues: Issue[]): Range[] {
  const below = bytes.filter(({ end }) => end < NON_PAE_LIMIT_BYTES);
  if (below.length === bytes.length) return below;
  issues.push({
    severity: below.length === 0 ? "error" : "warning",
    message: "without PAE the kernel does not see RAM that ends at or above 4 GiB",
    mend: "use a PAE kernel",
  });
  return below;
}

/** MAXMEM: how much can be permanently mapped, in bytes. */
function lowMemoryBytes(
  { build }: Hardware,
  { vmallocBytes }: CommandLine,
  policy: Policy,
  issues: Issue[],
): number | null {
  const start = build.pageOffset ?? PAGE_OFFSET_DEFAULT;
  const end = policy.boot.x86VmallocEnd ?? build.vmallocEnd ?? VMALLOC_END_DEFAULT;
  if (policy.boot.x86VmallocEnd !== null && end < VMALLOC_END_DEFAULT) {
    issues.push({
      severity: "note",
      message:
        "low memory ends where most builds of this era had it; a large NR_CPUS takes some MiB more",
    });
  }
  if (build.vmallocEnd === null && policy.boot.x86VmallocEnd === null) {
    issues.push({
      severity: "note",
      message: "where the vmalloc area ends is not known; 4 GiB is used, a few MiB too much",
      mend: "name a build whose constants are known, or give vmallocEnd",
    });
  }
  const hole = policy.boot.x86VmallocHole ? VMALLOC_OFFSET_BYTES : 0;
  const reserve = vmallocBytes === null ? VMALLOC_DEFAULT_BYTES : vmallocBytes + hole;
  const bytes = end - start - reserve;
  if (bytes > ISA_LIMIT_BYTES) return bytes;
  issues.push({
    severity: "error",
    message: "vmalloc= leaves no room for low memory",
    mend: "give vmalloc= less than the kernel's part of the address space",
  });
  return null;
}

interface Ends {
  readonly maxLowPfn: number;
  readonly maxPfn: number;
}

/** All RAM could be low; `highmem=` may still take the top of it. Linux: lowmem_pfn_init() */
function allLow(
  maxPfn: number,
  { build }: Hardware,
  { highmemBytes }: CommandLine,
  issues: Issue[],
): Ends {
  const wanted = Math.floor((highmemBytes ?? 0) / build.pageSize);
  const low = maxPfn - wanted;
  if (wanted > 0 && (!build.highmem || low < LOWMEM_LEAST_BYTES / build.pageSize)) {
    issues.push({
      severity: "warning",
      message: build.highmem
        ? "highmem= would leave less than 64 MiB of low memory; the kernel ignores it"
        : "highmem= is ignored: the kernel is built without HIGHMEM",
    });
    return { maxLowPfn: maxPfn, maxPfn };
  }
  return { maxLowPfn: low, maxPfn };
}

/** RAM beyond low memory is HighMem; `highmem=` may drop its top. Linux: highmem_pfn_init() */
function lowAndHigh(
  maxPfn: number,
  mapped: number,
  { build }: Hardware,
  { highmemBytes }: CommandLine,
  issues: Issue[],
): Ends {
  if (!build.highmem) {
    const lost = Math.round(((maxPfn - mapped) * build.pageSize) / MIB);
    issues.push({
      severity: "warning",
      message: `built without HIGHMEM, the kernel ignores ${lost} MiB above low memory`,
    });
    return { maxLowPfn: mapped, maxPfn: mapped };
  }
  if (highmemBytes === null) return { maxLowPfn: mapped, maxPfn };
  const wanted = Math.floor(highmemBytes / build.pageSize);
  if (mapped + wanted > maxPfn) {
    issues.push({
      severity: "warning",
      message: "highmem= asks for more than there is above low memory; the kernel ignores it",
    });
  }
  return { maxLowPfn: mapped, maxPfn: Math.min(maxPfn, mapped + wanted) };
}
