/**
 * Linux 2.6.18, four zones whatever is configured, no mobility and no Movable zone. Zones are laid end
 * to end from pfn 0; on x86-32 their holes count as present, on x86-64 struct pages do not.
 *
 * Linux: setup_per_zone_pages_min(), setup_pageset(), mm/page_alloc.c; size_zones(),
 * arch/x86_64/mm/init.c; zone_sizes_init(), arch/i386/kernel/setup.c
 */
import type { Policy } from "./policy.ts";
import { V2_6_39 } from "./v2_6_39.ts";

export const V2_6_18: Policy = {
  ...V2_6_39,
  name: "2.6.18",
  readOn: ["x86_64", "i386", "arm", "ia64", "powerpc", "powerpc32", "s390", "mips", "mips64"],
  readIn: "2.6.18",
  watermarks: { ...V2_6_39.watermarks, movableIsSpecial: "never" },
  khugepaged: { ...V2_6_39.khugepaged, exists: false },
  pageset: { ...V2_6_39.pageset, cold: "high" },
  boot: {
    ...V2_6_39.boot,
    fixedZones: ["DMA", "DMA32", "Normal", "HighMem"],
    presentNetOfMemmap: ["x86_64"],
    sizing: "lengths",
    sizingOn: { i386: "solid", arm: "limits", mips: "solid", mips64: "solid" },
    x86TrimsLow: 0,
    x86VmallocEnd: 2 ** 32, // MAXMEM: nothing but the address space's end
    x86VmallocHole: false,
  },
};
