// A board whose DMA controller has address line 20 stuck at zero: only even MiB are reachable (the
// SA-1111 companion chip; King's example of 2011).
//
// A zone is one range, so ZONE_DMA is the first MiB, and the other 31 that would do are lost to DMA.
// Normal requests fill memory first; then the chip wants 64 KiB buffers, and its driver maps pages
// that lie anywhere.

import type { Range } from "../../src/base/range.ts";
import {
  createDma,
  type Device,
  type DeviceSpec,
  DMA_TO_DEVICE,
  type Dma,
  simpleDevice,
} from "../../src/dma/index.ts";
import { createMaskPool, type MaskPool } from "../../src/dma/mask-pool/mask-pool.ts";
import { createPoolBounce } from "../../src/dma/mask-pool/pool-bounce.ts";
import { createPoolOps } from "../../src/dma/mask-pool/pool-ops.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { allocPages, freePages } from "../../src/mm/index.ts";
import { type Memory, rowOf, zoneOf } from "../../src/mm/memory.ts";
import { isShared, probeBytes, readsBack } from "./bus.ts";
import { KIB, MIB, PAGE } from "./machines.ts";
import { dice, type Row, type Scenario } from "./scenario.ts";

const START = 0xc0000000;
const RAM = 64 * MIB;
const BUFFER = 64 * KIB;
const BUFFERS = 80;
const PAGES = 64;
/** GFP_KERNEL and GFP_ATOMIC of 2.6. */
const GFP_KERNEL = 0xd0;
const GFP_ATOMIC = 0x20;

const chip: DeviceSpec = {
  ...simpleDevice("sa1111", 32),
  driver: "sa1111-usb",
  windows: Array.from({ length: RAM / MIB / 2 }, (_, i) => {
    const at = START + i * 2 * MIB;
    return { cpuStart: at, dmaStart: at, size: MIB };
  }),
};

interface Board {
  readonly memory: Memory;
  readonly dma: Dma;
  readonly device: Device;
  readonly pool: MaskPool | null;
}

interface Way {
  readonly name: string;
  build(): Board;
}

function boot(dmaPages: number, holes: readonly Range[] = []): Memory {
  const startPfn = START / PAGE;
  const normal = { name: "Normal", startPfn: startPfn + dmaPages, pages: RAM / PAGE - dmaPages };
  const zones = [
    ...(dmaPages > 0 ? [{ name: "DMA", startPfn, pages: dmaPages }] : []),
    { ...normal, holes },
  ];
  const ram = new Uint8Array(RAM);
  return bootMemory({ era: "2.6", zones, bytes: ram, bytesPfn: startPfn, minFreeKbytes: 512 });
}

function board(memory: Memory): Board {
  const zoneDmaLimit = START + MIB - 1;
  const dma = createDma(memory, { era: "2.6.39", arch: "arm", zoneDmaLimit });
  return { memory, dma, device: dma.addDevice(chip), pool: null };
}

const WAYS: readonly Way[] = [
  { name: "no ZONE_DMA", build: () => board(boot(0)) },
  { name: "ZONE_DMA of 1 MiB", build: () => board(boot(MIB / PAGE)) },
  {
    name: "mask pool, 4 even MiB",
    build: () => {
      const ranges = [0, 2, 4, 6].map((at) => ({
        start: (START + at * MIB) / PAGE,
        end: (START + (at + 1) * MIB) / PAGE,
      }));
      const memory = boot(0, ranges);
      const pool = createMaskPool(memory.image, { ranges, pageSize: PAGE, atomicPages: 16 });
      const bounce = createPoolBounce(memory.image, pool, {
        gfp: GFP_ATOMIC,
        endPfn: (START + RAM) / PAGE,
        copy: (from, to, length) =>
          memory.bytes?.copyWithin(to - START, from - START, from - START + length),
      });
      const ops = createPoolOps(memory, pool, bounce);
      const dma = createDma(memory, {
        era: "2.6.39",
        arch: "arm",
        ops,
        bounce,
        aside: pool.ranges,
      });
      return { memory, dma, device: dma.addDevice({ ...chip, iommu: true }), pool };
    },
  },
];

