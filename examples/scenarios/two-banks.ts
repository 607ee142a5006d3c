// A video codec with a port to each of two banks of memory, as Samsung's MFC: luma must lie in the
// first bank, chroma in the second, or the codec cannot fetch both at once.
//
// 64 MiB in two banks of 32. Others have used memory before. Each frame needs 256 KiB of luma and 128 KiB of
// chroma, and is checked on the bus: a child device of the codec drives each port.

import {
  createDma,
  type Device,
  type DeviceSpec,
  type Dma,
  simpleDevice,
} from "../../src/dma/index.ts";
import { createMaskPool } from "../../src/dma/mask-pool/mask-pool.ts";
import { normalPages } from "../../src/dma/mask-pool/normal-first.ts";
import { createPoolBounce } from "../../src/dma/mask-pool/pool-bounce.ts";
import { createPoolOps } from "../../src/dma/mask-pool/pool-ops.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { allocPages, freePages, GFP_ATOMIC, GFP_KERNEL } from "../../src/mm/index.ts";
import type { Memory } from "../../src/mm/memory.ts";
import { isShared } from "./bus.ts";
import { KIB, MIB, PAGE } from "./machines.ts";
import { dice, type Row, type Scenario } from "./scenario.ts";

const START = 0x40000000;
const BANK = 32 * MIB;
const REGION = 8 * MIB;
const FRAMES = 24;
const LUMA = 256 * KIB;
const CHROMA = 128 * KIB;

interface Codec {
  readonly dma: Dma;
  /** Drivers' handles of the two ports. */
  readonly ports: readonly [Device, Device];
  /** Bytes that nobody else may use. */
  readonly setAside: number;
}

interface Way {
  readonly name: string;
  build(): Codec;
}

const bankOf = (physical: number): number => Math.floor((physical - START) / BANK);
/** The region at the end of a bank. */
const regionOf = (bank: number): number => START + (bank + 1) * BANK - REGION;
const port = (name: string): DeviceSpec => ({ ...simpleDevice(name, 32), driver: "s5p-mfc" });

function boot(hasRegions: boolean): Memory {
  const holes = [0, 1].map((bank) => ({
    start: regionOf(bank) / PAGE,
    end: (regionOf(bank) + REGION) / PAGE,
  }));
  const zone = { name: "Normal", startPfn: START / PAGE, pages: (2 * BANK) / PAGE };
  const m = bootMemory({
    zones: [hasRegions ? { ...zone, holes } : zone],
    bytes: new Uint8Array(2 * BANK),
    bytesPfn: START / PAGE,
  });
  used(m);
  return m;
}

/** Others took and gave: half of all pages, here and there. */
function used(m: Memory): void {
  const roll = dice(2011);
  const taken = Array.from({ length: (BANK + 8 * MIB) / PAGE }, () => allocPages(m, GFP_KERNEL, 0));
  for (const pfn of taken) if (pfn >= 0 && roll(3) > 0) freePages(m, pfn, 0);
}

const WAYS: readonly Way[] = [
  {
    name: "nothing said",
    build: () => {
      const dma = createDma(boot(false), { era: "6.1" });
      const codec = dma.addDevice(port("mfc"));
      return { dma, ports: [codec, codec], setAside: 0 };
    },
  },
  {
    name: "memory-region, two",
    build: () => {
      const memory = boot(true);
      const regions = [0, 1].map((bank) => ({
        kind: "declared" as const,
        start: regionOf(bank),
        size: REGION,
      }));
      const dma = createDma(memory, { era: "6.1" });
      // Index 0 is the codec's own; its driver makes a child for each port and gives it one.
      const codec = dma.addDevice({ ...port("mfc"), regions });
      const ports = [0, 1].map((index) => {
        const child = dma.addDevice({ ...port(`mfc-${index}`), parent: "mfc" });
        dma.initReservedMemory(child, codec, index);
        return child;
      });
      return { dma, ports: [ports[0] ?? codec, ports[1] ?? codec], setAside: 2 * REGION };
    },
  },
  {
    name: "mask pool, by address",
    build: () => {
      const memory = boot(true);
      const ranges = [0, 1].map((bank) => ({
        start: regionOf(bank) / PAGE,
        end: (regionOf(bank) + REGION) / PAGE,
      }));
      const normal = normalPages(memory);
      const pool = createMaskPool(memory.image, { ranges, pageSize: PAGE, normal });
      const bounce = createPoolBounce(memory.image, pool, {
        gfp: GFP_ATOMIC,
        endPfn: pool.end,
        copy: (from, to, length) =>
          memory.bytes?.copyWithin(to - START, from - START, from - START + length),
      });
      const ops = createPoolOps(memory, pool, bounce);
      const dma = createDma(memory, { era: "6.1", ops, bounce, aside: pool.ranges });
      const [first, second] = [0, 1].map((bank) => {
        const at = START + bank * BANK;
        const windows = [{ cpuStart: at, dmaStart: at, size: BANK }];
        return dma.addDevice({ ...port(`mfc-${bank}`), windows, iommu: true });
      });
      if (first === undefined || second === undefined) throw new TypeError("two banks, two ports");
      return { dma, ports: [first, second], setAside: 2 * REGION };
    },
  },
];

interface Got {
  readonly right: readonly [number, number];
  readonly wrong: number;
  readonly refused: number;
  readonly shared: number;
}

function measure({ dma, ports }: Codec): Got {
  const right: [number, number] = [0, 0];
  let wrong = 0;
  let refused = 0;
  let shared = 0;
  for (let frame = 0; frame < FRAMES; frame++) {
    for (const bank of [0, 1] as const) {
      const buffer = dma.allocCoherent(ports[bank], bank === 0 ? LUMA : CHROMA);
      if (buffer === null) refused++;
      else if (bankOf(buffer.physical) === bank) right[bank]++;
      else wrong++;
      if (buffer !== null && isShared(dma, ports[bank], buffer, frame * 2 + bank)) shared++;
    }
  }
  return { right, wrong, refused, shared };
}

export const twoBanks: Scenario = {
  name: "two-banks",
  title: "A codec with two banks of memory",
  question:
    "24 frames: 256 KiB of luma in the first bank of 32 MiB, 128 KiB of chroma in the second. A mask cannot " +
    "say which bank, so nothing but luck puts a buffer right, unless firmware gives each port a region, or " +
    "the allocator takes a lower limit too.",
  run: () => {
    const rows: Row[] = [];
    const got = new Map<string, Got>();
    for (const way of WAYS) {
      const codec = way.build();
      const own = measure(codec);
      got.set(way.name, own);
      const aside = codec.setAside / MIB;
      rows.push([way.name, aside, own.right[0], own.right[1], own.wrong, own.refused, own.shared]);
    }
    const plain = got.get("nothing said");
    const pool = got.get("mask pool, by address");
    return {
      head: [
        "way",
        "MiB aside",
        "luma of 24",
        "chroma of 24",
        "wrong bank",
        "refused",
        "on the bus",
      ],
      rows,
      verdict:
        `Left to the allocator ${plain?.wrong} of 48 buffers lie in the wrong bank. Two regions put all of them right; ` +
        `so do two limits (${(pool?.right[0] ?? 0) + (pool?.right[1] ?? 0)} of 48), which take what the zones ` +
        "have there before they touch what was set aside.",
    };
  },
};
