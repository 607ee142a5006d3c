/**
 * The DMA API behind an IOMMU. Each mapping is a block of addresses, whole pages of them; what the
 * device sees of a buffer that is not whole pages reaches a little too far, except for devices that
 * are not trusted: those get a bounce buffer, with zeros around the data.
 *
 * Linux: drivers/iommu/dma-iommu.c
 */
import type { DmaDevice } from "../dma-device.ts";
import { mapEach, unmapEach } from "../each-entry.ts";
import type { BusFault, CoherentBlock, DmaOps, SgEntry } from "../ops.ts";
import { dmaToPhys } from "../translate.ts";
import { DMA_MAPPING_ERROR, type DmaDirection, NO_LIMIT } from "../words.ts";
import { access } from "./access.ts";
import { freeBlock, gatherPages, takeBlock } from "./coherent.ts";
import {
  clear,
  type Domain,
  dropAddresses,
  mapEntries,
  mapRun,
  mapRuns,
  PAGE_BYTES,
  physicalAt,
  takeAddresses,
  unmapBlock,
} from "./domain.ts";
import { protOf } from "./formats.ts";
import type { Iommu, IommuGroup } from "./iommu.ts";
import { tellNoAddress } from "./no-address.ts";
import { finaliseSg } from "./sg.ts";
import { granulesOf, layOutSg } from "./size.ts";
import { bounceIn, type IommuRefusal, mapsSingly, mustBounce } from "./untrusted.ts";

type CoherentAsk = Parameters<DmaOps["allocCoherent"]>;

export class IommuOps implements DmaOps {
  readonly name = "iommu";
  readonly iommu: Iommu;
  lastRefusal: IommuRefusal | null = null;
  /** More than the words of the refusal: who holds the addresses. */
  lastWords: string | null = null;

  constructor(iommu: Iommu) {
    this.iommu = iommu;
  }

  mapPhysical(
    device: DmaDevice,
    physical: number,
    size: number,
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): number {
    const group = this.#asked(device);
    if (group === null) return DMA_MAPPING_ERROR;
    const { domain } = group;
    if (domain === null) {
      const direct = this.#identity();
      return (
        direct?.mapPhysical(device, physical, size, direction, attrs, cpu) ?? DMA_MAPPING_ERROR
      );
    }
    let from = physical;
    const bounced = mustBounce(this.iommu, device, physical, size, direction);
    if (bounced) {
      const answer = bounceIn(this.iommu, device, physical, size, direction, attrs, cpu);
      if (typeof answer !== "number") {
        this.#refuse(answer.reason, answer.message);
        return DMA_MAPPING_ERROR;
      }
      from = answer;
    }
    const dma = this.#mapPages(group, domain, device, from, size, protOf(direction), cpu);
    if (dma === DMA_MAPPING_ERROR && bounced) {
      this.iommu.spec.bounce?.unmap(device, from, size, direction, attrs);
    }
    return dma;
  }

  unmap(
    device: DmaDevice,
    dma: number,
    size: number,
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): void {
    const { domain } = this.#group(device) ?? {};
    if (domain === null) this.#identity()?.unmap(device, dma, size, direction, attrs, cpu);
    if (domain === undefined || domain === null) return;
    const physical = physicalAt(domain, dma);
    // Nothing there: the kernel warns and does nothing.
    if (physical < 0) return;
    this.#unmapPages(domain, dma, size, cpu);
    const bounce = this.#bounceThatHolds(physical);
    bounce?.unmap(device, physical, size, direction, attrs);
  }

