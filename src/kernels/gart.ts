/**
 * The GART of AMD's K8 as an IOMMU, by kernel: what was compared with what, and
 * which limits of a device counted.
 *
 * Linux: arch/x86_64/kernel/pci-gart.c (2.6.9), arch/x86/kernel/pci-gart_64.c (2.6.31)
 */

export interface GartRule {
  readonly name: string;
  /** Pages at the start that are never mapped: what an overflow points devices at. EMERGENCY_PAGES */
  readonly emergencyPages: number;
  /** An address needs the GART when its end is at or beyond the mask, or only beyond. */
  readonly endAtMask: boolean;
  /** After a wrap only what lies below the last block is searched, or everything. */
  readonly wrapsToLast: boolean;
  /** Lists are merged within the device's segment size, and blocks lie within its boundary. */
  readonly segmentLimits: boolean;
  /** The line of an overflow names the device behind the words, or the log's prefix does. */
  readonly overflowNamesDevice: boolean;
}

const V2_6_9: GartRule = {
  name: "2.6.9",
  emergencyPages: 32,
  endAtMask: true, // need_iommu(): addr + size >= mask
  wrapsToLast: true, // alloc_iommu(): find_next_zero_string(…, 0, next_bit, …)
  segmentLimits: false,
  overflowNamesDevice: true,
};

/** iommu_area_alloc() and segment limits since 2.6.25, is_buffer_dma_capable() since 2.6.28. */
const V2_6_31: GartRule = {
  ...V2_6_9,
  name: "2.6.31",
  endAtMask: false,
  wrapsToLast: false,
  segmentLimits: true,
  overflowNamesDevice: false,
};

/** The rules of a kernel such as "2.6.18": the older ones up to 2.6.24. */
export function gartRule(version: string): GartRule {
  const [, major = "2", minor = "6", patch = "9"] = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(version) ?? [];
  const old = major === "2" && minor === "6" && Number(patch) < 25;
  return old ? V2_6_9 : V2_6_31;
}
