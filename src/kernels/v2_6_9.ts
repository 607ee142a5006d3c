/**
 * Linux 2.6.9, the kernel of the book's struct zone: low and high are two and three times min, the
 * default of min_free_kbytes is a quarter of what it became, and zones are protected by a multiple
 * (none, unless set) of the higher zones' low marks.
 *
 * Linux: init_per_zone_pages_min(), higherzone_val(), setup_per_zone_protection(), mm/page_alloc.c
 */
import type { Policy } from "./policy.ts";
import { V2_6_11 } from "./v2_6_11.ts";

export const V2_6_9: Policy = {
  ...V2_6_11,
  name: "2.6.9",
  readOn: ["x86_64", "i386", "arm", "ia64"],
  readIn: "2.6.9",
  watermarks: {
    ...V2_6_11.watermarks,
    marks: "multiples",
    minFreeFactor: 1, // int_sqrt(lowmem_kbytes)
    minFreeKbytesMax: 16384,
  },
  reserve: { ...V2_6_11.reserve, by: "marks" },
};
