// Machines for programs of the DMA API: every way to reach memory, with every limit.

import type { DeviceSpec } from "../../src/dma/device.ts";
import { createDma, type Device, type Dma, type DmaOptions } from "../../src/dma/index.ts";
import { allocPages, GFP_DMA, GFP_KERNEL, type Memory } from "../../src/mm/index.ts";
import { PlainBounce, small } from "./dma.ts";

export interface Setup {
  readonly name: string;
  readonly memory: Memory;
  readonly dma: Dma;
  readonly device: Device;
  /** Buffers, and what shares a line with them, are multiples of this. */
  readonly align: number;
  /** What must be 0 when nothing is mapped any more. */
  readonly left: () => number;
}

/** Bytes of the machine's RAM: 4 MiB, the first quarter ZONE_DMA. */
export const PAGES = 1024;
const DMA_PAGES = 256;
const PAGE = 4096;
/** Where a bounce pool lies: in ZONE_DMA, taken from the allocator. */
const POOL_PAGES = 64;

export interface Knobs {
  /** Address bits of the device: 20 reaches ZONE_DMA only, 22 all. */
  readonly bits: number;
  readonly coherent: boolean;
  /** Bytes between the CPU's and the device's addresses. */
  readonly offset: number;
  readonly force: boolean;
  readonly debug: boolean;
  readonly era: string;
}

/** A device that meets these knobs, named as in a log. */
function specOf(knobs: Knobs): DeviceSpec {
  const { coherent, offset, force } = knobs;
  // Behind a shifted bus it is the window that is narrow, not the device.
  const bits = offset === 0 ? knobs.bits : Math.max(knobs.bits, 32);
  const size = Math.min(2 ** knobs.bits, PAGES * PAGE);
  return {
    name: "0000:00:04.0",
    driver: "e1000",
    dmaBits: bits,
    coherentBits: bits,
    busLimit: null,
    iommu: false,
    node: null,
    coherent,
    forceBounce: force,
    ...(offset === 0 ? {} : { windows: [{ cpuStart: 0, dmaStart: offset, size }] }),
  };
}

export function optionsOf(knobs: Knobs): DmaOptions {
  return {
    era: knobs.era,
    debug: knobs.debug ? { allErrors: true } : false,
    mappings: 1024,
    devices: [specOf(knobs)],
    zoneDmaLimit: DMA_PAGES * PAGE - 1,
    maxDevices: 8,
  };
}

/** Without an IOMMU, with the plainest of bounce pools. */
export function plainSetup(knobs: Knobs): Setup {
  const memory = small(PAGES, DMA_PAGES);
  const start = reserve(memory, POOL_PAGES);
  const bounce = new PlainBounce(memory, start, POOL_PAGES * PAGE);
  return setupOf("plain bounce", memory, knobs, { bounce }, () => bounce.live());
}

export function setupOf(
  name: string,
  memory: Memory,
  knobs: Knobs,
  options: DmaOptions,
  left: () => number,
): Setup {
  const dma = createDma(memory, { ...optionsOf(knobs), ...options });
  // The debugger, too, wants buffers that share no line of the cache.
  const align = knobs.coherent && !knobs.debug ? 1 : 64;
  return { name, memory, dma, device: dma.device("0000:00:04.0"), align, left };
}

/** Takes the first pages of RAM away, as an early reservation would. */
export function reserve(memory: Memory, pages: number): number {
  const { bytes } = memory;
  if (bytes === null) throw new Error("no bytes");
  const order = Math.log2(pages);
  const pfn = takeLow(memory, order);
  return pfn * PAGE;
}

function takeLow(memory: Memory, order: number): number {
  const pfn = allocPages(memory, GFP_KERNEL | GFP_DMA, order);
  if (pfn < 0) throw new Error("no low memory");
  return pfn;
}

export type MakeSetup = (knobs: Knobs) => Setup;
