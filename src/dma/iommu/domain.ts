/**
 * A domain at work: addresses, page tables, what the hardware remembers, and
 * when unmapped addresses may be used again. Devices of one group share one.
 *
 *   strict   an unmap takes the access away before it returns
 *   lazy     the tables lose the page at once, the IOTLB at the next flush; the
 *            address is given out again only then
 *
 * Linux: __iommu_dma_map(), __iommu_dma_unmap(), drivers/iommu/dma-iommu.c
 */
import { assert } from "../../base/assert.ts";
import type { Range } from "../../base/range.ts";
import type { IommuVendor, IovaRule } from "../../kernels/iommu.ts";
import type { Memory } from "../../mm/memory.ts";
import type { CoherentBlock, SgEntry } from "../ops.ts";
import type { IommuEvent } from "./events.ts";
import {
  createFlushQueue,
  type FlushHooks,
  type FlushQueue,
  fireFlushTimer,
  flushTimerArmed,
  queueIova,
  verifyFlushQueue,
} from "./flush-queue.ts";
import { PROT_READ, PROT_WRITE, PTE_FORMATS } from "./formats.ts";
import { createIotlb, forgetAll, forgetRange, type Iotlb } from "./iotlb.ts";
import {
  ageCaches,
  allocIovaFast,
  createIovaDomain,
  freeIovaFast,
  type IovaDomain,
  reserveIova,
  verifyIovaDomain,
} from "./iova-domain.ts";
import { mapRange, reachOf, unmapRange, walk } from "./page-table.ts";
import { createPageTable, freeTables, type PageTable } from "./table-store.ts";
import { verifyPageTable } from "./verify-page-table.ts";

export const PAGE_SHIFT = 12;
export const PAGE_BYTES = 4096;
const LIMIT_32 = 0xffffffff;

export interface DomainSpec {
  readonly name: string;
  readonly memory: Memory;
  readonly vendor: IommuVendor;
  readonly rule: IovaRule;
  readonly lazy: boolean;
  readonly levels: number;
  readonly pageShifts: readonly number[];
  readonly cpus: number;
  /** Flags that tables are taken with. */
  readonly gfp: number;
  readonly maxRanges: number;
  readonly maxTables: number;
  /** Addresses that nobody gets. */
  readonly reserved: readonly Range[];
  /** Memory that firmware uses devices for: mapped at its own address, and reserved. */
  readonly direct: readonly Range[];
  readonly event: (event: IommuEvent) => void;
}

export interface Domain {
  readonly spec: DomainSpec;
  readonly iova: IovaDomain;
  readonly table: PageTable;
  readonly tlb: Iotlb;
  readonly queue: FlushQueue | null;
  readonly hooks: FlushHooks;
}

/** null where the page allocator has no page for the tables. */
export function createDomain(spec: DomainSpec): Domain | null {
  const { name, memory, rule, cpus } = spec;
  const { image } = memory;
  const table = createPageTable({ ...spec, format: PTE_FORMATS[spec.vendor] });
  if (table === null) return null;
  const iova = createIovaDomain(image, {
    name,
    rule,
    granuleShift: PAGE_SHIFT,
    startPfn: 1,
    cpus,
    maxRanges: spec.maxRanges,
    roundsAll: rule.roundsAllSizes.includes(spec.vendor),
  });
  for (const { start, end } of [...spec.reserved, ...spec.direct]) {
    reserveIova(iova, Math.floor(start / PAGE_BYTES), Math.floor((end - 1) / PAGE_BYTES));
  }
  const tlb = createIotlb(image, name);
  const domain: Domain = {
    spec,
    iova,
    table,
    tlb,
    queue: spec.lazy ? createFlushQueue(image, name, rule.flushQueue, cpus) : null,
    hooks: {
      flushIotlb: () => forgetAll(tlb),
      release: (pfn, pages, tables, cpu) => {
        freeTables(table, tables);
        freeIovaFast(iova, pfn, pages, cpu);
      },
    },
  };
  for (const { start, end } of spec.direct) {
    mapRun(domain, start / PAGE_BYTES, start, end - start, 3);
  }
  return domain;
}

/** Highest address that the tables reach. */
export function apertureEnd({ table }: Domain): number {
  return reachOf(table) * PAGE_BYTES - 1;
}

