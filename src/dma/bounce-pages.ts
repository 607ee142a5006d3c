/**
 * Bounce buffers as coherent memory: pages of a restricted pool, whose device may have no others,
 * and slots of the shared pool where old kernels had nothing else left.
 */
import type { Bounce } from "./bounce.ts";
import type { AllocRefusal } from "./direct-alloc.ts";
import type { DmaDevice } from "./dma-device.ts";
import { physToDma } from "./translate.ts";
import { DMA_ATTR_SKIP_CPU_SYNC, DMA_FROM_DEVICE, DMA_TO_DEVICE } from "./words.ts";

/**
 * Physical address of whole pages of a restricted pool that pass `ok`, or the reason.
 *
 * Linux: dma_direct_alloc_swiotlb(), __dma_direct_alloc_pages(), kernel/dma/direct.c
 */
export function pagesOf(
  pool: Bounce,
  device: DmaDevice,
  bytes: number,
  cpu: number,
  ok: (physical: number) => boolean,
): number | AllocRefusal {
  const physical = pool.allocPages?.(device, bytes, cpu) ?? take(pool, device, bytes, cpu);
  if (physical < 0) return "bounce pool";
  if (ok(physical)) return physical;
  givePages(pool, device, physical, bytes);
  return "out of reach";
}

/** Gives back what `pagesOf` gave. */
export function givePages(pool: Bounce, device: DmaDevice, physical: number, bytes: number): void {
  if (pool.freePages === undefined) giveSlots(pool, device, physical, bytes);
  else pool.freePages(device, physical);
}

/**
 * Physical address of slots of the shared pool, or the reason.
 *
 * Linux: swiotlb_alloc_coherent(), lib/swiotlb.c; swiotlb_alloc_buffer(), kernel/dma/swiotlb.c
 */
export function slotsOf(
  pool: Bounce,
  device: DmaDevice,
  bytes: number,
  limit: number,
  cpu: number,
): number | AllocRefusal {
  const physical = take(pool, device, bytes, cpu);
  if (physical < 0) return "bounce pool";
  const dma = physToDma(device, physical);
  if (dma >= 0 && dma + bytes - 1 <= limit) return physical;
  giveSlots(pool, device, physical, bytes);
  return "out of reach";
}

/** The direction keeps slots from being copied when they are taken and given back. */
function take(pool: Bounce, device: DmaDevice, bytes: number, cpu: number): number {
  return pool.map(device, 0, bytes, bytes, 0, DMA_FROM_DEVICE, DMA_ATTR_SKIP_CPU_SYNC, cpu);
}

/** Gives back what `slotsOf` gave. */
export function giveSlots(pool: Bounce, device: DmaDevice, physical: number, bytes: number): void {
  pool.unmap(device, physical, bytes, DMA_TO_DEVICE, DMA_ATTR_SKIP_CPU_SYNC);
}
