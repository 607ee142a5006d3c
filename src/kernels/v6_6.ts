/**
 * Linux 6.6 (read in 6.6.87): Movable is special in every machine, and kernelcore=mirror does nothing
 * where no memory is mirrored.
 *
 * Linux: __setup_per_zone_wmarks(), mm/page_alloc.c; find_zone_movable_pfns_for_nodes(), mm/mm_init.c
 */
import { EVERY_ARCH, type Policy } from "./policy.ts";
import { V6_1 } from "./v6_1.ts";

export const V6_6: Policy = {
  ...V6_1,
  name: "6.6",
  capturedOn: [],
  readOn: EVERY_ARCH,
  readIn: "6.6.87",
  watermarks: { ...V6_1.watermarks, movableIsSpecial: "always" },
  boot: { ...V6_1.boot, mirrorNeedsMirrors: true },
};
