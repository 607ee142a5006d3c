/**
 * Linux 4.9 (read in 4.9.229): the marks of 4.6, with a gap from watermark_scale_factor, and still the
 * pagesets and ratios of before. Stands for the releases between it and 4.18.
 *
 * Linux: __setup_per_zone_wmarks(), zone_batchsize(), mm/page_alloc.c
 */
import type { Arch, Policy } from "./policy.ts";
import { V4_19 } from "./v4_19.ts";

const READ: readonly Arch[] = [
  "x86_64",
  "i386",
  "arm",
  "arm64",
  "ia64",
  "powerpc",
  "powerpc32",
  "s390",
  "mips",
  "mips64",
];

export const V4_9: Policy = {
  ...V4_19,
  name: "4.9",
  readOn: READ,
  readIn: "4.9.229",
  reserve: {
    ...V4_19.reserve,
    zeroRatio: "one",
    highmemRatio: 32, // the array's last entry belongs to the zone below Movable
  },
  khugepaged: { ...V4_19.khugepaged, zones: "all" },
  pageset: { ...V4_19.pageset, batchBytesMax: 512 * 1024, deferredStaysSmall: true },
  backports: [],
  boot: {
    ...V4_19.boot,
    // PKMAP_BASE is rounded down to a page table's reach, 0xff800000 with and without PAE.
    x86VmallocEnd: 0xff7fe000,
    ia64ZoneDma32: false,
    arm64ZoneDma: "dma",
  },
};
