/**
 * Which CPU addresses a device's DMA addresses stand for: all up to its mask and the limit of its bus,
 * or what the windows of the bus show of them. Bytes.
 *
 * Linux: dma_to_phys(), translate_dma_to_phys(), include/linux/dma-direct.h
 */
import { type Range, rangeList } from "../base/range.ts";
import { type DeviceSpec, maskLimit } from "./device.ts";

/** What a bus says of the addresses that it carries. */
export interface BusReach {
  readonly busLimit: number | null;
  readonly windows?: DeviceSpec["windows"] | undefined;
}

/** CPU addresses that a mask of `bits` reaches, as a range list. */
export function reachedRanges(bits: number, device: BusReach): Range[] {
  const end = lastAddress(bits, device) + 1;
  const { windows } = device;
  if (windows === undefined) return [{ start: 0, end }];
  return rangeList(
    windows.map(({ cpuStart, dmaStart, size }) => {
      return { start: cpuStart, end: cpuStart + Math.max(0, Math.min(size, end - dmaStart)) };
    }),
  );
}

/**
 * The CPU address of the highest DMA address, inclusive; no limit where no window shows it, for then
 * the translation gives all ones.
 */
export function highestPhysical(bits: number, device: BusReach): number {
  const last = lastAddress(bits, device);
  const { windows } = device;
  if (windows === undefined) return last;
  const shown = windows.find(({ dmaStart, size }) => dmaStart <= last && last < dmaStart + size);
  return shown === undefined ? Number.MAX_SAFE_INTEGER : shown.cpuStart + last - shown.dmaStart;
}

function lastAddress(bits: number, device: BusReach): number {
  return Math.min(maskLimit(bits), device.busLimit ?? Number.POSITIVE_INFINITY);
}
