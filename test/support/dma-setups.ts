// Machines for programs of the DMA API: every way to reach memory, with every limit.
import type { DeviceSpec } from "../../src/dma/device.ts";
import { createGart, gartCounts, verifyGart } from "../../src/dma/gart/gart.ts";
import { GartOps } from "../../src/dma/gart/gart-ops.ts";
import { GART_DEFAULTS } from "../../src/dma/gart/options.ts";
import { createDma, type Device, type Dma, type DmaOptions } from "../../src/dma/index.ts";
import { Iommu } from "../../src/dma/iommu/iommu.ts";
import { IommuOps } from "../../src/dma/iommu/iommu-ops.ts";
import { bootWithMaskPool } from "../../src/dma/mask-pool/boot-mask-pool.ts";
import { createPoolBounce } from "../../src/dma/mask-pool/pool-bounce.ts";
import { createPoolOps } from "../../src/dma/mask-pool/pool-ops.ts";
import { createSwiotlb, type Swiotlb } from "../../src/dma/swiotlb/swiotlb.ts";
import { gartRule } from "../../src/kernels/gart.ts";
import { swiotlbRule } from "../../src/kernels/swiotlb.ts";
import { allocPages, GFP_ATOMIC, GFP_DMA, GFP_KERNEL, type Memory } from "../../src/mm/index.ts";
import { PlainBounce, small } from "./dma.ts";

export interface Setup {
  readonly name: string;
  readonly memory: Memory;
  readonly dma: Dma;
  readonly device: Device;
  /** Buffers, and what shares a line with them, are multiples of this. */
  readonly align: number;
  /**
   * What the device is to fill must be filled at once and whole: before 5.18 a
   * bounce buffer began with somebody else's bytes, and all of it came back.
   */
  readonly fills: boolean;
  /** What must be 0 when nothing is mapped any more. */
  readonly left: () => number;
}

/** Bytes of the machine's RAM: 4 MiB, the first quarter ZONE_DMA. */
const PAGES = 1024;
const DMA_PAGES = 256;
const PAGE = 4096;
const SLOT = 2048;
/** Where a bounce pool lies: in ZONE_DMA, taken from the allocator. */
const POOL_PAGES = 128;

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
function specOf(knobs: Knobs & { iommu?: boolean; untrusted?: boolean }): DeviceSpec {
  const { coherent, offset, force } = knobs;
  // Behind a shifted bus it is the window that is narrow, not the device.
  const least = offset !== 0 ? 32 : knobs.era === "2.6.39" ? 24 : 20;
  const bits = Math.max(knobs.bits, least);
  const size = Math.min(2 ** knobs.bits, PAGES * PAGE);
  return {
    name: "0000:00:04.0",
    driver: "e1000",
    dmaBits: bits,
    coherentBits: bits,
    busLimit: null,
    iommu: knobs.iommu ?? false,
    untrusted: knobs.untrusted ?? false,
    node: null,
    coherent,
    forceBounce: force,
    ...(offset === 0 ? {} : { windows: [{ cpuStart: 0, dmaStart: offset, size }] }),
  };
}

function optionsOf(knobs: Knobs): DmaOptions {
  return {
    era: knobs.era,
    debug: knobs.debug ? { allErrors: true } : false,
    mappings: 1024,
    devices: [specOf(knobs)],
    zoneDmaLimit: DMA_PAGES * PAGE - 1,
    maxDevices: 8,
  };
}

type Make = (knobs: Knobs) => Setup;

function setupOf(
  name: string,
  memory: Memory,
  knobs: Knobs,
  options: DmaOptions,
  left: () => number,
): Setup {
  const dma = createDma(memory, { ...optionsOf(knobs), ...options });
  // The debugger, too, wants buffers that share no line of the cache.
  const align = knobs.coherent && !knobs.debug ? 1 : 64;
  const device = dma.device("0000:00:04.0");
  const old = ["2.6.39", "4.19", "5.10"].includes(knobs.era);
  // Up to 6.6 a buffer of a device that is not trusted began with zeros.
  const fills = old || (device.untrusted && knobs.era === "6.1");
  return { name, memory, dma, device, align, fills, left };
}

/** Without an IOMMU, with the plainest of bounce pools. */
export const plainSetup: Make = (knobs) => {
  const memory = small(PAGES, DMA_PAGES);
  const bounce = new PlainBounce(memory, reserve(memory), POOL_PAGES * PAGE);
  return setupOf("plain bounce", memory, knobs, { bounce }, () => bounce.live());
};

