/**
 * What of physical memory a device reaches, from the highest address down: all below its
 * limit, or what its bus shows of it.
 *
 * Linux: dma_capable(), phys_to_dma(), include/linux/dma-direct.h
 */
import type { DmaDevice } from "../dma-device.ts";
import { NO_LIMIT } from "../words.ts";

/** Physical addresses, first and last inclusive. */
export interface PoolWindow {
  readonly low: number;
  readonly limit: number;
  /** DMA address less physical address. */
  readonly offset: number;
}

/** Of its streaming mask; cut where its segment boundary lies elsewhere than the CPU's. */
export function poolWindows(device: DmaDevice): PoolWindow[] {
  const last = Math.min(device.streamingLimit, device.busLimit);
  return windowsOf(device, last, device.segmentBoundary);
}

/** Up to DMA address `last`; `segmentBoundary` is NO_LIMIT for none. */
export function windowsOf(device: DmaDevice, last: number, segmentBoundary: number): PoolWindow[] {
  if (device.windows === null) return last < 0 ? [] : [{ low: 0, limit: last, offset: 0 }];
  return device.windows
    .flatMap(({ cpuStart, dmaStart, size }) => {
      const bytes = Math.min(size, last - dmaStart + 1);
      if (bytes <= 0) return [];
      const offset = dmaStart - cpuStart;
      const whole = { low: cpuStart, limit: cpuStart + bytes - 1, offset };
      const isStraight = segmentBoundary >= NO_LIMIT || offset % (segmentBoundary + 1) === 0;
      return isStraight ? [whole] : cutAt(whole, segmentBoundary + 1);
    })
    .sort((a, b) => b.low - a.low);
}

/** A window in parts, none of which crosses a multiple of `step` as the device sees it. */
function cutAt({ low, limit, offset }: PoolWindow, step: number): PoolWindow[] {
  const parts: PoolWindow[] = [];
  for (let from = low; from <= limit; ) {
    const next = (Math.floor((from + offset) / step) + 1) * step - offset;
    parts.push({ low: from, limit: Math.min(limit, next - 1), offset });
    from = next;
  }
  return parts;
}
