/**
 * What happens on the bus when a device behind an IOMMU reads or writes: what the
 * IOTLB remembers counts, then the tables; the rest is a fault.
 */
import type { DmaDevice } from "../dma-device.ts";
import type { BusFault } from "../ops.ts";
import { apertureEnd, type Domain, PAGE_BYTES } from "./domain.ts";
import { PROT_READ, PROT_WRITE } from "./formats.ts";
import type { Iommu, IommuGroup } from "./iommu.ts";
import { lookUp, pageOfRow, remember } from "./iotlb.ts";
import { walk } from "./page-table.ts";

/** Where an access at `dma` lands: a physical address, or the fault it meets. */
export function access(
  iommu: Iommu,
  group: IommuGroup,
  domain: Domain,
  device: DmaDevice,
  dma: number,
  write: boolean,
): number | BusFault {
  if (dma < 0 || dma > apertureEnd(domain)) return iommu.fault(device, group, dma, write, "beyond");
  const page = Math.floor(dma / PAGE_BYTES);
  const offset = dma % PAGE_BYTES;
  const wanted = write ? PROT_WRITE : PROT_READ;
  const row = lookUp(domain.tlb, page, wanted);
  if (row >= 0) return pageOfRow(domain.tlb, row, page) * PAGE_BYTES + offset;
  const found = walk(domain.table, page);
  if (found === null) return iommu.fault(device, group, dma, write, "unmapped");
  if ((found.prot & wanted) === 0) return iommu.fault(device, group, dma, write, "direction");
  remember(domain.tlb, page, found);
  return found.pfn * PAGE_BYTES + offset;
}
