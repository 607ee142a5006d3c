/**
 * The DMA API of x86-64 with the GART, 2004 to 2010: memory in a device's reach
 * is used as it is, the rest is mapped into the aperture; lists become one run of
 * it where they can. When the aperture is full the caller gets the address of the
 * emergency pages, or the kernel panics.
 *
 * The aperture lies below 4 GiB and nothing asks whether the device's mask reaches
 * it: devices of fewer than 32 bits get addresses that they cannot drive.
 *
 * Linux: arch/x86_64/kernel/pci-gart.c
 */
import { allocPages, freePages, NO_PFN, zeroPages } from "../../mm/allocate.ts";
import type { DmaDevice } from "../dma-device.ts";
import { lookUp, pageOfRow, remember } from "../iommu/iotlb.ts";
import { granulesOf } from "../iommu/size.ts";
import type { BusFault, CoherentBlock, DmaOps, SgEntry } from "../ops.ts";
import {
  DMA_BIDIRECTIONAL,
  DMA_MAPPING_ERROR,
  type DmaDirection,
  fromDevice,
  NO_LIMIT,
  toDevice,
} from "../words.ts";
import { flushGart, type Gart, givePages, pageOfEntry, setPages, takePages } from "./gart.ts";

const PAGE = 4096;
const GFP_DMA = 0x01;
const BITS_32 = 0xffffffff;
/** Masks of 40 bits and more are refused with iommu=forcesac. */
const SAC_MASK = 0xffffffffff;

export interface GartRefusal {
  readonly reason: string;
  readonly message: string | null;
}

export class GartOps implements DmaOps {
  readonly name = "gart";
  readonly gart: Gart;
  /** Lines as the kernel logs them, those of the boot first. */
  readonly log: string[];
  lastRefusal: GartRefusal | null = null;
  /** The kernel's last words; nothing is mapped after them. */
  panicked: string | null = null;

  constructor(gart: Gart) {
    this.gart = gart;
    this.log = [...gart.log];
  }

  /** What a driver gets that does not look at mapping errors: the emergency pages. */
  get badAddress(): number {
    return this.gart.busBase;
  }

  mapPhysical(device: DmaDevice, physical: number, size: number, direction: DmaDirection): number {
    this.lastRefusal = null;
    if (this.panicked !== null) return this.#refuse("panicked", this.panicked);
    if (!this.#needs(device, physical, size)) return physical;
    const dma = this.#mapArea(device, physical, size, direction, true);
    flushGart(this.gart);
    return dma;
  }

  /** Linux: dma_map_area() */
  #mapArea(
    device: DmaDevice,
    physical: number,
    size: number,
    direction: DmaDirection,
    mayPanic: boolean,
  ): number {
    const offset = physical % PAGE;
    const pages = granulesOf(offset, size, 12);
    const at = takePages(this.gart, pages, device.segmentBoundary);
    if (at >= 0) {
      setPages(this.gart, at, (physical - offset) / PAGE, pages);
      return this.gart.busBase + at * PAGE + offset;
    }
    // Forced, but it reaches the memory anyway.
    if (!this.#high(device, physical, size)) return physical;
    return this.#full(device, size, direction, mayPanic, `dma_map_area overflow ${size} bytes`);
  }

  /** Linux: iommu_full() */
  #full(
    device: DmaDevice,
    size: number,
    direction: DmaDirection,
    mayPanic: boolean,
    panic: string,
  ): number {
    const { rule, options } = this.gart;
    if (options.panic) return this.#panic(panic);
    const what = `PCI-DMA: Out of IOMMU space for ${size} bytes`;
    const line = rule.overflowNamesDevice
      ? `${what} at device ${device.name}`
      : `${device.driver} ${device.name}: ${what}`;
    this.log.push(line);
    if (mayPanic && size > rule.emergencyPages * PAGE) {
      if (fromDevice(direction)) return this.#panic("PCI-DMA: Memory would be corrupted");
      if (toDevice(direction)) return this.#panic("PCI-DMA: Random memory would be DMAed");
    }
    return this.#refuse("aperture full", line);
  }

