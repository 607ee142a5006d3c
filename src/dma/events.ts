/**
 * What the DMA layer does, as the kernel's trace events tell it: records, and the
 * lines that 6.12 prints for them.
 *
 * Linux: include/trace/events/dma.h, include/trace/events/swiotlb.h
 */
import type { GfpEra } from "../kernels/gfp.ts";
import { formatGfp } from "../mm/gfp-text.ts";
import { hex } from "./reports.ts";
import {
  DIRECTION_NAMES,
  DMA_ATTR_ALLOC_SINGLE_PAGES,
  DMA_ATTR_FORCE_CONTIGUOUS,
  DMA_ATTR_MMIO,
  DMA_ATTR_NO_KERNEL_MAPPING,
  DMA_ATTR_NO_WARN,
  DMA_ATTR_PRIVILEGED,
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_ATTR_WEAK_ORDERING,
  DMA_ATTR_WRITE_COMBINE,
  type DmaDirection,
} from "./words.ts";

interface Head<Name extends string> {
  readonly name: Name;
  readonly device: string;
  readonly direction: DmaDirection;
}

export interface MapEvent extends Head<"dma_map_page" | "dma_map_resource"> {
  readonly dma: number;
  readonly size: number;
  readonly physical: number;
  readonly attrs: number;
}

export interface UnmapEvent extends Head<"dma_unmap_page" | "dma_unmap_resource"> {
  readonly dma: number;
  readonly size: number;
  readonly attrs: number;
}

export interface AllocEvent extends Head<"dma_alloc" | "dma_alloc_pages"> {
  readonly dma: number;
  readonly size: number;
  readonly physical: number;
  readonly gfp: number;
  readonly attrs: number;
}

export interface FreeEvent extends Head<"dma_free" | "dma_free_pages"> {
  readonly dma: number;
  readonly size: number;
  readonly physical: number;
  readonly attrs: number;
}

export interface MapSgEvent extends Head<"dma_map_sg"> {
  readonly dmas: readonly number[];
  readonly sizes: readonly number[];
  readonly physicals: readonly number[];
  readonly attrs: number;
}

export interface MapSgErrorEvent extends Head<"dma_map_sg_err"> {
  readonly physicals: readonly number[];
  readonly error: number;
  readonly attrs: number;
}

export interface UnmapSgEvent extends Head<"dma_unmap_sg"> {
  readonly physicals: readonly number[];
  readonly attrs: number;
}

export interface SyncEvent extends Head<"dma_sync_single_for_cpu" | "dma_sync_single_for_device"> {
  readonly dma: number;
  readonly size: number;
}

export interface SyncSgEvent extends Head<"dma_sync_sg_for_cpu" | "dma_sync_sg_for_device"> {
  readonly dmas: readonly number[];
  readonly sizes: readonly number[];
}

export interface BouncedEvent {
  readonly name: "swiotlb_bounced";
  readonly device: string;
  readonly mask: number;
  /** The address that the buffer itself would have had. */
  readonly dma: number;
  readonly size: number;
  readonly force: boolean;
}

export type DmaEvent =
  | MapEvent
  | UnmapEvent
  | AllocEvent
  | FreeEvent
  | MapSgEvent
  | MapSgErrorEvent
  | UnmapSgEvent
  | SyncEvent
  | SyncSgEvent
  | BouncedEvent;

/** DMA_TRACE_MAX_ENTRIES: lists are cut there. */
const MAX_ENTRIES = 128;

const ATTRS: readonly (readonly [number, string])[] = [
  [DMA_ATTR_WEAK_ORDERING, "WEAK_ORDERING"],
  [DMA_ATTR_WRITE_COMBINE, "WRITE_COMBINE"],
  [DMA_ATTR_NO_KERNEL_MAPPING, "NO_KERNEL_MAPPING"],
  [DMA_ATTR_SKIP_CPU_SYNC, "SKIP_CPU_SYNC"],
  [DMA_ATTR_FORCE_CONTIGUOUS, "FORCE_CONTIGUOUS"],
  [DMA_ATTR_ALLOC_SINGLE_PAGES, "ALLOC_SINGLE_PAGES"],
  [DMA_ATTR_NO_WARN, "NO_WARN"],
  [DMA_ATTR_PRIVILEGED, "PRIVILEGED"],
  [DMA_ATTR_MMIO, "MMIO"],
];

