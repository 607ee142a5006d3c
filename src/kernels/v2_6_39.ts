/**
 * Linux 2.6.39 (read in 2.6.39.4), the kernel of the ARM thread of 2011. There is no managed count:
 * everything is computed from present pages, which are net of the zone's struct pages.
 *
 * Linux: free_area_init_core(), setup_per_zone_wmarks(), mm/page_alloc.c; trim_bios_range(),
 * arch/x86/kernel/setup.c; arm_bootmem_free(), arch/arm/mm/init.c
 */
import { EVERY_ARCH, type Policy } from "./policy.ts";
import { V3_10 } from "./v3_10.ts";

export const V2_6_39: Policy = {
  ...V3_10,
  name: "2.6.39",
  readOn: EVERY_ARCH.filter((arch) => arch !== "riscv" && arch !== "arm64"),
  readIn: "2.6.39.4",
  counts: "present",
  boot: {
    ...V3_10.boot,
    presentNetOfMemmap: "all",
    pageStruct: { bits64: 56, bits32: 32 },
    x86TrimsLow: 65536, // CONFIG_X86_RESERVE_LOW
    // VMALLOC_END was each platform's own; most had it near here, and 128 MiB were kept.
    armVmalloc: { end: 0xf8000000, reserve: 128 * 2 ** 20, hole: 0 },
  },
};