interface Got {
  /** Pages of the lowest zone that normal requests took before they were refused. */
  lowTaken: number;
  buffers: number;
  shared: number;
  direct: number;
  bounced: number;
  refused: number;
  right: number;
}

function measure({ memory, dma, device, pool }: Board): Got {
  const got: Got = {
    lowTaken: 0,
    buffers: 0,
    shared: 0,
    direct: 0,
    bounced: 0,
    refused: 0,
    right: 0,
  };
  // Normal requests take all but the reserve; then a quarter comes back, here and there.
  const roll = dice(20);
  const taken: number[] = [];
  for (let pfn = allocPages(memory, GFP_KERNEL, 0); pfn >= 0; ) {
    taken.push(pfn);
    if (memory.names[zoneOf(memory, rowOf(memory, pfn))] === "DMA") got.lowTaken++;
    pfn = allocPages(memory, GFP_KERNEL, 0);
  }
  const kept = taken.filter((pfn) => {
    if (roll(4) > 0) return true;
    freePages(memory, pfn, 0);
    return false;
  });
  mapPages(dma, device, kept, roll, got);
  for (let i = 0; i < BUFFERS; i++) {
    const buffer = dma.allocCoherent(device, BUFFER);
    if (buffer === null) break;
    got.buffers++;
    if (isShared(dma, device, buffer, i)) got.shared++;
  }
  if (pool !== null) got.lowTaken = 0;
  return got;
}

/** Pages of user memory, wherever they lie. */
function mapPages(
  dma: Dma,
  device: Device,
  pages: readonly number[],
  roll: (below: number) => number,
  got: Got,
): void {
  for (let i = 0; i < PAGES; i++) {
    const physical = (pages[roll(pages.length)] ?? 0) * PAGE;
    dma.cpuWrite(physical, probeBytes(i));
    const address = dma.mapSingle(device, physical, PAGE, DMA_TO_DEVICE);
    if (dma.mappingError(device, address)) {
      got.refused++;
      continue;
    }
    if (address === physical) got.direct++;
    else got.bounced++;
    if (readsBack(device, address, i)) got.right++;
    dma.unmapSingle(device, address, PAGE, DMA_TO_DEVICE);
  }
}

export const evenMebibytes: Scenario = {
  name: "even-mebibytes",
  title: "Only even MiB",
  question:
    "64 MiB of which the chip reaches every other MiB. Normal requests fill memory, some comes back; then the " +
    "driver maps 64 single pages that lie anywhere and asks for 64 KiB buffers until it is refused. GFP_DMA is " +
    "the first MiB or nothing.",
  run: () => {
    const rows: Row[] = [];
    const got = new Map<string, Got>();
    for (const way of WAYS) {
      const own = measure(way.build());
      got.set(way.name, own);
      rows.push([
        way.name,
        own.lowTaken,
        own.buffers,
        own.shared,
        own.direct,
        own.bounced,
        own.refused,
        own.right,
      ]);
    }
    const of = (name: string): Got | undefined => got.get(name);
    return {
      head: [
        "way",
        "DMA taken",
        "buffers",
        "shared",
        "maps direct",
        "bounced",
        "refused",
        "read right",
      ],
      rows,
      verdict:
        `ZONE_DMA gives ${of("ZONE_DMA of 1 MiB")?.buffers} buffers of its 16, the first MiB less what normal ` +
        `requests took of it when theirs was used up, and half of the pages that are mapped are out of reach. ` +
        `A pool that looks at addresses has any even MiB that it was given: ` +
        `${of("mask pool, 4 even MiB")?.buffers} buffers of 64, the last being kept for those who cannot sleep; and ` +
        "it bounces what lies in an odd one.",
    };
  },
};
