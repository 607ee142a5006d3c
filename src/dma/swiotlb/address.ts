/**
 * A physical address as the device sees it, as far as bounce buffers ask.
 *
 * Linux: phys_to_dma_unencrypted(), dma_capable(), include/linux/dma-direct.h
 */
import type { DmaDevice } from "../dma-device.ts";

/** No window of the bus holds the address. */
export const DMA_ADDRESS_NONE = -1;

export function dmaAddressOf(device: DmaDevice, physical: number): number {
  const { windows } = device;
  if (windows === null) return physical;
  for (const { cpuStart, dmaStart, size } of windows) {
    if (physical >= cpuStart && physical < cpuStart + size) return physical - cpuStart + dmaStart;
  }
  return DMA_ADDRESS_NONE;
}

/** Last address in the device's reach: its mask or its bus, what is less. */
export function reachOf({ streamingLimit, busLimit }: DmaDevice): number {
  return Math.min(streamingLimit, busLimit);
}
