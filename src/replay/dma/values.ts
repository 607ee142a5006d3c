/** Values of trace events and probes as DMA calls have them. */
import { DMA_MAPPING_ERROR, type DmaDirection, NO_LIMIT } from "../../dma/words.ts";
import type { ProbeHit } from "../../formats/ftrace-event.ts";

const DIRECTIONS: ReadonlyMap<string, DmaDirection> = new Map([
  ["BIDIRECTIONAL", 0],
  ["TO_DEVICE", 1],
  ["FROM_DEVICE", 2],
  ["NONE", 3],
]);

/** First address of the direct map: x86-64 without KASLR. Linux: __PAGE_OFFSET_BASE_L4 */
const PAGE_OFFSET = 0xffff888000000000n;
/** struct page of pfn 0 and its size, there. Linux: __VMEMMAP_BASE_L4 */
const VMEMMAP = 0xffffea0000000000n;
const PAGE_STRUCT_BYTES = 64n;
const PAGE_BYTES = 4096n;
export function missingOf(all: number | null, listed: number): number {
  return all === null ? 0 : Math.max(0, all - listed);
}

export function named(text: string): DmaDirection {
  return DIRECTIONS.get(text) ?? 0;
}

export function direction(value: number): DmaDirection {
  return value === 1 || value === 2 || value === 3 ? value : 0;
}

/** What a driver gets for no. */
export function handleOf(value: number): number {
  return value > NO_LIMIT ? DMA_MAPPING_ERROR : value;
}

export function textOf(e: Pick<ProbeHit, "values">, name: string): string {
  const value = e.values.get(name);
  return typeof value === "string" ? value : "";
}

export function numberOf(e: Pick<ProbeHit, "values">, name: string): number {
  const value = e.values.get(name);
  return typeof value === "bigint" ? Number(value) : 0;
}

/** Physical address of a page, by the address of its struct page. */
export function pageOf(value: unknown): number {
  if (typeof value !== "bigint" || value < VMEMMAP) return Number.NaN;
  return Number(((value - VMEMMAP) / PAGE_STRUCT_BYTES) * PAGE_BYTES);
}

/** Physical address of memory in the direct map. */
export function physicalOf(value: unknown): number {
  if (typeof value !== "bigint" || value < PAGE_OFFSET) return DMA_MAPPING_ERROR;
  return Number(value - PAGE_OFFSET);
}
