/**
 * From a CPU's address to the one that a device puts on its bus, and back; and
 * whether a device reaches it.
 *
 * Linux: phys_to_dma(), dma_to_phys(), dma_capable(), include/linux/dma-direct.h;
 * of_dma_configure_id(), drivers/of/device.c
 */
import type { ReachTest } from "../kernels/dma.ts";
import type { DmaDevice, DmaWindow } from "./dma-device.ts";
import type { BusFault } from "./ops.ts";
import { DMA_MAPPING_ERROR, NO_LIMIT } from "./words.ts";

/** DMA address of a physical one; DMA_MAPPING_ERROR where no window of the bus covers it. */
export function physToDma(device: DmaDevice, physical: number): number {
  if (device.windows === null) return physical;
  for (const { cpuStart, dmaStart, size } of device.windows) {
    const offset = physical - cpuStart;
    if (offset >= 0 && offset < size) return dmaStart + offset;
  }
  return DMA_MAPPING_ERROR;
}

/** Physical address of a DMA address; -1 where no window of the bus leads anywhere. */
export function dmaToPhys(device: DmaDevice, dma: number): number {
  if (device.windows === null) return dma;
  for (const { cpuStart, dmaStart, size } of device.windows) {
    const offset = dma - dmaStart;
    if (offset >= 0 && offset < size) return cpuStart + offset;
  }
  return -1;
}

/** Last DMA address that the streaming mask and the bus carry; -1 where there is no mask. */
export function streamingLast(device: DmaDevice): number {
  return Math.min(device.streamingLimit, device.busLimit);
}

/** The same by the coherent mask. */
export function coherentLast(device: DmaDevice): number {
  return Math.min(device.coherentLimit, device.busLimit);
}

/** Whether `size` bytes at DMA address `dma` pass an era's test against `limit`, inclusive. */
export function reaches(test: ReachTest, dma: number, size: number, limit: number): boolean {
  switch (test) {
    case "none":
      return true;
    case "start":
      return dma <= limit;
    case "end":
      return dma + size - 1 <= limit;
    case "end-1":
      return dma + size <= limit;
    case "end-2":
      return dma + size < limit;
  }
}

/** All ones up to the highest bit of `value`: the narrowest mask that covers it. NO_LIMIT beyond 53 bits. */
export function maskCovering(value: number): number {
  if (value >= 2 ** 52) return NO_LIMIT;
  let mask = 1;
  while (mask < value) mask = mask * 2 + 1;
  return value === 0 ? 0 : mask;
}

/** Mask with which a device reaches all RAM up to the page at `lastPage`; NO_LIMIT where no window shows that. */
export function maskForRam(device: DmaDevice, lastPage: number): number {
  const dma = physToDma(device, lastPage);
  return dma < 0 ? NO_LIMIT : maskCovering(dma);
}

/** The bus without an IOMMU: windows, and the addresses that it carries. */
export function throughWindows(device: DmaDevice, dma: number): number | BusFault {
  if (dma > device.busLimit) return { reason: "bus limit", address: dma, message: "" };
  const physical = dmaToPhys(device, dma);
  return physical >= 0 ? physical : { reason: "window", address: dma, message: "" };
}

/** What firmware says of a bus, as a device's masks feel it. */
export interface BusBounds {
  /** Both masks are cut to this. */
  readonly mask: number;
  readonly busLimit: number;
}

/**
 * The mask and limit that a bus with these windows gives to its devices. A last
 * address is one below a window's end; a size that was written as a mask is
 * mended. Null where the windows hold nothing.
 *
 * Linux: of_dma_configure_id(), drivers/of/device.c
 */
export function busBounds(windows: readonly DmaWindow[]): BusBounds | null {
  let start = Number.POSITIVE_INFINITY;
  let end = 0;
  for (const window of windows) {
    start = Math.min(start, window.dmaStart);
    end = Math.max(end, window.dmaStart + window.size);
  }
  let size = end - start;
  if (!(size > 0)) return null;
  if (size % 2 === 1) size += 1;
  const last = start + size - 1;
  return { mask: maskCovering(last), busLimit: last };
}
