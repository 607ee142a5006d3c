/**
 * What a device gets: how much of each zone its mask reaches, where its
 * coherent memory comes from, and what happens to a streaming buffer that lies
 * outside. The rules are those of the direct mapping (no IOMMU in between).
 *
 * Linux: dma_direct_supported(), dma_direct_optimal_gfp_mask(), dma_direct_alloc(),
 * dma_direct_map_page(), kernel/dma/direct.c
 */

import type { Range } from "../base/range.ts";
import { formatBytes } from "../base/units.ts";
import { type DeviceSpec, maskLimit } from "./device.ts";

/** How much of one zone's RAM the mask covers, pages. */
export interface ZoneReach {
  readonly node: number;
  readonly zone: string;
  readonly reachable: number;
  readonly present: number;
}

export type StreamingVerdict =
  | "direct" // every page is in reach
  | "bounce" // pages above `limit` go through swiotlb
  | "unreachable" // pages above `limit` cannot be mapped
  | "iommu"; // translated

export interface DeviceReach {
  readonly name: string;
  readonly dmaBits: number;
  readonly coherentBits: number;
  /** False when dma_set_mask() refuses the mask. */
  readonly supported: boolean;
  readonly reach: readonly ZoneReach[];
  /** Zone the first coherent try is made in, e.g. "DMA32"; null when the mask is refused. */
  readonly coherentFrom: string | null;
  /** Zone tried when the first try landed too high; null when there is none. */
  readonly coherentRetry: string | null;
  /** Part of `coherentFrom`'s RAM that fits the coherent mask, 0..1. */
  readonly coherentFits: number;
  readonly streaming: StreamingVerdict;
  /** Bytes: first address out of reach; Infinity when none. */
  readonly limit: number;
  /** Largest single streaming mapping, bytes; Infinity when direct. */
  readonly maxMapping: number;
  /** One sentence for people: "bounce above 512 MiB", "direct" … */
  readonly streamingWords: string;
  /** What to watch, in words: "swiotlb lies above the mask" … */
  readonly notes: readonly string[];
}

/** One zone of one node, as far as reach is concerned. */
export interface ReachZone {
  readonly node: number;
  readonly index: number;
  readonly name: string;
  readonly present: number;
  /** RAM in pfns, sorted. */
  readonly ram: readonly Range[];
}

/** The memory side of the question. */
export interface ReachMemory {
  readonly pageSize: number;
  /** By node, then from the lowest zone up. */
  readonly zones: readonly ReachZone[];
  /** Last address that GFP_DMA stands for, inclusive bytes; null where there is no DMA zone. */
  readonly zoneDmaLimit: number | null;
  /** Whether GFP_DMA32 names a zone of its own in this kernel. */
  readonly hasDma32: boolean;
  readonly swiotlb: {
    readonly start: number | null;
    readonly bytes: number;
    readonly maxMapping: number;
    /** Every streaming mapping bounces: swiotlb=force, confidential guests. */
    readonly forced: boolean;
  } | null;
  /** In place of ZONE_DMA: requests with a limit, and bounce buffers, come from it last. Bytes. */
  readonly maskPool: {
    readonly start: number;
    readonly end: number;
    readonly bytes: number;
  } | null;
  readonly cma: readonly { readonly start: number | null; readonly bytes: number }[];
  /** Zones of a machine no kernel has: chosen by their limits, not by GFP flags. */
  readonly custom: boolean;
}

/** What one device gets. */
export function deviceReach(device: DeviceSpec, memory: ReachMemory): DeviceReach {
  const streamingLimit = lastAddress(device.dmaBits, device) + 1;
  const supported = device.iommu || maskSupported(device.dmaBits, memory);
  const coherent = coherentZones(device, memory);
  const streaming = streamingVerdict(device, streamingLimit, supported, memory);
  const unlimited = streaming === "direct" || streaming === "iommu";
  const notes = reachNotes(device, memory, streaming, supported);
  return {
    name: device.name,
    dmaBits: device.dmaBits,
    coherentBits: device.coherentBits,
    supported,
    reach: memory.zones
      .filter((zone) => zone.present > 0)
      .map((zone) => ({
        node: zone.node,
        zone: zone.name,
        present: zone.present,
        reachable: device.iommu ? zone.present : pagesBelow(zone, streamingLimit, memory.pageSize),
      })),
    coherentFrom: supported ? (coherent.first?.name ?? null) : null,
    coherentRetry: supported ? (coherent.retry?.name ?? null) : null,
    coherentFits: supported ? coherent.fits : 0,
    streaming,
    limit:
      unlimited || streamingLimit > Number.MAX_SAFE_INTEGER
        ? Number.POSITIVE_INFINITY
        : streamingLimit,
    maxMapping:
      unlimited && memory.swiotlb?.forced !== true
        ? Number.POSITIVE_INFINITY
        : bounceMax(streamingLimit, memory),
    streamingWords: streamingWords(streaming, streamingLimit, supported, memory),
    notes,
  };
}

