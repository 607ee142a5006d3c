/**
 * Linux 5.10 (Debian 5.10.223; the source of 5.10.89 read beside the captures).
 *
 * Linux: setup_pageset(), mm/page_alloc.c; max_zone_phys(), arch/arm64/mm/init.c
 */
import { EVERY_ARCH, type Policy } from "./policy.ts";
import { V5_15 } from "./v5_15.ts";

export const V5_10: Policy = {
  ...V5_15,
  name: "5.10",
  capturedOn: ["x86_64", "i386"],
  readOn: EVERY_ARCH,
  readIn: "5.10.89",
  // i386 prints 32/32/32 for an empty Movable zone even without RAM in HighMem.
  watermarks: { ...V5_15.watermarks, movableIsSpecial: "highmem-configured" },
  pageset: {
    ...V5_15.pageset,
    high: "six-batches",
    tuned: false,
    fractionSysctl: "percpu_pagelist_fraction",
  },
  swiotlb: {
    ...V5_15.swiotlb,
    slotMetadataBytes: { bits64: 12, bits32: 12 }, // the list and orig_addr arrays: measured
  },
  boot: { ...V5_15.boot, reservesFirstMib: false, armVmallocAddsHole: false },
  backports: [
    {
      name: "arm64's DMA zone by what the devicetree or IORT says",
      since: "5.10.35", // read there, and not yet in 5.10.13: one GiB whatever the board
      arches: ["arm64"],
      without: (policy) => ({ ...policy, boot: { ...policy.boot, arm64ZoneDma: "thirty" } }),
    },
    {
      name: "reserves that count zones without a ratio",
      since: "5.10.89", // read there, and not yet in 5.10.44
      arches: EVERY_ARCH,
      without: (policy) => ({ ...policy, reserve: { ...policy.reserve, zeroRatioHides: true } }),
    },
  ],
};
