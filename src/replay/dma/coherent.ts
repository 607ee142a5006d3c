/**
 * What a coherent allocation asks of the page allocator, and from which zone
 * that comes: one request, zone bits by the coherent mask.
 *
 * Linux: dma_alloc_attrs(), kernel/dma/mapping.c; dma_direct_optimal_gfp_mask(),
 * __dma_direct_alloc_pages(), kernel/dma/direct.c
 */
import type { DmaDevice } from "../../dma/dma-device.ts";
import { type GfpEra, gfpBits } from "../../kernels/gfp-era.ts";
import { parseGfp } from "../../mm/gfp-text.ts";
import type { AllocCall } from "./call.ts";
import type { DmaFacts, DmaZone } from "./facts.ts";

const PAGE_BYTES = 4096;

export interface CoherentScore {
  recorded: number;
  /** The block lies in the zone that the mask asks for. */
  zoneEqual: number;
  /** Calls whose request to the page allocator is recorded; its order, its flags, and its page is the answer. */
  requests: number;
  orderEqual: number;
  gfpEqual: number;
  pageEqual: number;
}

export function newCoherentScore(): CoherentScore {
  return { recorded: 0, zoneEqual: 0, requests: 0, orderEqual: 0, gfpEqual: 0, pageEqual: 0 };
}

export function scoreCoherent(
  score: CoherentScore,
  call: AllocCall,
  device: DmaDevice,
  { zones }: DmaFacts,
  era: GfpEra,
): void {
  // It failed, or where the direct map begins is hidden.
  if (!(call.physical >= 0)) return;
  const asked = typeof call.gfp === "number" ? call.gfp : parseGfp(call.gfp, era).value;
  const zone = zoneName(device.coherentLimit, zones);
  const bits = (asked & ~gfpBits(era.bits, ...ZONE_FLAGS)) | zoneBits(zone, era);
  score.recorded++;
  const pfn = Math.floor(call.physical / PAGE_BYTES);
  if (zoneOf(pfn, zones) === reached(zone, zones)) score.zoneEqual++;
  // One that failed, or was answered by something else, makes no single request.
  if (call.answers.length === 0) return;
  score.requests++;
  const [answer] = call.answers;
  if (call.answers.length !== 1) return;
  if (answer.order === orderOf(call.bytes)) score.orderEqual++;
  if (parseGfp(answer.gfp, era).value === bits) score.gfpEqual++;
  if (answer.pfn === pfn) score.pageEqual++;
}

const ZONE_FLAGS = ["__GFP_DMA", "__GFP_DMA32", "__GFP_HIGHMEM"];

type ZoneWish = "DMA" | "DMA32" | "Normal";

/** ZONE_DMA ends at 16 MiB on x86. Linux: zone_dma_bits */
const DMA_LIMIT = 2 ** 24 - 1;

function zoneName(limit: number, zones: readonly DmaZone[]): ZoneWish {
  const has = (name: string): boolean => zones.some((zone) => zone.name === name);
  if (limit <= DMA_LIMIT && has("DMA")) return "DMA";
  return limit <= 0xffffffff && has("DMA32") ? "DMA32" : "Normal";
}

function zoneBits(zone: ZoneWish, era: GfpEra): number {
  return zone === "Normal" ? 0 : gfpBits(era.bits, `__GFP_${zone}`);
}

/** The zone itself, or the next lower one that has pages. */
function reached(zone: ZoneWish, zones: readonly DmaZone[]): string | null {
  const names = ["DMA", "DMA32", "Normal"];
  for (let i = names.indexOf(zone); i >= 0; i--) {
    const own = zones.find(({ name, spanned }) => name === names[i] && spanned > 0);
    if (own !== undefined) return own.name;
  }
  return null;
}

function zoneOf(pfn: number, zones: readonly DmaZone[]): string | null {
  const own = zones.find((zone) => pfn >= zone.startPfn && pfn < zone.startPfn + zone.spanned);
  return own?.name ?? null;
}

/** Linux: get_order() */
function orderOf(bytes: number): number {
  let order = 0;
  while (PAGE_BYTES * 2 ** order < bytes) order++;
  return order;
}
