/**
 * Linux 5.4 (read in 5.4.0): the default of min_free_kbytes ends at 64 MiB, and zones without pages
 * have reserves too. Its first releases set marks before CMA areas are counted.
 *
 * Linux: init_per_zone_wmark_min(), setup_per_zone_lowmem_reserve(), mm/page_alloc.c
 */
import { EVERY_ARCH, type Policy } from "./policy.ts";
import { V5_10 } from "./v5_10.ts";

export const V5_4: Policy = {
  ...V5_10,
  name: "5.4",
  capturedOn: [],
  readOn: EVERY_ARCH,
  readIn: "5.4.0",
  backports: [
    {
      name: "first marks after CMA areas are counted",
      since: "5.4.84", // read there, and not yet in 5.4.59
      arches: EVERY_ARCH,
      without: (policy) => ({ ...policy, marksInitcall: "core" }),
    },
  ],
  watermarks: {
    ...V5_10.watermarks,
    minFreeKbytesMax: 65536,
    // arm has no memblock node map: there the zone below Movable decides.
    movableIsSpecial: "donated-by-highmem",
    movableIsSpecialOnArm: "highmem-configured",
  },
  reserve: { ...V5_10.reserve, emptyZones: true },
  boot: { ...V5_10.boot, armWindowLosesPage: false, arm64ZoneDma: "dma32" },
};
