/**
 * The DMA layer in a process of its own; prints nanoseconds. The argument is the number of mappings.
 *
 *   bare    two calls of functions with the same arguments that do next to nothing: V8 puts them into
 *           the loop, which makes it the hardest floor there is
 *   called  the same two calls, of functions that V8 cannot put into the loop
 *   map     a buffer in reach mapped and unmapped at once
 *   ring    the same, 256 of them mapped at a time, as a network card's ring has them
 *   watched the same as `ring`, with the debugger
 *   list    lists of 16 buffers, an entry
 *   copy    mappings of 64 and 256 KiB that bounce, beside Uint8Array.set
 */
import process from "node:process";
import {
  createDma,
  type Device,
  DMA_BIDIRECTIONAL,
  DMA_TO_DEVICE,
  type Dma,
  sgList,
  simpleDevice,
} from "../src/dma/index.ts";
import { createSwiotlb } from "../src/dma/swiotlb/swiotlb.ts";
import { swiotlbRule } from "../src/kernels/swiotlb.ts";
import { bootMemory, type Memory } from "../src/mm/index.ts";

const [, , argument = "1000000"] = process.argv;
const COUNT = Number(argument);
const PAGE = 4096;
const HIGH = 2 ** 32;
const SPAN = 2 ** 30;
const SIZE = 1500;
/** A round of copies is a thousand turns only. */
const COPY_ROUNDS = 20;
let sink = 0;

function pc(): Memory {
  return bootMemory({
    era: "6.12",
    zones: [
      { name: "DMA", startPfn: 1, pages: 4095 },
      { name: "DMA32", startPfn: 0x1000, pages: 0xc0000 - 0x1000 },
      { name: "Normal", startPfn: 0x100000, pages: 0x100000 },
    ],
  });
}

function layer(debug: boolean): { readonly dma: Dma; readonly nic: Device } {
  const dma = createDma(pc(), { era: "6.12", debug });
  return { dma, nic: dma.addDevice(simpleDevice("0000:00:04.0", 64)) };
}

/**
 * Nanoseconds of one of `count` turns of a loop; the best of some rounds, the first of which V8 needs
 * to compile it. Of both clocks the lesser: the
 * one counts other programs, the other V8's own threads.
 */
function best(count: number, loop: (count: number) => void, rounds = 5): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = process.hrtime.bigint();
    const before = process.cpuUsage();
    loop(count);
    const { user, system } = process.cpuUsage(before);
    const ns = Math.min(Number(process.hrtime.bigint() - start), (user + system) * 1000);
    least = Math.min(least, ns / count);
  }
  return least;
}

type Map = (device: Device, physical: number, size: number, direction: number) => number;

function bare(device: Device, physical: number, size: number, direction: number): number {
  return physical + device.id + (size & direction & 0);
}

function bareLoop(nic: Device): (count: number) => void {
  return (count) => {
    let at = HIGH;
    for (let i = 0; i < count; i++) {
      const address = bare(nic, at, SIZE, DMA_TO_DEVICE);
      sink += bare(nic, address, SIZE, DMA_TO_DEVICE) & 1;
      at = at >= HIGH + SPAN ? HIGH : at + PAGE;
    }
  };
}

function calledLoop(nic: Device): (count: number) => void {
  // Five targets of one call are too many to be put in.
  const targets: Map[] = [0, 1, 2, 3, 4].map((n) => (device, physical, size) => {
    return physical + device.id + (size & 0) + n - n;
  });
  return (count) => {
    let at = HIGH;
    for (let i = 0; i < count; i++) {
      const call = targets[i % 5] ?? bare;
      const address = call(nic, at, SIZE, DMA_TO_DEVICE);
      sink += call(nic, address, SIZE, DMA_TO_DEVICE) & 1;
      at = at >= HIGH + SPAN ? HIGH : at + PAGE;
    }
  };
}

function mapLoop({ map, unmap }: Dma, nic: Device): (count: number) => void {
  return (count) => {
    let at = HIGH;
    for (let i = 0; i < count; i++) {
      const address = map(nic, at, SIZE, DMA_TO_DEVICE);
      unmap(nic, address, SIZE, DMA_TO_DEVICE);
      at = at >= HIGH + SPAN ? HIGH : at + PAGE;
    }
  };
}