/**
 * Whether dma_set_mask() accepts a mask of `bits`: 32 bits always, fewer when
 * they cover ZONE_DMA or all of RAM.
 *
 * Linux: dma_direct_supported(), kernel/dma/direct.c
 */
export function maskSupported(bits: number, memory: ReachMemory): boolean {
  if (bits >= 32) return true;
  // The pool looks at addresses, so whoever reaches a page of it is served.
  if (memory.maskPool !== null && maskLimit(bits) >= memory.maskPool.start + memory.pageSize - 1)
    return true;
  // The kernel compares with the start of the last page, not with its end.
  let needed = Math.max(0, endOfRam(memory) - memory.pageSize);
  if (memory.zoneDmaLimit !== null) needed = Math.min(needed, memory.zoneDmaLimit);
  return maskLimit(bits) >= needed;
}

function lastAddress(bits: number, device: DeviceSpec): number {
  return Math.min(maskLimit(bits), device.busLimit ?? Number.POSITIVE_INFINITY);
}

function endOfRam(memory: ReachMemory): number {
  let end = 0;
  for (const zone of memory.zones) end = Math.max(end, zone.ram.at(-1)?.end ?? 0);
  return end * memory.pageSize;
}

/** Pages of the zone that lie wholly below `limit`, bytes. */
function pagesBelow(zone: ReachZone, limit: number, pageSize: number): number {
  const limitPfn = Math.floor(limit / pageSize);
  let pages = 0;
  for (const { start, end } of zone.ram) pages += Math.max(0, Math.min(end, limitPfn) - start);
  return pages;
}

interface CoherentZones {
  readonly first: { readonly name: string } | null;
  readonly retry: { readonly name: string } | null;
  /** Part of `first` that the coherent mask covers. */
  readonly fits: number;
}

/**
 * The zone dma_alloc_coherent() asks first, and the one it falls back to when
 * what it got lies out of reach. A zone without memory stands for the next lower one.
 *
 * Linux: dma_direct_optimal_gfp_mask(), dma_direct_alloc(), kernel/dma/direct.c
 */
function coherentZones(device: DeviceSpec, memory: ReachMemory): CoherentZones {
  const last = device.iommu ? Number.MAX_SAFE_INTEGER : lastAddress(device.coherentBits, device);
  const node = device.node ?? memory.zones[0]?.node ?? 0;
  const kernel = memory.zones.filter((zone) => zone.name !== "HighMem" && zone.name !== "Movable");
  const nodes = [...new Set(kernel.map((zone) => zone.node))];
  const from = (highest: (zone: ReachZone) => boolean): ReachZone | null => {
    for (const candidate of [node, ...nodes.filter((other) => other !== node)]) {
      const own = kernel.filter((zone) => zone.node === candidate && zone.present > 0);
      const found = own.findLast(highest);
      if (found !== undefined) return found;
    }
    return null;
  };
  const upTo = (name: string): ReachZone | null => {
    const top = kernel.find((zone) => zone.name === name)?.index;
    return top === undefined ? null : from((zone) => zone.index <= top);
  };
  if (memory.maskPool !== null) return pooledZones(memory.maskPool, memory, last, kernel);
  let first: ReachZone | null;
  let retry: ReachZone | null = null;
  if (memory.custom) {
    first = from((zone) => zoneEnd(zone, memory) - 1 <= last) ?? from(() => true);
  } else if (memory.zoneDmaLimit !== null && last <= memory.zoneDmaLimit) {
    first = upTo("DMA");
  } else {
    const asksDma32 = memory.hasDma32 && last < 2 ** 32;
    first = asksDma32 ? upTo("DMA32") : from(() => true);
    if (first !== null && zoneEnd(first, memory) - 1 > last) {
      retry = (asksDma32 || !memory.hasDma32 ? null : upTo("DMA32")) ?? upTo("DMA");
    }
  }
  const covered = first === null ? 0 : pagesBelow(first, last + 1, memory.pageSize);
  return {
    first,
    retry: retry === first ? null : retry,
    fits: first === null ? 0 : covered / first.present,
  };
}