/** How a device asks for addresses. */
export interface AddressAsk {
  readonly pages: number;
  /** Last address that the device and its bus carry. */
  readonly limit: number;
  /** Below 4 GiB first, before the whole limit. */
  readonly first32: boolean;
  /** The try below 4 GiB failed: told once it did. */
  readonly failed32: () => void;
}

/** First page of a block, or 0. Linux: iommu_dma_alloc_iova(), drivers/iommu/dma-iommu.c */
export function takeAddresses(domain: Domain, ask: AddressAsk, cpu: number): number {
  const { iova } = domain;
  const limit = Math.min(ask.limit, apertureEnd(domain));
  if (limit > LIMIT_32 && ask.first32) {
    const pfn = allocIovaFast(iova, ask.pages, LIMIT_32 >>> PAGE_SHIFT, false, cpu);
    if (pfn !== 0) return pfn;
    ask.failed32();
  }
  return allocIovaFast(iova, ask.pages, Math.floor(limit / PAGE_BYTES), true, cpu);
}

/** Gives addresses back that nothing was mapped to, or no longer is. */
export function dropAddresses(domain: Domain, pfn: number, pages: number, cpu: number): void {
  freeIovaFast(domain.iova, pfn, pages, cpu);
}

/** Maps whole pages. False without memory for a table: then nothing of the run is mapped. */
export function mapRun(
  domain: Domain,
  pfn: number,
  physical: number,
  bytes: number,
  prot: number,
): boolean {
  const { table, hooks, spec } = domain;
  assert(physical % PAGE_BYTES === 0 && bytes % PAGE_BYTES === 0, "not whole pages", physical);
  const pages = bytes / PAGE_BYTES;
  if (!mapRange(table, pfn, physical / PAGE_BYTES, pages, prot, hooks.flushIotlb)) {
    clear(domain, pfn, pages);
    return false;
  }
  spec.event({ name: "map", start: pfn * PAGE_BYTES, address: physical, bytes });
  return true;
}

/** Physical address behind a DMA address by the tables; -1 for none. Linux: iommu_iova_to_phys() */
export function physicalAt(domain: Domain, dma: number): number {
  const found = walk(domain.table, Math.floor(dma / PAGE_BYTES));
  return found === null ? -1 : found.pfn * PAGE_BYTES + (dma % PAGE_BYTES);
}

/** Entries side by side; neighbours in memory are mapped in one go. Linux: __iommu_map_sg() */
export function mapEntries(
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

export function mapRuns(
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

/** Takes pages out of the tables and out of the IOTLB at once. */
export function clear(domain: Domain, pfn: number, pages: number): void {
  const { table, tlb } = domain;
  const tables = unmapRange(table, pfn, pages);
  forgetRange(tlb, pfn, pages);
  freeTables(table, tables);
}

/** Unmaps a block and frees its addresses, now or at the next flush. Linux: __iommu_dma_unmap() */
export function unmapBlock(
  domain: Domain,
  pfn: number,
  pages: number,
  cpu: number,
  now: number,
): void {
  const { table, queue, hooks, spec } = domain;
  const bytes = pages * PAGE_BYTES;
  if (queue === null) {
    clear(domain, pfn, pages);
    spec.event({ name: "unmap", start: pfn * PAGE_BYTES, bytes, unmappedBytes: bytes });
    freeIovaFast(domain.iova, pfn, pages, cpu);
    return;
  }
  const tables = unmapRange(table, pfn, pages);
  spec.event({ name: "unmap", start: pfn * PAGE_BYTES, bytes, unmappedBytes: bytes });
  queueIova(queue, pfn, pages, tables, cpu, now, hooks);
}

/** The time is `now`, ms: flushes and trims what is due. */
export function tickDomain(domain: Domain, now: number, cpu: number): void {
  const { queue, iova } = domain;
  ageCaches(iova, now);
  if (queue === null) return;
  const armed = flushTimerArmed(queue);
  if (armed >= 0 && now - armed >= queue.timeoutMs) flushDomain(domain, cpu);
}

/** What waits is flushed and freed now. */
export function flushDomain({ queue, hooks }: Domain, cpu: number): void {
  if (queue !== null) fireFlushTimer(queue, cpu, hooks);
}

export function verifyDomain({ iova, table, queue }: Domain): string[] {
  const queued = queue === null ? [] : verifyFlushQueue(queue);
  return [...verifyIovaDomain(iova), ...verifyPageTable(table), ...queued];
}
