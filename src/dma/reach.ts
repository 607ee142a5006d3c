/**
 * What a device gets: how much of each zone its mask reaches, where its
 * coherent memory comes from, and what happens to a streaming buffer that lies
 * outside. The rules are those of the direct mapping (no IOMMU in between). What
 * a device reaches is a list of ranges of CPU addresses: all up to its mask, or
 * what the windows of its bus show of them.
 *
 * Linux: dma_direct_supported(), dma_direct_optimal_gfp_mask(), dma_direct_alloc(),
 * dma_direct_map_page(), kernel/dma/direct.c
 */

import { intersect, type Range, rangeList, subtract, totalLength } from "../base/range.ts";
import { highestPhysical, reachedRanges } from "./bus-reach.ts";
import { type DeviceSpec, maskLimit } from "./device.ts";
import type { DmaWindow } from "./dma-device.ts";
import type { ReachMemory, ReachZone, StreamingVerdict } from "./reach-memory.ts";
import { isRestricted, ramBytes, reachNotes, streamingWords } from "./reach-words.ts";

export type { ReachMemory, ReachZone, StreamingVerdict } from "./reach-memory.ts";

/** How much of one zone's RAM the mask covers, pages. */
export interface ZoneReach {
  readonly node: number;
  readonly zone: string;
  readonly reachable: number;
  readonly present: number;
}

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

/** What one device gets. */
export function deviceReach(device: DeviceSpec, memory: ReachMemory): DeviceReach {
  const reached = reachedRanges(device.dmaBits, device);
  const streamingLimit = reached.at(-1)?.end ?? 0;
  const supported = device.iommu || maskSupported(device.dmaBits, memory, device.windows);
  const coherent = coherentZones(device, memory);
  const streaming = streamingVerdict(device, reached, supported, memory);
  const unlimited = streaming === "direct" || streaming === "iommu";
  const notes = reachNotes(device, memory, streaming, supported);
  const bounceMapping = memory.swiotlb?.maxMapping ?? OWN_POOL_MAPPING;
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
        reachable: device.iommu ? zone.present : pagesWithin(zone, reached, memory.pageSize),
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
        : streaming === "bounce" && memory.maskPool === null
          ? bounceMapping
          : bounceMax(reached, memory),
    streamingWords: streamingWords(device, streaming, reached, supported, memory),
    notes,
  };
}

/** A segment of 128 slots of 2 KiB: what a restricted pool maps at most. Linux: IO_TLB_SEGSIZE */
const OWN_POOL_MAPPING = 128 * 2048;

/**
 * Whether dma_set_mask() accepts a mask of `bits`: 32 bits always, fewer when
 * they cover ZONE_DMA or all of RAM.
 *
 * Linux: dma_direct_supported(), kernel/dma/direct.c
 */
export function maskSupported(
  bits: number,
  memory: ReachMemory,
  windows: readonly DmaWindow[] | undefined = undefined,
): boolean {
  if (bits >= 32) return true;
  // The pool looks at addresses, so whoever reaches a page of it is served.
  const reached = reachedRanges(bits, { busLimit: null, windows });
  if (memory.maskPool !== null && poolBytes(memory.maskPool, reached, memory.pageSize) > 0)
    return true;
  // The kernel compares with the start of the last page, not with its end.
  let needed = Math.max(0, endOfRam(memory) - memory.pageSize);
  if (memory.zoneDmaLimit !== null) needed = Math.min(needed, memory.zoneDmaLimit);
  if (windows === undefined) return maskLimit(bits) >= needed;
  // What no window shows translates to all ones, which no such mask covers.
  const shown = windows.find(
    ({ cpuStart, size }) => cpuStart <= needed && needed < cpuStart + size,
  );
  return shown !== undefined && maskLimit(bits) >= needed - shown.cpuStart + shown.dmaStart;
}

function endOfRam(memory: ReachMemory): number {
  let end = 0;
  for (const zone of memory.zones) end = Math.max(end, zone.ram.at(-1)?.end ?? 0);
  return end * memory.pageSize;
}

