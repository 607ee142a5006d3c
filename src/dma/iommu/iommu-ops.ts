/**
 * The DMA API behind an IOMMU. Each mapping is a block of addresses, whole pages
 * of them; what the device sees of a buffer that is not whole pages reaches a
 * little too far, except for devices that are not trusted: those get a bounce
 * buffer, with zeros around the data.
 *
 * Linux: drivers/iommu/dma-iommu.c
 */
import { allocPages, freePages, NO_PFN } from "../../mm/allocate.ts";
import { rowOf } from "../../mm/memory.ts";
import type { DmaDevice } from "../dma-device.ts";
import type { BusFault, CoherentBlock, DmaOps, SgEntry } from "../ops.ts";
import {
  DMA_ATTR_ALLOC_SINGLE_PAGES,
  DMA_ATTR_FORCE_CONTIGUOUS,
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_MAPPING_ERROR,
  type DmaDirection,
  fromDevice,
  NO_LIMIT,
  toDevice,
} from "../words.ts";
import {
  freePieces,
  isRemapped,
  type PiecesRule,
  type RemappedBlock,
  takePieces,
} from "./coherent.ts";
import {
  apertureEnd,
  clear,
  type Domain,
  dropAddresses,
  mapRun,
  PAGE_BYTES,
  takeAddresses,
  unmapBlock,
} from "./domain.ts";
import { PROT_READ, PROT_WRITE } from "./formats.ts";
import type { Iommu } from "./iommu.ts";
import { lookUp, pageOfRow, remember } from "./iotlb.ts";
import { walk } from "./page-table.ts";
import { pressureWords } from "./pressure.ts";
import { finaliseSg } from "./sg.ts";
import { granulesOf, layOutSg } from "./size.ts";

/** Why the last call refused. */
export interface IommuRefusal {
  readonly reason: string;
  readonly message: string | null;
}