/**
 * With a mask pool: the highest zone that lies in reach, else the one that the limit cuts, and
 * last the pool. See `src/dma/mask-pool/normal-first.ts`.
 */
function pooledZones(
  pool: NonNullable<ReachMemory["maskPool"]>,
  memory: ReachMemory,
  last: number,
  kernel: readonly ReachZone[],
): CoherentZones {
  const populated = kernel.filter((zone) => zone.present > 0);
  // Who reaches all memory never has to go to the pool.
  const isLimited = populated.some((zone) => zoneEnd(zone, memory) - 1 > last);
  const retry = isLimited && last > pool.start ? { name: "mask pool" } : null;
  const whole = populated.findLast((zone) => zoneEnd(zone, memory) - 1 <= last);
  const cut = populated.find((zone) => pagesBelow(zone, last + 1, memory.pageSize) > 0);
  // The normal allocator is asked where the limit lies above the pool.
  const first = last + 1 <= pool.end ? undefined : (whole ?? cut);
  if (first === undefined) return { first: retry, retry: null, fits: retry === null ? 0 : 1 };
  const covered = pagesBelow(first, last + 1, memory.pageSize) / first.present;
  return { first, retry, fits: covered };
}

function zoneEnd(zone: ReachZone, memory: ReachMemory): number {
  return (zone.ram.at(-1)?.end ?? 0) * memory.pageSize;
}

function streamingVerdict(
  device: DeviceSpec,
  limit: number,
  supported: boolean,
  memory: ReachMemory,
): StreamingVerdict {
  if (device.iommu) return "iommu";
  if (!supported) return "unreachable";
  if (endOfRam(memory) <= limit) return memory.swiotlb?.forced === true ? "bounce" : "direct";
  return poolInReach(limit, memory) ? "bounce" : "unreachable";
}

/** The largest mapping that can be bounced: what swiotlb takes, or what the mask pool has in reach. */
function bounceMax(limit: number, { maskPool, swiotlb }: ReachMemory): number {
  if (maskPool === null) return swiotlb?.maxMapping ?? 0;
  return Math.max(0, Math.min(maskPool.bytes, limit - maskPool.start));
}

/** Whether the whole bounce pool lies below `limit`. Where its place is not known it is assumed just below 4 GiB. */
function poolInReach(limit: number, memory: ReachMemory): boolean {
  if (memory.maskPool !== null) return memory.maskPool.start + memory.pageSize <= limit;
  if (memory.swiotlb === null) return false;
  const { start, bytes } = memory.swiotlb;
  const end = start === null ? Math.min(endOfRam(memory), 2 ** 32) : start + bytes;
  return end <= limit;
}

function streamingWords(
  verdict: StreamingVerdict,
  limit: number,
  supported: boolean,
  memory: ReachMemory,
): string {
  if (!supported) return "mask refused";
  switch (verdict) {
    case "iommu":
      return "translated by the IOMMU";
    case "direct":
      return "direct";
    case "bounce":
      return memory.swiotlb?.forced === true
        ? "bounce always"
        : `bounce above ${formatBytes(limit)}`;
    case "unreachable":
      return `unreachable above ${formatBytes(limit)}`;
  }
}

function reachNotes(
  device: DeviceSpec,
  memory: ReachMemory,
  streaming: StreamingVerdict,
  supported: boolean,
): string[] {
  const notes: string[] = [];
  if (!supported)
    notes.push("the mask covers neither ZONE_DMA nor all of RAM: dma_set_mask() says -EIO");
  if (streaming === "unreachable" && supported) {
    notes.push(
      memory.swiotlb === null
        ? "there is no swiotlb pool to bounce through"
        : "the swiotlb pool itself lies above the mask",
    );
  }
  if (streaming === "bounce" && memory.swiotlb?.forced === true) {
    notes.push("every streaming mapping bounces, whatever its address");
  }
  const coherentLast = lastAddress(device.coherentBits, device);
  const area = memory.cma.find(
    (cma) => cma.start !== null && cma.start + cma.bytes - 1 <= coherentLast,
  );
  if (area !== undefined && !device.iommu) {
    notes.push("coherent buffers of more than a page come from CMA first");
  }
  return notes;
}
