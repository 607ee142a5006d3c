/**
 * A machine without ZONE_DMA: the lowest pages become the mask pool before the page
 * allocator exists, and no zonelist has them. What is left of the zone goes to the next one.
 *
 * Its entry of lowmem_reserve_ratio goes with it, and so does the reserve that kept it
 * from requests for higher zones. GFP_DMA then means what it means without CONFIG_ZONE_DMA:
 * Normal; who needs low pages asks `allocGfp`, which makes a mask of it.
 *
 * Linux: init_mask_zone(), prepare_mask_zone(), "maskzone=" of "mask allocator" 6/13, posted
 * 7 March 2008; never merged
 */
import { assert } from "../../base/assert.ts";
import { type Range, rangeList, subtract } from "../../base/range.ts";
import { allocPages, freePages } from "../../mm/allocate.ts";
import { type BootOptions, type BootZone, bootMemory } from "../../mm/boot-memory.ts";
import type { Memory } from "../../mm/memory.ts";
import { defaultReserveRatios } from "../../mm/protection.ts";
import {
  allocMask,
  createMaskPool,
  freeMask,
  isPoolPage,
  MAY_WAIT,
  type MaskPool,
  type PoolMethod,
} from "./mask-pool.ts";
import { type NormalPages, normalPages } from "./normal-first.ts";

export interface PoolBoot {
  /** Pages, from the lowest up; the whole of ZONE_DMA by default. */
  readonly pages?: number;
  readonly method?: PoolMethod;
  readonly atomicPages?: number;
  /** maskzone=force */
  readonly force?: boolean;
}

export interface PooledMemory {
  readonly memory: Memory;
  readonly pool: MaskPool;
}

/** `bootMemory` with a mask pool in place of the zone named DMA. Asserts that there is such a zone, and one above. */
export function bootWithMaskPool(options: BootOptions, pool: PoolBoot = {}): PooledMemory {
  const { zones, ranges, ratios } = withoutDma(options, pool.pages);
  const memory = bootMemory({ ...options, zones, lowmemReserveRatio: ratios });
  const normal: NormalPages = normalPages(memory);
  const { method = "range tree", atomicPages = 0, force = false } = pool;
  const { pageSize } = memory;
  const own = { ranges, pageSize, method, atomicPages, force, normal };
  return { memory, pool: createMaskPool(memory.image, own) };
}

interface WithoutDma {
  readonly zones: BootZone[];
  readonly ranges: Range[];
  readonly ratios: readonly number[];
}

function withoutDma(options: BootOptions, wanted: number | undefined): WithoutDma {
  const names = [...new Set(options.zones.map((zone) => zone.name))];
  const dma = options.zones.find((zone) => zone.name === "DMA");
  const above = options.zones.find((zone) => zone !== dma && zone.node === dma?.node);
  assert(dma !== undefined && above !== undefined, "a mask pool takes the place of ZONE_DMA");
  const joined: BootZone = {
    ...above,
    startPfn: dma.startPfn,
    pages: above.startPfn + above.pages - dma.startPfn,
    holes: [
      ...(dma.holes ?? []),
      { start: dma.startPfn + dma.pages, end: above.startPfn },
      ...(above.holes ?? []),
    ],
  };
  const ram = ramOf(joined);
  const ranges = lowest(ram, wanted ?? totalOf(ramOf(dma)));
  const zones = options.zones.flatMap((zone) => {
    if (zone === dma) return [];
    return zone === above ? [{ ...joined, holes: [...(joined.holes ?? []), ...ranges] }] : [zone];
  });
  const all = options.lowmemReserveRatio ?? defaultReserveRatios(names);
  return { zones, ranges, ratios: all.filter((_, index) => names[index] !== "DMA") };
}

function ramOf({ startPfn, pages, holes }: BootZone): Range[] {
  return subtract([{ start: startPfn, end: startPfn + pages }], rangeList(holes ?? []));
}

function totalOf(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { start, end }) => sum + end - start, 0);
}

/** The first `pages` of a range list. */
function lowest(ram: readonly Range[], pages: number): Range[] {
  const ranges: Range[] = [];
  let left = pages;
  for (const { start, end } of ram) {
    const take = Math.min(left, end - start);
    if (take > 0) ranges.push({ start, end: start + take });
    left -= take;
  }
  return ranges;
}

/** Last address of 24 bits: what GFP_DMA meant. Linux: TRAD_DMA_MASK */
const ISA_LIMIT = 2 ** 24 - 1;
/** __GFP_DMA, of all eras. */
const GFP_DMA_BIT = 0x01;

/**
 * A request for pages where some still say GFP_DMA: it becomes one with a mask of 24 bits.
 * Returns a pfn, or what `allocMask` says. Linux: __alloc_pages() of "mask allocator" 5/13
 */
export function allocGfp({ memory, pool }: PooledMemory, gfp: number, order: number): number {
  if ((gfp & GFP_DMA_BIT) === 0) return allocPages(memory, gfp, order);
  const bytes = memory.pageSize * 2 ** order;
  const flags = (gfp & memory.gfp.direct) === 0 ? 0 : MAY_WAIT;
  return allocMask(pool, { bytes, limit: ISA_LIMIT, gfp: gfp & ~GFP_DMA_BIT, flags });
}

/** Gives such pages back, wherever they are from. */
export function freeGfp({ memory, pool }: PooledMemory, pfn: number, order: number): void {
  if (isPoolPage(pool, pfn)) freeMask(pool, pfn, memory.pageSize * 2 ** order);
  else freePages(memory, pfn, order);
}