/** Pages of the zone that lie wholly in `ranges`, bytes. */
function pagesWithin(zone: ReachZone, ranges: readonly Range[], pageSize: number): number {
  const pages = ranges.map(({ start, end }) => ({
    start: Math.ceil(start / pageSize),
    end: Math.floor(end / pageSize),
  }));
  return totalLength(intersect(zone.ram, rangeList(pages)));
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
  const { coherentBits, iommu } = device;
  const last = iommu ? Number.MAX_SAFE_INTEGER : highestPhysical(coherentBits, device);
  const everything = [{ start: 0, end: Number.MAX_SAFE_INTEGER }];
  const reached = iommu ? everything : reachedRanges(coherentBits, device);
  const coveredOf = (zone: ReachZone): number => pagesWithin(zone, reached, memory.pageSize);
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
  if (memory.maskPool !== null) return pooledZones(memory.maskPool, memory, reached, kernel);
  let first: ReachZone | null;
  let retry: ReachZone | null = null;
  if (memory.custom) {
    first = from((zone) => zoneEnd(zone, memory) - 1 <= last) ?? from(() => true);
  } else if (memory.zoneDmaLimit !== null && last <= memory.zoneDmaLimit) {
    first = upTo("DMA");
  } else {
    const asksDma32 = memory.hasDma32 && last < 2 ** 32;
    first = asksDma32 ? upTo("DMA32") : from(() => true);
    if (first !== null && coveredOf(first) < ramOf(first)) {
      retry = (asksDma32 || !memory.hasDma32 ? null : upTo("DMA32")) ?? upTo("DMA");
    }
  }
  const covered = first === null ? 0 : coveredOf(first);
  return {
    first,
    retry: retry === first ? null : retry,
    fits: first === null ? 0 : covered / first.present,
  };
}

function ramOf(zone: ReachZone): number {
  return totalLength(zone.ram);
}

/**
 * With a mask pool: the highest zone that lies in reach, else the one that the limit cuts, and
 * last the pool. See `src/dma/mask-pool/normal-first.ts`.
 */
function pooledZones(
  pool: NonNullable<ReachMemory["maskPool"]>,
  memory: ReachMemory,
  reached: readonly Range[],
  kernel: readonly ReachZone[],
): CoherentZones {
  const coveredOf = (zone: ReachZone): number => pagesWithin(zone, reached, memory.pageSize);
  const populated = kernel.filter((zone) => zone.present > 0);
  const wholly = populated.filter((zone) => coveredOf(zone) === ramOf(zone));
  // Who reaches all memory never has to go to the pool.
  const isLimited = wholly.length < populated.length;
  const hasPool = isLimited && poolBytes(pool, reached, memory.pageSize) > 0;
  const retry = hasPool ? { name: "mask pool" } : null;
  const cut = populated.find((zone) => coveredOf(zone) > 0);
  // The normal allocator is asked where the limit lies above the pool.
  const isBelow = (reached.at(-1)?.end ?? 0) <= pool.end;
  const first = isBelow ? undefined : (wholly.at(-1) ?? cut);
  if (first === undefined) return { first: retry, retry: null, fits: retry === null ? 0 : 1 };
  return { first, retry, fits: coveredOf(first) / first.present };
}

/** Bytes of the mask pool in reach, whole pages of them. */
function poolBytes(
  pool: NonNullable<ReachMemory["maskPool"]>,
  reached: readonly Range[],
  pageSize: number,
): number {
  const bytes = Math.min(pool.bytes, totalLength(intersect([pool], reached)));
  return bytes - (bytes % pageSize);
}

function zoneEnd(zone: ReachZone, memory: ReachMemory): number {
  return (zone.ram.at(-1)?.end ?? 0) * memory.pageSize;
}

function streamingVerdict(
  device: DeviceSpec,
  reached: readonly Range[],
  supported: boolean,
  memory: ReachMemory,
): StreamingVerdict {
  if (device.iommu) return "iommu";
  if (isRestricted(device)) return "bounce";
  if (!supported) return "unreachable";
  if (subtract(ramBytes(memory), reached).length === 0) {
    return memory.swiotlb?.forced === true ? "bounce" : "direct";
  }
  return poolInReach(reached, memory) ? "bounce" : "unreachable";
}

/** The largest mapping that can be bounced: what swiotlb takes, or what the mask pool has in reach. */
function bounceMax(
  reached: readonly Range[],
  { maskPool, swiotlb, pageSize }: ReachMemory,
): number {
  return maskPool === null ? (swiotlb?.maxMapping ?? 0) : poolBytes(maskPool, reached, pageSize);
}

/** Whether the whole bounce pool is in reach. Where its place is not known it is assumed as high as it may be. */
function poolInReach(reached: readonly Range[], memory: ReachMemory): boolean {
  const { maskPool } = memory;
  if (maskPool !== null) return poolBytes(maskPool, reached, memory.pageSize) > 0;
  if (memory.swiotlb === null) return false;
  const { start, bytes, below } = memory.swiotlb;
  const top = Math.min(endOfRam(memory), below ?? 2 ** 32);
  const end = start === null ? top : start + bytes;
  return subtract([{ start: end - bytes, end }], reached).length === 0;
}