function attrText(attrs: number): string {
  return ATTRS.flatMap(([bit, name]) => ((attrs & bit) === 0 ? [] : [name])).join("|");
}

function list(values: readonly number[]): string {
  const shown = values.slice(0, MAX_ENTRIES).map((value) => `0x${hex(value)}`);
  return `{${shown.join(",")}}`;
}

/** A kernel's pointer: a hash, for which there is no key yet; nothing where there is no memory. */
function pointer({ physical }: AllocEvent): string {
  return physical < 0 ? "0000000000000000" : "(____ptrval____)";
}

/** "nents=1/1": how many of a list are shown, and how many there are. */
function shown(count: number): string {
  return `${Math.min(count, MAX_ENTRIES)}/${count}`;
}

/**
 * An event as ftrace prints it, from its name on. Addresses of the kernel are
 * hashed there, and not printed before there is a key: so they are here.
 */
export function formatDmaEvent(event: DmaEvent, gfp: GfpEra): string {
  return `${event.name}: ${fieldsOf(event, gfp)}`;
}

function fieldsOf(event: DmaEvent, gfp: GfpEra): string {
  if (event.name === "swiotlb_bounced") {
    const force = event.force ? "FORCE" : "NORMAL";
    const { device, mask, dma, size } = event;
    return `dev_name: ${device} dma_mask=${hex(mask)} dev_addr=${hex(dma)} size=${size} ${force}`;
  }
  const head = `${event.device} dir=${DIRECTION_NAMES[event.direction]}`;
  switch (event.name) {
    case "dma_map_page":
    case "dma_map_resource":
      return `${head} dma_addr=${hex(event.dma)} size=${event.size} phys_addr=${hex(event.physical)} attrs=${attrText(event.attrs)}`;
    case "dma_unmap_page":
    case "dma_unmap_resource":
      return `${head} dma_addr=${hex(event.dma)} size=${event.size} attrs=${attrText(event.attrs)}`;
    case "dma_alloc":
    case "dma_alloc_pages":
      return `${head} dma_addr=${hex(event.dma)} size=${event.size} virt_addr=${pointer(event)} flags=${formatGfp(event.gfp, gfp)} attrs=${attrText(event.attrs)}`;
    case "dma_free":
    case "dma_free_pages":
      return `${head} dma_addr=${hex(event.dma)} size=${event.size} virt_addr=(____ptrval____) attrs=${attrText(event.attrs)}`;
    case "dma_map_sg": {
      const { dmas, sizes, physicals } = event;
      const cut = Math.max(physicals.length, dmas.length) > MAX_ENTRIES ? " [TRUNCATED]" : "";
      return `${head} nents=${shown(physicals.length)} ents=${shown(dmas.length)}${cut} dma_addrs=${list(dmas)} sizes=${list(sizes)} phys_addrs=${list(physicals)} attrs=${attrText(event.attrs)}`;
    }
    case "dma_map_sg_err":
      return `${head} dma_addrs=${list(event.physicals)} err=${event.error} attrs=${attrText(event.attrs)}`;
    case "dma_unmap_sg":
      return `${head} phys_addrs=${list(event.physicals)} attrs=${attrText(event.attrs)}`;
    case "dma_sync_single_for_cpu":
    case "dma_sync_single_for_device":
      return `${head} dma_addr=${hex(event.dma)} size=${event.size}`;
    case "dma_sync_sg_for_cpu":
    case "dma_sync_sg_for_device":
      return `${head} dma_addrs=${list(event.dmas)} sizes=${list(event.sizes)}`;
  }
}
