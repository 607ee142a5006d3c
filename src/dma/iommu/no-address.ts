/**
 * A device got no addresses: what the kernel's log says of it, and what holds them.
 *
 * Linux: intel_alloc_iova(), drivers/iommu/intel/iommu.c
 */
import { apertureEnd, type Domain, PAGE_BYTES } from "./domain.ts";
import type { Iommu } from "./iommu.ts";
import { pressureWords } from "./pressure.ts";

/** Logs and tells the refusal of `pages` pages up to address `limit`. */
export function tellNoAddress(
  iommu: Iommu,
  domain: Domain,
  device: string,
  pages: number,
  limit: number,
): { readonly words: string; readonly message: string | null } {
  const last = Math.min(limit, apertureEnd(domain));
  const words = pressureWords(domain.iova, domain.queue, pages, Math.floor(last / PAGE_BYTES));
  const own = domain.spec.rule.roundsAllSizes.includes(iommu.spec.vendor);
  // Drivers of their own say so; dma-iommu leaves it to the caller.
  const speaks = own && iommu.spec.vendor === "intel";
  const message = speaks ? `DMAR: Allocating ${pages}-page iova for ${device} failed` : null;
  if (message !== null) iommu.log.push(message);
  iommu.event({ name: "iova_refused", device, pages, limit, words });
  return { words, message };
}
