/**
 * Linux 6.1 (Debian 6.1.176 to 6.1.192), the era most captures come from.
 *
 * Linux: mm/page_alloc.c, mm/khugepaged.c, kernel/dma/swiotlb.c, arch/x86/realmode/init.c
 */
import { EVERY_ARCH, type Policy } from "./policy.ts";

export const V6_1: Policy = {
  name: "6.1",
  capturedOn: ["x86_64", "i386", "arm", "arm64"],
  readOn: EVERY_ARCH,
  readIn: "6.1.192",
  counts: "managed",
  watermarks: {
    marks: "gap",
    minFreeFactor: 16, // calculate_min_free_kbytes(): int_sqrt(lowmem_kbytes * 16)
    minFreeKbytesMax: 262144, // calculate_min_free_kbytes()
    movableIsSpecial: "donated-by-highmem", // is_highmem_idx(): Movable counts while HighMem feeds it
    boost: true,
    promo: false, // struct zone has it since 5.18, zoneinfo prints it later
  },
  reserve: {
    by: "ratio",
    zeroRatio: "none",
    emptyZones: false, // setup_per_zone_lowmem_reserve(): cleared where nothing is managed
    zeroRatioHides: false,
    highmemRatio: 0,
    followsManaged: false,
  },
  sysctls: { watermarkScaleFactorMax: 3000 }, // vm_table[], kernel/sysctl.c
  khugepaged: { exists: true, zones: "low", neverRecomputes: true },
  marksInitcall: "postcore",
  pageset: {
    batchBytesMax: 1024 * 1024,
    batchBelowPower: true,
    cold: "none",
    deferredStaysSmall: false,
    high: "low-mark",
    tuned: false,
    fractionSysctl: "percpu_pagelist_high_fraction",
  },
  swiotlb: {
    areas: true,
    slotMetadataBytes: { bits64: 24, bits32: 16 }, // struct io_tlb_slot
    alwaysOnArm64: false,
  },
  boot: {
    reservesFirstMib: true,
    memoryLineAfterAlternatives: false,
    fixedZones: null,
    hasDeviceZone: true,
    sizing: "limits",
    presentNetOfMemmap: [],
    pageStruct: { bits64: 64, bits32: 40 },
    x86TrimsLow: 4096, // trim_bios_range()
    x86VmallocEnd: null,
    x86VmallocHole: true, // parse_vmalloc()
    armVmalloc: { end: 0xff800000, reserve: 248 * 2 ** 20, hole: 8 * 2 ** 20 },
    armVmallocAddsHole: true,
    armWindowLosesPage: true,
    powerpcDmaBits: { bits64: 31, bits32: 30 }, // paging_init(), arch/powerpc/mm/mem.c
    ia64ZoneDma32: true,
    arm64ZoneDma: "bits",
    arm64ZoneDevice: false,
    sortsReservedMemory: true, // __rmem_check_for_overlap(), drivers/of/of_reserved_mem.c
  },
};
