/**
 * Linux 2.6.11: three zones, low and high as parts of min, hot and cold pagesets with low marks, batches
 * that are no power of two less one.
 *
 * Linux: setup_per_zone_pages_min(), setup_per_zone_lowmem_reserve(), free_area_init_core(), mm/page_alloc.c
 */
import type { Policy } from "./policy.ts";
import { V2_6_18 } from "./v2_6_18.ts";

export const V2_6_11: Policy = {
  ...V2_6_18,
  name: "2.6.11",
  // The source that was read holds x86-32 alone; others have it from 2.6.9 and 2.6.18 on both sides.
  readOn: ["i386"],
  readIn: "2.6.11",
  watermarks: { ...V2_6_18.watermarks, marks: "of-min" },
  reserve: { ...V2_6_18.reserve, zeroRatio: "refused" },
  pageset: {
    ...V2_6_18.pageset,
    batchBytesMax: 256 * 1024,
    batchBelowPower: false,
    cold: "low-and-high",
    fractionSysctl: null,
  },
  boot: {
    ...V2_6_18.boot,
    fixedZones: ["DMA", "Normal", "HighMem"],
    presentNetOfMemmap: [],
    sizingOn: { ...V2_6_18.boot.sizingOn, x86_64: "solid" },
    pageStruct: { bits64: 56, bits32: 32 },
  },
};
