/**
 * The entries of page tables as each IOMMU's hardware reads them. An entry is two
 * words, low and high; bits 12 to 51 are the address in all three.
 *
 *   intel    second level: 0 read, 1 write, 7 large page
 *   amd      version 1: 0 present, 9-11 next level (0: a page), 61 read, 62 write
 *   smmu-v3  LPAE: 0 valid, 1 table or last level, 7 read-only, 10 accessed;
 *            a page that can be written can be read
 *
 * Linux: DMA_PTE_*, drivers/iommu/intel/iommu.h; IOMMU_PTE_*, PM_LEVEL_*,
 * drivers/iommu/amd/amd_iommu_types.h; ARM_LPAE_PTE_*, drivers/iommu/io-pgtable-arm.c
 */
import type { IommuVendor } from "../../kernels/iommu.ts";
import { type DmaDirection, fromDevice, toDevice } from "../words.ts";

export const PROT_READ = 1;
export const PROT_WRITE = 2;

export interface PteFormat {
  /** Low and high flag bits of an entry that leads to a table at `level`. */
  tableLow(level: number): number;
  readonly tableHigh: number;
  /** Of a page at `level` with these rights. */
  leafLow(level: number, prot: number): number;
  leafHigh(prot: number): number;
  /** Of an entry that is not zero. */
  isTable(low: number, level: number): boolean;
  prot(low: number, high: number): number;
  /** Tables that an unmap covers whole are freed; otherwise only a larger page in their place frees them. */
  readonly freesCovered: boolean;
}

const INTEL: PteFormat = {
  tableLow: () => 0x3,
  tableHigh: 0,
  leafLow: (level, prot) => prot | (level > 1 ? 0x80 : 0),
  leafHigh: () => 0,
  isTable: (low, level) => level > 1 && (low & 0x80) === 0,
  prot: (low) => low & 3,
  freesCovered: true,
};

const AMD_READ = 1 << 29;
const AMD_WRITE = 1 << 30;

const AMD: PteFormat = {
  // The level that the entry leads to is one below its own.
  tableLow: (level) => 1 | ((level - 1) << 9),
  tableHigh: AMD_READ | AMD_WRITE,
  leafLow: () => 1,
  leafHigh: (prot) =>
    ((prot & PROT_READ) !== 0 ? AMD_READ : 0) | ((prot & PROT_WRITE) !== 0 ? AMD_WRITE : 0),
  isTable: (low) => (low & 0xe00) !== 0,
  prot: (_low, high) =>
    ((high & AMD_READ) !== 0 ? PROT_READ : 0) | ((high & AMD_WRITE) !== 0 ? PROT_WRITE : 0),
  freesCovered: false,
};

const LPAE_VALID = 0x1;
const LPAE_TABLE = 0x2;
const LPAE_READ_ONLY = 0x80;
const LPAE_ACCESSED = 0x400;

const SMMU: PteFormat = {
  tableLow: () => LPAE_VALID | LPAE_TABLE,
  tableHigh: 0,
  leafLow: (level, prot) =>
    LPAE_VALID |
    LPAE_ACCESSED |
    (level === 1 ? LPAE_TABLE : 0) |
    ((prot & PROT_WRITE) === 0 ? LPAE_READ_ONLY : 0),
  leafHigh: () => 0,
  isTable: (low, level) => level > 1 && (low & LPAE_TABLE) !== 0,
  prot: (low) => ((low & LPAE_READ_ONLY) !== 0 ? PROT_READ : PROT_READ | PROT_WRITE),
  freesCovered: true,
};

export const PTE_FORMATS: Readonly<Record<IommuVendor, PteFormat>> = {
  intel: INTEL,
  amd: AMD,
  "smmu-v3": SMMU,
};

/** What a device may do in this direction. Linux: dma_info_to_prot() */
export function protOf(direction: DmaDirection): number {
  return (toDevice(direction) ? PROT_READ : 0) | (fromDevice(direction) ? PROT_WRITE : 0);
}