  #panic(words: string): number {
    this.panicked = `Kernel panic: ${words}`;
    this.log.push(this.panicked);
    return this.#refuse("panicked", this.panicked);
  }

  #refuse(reason: string, message: string | null): number {
    this.lastRefusal = { reason, message };
    return DMA_MAPPING_ERROR;
  }

  unmap(_device: DmaDevice, dma: number, size: number): void {
    const { busBase, rule, size: bytes } = this.gart;
    if (dma < busBase + rule.emergencyPages * PAGE || dma >= busBase + bytes) return;
    givePages(this.gart, Math.floor((dma - busBase) / PAGE), granulesOf(dma % PAGE, size, 12));
  }

  /** Linux: dma_map_sg() */
  mapSg(device: DmaDevice, entries: SgEntry[], direction: DmaDirection): number {
    this.lastRefusal = null;
    if (this.panicked !== null || entries.length === 0) {
      if (this.panicked !== null) this.#refuse("panicked", this.panicked);
      return 0;
    }
    let out = 0;
    let start = 0;
    for (let i = 1; i <= entries.length; i++) {
      if (i < entries.length && this.#joins(device, entries, start, i)) continue;
      if (!this.#mapRun(device, entries, start, i, out)) {
        return this.#listFull(device, entries, start, i, out, direction);
      }
      out++;
      start = i;
    }
    flushGart(this.gart);
    endList(entries, out);
    return out;
  }

  /** Whether entry `i` goes into the run that begins at `start`. */
  #joins(device: DmaDevice, entries: readonly SgEntry[], start: number, i: number): boolean {
    const { options, rule } = this.gart;
    const entry = entries[i];
    const last = entries[i - 1];
    const needed = (one: SgEntry): boolean => this.#needs(device, one.physical, one.length);
    if (!options.merge || !needed(entry) || !needed(last)) return false;
    if (entry.physical % PAGE !== 0 || (last.physical + last.length) % PAGE !== 0) return false;
    if (!rule.segmentLimits) return true;
    let bytes = entry.length;
    for (let at = start; at < i; at++) bytes += entries[at].length;
    return bytes <= device.maxSegmentSize;
  }

  /** Maps entries [start, end) to one segment, written to entry `out`. Linux: dma_map_cont() */
  #mapRun(device: DmaDevice, entries: SgEntry[], start: number, end: number, out: number): boolean {
    const first = entries[start];
    let bytes = 0;
    let pages = 0;
    for (let i = start; i < end; i++) {
      bytes += entries[i].length;
      pages += granulesOf(entries[i].physical % PAGE, entries[i].length, 12);
    }
    if (!this.#needs(device, first.physical, first.length)) {
      entries[out].dma = first.physical;
      entries[out].dmaLength = first.length;
      return true;
    }
    const at = takePages(this.gart, pages, device.segmentBoundary);
    if (at < 0) return false;
    let to = at;
    for (let i = start; i < end; i++) {
      const { physical, length } = entries[i];
      const count = granulesOf(physical % PAGE, length, 12);
      setPages(this.gart, to, Math.floor(physical / PAGE), count);
      to += count;
    }
    entries[out].dma = this.gart.busBase + at * PAGE + (first.physical % PAGE);
    entries[out].dmaLength = bytes;
    return true;
  }

  /** What was mapped goes back; forced mappings are tried again where they are needed only. */
  #listFull(
    device: DmaDevice,
    entries: SgEntry[],
    start: number,
    end: number,
    out: number,
    direction: DmaDirection,
  ): number {
    flushGart(this.gart);
    this.unmapSg(device, entries.slice(0, out));
    if (this.gart.options.force) return this.#mapUnforced(device, entries, direction);
    let pages = 0;
    for (const { physical, length } of entries.slice(start, end)) {
      pages += granulesOf(physical % PAGE, length, 12);
    }
    this.#full(device, pages * PAGE, direction, false, `dma_map_sg: overflow on ${pages} pages`);
    endList(entries, 0);
    return 0;
  }

  /** Linux: dma_map_sg_nonforce() */
  #mapUnforced(device: DmaDevice, entries: SgEntry[], direction: DmaDirection): number {
    for (const [i, entry] of entries.entries()) {
      const { physical, length } = entry;
      entry.dma = physical;
      if (this.#high(device, physical, length)) {
        entry.dma = this.#mapArea(device, physical, length, direction, false);
      }
      entry.dmaLength = length;
      if (entry.dma !== DMA_MAPPING_ERROR) continue;
      this.unmapSg(device, entries.slice(0, i));
      endList(entries, 0);
      flushGart(this.gart);
      return 0;
    }
    flushGart(this.gart);
    return entries.length;
  }

  unmapSg(device: DmaDevice, entries: readonly SgEntry[]): void {
    for (const { dma, dmaLength } of entries) {
      if (dmaLength === 0) return;
      this.unmap(device, dma, dmaLength);
    }
  }

  /** The northbridge keeps caches in step, and nothing was copied. */
  syncForCpu(): void {}
  syncForDevice(): void {}

  /** Linux: dma_alloc_coherent() */
  allocCoherent(device: DmaDevice, size: number, gfp: number): CoherentBlock | null {
    this.lastRefusal = null;
    if (this.panicked !== null) {
      this.#refuse("panicked", this.panicked);
      return null;
    }
    const { memory } = this.gart;
    // Both masks count, as on i386.
    const mask = Math.min(device.coherentLimit, device.streamingLimit);
    const pages = granulesOf(0, size, 12);
    const order = pages <= 1 ? 0 : 32 - Math.clz32(pages - 1);
    const length = pages * PAGE;
    for (let flags = gfp; ; flags |= GFP_DMA) {
      const pfn = order > memory.maxOrder ? NO_PFN : allocPages(memory, flags, order);
      if (pfn === NO_PFN) {
        this.#refuse("no memory", null);
        return null;
      }
      const physical = pfn * PAGE;
      const high = physical + size >= mask;
      const runs = [{ physical, length }];
      if (mask < BITS_32 && high) {
        freePages(memory, pfn, order);
        if ((flags & GFP_DMA) === 0) continue;
        this.#refuse("mask", null);
        return null;
      }
      zeroPages(memory, pfn, order);
      const forced = this.gart.options.force && (flags & GFP_DMA) === 0 && mask >= BITS_32;
      if (!high && !forced) return { dma: physical, size: length, runs };
      const dma = this.#mapArea(device, physical, size, DMA_BIDIRECTIONAL, false);
      flushGart(this.gart);
      if (dma !== DMA_MAPPING_ERROR) return { dma, size: length, runs };
      freePages(memory, pfn, order);
      return null;
    }
  }

  freeCoherent(device: DmaDevice, block: CoherentBlock): void {
    const [run] = block.runs;
    if (run === undefined) return;
    this.unmap(device, block.dma, block.size);
    const pages = block.size / PAGE;
    const order = pages <= 1 ? 0 : 32 - Math.clz32(pages - 1);
    freePages(this.gart.memory, run.physical / PAGE, order);
  }

  /** Linux: dma_supported() */
  maskSupported(device: DmaDevice, limit: number): boolean {
    if (limit < 0x00ffffff) return false;
    if (!this.gart.options.forcesac || limit < SAC_MASK) return true;
    this.log.push(`${device.name}: Force SAC with mask ${limit.toString(16)}`);
    return false;
  }

  requiredMask(): number {
    return 2 ** Math.ceil(Math.log2(this.gart.ramEnd)) - 1;
  }

  maxMappingSize(): number {
    const { options, pages, rule } = this.gart;
    return options.off ? NO_LIMIT : (pages - rule.emergencyPages) * PAGE;
  }

  translate(_device: DmaDevice, dma: number): number | BusFault {
    const { aperture, busBase, size, entries, tlb } = this.gart;
    if (dma < aperture.base || dma >= aperture.base + aperture.size) return dma;
    const page = Math.floor(dma / PAGE);
    const row = lookUp(tlb, page, 0);
    if (row >= 0) return pageOfRow(tlb, row, page) * PAGE + (dma % PAGE);
    const own = dma >= busBase && dma < busBase + size;
    const pfn = own ? pageOfEntry(entries[Math.floor((dma - busBase) / PAGE)]) : -1;
    // No entry: a machine check of the northbridge, if anybody listens.
    if (pfn < 0) return { reason: "unmapped", address: dma, message: "" };
    remember(tlb, page, { pfn, level: 1, prot: 3 });
    return pfn * PAGE + (dma % PAGE);
  }

  /** Whether a mapping goes through the aperture. Linux: need_iommu() */
  #needs(device: DmaDevice, physical: number, size: number): boolean {
    return this.gart.options.force || this.#high(device, physical, size);
  }

  /** Whether it must. */
  #high(device: DmaDevice, physical: number, size: number): boolean {
    const mask = device.streamingLimit;
    return this.gart.rule.endAtMask ? physical + size >= mask : physical + size > mask;
  }
}

function endList(entries: readonly SgEntry[], used: number): void {
  for (const entry of entries.slice(used)) {
    entry.dma = DMA_MAPPING_ERROR;
    entry.dmaLength = 0;
  }
}
