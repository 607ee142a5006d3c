// A SCSI controller with 64 KiB of memory on the card: dma_declare_coherent_memory(), as it was
// proposed in 2004 and as kernels came to read its flags.
//
// A tape drive behind it wants two pages; then its driver wants twenty pages of scripts, four more than
// the card has. Every buffer is written by the CPU and read by the card, and the other way round.
import {
  createDma,
  DECLARED_AS_PROPOSED,
  DMA_MEMORY_EXCLUSIVE,
  DMA_MEMORY_INCLUDES_CHILDREN,
  DMA_MEMORY_MAP,
  type DmaOptions,
  simpleDevice,
} from "../../src/dma/index.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { isShared } from "./bus.ts";
import { KIB, MIB, PAGE } from "./machines.ts";
import type { Row, Scenario } from "./scenario.ts";

const RAM = 64 * MIB;
/** Where the CPU sees the card's memory, and where the card does. */
const BUS_ADDRESS = 0xe0000000;
const DEVICE_ADDRESS = 0xc0000000;
const OWN_BYTES = 64 * KIB;
const SCRIPTS = 20;
const TAPE_BUFFERS = 2;

interface Way {
  readonly name: string;
  readonly flags: number;
  readonly words: string;
  /** Rules of the page allocator. */
  readonly pages: string;
  readonly options: DmaOptions;
}

const MAP = DMA_MEMORY_MAP;
const ALONE = MAP | DMA_MEMORY_EXCLUSIVE;
const FAMILY = ALONE | DMA_MEMORY_INCLUDES_CHILDREN;
const OLD: DmaOptions = { era: "2.6.9", arch: "i386" };

const WAYS: readonly Way[] = [
  { name: "2.6.9", flags: MAP, words: "MAP", pages: "2.6", options: OLD },
  { name: "2.6.9", flags: ALONE, words: "MAP EXCLUSIVE", pages: "2.6", options: OLD },
  { name: "2.6.9", flags: FAMILY, words: "MAP EXCLUSIVE CHILDREN", pages: "2.6", options: OLD },
  {
    name: "as proposed",
    flags: FAMILY,
    words: "MAP EXCLUSIVE CHILDREN",
    pages: "2.6",
    options: { ...OLD, declared: DECLARED_AS_PROPOSED },
  },
  { name: "4.19", flags: 0, words: "", pages: "5.10", options: { era: "4.19" } },
  {
    name: "4.19",
    flags: DMA_MEMORY_EXCLUSIVE,
    words: "EXCLUSIVE",
    pages: "5.10",
    options: { era: "4.19" },
  },
  { name: "6.1", flags: 0, words: "", pages: "6.1", options: { era: "6.1" } },
];

interface Got {
  own: number;
  main: number;
  refused: number;
  shared: number;
}

function measure(way: Way): { scsi: Got; tape: Got } {
  const zones = [
    { name: "DMA", startPfn: 0, pages: (16 * MIB) / PAGE },
    { name: "Normal", startPfn: (16 * MIB) / PAGE, pages: (RAM - 16 * MIB) / PAGE },
  ];
  const memory = bootMemory({ era: way.pages, zones, bytes: new Uint8Array(RAM) });
  const dma = createDma(memory, way.options);
  const scsi = dma.addDevice({ ...simpleDevice("0000:00:06.0", 32), driver: "sym53c8xx" });
  const tape = dma.addDevice({ ...simpleDevice("0:0:4:0", 32), parent: scsi.name, driver: "st" });
  dma.declareCoherentMemory(scsi, BUS_ADDRESS, DEVICE_ADDRESS, OWN_BYTES, way.flags);
  const take = (device: typeof scsi, count: number, from: number): Got => {
    const got: Got = { own: 0, main: 0, refused: 0, shared: 0 };
    for (let i = 0; i < count; i++) {
      const buffer = dma.allocCoherent(device, PAGE);
      if (buffer === null) {
        got.refused++;
        continue;
      }
      if (buffer.physical >= BUS_ADDRESS) got.own++;
      else got.main++;
      if (isShared(dma, device, buffer, from + i)) got.shared++;
    }
    return got;
  };
  const first = take(tape, TAPE_BUFFERS, 100);
  return { scsi: take(scsi, SCRIPTS, 0), tape: first };
}

export const ownMemory: Scenario = {
  name: "own-memory",
  title: "A SCSI controller with its own memory",
  question:
    "64 KiB on the card, declared with dma_declare_coherent_memory(). A tape drive behind the controller " +
    "asks for 2 pages, then the driver for 20, 4 more than there are. Who gets the card's memory, and who " +
    "falls back to main memory?",
  run: () => {
    const rows: Row[] = [];
    let shared = 0;
    let got = 0;
    for (const way of WAYS) {
      const { scsi, tape } = measure(way);
      shared += scsi.shared + tape.shared;
      got += scsi.own + scsi.main + tape.own + tape.main;
      const child = tape.own > 0 ? "the card's" : tape.main > 0 ? "main memory" : "refused";
      rows.push([way.name, way.words, scsi.own, scsi.main, scsi.refused, child]);
    }
    return {
      head: ["kernel", "flags", "own of 20", "main memory", "refused", "tape gets"],
      rows,
      verdict:
        "Only EXCLUSIVE kept a driver from main memory until 5.3; since then the card's answer is final for " +
        "everybody. Children never got the parent's memory in a merged kernel; as proposed in 2004 the tape's " +
        `two pages come off the card, and its driver is two short. ${shared} of ${got} buffers are one memory ` +
        "for CPU and card.",
    };
  },
};
