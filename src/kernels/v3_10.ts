/**
 * Linux 3.10 (read in 3.10.65): the first era whose zones count managed pages. Low and high are
 * quarters of the share, there is no scale factor, and marks are set by a device initcall, when the
 * initrd is free already.
 *
 * Linux: __setup_per_zone_wmarks(), zone_batchsize(), mm/page_alloc.c; hugepage_init(), mm/huge_memory.c
 */
import { EVERY_ARCH, type Policy } from "./policy.ts";
import { V4_9 } from "./v4_9.ts";

export const V3_10: Policy = {
  ...V4_9,
  name: "3.10",
  readOn: EVERY_ARCH.filter((arch) => arch !== "riscv"),
  readIn: "3.10.65",
  watermarks: { ...V4_9.watermarks, marks: "quarters", movableIsSpecialOnArm: "never" },
  sysctls: { watermarkScaleFactorMax: null },
  marksInitcall: "device",
  pageset: { ...V4_9.pageset, deferredStaysSmall: false },
  boot: {
    ...V4_9.boot,
    hasDeviceZone: false,
    pageStruct: { bits64: 64, bits32: 32 },
    armVmalloc: { end: 0xff000000, reserve: 248 * 2 ** 20, hole: 8 * 2 ** 20 },
  },
};
