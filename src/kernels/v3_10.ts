/**
 * Linux 3.10 (read in 3.10.65): the first era whose zones count managed pages. Low and high are
 * quarters of the share, there is no scale factor, and marks are set by a device initcall, when the
 * initrd is free already.
 *
 * Linux: __setup_per_zone_wmarks(), zone_batchsize(), mm/page_alloc.c; hugepage_init(), mm/huge_memory.c
 */
import { EVERY_ARCH, type Policy } from "./policy.ts";
import { V4_19 } from "./v4_19.ts";

export const V3_10: Policy = {
  ...V4_19,
  name: "3.10",
  readOn: EVERY_ARCH.filter((arch) => arch !== "riscv"),
  readIn: "3.10.65",
  watermarks: { ...V4_19.watermarks, marks: "quarters", movableIsSpecialOnArm: "never" },
  reserve: {
    ...V4_19.reserve,
    zeroRatio: "one",
    highmemRatio: 32, // the array's last entry belongs to the zone below Movable
  },
  sysctls: { watermarkScaleFactorMax: null },
  khugepaged: { ...V4_19.khugepaged, zones: "all" },
  marksInitcall: "device",
  pageset: { ...V4_19.pageset, batchBytesMax: 512 * 1024, deferredStaysSmall: false },
  boot: {
    ...V4_19.boot,
    pageStruct: { bits64: 64, bits32: 32 },
    // PKMAP_BASE is rounded down to a page table's reach, 0xff800000 with and without PAE.
    x86VmallocEnd: 0xff7fe000,
    armVmalloc: { end: 0xff000000, reserve: 248 * 2 ** 20, hole: 8 * 2 ** 20 },
    ia64ZoneDma32: false,
    arm64ZoneDma: "dma",
  },
};