  mapSg(
    device: DmaDevice,
    entries: SgEntry[],
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): number {
    const group = this.#asked(device);
    if (group === null) return 0;
    const { domain } = group;
    if (domain === null)
      return this.#identity()?.mapSg(device, entries, direction, attrs, cpu) ?? 0;
    if (mapsSingly(this.iommu, device, entries, direction))
      return mapEach(this, device, entries, direction, attrs, cpu);
    const { lengths, total } = layOutSg(entries, 12, device.segmentBoundary);
    if (total === 0) return 0;
    const pfn = this.#addresses(
      group,
      domain,
      device,
      total / PAGE_BYTES,
      device.streamingLimit,
      cpu,
    );
    if (pfn === 0) return 0;
    if (!mapEntries(domain, pfn, entries, lengths, protOf(direction))) {
      this.#refuse("no memory for page tables");
      clear(domain, pfn, total / PAGE_BYTES);
      dropAddresses(domain, pfn, total / PAGE_BYTES, cpu);
      return 0;
    }
    return finaliseSg(device, entries, lengths, pfn * PAGE_BYTES);
  }

  unmapSg(
    device: DmaDevice,
    entries: readonly SgEntry[],
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): void {
    const { domain } = this.#group(device) ?? {};
    if (domain === null) this.#identity()?.unmapSg(device, entries, direction, attrs, cpu);
    if (domain === undefined || domain === null) return;
    if (mapsSingly(this.iommu, device, entries, direction)) {
      unmapEach(this, device, entries, direction, attrs, cpu);
      return;
    }
    // One block for the whole list, up to the last entry that is used.
    const used = entries.filter(({ dmaLength }) => dmaLength > 0);
    const first = used[0];
    const last = used.at(-1);
    if (first === undefined || last === undefined) return;
    this.#unmapPages(domain, first.dma, last.dma + last.dmaLength - first.dma, cpu);
  }

  syncForCpu(device: DmaDevice, dma: number, size: number, direction: DmaDirection): void {
    const { domain } = this.#group(device) ?? {};
    if (domain === null) this.#identity()?.syncForCpu(device, dma, size, direction);
    if (domain === undefined || domain === null) return;
    const physical = physicalAt(domain, dma);
    this.#bounceThatHolds(physical)?.syncForCpu(device, physical, size, direction);
  }

  syncForDevice(device: DmaDevice, dma: number, size: number, direction: DmaDirection): void {
    const { domain } = this.#group(device) ?? {};
    if (domain === null) this.#identity()?.syncForDevice(device, dma, size, direction);
    if (domain === undefined || domain === null) return;
    const physical = physicalAt(domain, dma);
    this.#bounceThatHolds(physical)?.syncForDevice(device, physical, size, direction);
  }

  allocCoherent(...ask: CoherentAsk): CoherentBlock | null {
    const group = this.#asked(ask[0]);
    if (group?.domain === null) return this.#identity()?.allocCoherent(...ask) ?? null;
    return this.#allocate(group, takeBlock, ask);
  }

  gathers(device: DmaDevice): boolean {
    return (this.#group(device)?.domain ?? null) !== null;
  }

  gather(...ask: CoherentAsk): CoherentBlock | null {
    return this.#allocate(this.#asked(ask[0]), gatherPages, ask);
  }

  /** Pages with an address for the device; null, with all given back, where they get none. */
  #allocate(
    group: IommuGroup | null,
    take: typeof takeBlock,
    [device, size, gfp, attrs, cpu]: CoherentAsk,
  ): CoherentBlock | null {
    const domain = group?.domain ?? null;
    if (group === null || domain === null) return null;
    const pages = granulesOf(0, size, 12);
    const block = take(this.iommu.spec.memory, pages, gfp, attrs, this.iommu.pageShifts);
    if (block === null) return this.#refuse("no memory");
    const pfn = this.#addresses(group, domain, device, pages, device.coherentLimit, cpu);
    if (pfn !== 0 && mapRuns(domain, pfn, block.runs)) {
      return { ...block, dma: pfn * PAGE_BYTES };
    }
    if (pfn !== 0) {
      clear(domain, pfn, pages);
      dropAddresses(domain, pfn, pages, cpu);
      this.#refuse("no memory for page tables");
    }
    freeBlock(this.iommu.spec.memory, block);
    return null;
  }

  freeCoherent(device: DmaDevice, block: CoherentBlock, attrs: number, cpu: number): void {
    const { domain } = this.#group(device) ?? {};
    if (domain === null) this.#identity()?.freeCoherent(device, block, attrs, cpu);
    if (domain === undefined || domain === null) return;
    this.#unmapPages(domain, block.dma, block.size, cpu);
    freeBlock(this.iommu.spec.memory, block);
  }

  /** Whatever the mask, addresses below it can be found. */
  maskSupported(device: DmaDevice, limit: number): boolean {
    const { domain } = this.#group(device) ?? {};
    return domain === null ? (this.#identity()?.maskSupported(device, limit) ?? false) : true;
  }

  /** 32 bits reach everything. Linux: dma_get_required_mask(), kernel/dma/mapping.c */
  requiredMask(device: DmaDevice): number {
    const { domain } = this.#group(device) ?? {};
    return domain === null ? (this.#identity()?.requiredMask(device) ?? 0xffffffff) : 0xffffffff;
  }

  maxMappingSize(device: DmaDevice): number {
    const { domain } = this.#group(device) ?? {};
    if (domain === null) return this.#identity()?.maxMappingSize(device) ?? NO_LIMIT;
    if (!device.untrusted) return NO_LIMIT;
    return this.iommu.spec.bounce?.maxMapping(device) ?? 0;
  }

  /** Up to here addresses come out of the caches: larger mappings cost more. Linux: iommu_dma_opt_mapping_size(), since 6.0 */
  optMappingSize(): number {
    return PAGE_BYTES * 2 ** (this.iommu.rule.cacheOrders - 1);
  }

  translate(device: DmaDevice, dma: number, write: boolean): number | BusFault {
    const group = this.#group(device);
    if (group === null) {
      return { reason: "unmapped", address: dma, message: "no memory for page tables" };
    }
    const { domain } = group;
    if (domain === null) {
      return (
        this.#identity()?.translate(device, dma, write) ?? {
          reason: "window",
          address: dma,
          message: "",
        }
      );
    }
    return access(this.iommu, group, domain, device, dma, write);
  }

  landing(device: DmaDevice, dma: number): number {
    const domain = this.#group(device)?.domain ?? null;
    if (domain !== null) return physicalAt(domain, dma);
    return this.#identity()?.landing?.(device, dma) ?? dmaToPhys(device, dma);
  }

  /** For a call that may refuse. */
  #asked(device: DmaDevice): IommuGroup | null {
    this.lastRefusal = null;
    return this.#group(device);
  }

  #group(device: DmaDevice): IommuGroup | null {
    const group = this.iommu.groupFor(device);
    return group === null ? this.#refuse("no memory for page tables") : group;
  }

  #identity(): DmaOps | null {
    return this.iommu.spec.identity ?? null;
  }

  #refuse(reason: string, message: string | null = null): null {
    this.lastRefusal = { reason, message };
    return null;
  }

  #mapPages(
    group: IommuGroup,
    domain: Domain,
    device: DmaDevice,
    physical: number,
    size: number,
    prot: number,
    cpu: number,
  ): number {
    const offset = physical % PAGE_BYTES;
    const pages = granulesOf(offset, size, 12);
    const pfn = this.#addresses(group, domain, device, pages, device.streamingLimit, cpu);
    if (pfn === 0) return DMA_MAPPING_ERROR;
    if (mapRun(domain, pfn, physical - offset, pages * PAGE_BYTES, prot)) {
      return pfn * PAGE_BYTES + offset;
    }
    dropAddresses(domain, pfn, pages, cpu);
    this.#refuse("no memory for page tables");
    return DMA_MAPPING_ERROR;
  }

  /** First page of a block that the device reaches, or 0 with the reason told. */
  #addresses(
    group: IommuGroup,
    domain: Domain,
    device: DmaDevice,
    pages: number,
    mask: number,
    cpu: number,
  ): number {
    if (mask < 0) {
      this.#refuse("no mask");
      return 0;
    }
    const { iommu } = this;
    const limit = Math.min(mask, device.busLimit);
    const first32 = iommu.asksFirst32(device, group);
    const failed32 = (): void => iommu.leave32(device, group, limit);
    const pfn = takeAddresses(domain, { pages, limit, first32, failed32 }, cpu);
    if (pfn !== 0) return pfn;
    const { words, message } = tellNoAddress(iommu, domain, device.name, pages, limit);
    this.lastWords = words;
    this.#refuse("no IOVA", message);
    return 0;
  }

  #unmapPages(domain: Domain, dma: number, size: number, cpu: number): void {
    const offset = dma % PAGE_BYTES;
    const pages = granulesOf(offset, size, 12);
    unmapBlock(domain, (dma - offset) / PAGE_BYTES, pages, cpu, this.iommu.now);
  }

  #bounceThatHolds(physical: number): NonNullable<Iommu["spec"]["bounce"]> | null {
    const { bounce = null } = this.iommu.spec;
    return physical >= 0 && bounce?.holds(physical) === true ? bounce : null;
  }
}
