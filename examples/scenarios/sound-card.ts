// A sound card with 29 address lines on a PC of 8 GiB: it reaches 512 MiB, and no zone of x86 fits it.
// GFP_DMA32 may happen to lie low enough; if not there are 16 MiB.
//
// The machine has been used: everything was taken once, and a third of it came back, here and there. Then
// the card wants 256 ring buffers of 16 KiB and plays 256 periods of 16 KiB from pages above 4 GiB.
import { type DeviceSpec, DMA_TO_DEVICE, simpleDevice } from "../../src/dma/index.ts";
import type { BootZone } from "../../src/mm/boot-memory.ts";
import { allocPages, drainAllPages, freePages, GFP_KERNEL } from "../../src/mm/index.ts";
import { isShared, probeBytes, readsBack } from "./bus.ts";
import { aboveMin, GIB, KIB, MIB, mib, PAGE, pcZones, takeAll } from "./machines.ts";
import { type Pc, pooledPc, swiotlbPc } from "./pcs.ts";
import { dice, type Row, type Scenario } from "./scenario.ts";

const RAM = 8 * GIB;
const REACH = 2 ** 29;
const BUFFERS = 256;
const BYTES = 16 * KIB;
const PERIODS = 256;
const KERNEL = { dma: "6.1", pages: "6.1" };

const card: DeviceSpec = { ...simpleDevice("0000:02:00.0", 29), driver: "snd" };

interface Way {
  readonly name: string;
  build(): Pc;
}

const bigDma = (): BootZone[] => {
  const [dma, dma32, ...rest] = pcZones(RAM);
  if (dma === undefined || dma32 === undefined) return [];
  const low = REACH / PAGE;
  const end = dma32.startPfn + dma32.pages;
  const zone29 = { name: "BIGDMA", startPfn: dma32.startPfn, pages: low - dma32.startPfn };
  return [dma, zone29, { ...dma32, startPfn: low, pages: end - low }, ...rest];
};

const WAYS: readonly Way[] = [
  { name: "DMA and DMA32, swiotlb", build: () => swiotlbPc(pcZones(RAM), KERNEL, card) },
  { name: "ZONE_BIGDMA of 29 bits", build: () => swiotlbPc(bigDma(), KERNEL, card) },
  { name: "mask pool 4 MiB", build: () => pooledPc(4 * MIB, card) },
  { name: "mask pool 16 MiB", build: () => pooledPc(16 * MIB, card) },
];

interface Got {
  idle: number;
  rings: number;
  low: number;
  periods: number;
  right: number;
}

/** Takes all, gives a third of it back; what was idle meanwhile, pages. */
function use({ memory, aside }: Pc): { idle: number; user: number[] } {
  // Blocks of 64 KiB: the wear is the same, the work a sixteenth.
  const blocks = takeAll(memory, GFP_KERNEL, 4);
  let idle = aside;
  for (let z = 0; z < memory.zoneCount; z++) idle += aboveMin(memory, z);
  const roll = dice(29);
  const user: number[] = [];
  for (const [pfn, order] of blocks) {
    if (roll(3) === 0) freePages(memory, pfn, order);
    else if (pfn >= (4 * GIB) / PAGE && user.length < PERIODS) user.push(pfn);
  }
  drainAllPages(memory);
  // The next to come takes what is free from below: whoever wants low memory finds others there.
  for (let i = 0; i < 2 ** 16; i++) allocPages(memory, GFP_KERNEL, 2);
  return { idle, user };
}

function measure(pc: Pc): Got {
  const { dma, device } = pc;
  const { idle, user } = use(pc);
  const got: Got = { idle, rings: 0, low: 0, periods: 0, right: 0 };
  for (let i = 0; i < BUFFERS; i++) {
    const buffer = dma.allocCoherent(device, BYTES);
    if (buffer === null) continue;
    got.rings++;
    if (buffer.physical < 16 * MIB) got.low++;
    if (isShared(dma, device, buffer, i)) got.right++;
  }
  for (const [i, pfn] of user.entries()) {
    dma.cpuWrite(pfn * PAGE, probeBytes(i));
    const address = dma.mapSingle(device, pfn * PAGE, BYTES, DMA_TO_DEVICE);
    if (dma.mappingError(device, address)) continue;
    got.periods++;
    if (readsBack(device, address, i)) got.right++;
    dma.unmapSingle(device, address, BYTES, DMA_TO_DEVICE);
  }
  return got;
}

export const soundCard: Scenario = {
  name: "sound-card",
  title: "A sound card with 29 address lines",
  question:
    "8 GiB, well used. The card reaches 512 MiB, which no zone of x86 is. It asks for 256 ring buffers of 16 KiB " +
    "and plays 256 periods of 16 KiB out of pages above 4 GiB.",
  run: () => {
    const rows: Row[] = [];
    const by = new Map<string, Got>();
    for (const way of WAYS) {
      const got = measure(way.build());
      by.set(way.name, got);
      rows.push([way.name, got.idle, got.rings, got.low, got.periods, got.right]);
    }
    const zones = by.get("DMA and DMA32, swiotlb");
    const big = by.get("ZONE_BIGDMA of 29 bits");
    const pool = by.get("mask pool 16 MiB");
    return {
      head: ["way", "idle pages", "rings of 256", "below 16 MiB", "periods of 256", "right on bus"],
      rows,
      verdict:
        `With zones the card gets ${zones?.rings} rings, ${zones?.low} of them from the 16 MiB that were ` +
        `kept for others, and plays ${zones?.periods} periods: swiotlb's own pool lies out of its reach. A zone ` +
        `of its own gives ${big?.rings} rings and costs ${mib((big?.idle ?? 0) - (zones?.idle ?? 0))} more ` +
        `idle memory; bouncing still fails. A pool of 16 MiB gives ${pool?.rings} rings and ` +
        `${pool?.periods} periods for ${mib(pool?.idle ?? 0)} idle.`,
    };
  },
};
