// PCs with a DMA layer: one card, and the way its buffers are brought into reach.
import type { Range } from "../../src/base/range.ts";
import { createGart } from "../../src/dma/gart/gart.ts";
import { GartOps } from "../../src/dma/gart/gart-ops.ts";
import { GART_DEFAULTS } from "../../src/dma/gart/options.ts";
import { createDma, type Device, type DeviceSpec, type Dma } from "../../src/dma/index.ts";
import { createPoolBounce } from "../../src/dma/mask-pool/pool-bounce.ts";
import { createPoolOps } from "../../src/dma/mask-pool/pool-ops.ts";
import { createSwiotlb } from "../../src/dma/swiotlb/swiotlb.ts";
import { gartRule } from "../../src/kernels/gart.ts";
import { type SwiotlbRule, swiotlbRule } from "../../src/kernels/swiotlb.ts";
import { type BootZone, bootMemory } from "../../src/mm/boot-memory.ts";
import type { Memory } from "../../src/mm/memory.ts";
import { bootPooledPc, GIB, KIB, MIB, PAGE } from "./machines.ts";
import { pcRam } from "./ram.ts";

export interface Pc {
  readonly memory: Memory;
  readonly dma: Dma;
  readonly device: Device;
  /** Pages that were set aside at boot. */
  readonly aside: number;
  /** Bytes copied to bounce buffers and back so far. */
  readonly copied: () => number;
}

/** GFP_ATOMIC of the rules of 6.1. */
const GFP_ATOMIC = 0xa20;
const SWIOTLB_BYTES = 64 * MIB;
const SLOT = 2 * KIB;

/** swiotlb's rules of a kernel. */
function ruleOf(version: string): SwiotlbRule {
  const rule = swiotlbRule(version);
  if (rule === null) throw new TypeError(`no swiotlb of ${version} is known`);
  return rule;
}

/** Kernel of the DMA layer, and rules of the page allocator. */
export interface Kernel {
  readonly dma: string;
  readonly pages: string;
}

export function plainPc(zones: readonly BootZone[], kernel: Kernel, card: DeviceSpec): Pc {
  const memory = bootMemory({ era: kernel.pages, zones, bytes: pcRam() });
  const dma = createDma(memory, { era: kernel.dma });
  return { memory, dma, device: dma.addDevice(card), aside: 0, copied: () => 0 };
}

/** With swiotlb's 64 MiB at the end of low memory, as memblock_alloc_low() puts them. */
export function swiotlbPc(zones: readonly BootZone[], kernel: Kernel, card: DeviceSpec): Pc {
  const start = 3 * GIB - SWIOTLB_BYTES;
  const hole: Range = { start: start / PAGE, end: (3 * GIB) / PAGE };
  const memory = bootMemory({
    era: kernel.pages,
    zones: zones.map((zone) => ({ ...zone, holes: [...(zone.holes ?? []), hole] })),
    bytes: pcRam(),
  });
  const bounce = createSwiotlb(memory.image, memory, {
    rule: ruleOf(kernel.dma),
    start,
    slots: SWIOTLB_BYTES / SLOT,
    areas: 1,
    pageSize: PAGE,
  });
  const dma = createDma(memory, { era: kernel.dma, bounce });
  const aside = SWIOTLB_BYTES / PAGE;
  const copied = (): number => bounce.stats.bytesIn + bounce.stats.bytesOut;
  return { memory, dma, device: dma.addDevice(card), aside, copied };
}

/** Where firmware leaves an aperture: in PCI's addresses, so that it costs no RAM. */
const APERTURE = { base: 0xe0000000, size: 64 * MIB, over: "hole" } as const;

/** On a K8: its GART translates, nothing is copied. */
export function gartPc(zones: readonly BootZone[], kernel: Kernel, card: DeviceSpec): Pc {
  const memory = bootMemory({ era: kernel.pages, zones, bytes: pcRam() });
  const gart = createGart({
    memory,
    rule: gartRule(kernel.dma),
    aperture: APERTURE,
    options: GART_DEFAULTS,
    agp: false,
    ramEnd: 9 * GIB,
  });
  if (!("bits" in gart)) throw new TypeError(`the GART stays off: ${gart.join(" ")}`);
  const dma = createDma(memory, { era: kernel.dma, ops: new GartOps(gart) });
  const device = dma.addDevice({ ...card, iommu: true });
  return { memory, dma, device, aside: 0, copied: () => 0 };
}

/** With a mask pool of `bytes` in place of ZONE_DMA, and bounce buffers from it. */
export function pooledPc(bytes: number, card: DeviceSpec): Pc {
  const ram = pcRam();
  const { memory, pool } = bootPooledPc(8 * GIB, bytes / PAGE, { bytes: ram });
  let copied = 0;
  const bounce = createPoolBounce(memory.image, pool, {
    gfp: GFP_ATOMIC,
    endPfn: (4 * GIB) / PAGE,
    copy: (from, to, length) => {
      copied += length;
      ram.copyWithin(to, from, from + length);
    },
  });
  const ops = createPoolOps(memory, pool, bounce);
  const dma = createDma(memory, { era: "6.1", ops, bounce, aside: pool.ranges });
  const device = dma.addDevice({ ...card, iommu: true });
  return { memory, dma, device, aside: pool.pages, copied: () => copied };
}