type GroupOf = NonNullable<ReturnType<Iommu["groupFor"]>>;

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
    const bounced = this.#mustBounce(device, physical, size);
    if (bounced) {
      from = this.#bounceIn(device, physical, size, direction, attrs, cpu);
      if (from < 0) return DMA_MAPPING_ERROR;
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
    if (device.untrusted) return this.#mapSgSingly(device, entries, direction, attrs, cpu);
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

  /** Untrusted devices: each entry by itself, as it may bounce. */
  #mapSgSingly(
    device: DmaDevice,
    entries: SgEntry[],
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): number {
    for (const [i, entry] of entries.entries()) {
      const { physical, length } = entry;
      entry.dma = this.mapPhysical(device, physical, length, direction, attrs, cpu);
      entry.dmaLength = length;
      if (entry.dma !== DMA_MAPPING_ERROR) continue;
      this.#unmapSingly(
        device,
        entries.slice(0, i),
        direction,
        attrs | DMA_ATTR_SKIP_CPU_SYNC,
        cpu,
      );
      return 0;
    }
    return entries.length;
  }

  #unmapSingly(
    device: DmaDevice,
    entries: readonly SgEntry[],
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): void {
    for (const { dma, dmaLength } of entries) {
      this.unmap(device, dma, dmaLength, direction, attrs, cpu);
    }
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
    if (device.untrusted) {
      this.#unmapSingly(device, entries, direction, attrs, cpu);
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

  allocCoherent(
    device: DmaDevice,
    size: number,
    gfp: number,
    attrs: number,
    cpu: number,
  ): CoherentBlock | null {
    const group = this.#asked(device);
    if (group === null) return null;
    const { domain } = group;
    if (domain === null)
      return this.#identity()?.allocCoherent(device, size, gfp, attrs, cpu) ?? null;
    const { memory } = this.iommu.spec;
    const flags = gfp | memory.gfp.zero;
    const pages = granulesOf(0, size, 12);
    const mayWait = (gfp & memory.gfp.direct) !== 0 && (attrs & DMA_ATTR_FORCE_CONTIGUOUS) === 0;
    const block = mayWait ? this.#pieces(pages, flags, attrs) : oneBlock(memory, pages, flags);
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
    freeBlock(memory, block);
    return null;
  }

  #pieces(pages: number, gfp: number, attrs: number): RemappedBlock | null {
    const { memory, pageShifts = [12, 21, 30] } = this.iommu.spec;
    const bit = (name: string): number => memory.gfp.era.bits.get(name) ?? 0;
    const rule: PiecesRule = {
      pageShifts: (attrs & DMA_ATTR_ALLOC_SINGLE_PAGES) !== 0 ? [12] : pageShifts,
      set: bit("__GFP_NOWARN") | bit("__GFP_HIGHMEM"),
      clear: bit("__GFP_COMP"),
      noRetry: bit("__GFP_NORETRY"),
    };
    const runs = takePieces(memory, pages, gfp, rule);
    return runs === null ? null : { dma: 0, size: pages * PAGE_BYTES, runs, order: -1 };
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
    if (dma < 0 || dma > apertureEnd(domain)) {
      return this.iommu.fault(device, group, dma, write, "beyond");
    }
    const page = Math.floor(dma / PAGE_BYTES);
    const offset = dma % PAGE_BYTES;
    const wanted = write ? PROT_WRITE : PROT_READ;
    const row = lookUp(domain.tlb, page, wanted);
    if (row >= 0) return pageOfRow(domain.tlb, row, page) * PAGE_BYTES + offset;
    const found = walk(domain.table, page);
    if (found === null) return this.iommu.fault(device, group, dma, write, "unmapped");
    if ((found.prot & wanted) === 0)
      return this.iommu.fault(device, group, dma, write, "direction");
    remember(domain.tlb, page, found);
    return found.pfn * PAGE_BYTES + offset;
  }

  /** For a call that may refuse. */
  #asked(device: DmaDevice): GroupOf | null {
    this.lastRefusal = null;
    return this.#group(device);
  }

  #group(device: DmaDevice): GroupOf | null {
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
    group: GroupOf,
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
    group: GroupOf,
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
    const last = Math.min(limit, apertureEnd(domain));
    const words = pressureWords(domain.iova, domain.queue, pages, Math.floor(last / PAGE_BYTES));
    this.lastWords = words;
    const own = domain.spec.rule.roundsAllSizes.includes(iommu.spec.vendor);
    const line = `DMAR: Allocating ${pages}-page iova for ${device.name} failed`;
    // Drivers of their own say so; dma-iommu leaves it to the caller.
    const message = own && iommu.spec.vendor === "intel" ? line : null;
    if (message !== null) iommu.log.push(message);
    this.#refuse("no IOVA", message);
    iommu.event({ name: "iova_refused", device: device.name, pages, limit, words });
    return 0;
  }

  #unmapPages(domain: Domain, dma: number, size: number, cpu: number): void {
    const offset = dma % PAGE_BYTES;
    const pages = granulesOf(offset, size, 12);
    unmapBlock(domain, (dma - offset) / PAGE_BYTES, pages, cpu, this.iommu.now);
  }

  /** Untrusted devices see whole pages only of what is theirs alone. RAM bounces, registers do not. */
  #mustBounce(device: DmaDevice, physical: number, size: number): boolean {
    if (!device.untrusted || this.iommu.rule.untrusted === "no-bounce") return false;
    if (physical % PAGE_BYTES === 0 && size % PAGE_BYTES === 0) return false;
    return rowOf(this.iommu.spec.memory, Math.floor(physical / PAGE_BYTES)) >= 0;
  }

  #bounceIn(
    device: DmaDevice,
    physical: number,
    size: number,
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): number {
    const { bounce = null } = this.iommu.spec;
    if (bounce === null) {
      const words = "DMA bounce buffers are inactive, unable to map unaligned transaction.";
      const line = `${device.driver === "" ? "pci" : device.driver} ${device.name}: ${words}`;
      this.iommu.sayOnce("inactive", line);
      this.#refuse("no bounce pool", line);
      return -1;
    }
    const whole = Math.ceil(size / PAGE_BYTES) * PAGE_BYTES;
    const mask = PAGE_BYTES - 1;
    const buffer = bounce.map(device, physical, size, whole, mask, direction, attrs, cpu);
    if (buffer < 0) {
      this.#refuse("bounce pool full");
      return -1;
    }
    const copies = toDevice(direction) && (attrs & DMA_ATTR_SKIP_CPU_SYNC) === 0;
    const keeps = copies || this.iommu.rule.untrusted === "zeroed-padding";
    const start = buffer - (buffer % PAGE_BYTES);
    const end = Math.ceil((buffer + size) / PAGE_BYTES) * PAGE_BYTES;
    if (keeps) {
      this.#zero(start, buffer);
      this.#zero(buffer + size, end);
    } else this.#zero(start, end);
    return buffer;
  }

  #zero(start: number, end: number): void {
    const { bytes, bytesPfn } = this.iommu.spec.memory;
    const base = bytesPfn * PAGE_BYTES;
    bytes?.fill(0, Math.max(0, start - base), Math.max(0, end - base));
  }

  #bounceThatHolds(physical: number): NonNullable<Iommu["spec"]["bounce"]> | null {
    const { bounce = null } = this.iommu.spec;
    return physical >= 0 && bounce?.holds(physical) === true ? bounce : null;
  }
}