function ringLoop(dma: Dma, nic: Device, checked: boolean): (count: number) => void {
  const { map, unmap } = dma;
  const ring = new Float64Array(256);
  return (count) => {
    let at = HIGH;
    for (let i = 0; i < count; i++) {
      const place = i & 255;
      if (i > 255) unmap(nic, ring[place] ?? 0, SIZE, DMA_TO_DEVICE);
      const address = map(nic, at, SIZE, DMA_TO_DEVICE);
      if (checked) dma.mappingError(nic, address);
      ring[place] = address;
      at = at >= HIGH + SPAN ? HIGH : at + PAGE;
    }
    for (const address of ring) unmap(nic, address, SIZE, DMA_TO_DEVICE);
  };
}

function listLoop(dma: Dma, nic: Device): (count: number) => void {
  const buffers = Array.from({ length: 16 }, (_, i) => ({
    physical: HIGH + i * 8192,
    length: PAGE,
  }));
  return (count) => {
    for (let i = 0; i < count; i += 16) {
      const list = sgList(buffers);
      dma.mapSg(nic, list, DMA_TO_DEVICE);
      dma.unmapSg(nic, list, DMA_TO_DEVICE);
    }
  };
}

/** Bytes a nanosecond through bounce buffers, of those of plain copies. */
function copySpeed(size: number, direction: 0 | 1): number {
  // Written once, or all of it would be the one page of zeros.
  const bytes = new Uint8Array(512 * 2 ** 20).fill(1);
  const zones = [
    { name: "DMA32", startPfn: 0, pages: 0x8000 },
    { name: "Normal", startPfn: 0x8000, pages: 0x18000 },
  ];
  const memory = bootMemory({ era: "6.12", zones, bytes });
  const rule = swiotlbRule("6.12");
  if (rule === null) throw new Error("no rule");
  const spec = { rule, start: 32 * 2 ** 20, slots: 32768, areas: 1, pageSize: PAGE };
  const bounce = createSwiotlb(memory.image, memory, spec);
  const dma = createDma(memory, { era: "6.12", bounce });
  const card = dma.addDevice({ ...simpleDevice("card", 32), busLimit: 2 ** 27 - 1 });
  const from = 256 * 2 ** 20;
  const span = 64 * 2 ** 20;
  const turns = Math.max(1024, Math.floor((COUNT * 64) / size));
  const places = span / size;
  const through = best(
    turns,
    (count) => {
      for (let i = 0; i < count; i++) {
        const physical = from + (i % places) * size;
        const address = dma.map(card, physical, size, direction);
        dma.unmap(card, address, size, direction);
      }
    },
    COPY_ROUNDS,
  );
  const copies = direction === DMA_BIDIRECTIONAL ? 2 : 1;
  const plain = best(
    turns,
    (count) => {
      for (let i = 0; i < count; i++) {
        const physical = from + (i % places) * size;
        const there = 32 * 2 ** 20 + (i % places) * size;
        bytes.set(bytes.subarray(physical, physical + size), there);
        if (copies === 2) bytes.set(bytes.subarray(there, there + size), physical);
      }
    },
    COPY_ROUNDS,
  );
  return plain / through;
}

const { dma, nic } = layer(false);
const watched = layer(true);
const answer = {
  bare: best(COUNT, bareLoop(nic)),
  called: best(COUNT, calledLoop(nic)),
  map: best(COUNT, mapLoop(dma, nic)),
  ring: best(COUNT, ringLoop(dma, nic, false)),
  watched: best(COUNT / 10, ringLoop(watched.dma, watched.nic, true)),
  list: best(COUNT / 4, listLoop(dma, nic)),
  copies: [
    copySpeed(65536, DMA_TO_DEVICE),
    copySpeed(65536, DMA_BIDIRECTIONAL),
    copySpeed(262144, DMA_TO_DEVICE),
  ],
  left: dma.liveMappings() + dma.reports.misuses.length + watched.dma.reports.misuses.length,
  sink: sink & 1,
};
console.log(JSON.stringify(answer));
