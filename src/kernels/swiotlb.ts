/**
 * swiotlb's policy by era: how slots are looked for, what is copied when, what
 * happens when there is none. Data only; what changed and when.
 *
 * Eras are late stable releases, as distributions ship them. 2.6 to 4.19 are
 * read from source and reproduced by no capture; 6.1 and 6.12 are captured.
 *
 * Linux: arch/ia64/lib/swiotlb.c (2.6.9), lib/swiotlb.c (2.6.12-4.20), kernel/dma/swiotlb.c
 */
import { versionRank } from "./gfp.ts";

export interface SwiotlbRule {
  readonly name: string;
  /** The pool is divided into areas, one a CPU (6.0). */
  readonly areas: boolean;
  /** What the number of `swiotlb=` counts: pages in ia64's first version. */
  readonly unit: "pages" | "slots";
  /** Slots start at a page for mappings larger than a page, or of a page and more (4.11). */
  readonly pageFrom: "above" | "at";
  /** Buffers do not cross the device's segment boundary (2.6.26). */
  readonly boundary: boolean;
  /** Buffers keep the low address bits of min_align_mask (5.12; 5.10.47). */
  readonly minAlign: boolean;
  /**
   * "back": from the index rounded up to the stride until it is there again, and
   * alignment is one of slot numbers. "count": from the index itself, as many
   * slots as an area has, and alignment is one of addresses (6.9).
   */
  readonly walk: "back" | "count";
  /** Requests of more than a segment are refused without a search (6.9). */
  readonly refusesLarge: boolean;
  /** What map copies to the buffer: by direction, or always (5.18, CVE-2022-0854). */
  readonly copyIn: "direction" | "always";
  /**
   * What a sync of a part does: "start" only knows a mapping's first byte; "offset"
   * adds the offset (2.6.23); "checked" cuts at the mapping's end and refuses
   * what lies before its start (5.15); "signed" allows the latter (6.10).
   */
  readonly partial: "start" | "offset" | "checked" | "signed";
  /** Sync of a bidirectional mapping is a BUG (2.6.9). */
  readonly bidirectionalSync: boolean;
  /** Refused mappings get a shared buffer, large ones a panic (until 4.16). */
  readonly overflow: boolean;
  /** Reach is asked of a buffer's first byte only, or of all of it (2.6.26). */
  readonly reach: "start" | "whole";
  /** A buffer out of reach is a panic (until 2.6.38), or a refusal. */
  readonly unreachable: "panic" | "refuse";
  /** The line of a refusal; "space" with "PCI-DMA: " before it, later "DMA: ". */
  readonly full: "pci-space" | "space" | "size" | "counts";
  /** Slots before the buffer, for alignments above a slot (6.10). */
  readonly padSlots: boolean;
  /** Pools can be added at run time, where it is configured (6.6). */
  readonly grows: boolean;
  /** Pages for restricted devices are aligned to their order (6.9). */
  readonly alignsPages: boolean;
  /** The pool lies as high as it can (memblock), or as low (the boot allocator before 2.6.39). */
  readonly placed: "high" | "low";
  /** A pool that finds no place is halved, down to 1 MiB (5.17), or there is none. */
  readonly halves: boolean;
  /** An encrypted guest gets 6 % of its memory (5.11; x86). */
  readonly encryptedShare: boolean;
}

const V2_6_9: SwiotlbRule = {
  name: "2.6.9",
  areas: false,
  unit: "pages",
  pageFrom: "above",
  boundary: false,
  minAlign: false,
  walk: "back",
  refusesLarge: false,
  copyIn: "direction",
  partial: "start",
  bidirectionalSync: false,
  overflow: true,
  reach: "start",
  unreachable: "panic",
  full: "pci-space",
  padSlots: false,
  grows: false,
  alignsPages: false,
  placed: "low",
  halves: false,
  encryptedShare: false,
};
const V2_6_18: SwiotlbRule = { ...V2_6_9, name: "2.6.18", unit: "slots", bidirectionalSync: true };
const V2_6_39: SwiotlbRule = {
  ...V2_6_18,
  name: "2.6.39",
  boundary: true,
  partial: "offset",
  reach: "whole",
  unreachable: "refuse",
  full: "space",
  placed: "high",
};
const V4_19: SwiotlbRule = {
  ...V2_6_39,
  name: "4.19",
  pageFrom: "at",
  overflow: false,
  full: "size",
};
const V5_4: SwiotlbRule = { ...V4_19, name: "5.4", full: "counts" };
const V5_10: SwiotlbRule = { ...V5_4, name: "5.10", minAlign: true, copyIn: "always" };
const V5_15: SwiotlbRule = { ...V5_10, name: "5.15", partial: "checked", encryptedShare: true };
const V6_1: SwiotlbRule = {
  ...V5_15,
  name: "6.1",
  areas: true,
  halves: true,
};
const V6_6: SwiotlbRule = {
  ...V6_1,
  name: "6.6",
  walk: "count",
  refusesLarge: true,
  grows: true,
  alignsPages: true,
};
const V6_12: SwiotlbRule = { ...V6_6, name: "6.12", partial: "signed", padSlots: true };

/** Oldest first. */
export const SWIOTLB_RULES: readonly SwiotlbRule[] = [
  V2_6_9,
  V2_6_18,
  V2_6_39,
  V4_19,
  V5_4,
  V5_10,
  V5_15,
  V6_1,
  V6_6,
  V6_12,
];

/** The rule of a kernel `version` such as "6.1.0-50-amd64": that of its era or of the one before; null for none. */
export function swiotlbRule(version: string): SwiotlbRule | null {
  const wanted = versionRank(version);
  if (wanted === null) return null;
  return SWIOTLB_RULES.findLast(({ name }) => (versionRank(name) ?? 0) <= wanted) ?? null;
}
