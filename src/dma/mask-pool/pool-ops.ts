/**
 * The DMA API on a machine with a mask pool: coherent memory by address instead of by
 * zone, and bounce buffers that come from the pool. What a device reaches is handed out
 * as it is, shifted by the windows of its bus.
 *
 * Any mask is taken that reaches a page of the pool: there is no zone that it would have
 * to cover.
 *
 * Linux: dma_alloc_coherent() and lib/swiotlb.c after "mask allocator" 8/13 and 11/13, posted
 * 7 March 2008; never merged
 */
import { type Memory, Z_PRESENT, Z_SPANNED, ZONE_WORDS } from "../../mm/memory.ts";
import { bounceWords } from "../bounce.ts";
import type { DmaDevice } from "../dma-device.ts";
import { mapEach, unmapEach } from "../each-entry.ts";
import type { BusFault, CoherentBlock, DmaOps, OpsRefusal, SgEntry } from "../ops.ts";
import {
  coherentLast,
  dmaToPhys,
  maskForRam,
  physToDma,
  streamingLast,
  throughWindows,
} from "../translate.ts";
import { DMA_ATTR_MMIO, DMA_MAPPING_ERROR, type DmaDirection, NO_LIMIT } from "../words.ts";
import {
  allocMask,
  freeMask,
  MASK_WAIT,
  MAY_WAIT,
  type MaskPool,
  maskRefusalLine,
} from "./mask-pool.ts";
import type { PoolBounce } from "./pool-bounce.ts";
import { windowsOf } from "./pool-windows.ts";

/** Ops over one memory: its zones first, its mask pool last. */
export function createPoolOps(memory: Memory, pool: MaskPool, bounce: PoolBounce): DmaOps {
  return new PoolOps(memory, pool, bounce);
}

class PoolOps implements DmaOps {
  readonly name = "mask pool";
  lastRefusal: OpsRefusal | null = null;
  readonly #memory: Memory;
  readonly #pool: MaskPool;
  readonly #bounce: PoolBounce;
  /** First byte behind RAM. */
  readonly #ramEnd: number;

  constructor(memory: Memory, pool: MaskPool, bounce: PoolBounce) {
    this.#memory = memory;
    this.#pool = pool;
    this.#bounce = bounce;
    this.#ramEnd = endOfRam(memory, pool) * memory.pageSize;
  }

  #refuse(reason: string, message: string | null = null): number {
    this.lastRefusal = { reason, message };
    return DMA_MAPPING_ERROR;
  }

  mapPhysical(
    device: DmaDevice,
    physical: number,
    size: number,
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): number {
    const limit = streamingLast(device);
    if (limit < 0) return this.#refuse("no mask");
    if ((attrs & DMA_ATTR_MMIO) !== 0) {
      return physical + size - 1 <= limit ? physical : this.#refuse("mask");
    }
    const dma = physToDma(device, physical);
    const isWhole = dma >= 0 && physToDma(device, physical + size - 1) === dma + size - 1;
    if (!device.forceBounce && isWhole && dma + size - 1 <= limit) return dma;
    const bounce = this.#bounce;
    const buffer = bounce.map(device, physical, size, size, 0, direction, attrs, cpu);
    if (buffer >= 0) return physToDma(device, buffer);
    return this.#refuse(bounceWords(buffer), bounce.lastMessage);
  }

  unmap(
    device: DmaDevice,
    dma: number,
    size: number,
    direction: DmaDirection,
    attrs: number,
  ): void {
    const physical = dmaToPhys(device, dma);
    if (this.#bounce.holds(physical)) {
      this.#bounce.unmap(device, physical, size, direction, attrs);
    }
  }

  mapSg(
    device: DmaDevice,
    entries: SgEntry[],
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): number {
    return mapEach(this, device, entries, direction, attrs, cpu);
  }

  unmapSg(
    device: DmaDevice,
    entries: readonly SgEntry[],
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): void {
    unmapEach(this, device, entries, direction, attrs, cpu);
  }

  syncForCpu(device: DmaDevice, dma: number, size: number, direction: DmaDirection): void {
    const physical = dmaToPhys(device, dma);
    if (this.#bounce.holds(physical)) this.#bounce.syncForCpu(device, physical, size, direction);
  }

  syncForDevice(device: DmaDevice, dma: number, size: number, direction: DmaDirection): void {
    const physical = dmaToPhys(device, dma);
    if (this.#bounce.holds(physical)) this.#bounce.syncForDevice(device, physical, size, direction);
  }

  allocCoherent(device: DmaDevice, size: number, gfp: number): CoherentBlock | null {
    const { pageSize, gfp: bits } = this.#memory;
    const bytes = Math.ceil(size / pageSize) * pageSize;
    const flags = (gfp & bits.direct) === 0 ? 0 : MAY_WAIT;
    const limit = coherentLast(device);
    let mayWait = false;
    for (const window of windowsOf(device, limit, NO_LIMIT)) {
      const pfn = allocMask(this.#pool, { ...window, bytes, gfp, flags });
      if (pfn >= 0) return this.#blockAt(device, pfn * pageSize, bytes);
      mayWait ||= pfn === MASK_WAIT;
    }
    const line = maskRefusalLine(device.driver, { bytes, limit, gfp });
    // Who may wait comes again after something was given back; the line comes when his time is up.
    this.#refuse(mayWait ? "no memory now" : "no memory", mayWait ? null : line);
    return null;
  }

  #blockAt(device: DmaDevice, physical: number, length: number): CoherentBlock {
    const { bytes, bytesPfn, pageSize } = this.#memory;
    const at = physical - bytesPfn * pageSize;
    if (bytes !== null && at >= 0) bytes.fill(0, at, at + length);
    return { dma: physToDma(device, physical), size: length, runs: [{ physical, length }] };
  }

  freeCoherent(_device: DmaDevice, { runs }: CoherentBlock): void {
    for (const { physical, length } of runs) {
      freeMask(this.#pool, physical / this.#memory.pageSize, length);
    }
  }

  maskSupported(device: DmaDevice, limit: number): boolean {
    if (limit >= this.requiredMask(device)) return true;
    const { pageSize } = this.#memory;
    return windowsOf(device, Math.min(limit, device.busLimit), NO_LIMIT).some((window) =>
      this.#pool.ranges.some(
        ({ start }) => start * pageSize >= window.low && (start + 1) * pageSize - 1 <= window.limit,
      ),
    );
  }

  requiredMask(device: DmaDevice): number {
    return maskForRam(device, this.#ramEnd - this.#memory.pageSize);
  }

  maxMappingSize(device: DmaDevice): number {
    const isLimited = streamingLast(device) < this.requiredMask(device);
    return isLimited || device.forceBounce ? this.#bounce.maxMapping(device) : NO_LIMIT;
  }

  translate(device: DmaDevice, dma: number): number | BusFault {
    return throughWindows(device, dma);
  }
}

function endOfRam(m: Memory, pool: MaskPool): number {
  let end = pool.end;
  for (let z = 0; z < m.zoneCount; z++) {
    const words = z * ZONE_WORDS;
    if (m.zone[words + Z_PRESENT] > 0) {
      end = Math.max(end, m.zoneStart[z] + m.zone[words + Z_SPANNED]);
    }
  }
  return end;
}
