/**
 * Linux 4.19 (read in 4.19.48): as 5.4, but marks are set before CMA areas are counted, there is no
 * boost, and 64-bit powerpc calls all memory DMA. In its first releases nothing widens the pageset of a
 * zone whose struct pages were set up late.
 *
 * Linux: page_alloc_init_late(), mm/page_alloc.c; limit_zone_pfn(), arch/powerpc/mm/mem.c
 */
import { EVERY_ARCH, type Policy } from "./policy.ts";
import { V5_4 } from "./v5_4.ts";

export const V4_19: Policy = {
  ...V5_4,
  name: "4.19",
  readOn: EVERY_ARCH,
  readIn: "4.19.48",
  watermarks: { ...V5_4.watermarks, boost: false },
  marksInitcall: "core",
  backports: [
    {
      name: "pagesets that grow when struct pages were set up late",
      since: "4.19.90", // read there, and not yet in 4.19.78
      arches: EVERY_ARCH,
      without: (policy) => ({
        ...policy,
        pageset: { ...policy.pageset, deferredStaysSmall: true },
      }),
    },
  ],
  boot: { ...V5_4.boot, powerpcDmaBits: null },
};