function swiotlbOf(memory: Memory, era: string): Swiotlb {
  const rule = swiotlbRule(era);
  if (rule === null) throw new Error(`no swiotlb of ${era}`);
  const slots = (POOL_PAGES * PAGE) / SLOT;
  const areas = rule.areas ? 2 : 1;
  const start = reserve(memory);
  return createSwiotlb(memory.image, memory, { rule, start, slots, areas, pageSize: PAGE });
}

export const swiotlbSetup: Make = (knobs) => {
  const memory = small(PAGES, DMA_PAGES);
  const bounce = swiotlbOf(memory, knobs.era);
  return setupOf("swiotlb", memory, knobs, { bounce }, () => bounce.used);
};

/** ZONE_DMA is a mask pool: bounce buffers come from there, coherent memory too with `ops`. */
function maskPool(knobs: Knobs, ops: boolean): Setup {
  const { memory, pool } = bootWithMaskPool({
    era: "6.1",
    zones: [
      { name: "DMA", startPfn: 0, pages: DMA_PAGES },
      { name: "Normal", startPfn: DMA_PAGES, pages: PAGES - DMA_PAGES },
    ],
    minFreeKbytes: 0,
    lowmemReserveRatio: [0, 0],
    bytes: new Uint8Array(PAGES * PAGE),
  });
  const bounce = createPoolBounce(memory.image, pool, {
    gfp: GFP_ATOMIC,
    endPfn: PAGES,
    copy: (from, to, length) => memory.bytes?.copyWithin(to, from, from + length),
    copiesAlways: knobs.era !== "5.10",
  });
  const options = { bounce, ...(ops ? { ops: createPoolOps(memory, pool, bounce) } : {}) };
  // Without its ops no zone stands for narrow masks, and the kernel refuses them.
  const least = knobs.offset === 0 ? 22 : 20;
  const made = ops ? { ...knobs, iommu: true } : { ...knobs, bits: Math.max(knobs.bits, least) };
  return setupOf("mask pool", memory, made, options, () => bounce.live());
}

export const maskPoolSetup: Make = (knobs) => maskPool(knobs, false);
export const poolOpsSetup: Make = (knobs) => maskPool(knobs, true);

/** Behind an IOMMU; a device that is not trusted bounces what is not whole pages. */
function iommuSetup(mode: "strict" | "lazy" | "identity", untrusted: boolean): Make {
  return (knobs) => {
    const memory = small(PAGES, DMA_PAGES);
    const bounce = swiotlbOf(memory, knobs.era);
    const left: (() => number)[] = [() => bounce.used];
    const ops: DmaOptions["ops"] = (direct) => {
      const version = knobs.era;
      const iommu = new Iommu({ memory, vendor: "intel", version, mode, bounce, identity: direct });
      left.push(() => iommu.verify().length);
      return new IommuOps(iommu);
    };
    const made = { ...knobs, iommu: true, untrusted, offset: 0, bits: Math.max(32, knobs.bits) };
    const options = { bounce, ops };
    return setupOf(`iommu ${mode}`, memory, made, options, () => sum(left));
  };
}

export const strictSetup: Make = iommuSetup("strict", false);
export const lazySetup: Make = iommuSetup("lazy", false);
export const identitySetup: Make = iommuSetup("identity", false);
export const untrustedSetup: Make = iommuSetup("strict", true);

/** Behind the GART of a K8: its window begins where the device's reach ends. */
export const gartSetup: Make = (knobs) => {
  const memory = small(2 * PAGES, DMA_PAGES);
  const gart = createGart({
    memory,
    rule: gartRule("2.6.18"),
    aperture: { base: 0xe000_0000, size: 32 * 2 ** 20, over: "hole" },
    options: { ...GART_DEFAULTS, force: true },
    agp: false,
    ramEnd: 2 * PAGES * PAGE,
  });
  if (!("bits" in gart)) throw new Error(gart.join(" "));
  const used = gartCounts(gart).used;
  const made = { ...knobs, iommu: true, bits: 32, offset: 0, coherent: true, force: false };
  const left = (): number => gartCounts(gart).used - used + verifyGart(gart).length;
  return setupOf("gart", memory, made, { ops: new GartOps(gart) }, left);
};

function sum(counters: readonly (() => number)[]): number {
  return counters.reduce((total, counter) => total + counter(), 0);
}

/** Takes low pages away, as an early reservation would: the physical address of the first. */
function reserve(memory: Memory): number {
  const pfn = allocPages(memory, GFP_KERNEL | GFP_DMA, Math.log2(POOL_PAGES));
  if (pfn < 0) throw new Error("no low memory");
  return pfn * PAGE;
}
