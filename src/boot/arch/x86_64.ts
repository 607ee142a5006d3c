/**
 * x86-64: DMA to 16 MiB, DMA32 to 4 GiB, Normal above; all RAM is permanently
 * mapped, so there is no HighMem. Zones the build lacks are left out and the
 * next one reaches down.
 */
import type { Issue } from "../../base/issue.ts";
import type { Policy } from "../../kernels/policy.ts";
import type { CommandLine } from "../command-line.ts";
import type { Hardware } from "../hardware.ts";
import { wholePages } from "../memory-map.ts";
import type { Bounds, ZoneBound } from "./bounds.ts";
import { endOfRamPfn, ISA_LIMIT_BYTES, pcRam } from "./x86.ts";

/** MAX_DMA32_PFN, arch/x86/include/asm/dma.h */
const DMA32_LIMIT_BYTES = 2 ** 32;
/** Five-level page tables: 52 bits. Linux: MAXMEM, arch/x86/include/asm/pgtable_64_types.h */
const PHYSICAL_LIMIT_BYTES = 2 ** 52;

/** Linux: setup_arch(), arch/x86/kernel/setup.c; zone_sizes_init(), arch/x86/mm/init.c */
export function boundsX8664(
  hardware: Hardware,
  commandLine: CommandLine,
  policy: Policy,
  issues: Issue[],
): Bounds | null {
  const { build } = hardware;
  const bytes = pcRam(hardware, commandLine, policy, issues);
  if (bytes === null) return null;
  const page = build.pageSize;
  const maxPfn = endOfRamPfn(bytes, page, PHYSICAL_LIMIT_BYTES / page);
  const zones: ZoneBound[] = [];
  if (build.zoneDma)
    zones.push({ name: "DMA", limitPfn: Math.min(ISA_LIMIT_BYTES / page, maxPfn) });
  if (build.zoneDma32) {
    zones.push({ name: "DMA32", limitPfn: Math.min(DMA32_LIMIT_BYTES / page, maxPfn) });
  }
  zones.push({ name: "Normal", limitPfn: maxPfn });
  return {
    ram: wholePages(bytes, page),
    zones,
    maxLowPfn: maxPfn,
    maxPfn,
    maxPossiblePfn: maxPfn,
    dmaLimitPfn: null,
  };
}
