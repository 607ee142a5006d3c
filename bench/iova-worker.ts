/**
 * Measures addresses behind an IOMMU, once, and prints nanoseconds of CPU time an operation as JSON: blocks from the
 * caches, from the tree with few and with many blocks in it, the same from a bitmap that is searched from
 * the top, and whole mappings of a page with their ends.
 *
 *   node iova-worker.js OPERATIONS
 */
import process from "node:process";
import { Iommu } from "../src/dma/iommu/iommu.ts";
import { IommuOps } from "../src/dma/iommu/iommu-ops.ts";
import {
  allocIovaFast,
  createIovaDomain,
  freeIovaFast,
  type IovaDomain,
} from "../src/dma/iommu/iova-domain.ts";
import { DMA_TO_DEVICE, NO_LIMIT } from "../src/dma/words.ts";
import { iovaRule } from "../src/kernels/iommu.ts";
import { bootMemory } from "../src/mm/boot-memory.ts";
import { createImage } from "../src/mm/image.ts";

const LIMIT = 0xfffff;
/** Pages of a block that no cache keeps. */
const LARGE = 33;
const FEW = 256;
/** With 64 pages each this is 97 % of 4 GiB. */
const MANY = 15900;

const operations = Number(process.argv[2] ?? 1e6);

/** A small generator with a fixed seed: the same blocks each time. */
function random(): () => number {
  let state = 0x2545f491;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Of this process's CPU time: what else the machine does does not count. */
function nanoseconds(started: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(started);
  return (user + system) * 1000;
}

interface Space {
  take(): number;
  give(pfn: number): void;
}

function treeSpace(): Space {
  const domain: IovaDomain = createIovaDomain(createImage(false), {
    name: "0",
    rule: iovaRule("6.12"),
    granuleShift: 12,
    startPfn: 1,
    cpus: 1,
    maxRanges: 1 << 16,
    roundsAll: false,
  });
  return {
    take: () => allocIovaFast(domain, LARGE, LIMIT, true, 0),
    give: (pfn) => freeIovaFast(domain, pfn, LARGE, 0),
  };
}

/** A byte a page, searched from the top in steps of the alignment. */
function bitmapSpace(): Space {
  const taken = new Uint8Array(LIMIT + 1);
  const fits = (pfn: number): boolean => {
    for (let i = pfn; i < pfn + LARGE; i++) if (taken[i] !== 0) return false;
    return true;
  };
  return {
    take() {
      for (let pfn = LIMIT + 1 - 64; pfn > 0; pfn -= 64) {
        if (!fits(pfn)) continue;
        taken.fill(1, pfn, pfn + LARGE);
        return pfn;
      }
      return 0;
    },
    give: (pfn) => taken.fill(0, pfn, pfn + LARGE),
  };
}

/** Nanoseconds to give a random block back and take one, with `live` blocks taken. */
function churn(space: Space, live: number, rounds: number): number {
  const next = random();
  const held = Array.from({ length: live }, () => space.take());
  const started = process.cpuUsage();
  for (let i = 0; i < rounds; i++) {
    const at = next() % live;
    space.give(held[at] ?? 0);
    held[at] = space.take();
  }
  const ns = nanoseconds(started) / rounds;
  if (held.includes(0)) throw new Error("a block was refused");
  return ns;
}

/** Nanoseconds of a block of one page out of the caches and back. */
function cached(rounds: number): number {
  const domain = createIovaDomain(createImage(false), {
    name: "0",
    rule: iovaRule("6.12"),
    granuleShift: 12,
    startPfn: 1,
    cpus: 1,
    maxRanges: 1 << 12,
    roundsAll: false,
  });
  let sum = 0;
  const started = process.cpuUsage();
  for (let i = 0; i < rounds; i++) {
    const pfn = allocIovaFast(domain, 1, LIMIT, true, 0);
    sum += pfn;
    freeIovaFast(domain, pfn, 1, 0);
  }
  const ns = nanoseconds(started) / rounds;
  if (sum !== LIMIT * rounds) throw new Error("another block came");
  return ns;
}

/** Nanoseconds to map a page for a device and to end that. */
function mapping(mode: "strict" | "lazy", rounds: number): number {
  const memory = bootMemory({
    era: "6.12",
    zones: [{ name: "Normal", startPfn: 0, pages: 1 << 14 }],
  });
  const iommu = new Iommu({ memory, vendor: "intel", version: "6.12", mode });
  const ops = new IommuOps(iommu);
  const device = {
    name: "0000:00:03.0",
    driver: "",
    streamingLimit: 0xffffffff,
    coherentLimit: 0xffffffff,
    busLimit: NO_LIMIT,
    windows: null,
    parent: null,
    node: 0,
    maxSegmentSize: 65536,
    segmentBoundary: 0xffffffff,
    minAlignMask: 0,
    coherent: true,
    untrusted: false,
    forceBounce: false,
  };
  const started = process.cpuUsage();
  for (let i = 0; i < rounds; i++) {
    const dma = ops.mapPhysical(device, (i & 0xfff) * 4096, 4096, DMA_TO_DEVICE, 0, 0);
    ops.unmap(device, dma, 4096, DMA_TO_DEVICE, 0, 0);
  }
  return nanoseconds(started) / rounds;
}

/** Measured after the same has run for a while. */
function warm(work: (rounds: number) => number, rounds: number): number {
  work(Math.ceil(rounds / 10));
  return work(rounds);
}

const few = Math.ceil(operations / 4);
console.log(
  JSON.stringify({
    cached: warm(cached, operations),
    treeFew: warm((rounds) => churn(treeSpace(), FEW, rounds), few),
    treeMany: warm((rounds) => churn(treeSpace(), MANY, rounds), few),
    bitmapFew: warm((rounds) => churn(bitmapSpace(), FEW, rounds), few),
    bitmapMany: warm((rounds) => churn(bitmapSpace(), MANY, rounds), Math.ceil(few / 20)),
    strict: warm((rounds) => mapping("strict", rounds), few),
    lazy: warm((rounds) => mapping("lazy", rounds), few),
  }),
);
