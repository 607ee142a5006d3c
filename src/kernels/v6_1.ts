/**
 * Linux 6.1 (Debian 6.1.176 to 6.1.192), the era most captures come from.
 *
 * Linux: mm/page_alloc.c, mm/khugepaged.c, kernel/dma/swiotlb.c, arch/x86/realmode/init.c
 */
import type { Policy } from "./policy.ts";

export const V6_1: Policy = {
  name: "6.1",
  capturedOn: ["x86_64", "i386", "arm", "arm64"],
  watermarks: {
    minFreeKbytesMax: 262144, // calculate_min_free_kbytes()
    movableIsSpecial: "donated-by-highmem", // is_highmem_idx(): Movable counts while HighMem feeds it
    promo: false, // struct zone has it since 5.18, zoneinfo prints it later
  },
  sysctls: { watermarkScaleFactorMax: 3000 }, // vm_table[], kernel/sysctl.c
  khugepaged: { neverRecomputes: true },
  pageset: { high: "low-mark", tuned: false, fractionSysctl: "percpu_pagelist_high_fraction" },
  swiotlb: {
    areas: true,
    slotMetadataBytes: { bits64: 24, bits32: 16 }, // struct io_tlb_slot
    alwaysOnArm64: false,
  },
  boot: {
    reservesFirstMib: true,
    memoryLineAfterAlternatives: false,
    arm64ZoneDma: "bits",
    arm64ZoneDevice: false,
    sortsReservedMemory: true, // __rmem_check_for_overlap(), drivers/of/of_reserved_mem.c
  },
};