/** What a device may do in this direction. Linux: dma_info_to_prot() */
function protOf(direction: DmaDirection): number {
  return (toDevice(direction) ? PROT_READ : 0) | (fromDevice(direction) ? PROT_WRITE : 0);
}

/** Physical address behind a DMA address by the tables; -1 for none. Linux: iommu_iova_to_phys() */
function physicalAt(domain: Domain, dma: number): number {
  const found = walk(domain.table, Math.floor(dma / PAGE_BYTES));
  return found === null ? -1 : found.pfn * PAGE_BYTES + (dma % PAGE_BYTES);
}

/** Entries side by side; neighbours in memory are mapped in one go. Linux: __iommu_map_sg() */
function mapEntries(
  domain: Domain,
  pfn: number,
  entries: readonly SgEntry[],
  lengths: Float64Array,
  prot: number,
): boolean {
  const runs: { physical: number; length: number }[] = [];
  for (const [i, { physical }] of entries.entries()) {
    const start = physical - (physical % PAGE_BYTES);
    const last = runs.at(-1);
    if (last !== undefined && last.physical + last.length === start) last.length += lengths[i];
    else runs.push({ physical: start, length: lengths[i] });
  }
  return mapRuns(domain, pfn, runs, prot);
}

function mapRuns(
  domain: Domain,
  pfn: number,
  runs: CoherentBlock["runs"],
  prot: number = PROT_READ | PROT_WRITE,
): boolean {
  let at = pfn;
  for (const { physical, length } of runs) {
    if (!mapRun(domain, at, physical, length, prot)) return false;
    at += length / PAGE_BYTES;
  }
  return true;
}

function oneBlock(
  memory: Iommu["spec"]["memory"],
  pages: number,
  gfp: number,
): RemappedBlock | null {
  const order = pages <= 1 ? 0 : 32 - Math.clz32(pages - 1);
  const pfn = order > memory.maxOrder ? NO_PFN : allocPages(memory, gfp, order);
  if (pfn === NO_PFN) return null;
  const length = pages * PAGE_BYTES;
  return { dma: 0, size: length, runs: [{ physical: pfn * PAGE_BYTES, length }], order };
}

function freeBlock(memory: Iommu["spec"]["memory"], block: CoherentBlock): void {
  const first = block.runs[0];
  if (first === undefined) return;
  if (isRemapped(block) && block.order >= 0) {
    freePages(memory, first.physical / PAGE_BYTES, block.order);
  } else freePieces(memory, block.runs);
}
