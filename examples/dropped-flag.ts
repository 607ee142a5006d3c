// What happens to a driver's buffer when its zone flag goes: the same request with and without the
// flag, on one machine. The CPU and the device hand bytes to each other over the bus, the DMA-API
// debugger looks on. `zonewright audit --scenario DIR` writes calls of this file for real drivers.
//
//   node examples/dropped-flag.ts
import process from "node:process";
import { pathToFileURL } from "node:url";
import {
  createDma,
  createSwiotlb,
  type Device,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type Dma,
  type DmaDirection,
  simpleDevice,
  swiotlbRule,
} from "../src/dma/index.ts";
import {
  allocPages,
  bootMemory,
  freePages,
  GFP_DMA,
  GFP_DMA32,
  GFP_KERNEL,
  type Memory,
  NO_PFN,
} from "../src/mm/index.ts";

export interface DroppedFlag {
  /** Where the flag is written: "drivers/x/x.c:12". */
  readonly place: string;
  /** The allocator, as written: "kmalloc". */
  readonly call: string;
  /** Memory that is mapped afterwards, or one of the DMA API's ways to memory for long. */
  readonly how: "mapped" | "coherent" | "pages" | "pool";
  readonly flag: "GFP_DMA" | "GFP_DMA32";
  /** Slab has caches for GFP_DMA only: GFP_DMA32 is dropped there already. */
  readonly isSlab: boolean;
  readonly bytes: number;
  /** Address bits of the device. */
  readonly bits: number;
  readonly direction: "to device" | "from device" | "both";
}

interface Outcome {
  /** Zone that the memory is of; null where none was given. */
  readonly zone: string | null;
  readonly copies: number;
  /** What went wrong; empty: nothing. */
  readonly wrong: readonly string[];
}

const ERA = "6.1";
const PAGE = 4096;
const MIB = 2 ** 20;
const ISA_LIMIT = 16 * MIB;
const POOL = 24 * MIB; // where the bounce pool lies
const POOL_BYTES = 4 * MIB;
const LOW_END = 48 * MIB;
const HIGH_BYTES = 32 * MIB;
/** Memory above 4 GiB is what a 32-bit device cannot reach; wider devices are shown nothing more. */
const WIDEST_BITS = 32;

const DIRECTIONS: Readonly<Record<DroppedFlag["direction"], DmaDirection>> = {
  "to device": DMA_TO_DEVICE,
  "from device": DMA_FROM_DEVICE,
  both: DMA_BIDIRECTIONAL,
};

/** Runs each of them, a line for each; how many failed. */
export function dropFlags(flags: readonly DroppedFlag[], print: (line: string) => unknown): number {
  let failed = 0;
  for (const one of flags) {
    const before = outcomeOf(one, true);
    const after = outcomeOf(one, false);
    // From 5.10 on dma_alloc_pages() refuses zone flags: there the flag was the fault.
    const isMended = one.how === "pages" && before.zone === null;
    const wrong = [...(isMended ? [] : before.wrong), ...after.wrong];
    if (wrong.length > 0) failed++;
    print(`${wrong.length === 0 ? "pass" : "FAIL"}  ${one.place}  ${one.call}()  ${shape(one)}`);
    print(`      ${one.flag.padEnd(9)}  ${words(before)}`);
    print(`      without    ${words(after)}`);
  }
  return failed;
}

function shape({ bytes, bits, direction }: DroppedFlag): string {
  return `${bytes} bytes, ${bits} bits, ${direction}`;
}

function words({ zone, copies, wrong }: Outcome): string {
  const where = zone === null ? "refused" : `zone ${zone}`;
  const copied = copies === 1 ? "1 bounce" : `${copies} bounces`;
  return [where, copied, ...wrong].join(", ");
}

/** One life of the buffer on a machine of its own. */
function outcomeOf(one: DroppedFlag, hasFlag: boolean): Outcome {
  const memory = machineFor(one.bits);
  const dma = dmaOf(memory);
  if (dma === null) return { zone: null, copies: 0, wrong: [`no rules for ${ERA}`] };
  const device = dma.addDevice({ ...simpleDevice("device", one.bits), driver: "driver" });
  const isTaken = hasFlag && !(one.isSlab && one.flag === "GFP_DMA32");
  const zoneFlag = one.flag === "GFP_DMA" ? GFP_DMA : GFP_DMA32;
  const gfp = isTaken ? GFP_KERNEL | zoneFlag : GFP_KERNEL;
  const wrong: string[] = [];
  const at =
    one.how === "mapped"
      ? mapped(dma, device, one, gfp, wrong)
      : kept(dma, device, one, gfp, wrong);
  dma.unbindDriver(device);
  for (const { kind } of dma.reports.misuses) wrong.push(`caught: ${kind}`);
  if (dma.liveMappings() > 0) wrong.push("something is still mapped");
  return { zone: at < 0 ? null : zoneAt(memory, at), copies: dma.counts(device).bounces, wrong };
}

/** Memory of the driver's own, mapped for the transfer. Gives its physical address, or -1. */
function mapped(
  dma: Dma,
  device: Device,
  { bytes, direction }: DroppedFlag,
  gfp: number,
  wrong: string[],
): number {
  const order = Math.max(0, Math.ceil(Math.log2(bytes / PAGE)));
  const pfn = allocPages(dma.memory, gfp, order);
  if (pfn === NO_PFN) {
    wrong.push("no memory");
    return -1;
  }
  const at = pfn * PAGE;
  const way = DIRECTIONS[direction];
  const sent = pattern(bytes, 1);
  const answer = pattern(bytes, 101);
  dma.cpuWrite(at, sent);
  const address = dma.mapSingle(device, at, bytes, way);
  if (dma.mappingError(device, address)) {
    wrong.push(`not mapped: ${dma.reports.lastRefusal?.reason ?? "no reason"}`);
  } else {
    if (way !== DMA_FROM_DEVICE) compare(device.read(address, bytes), sent, "the device", wrong);
    if (way !== DMA_TO_DEVICE) device.write(address, answer);
    dma.unmapSingle(device, address, bytes, way);
    if (way !== DMA_TO_DEVICE) compare(dma.cpuRead(at, bytes), answer, "the CPU", wrong);
  }
  freePages(dma.memory, pfn, order);
  return at;
}

/** Memory by the DMA API, which both sides see. Gives its physical address, or -1. */
function kept(
  dma: Dma,
  device: Device,
  { how, bytes, direction }: DroppedFlag,
  gfp: number,
  wrong: string[],
): number {
  const way = DIRECTIONS[direction];
  const pool = how === "pool" ? dma.createPool("driver", device, bytes, 0, 0) : null;
  const block = pool?.alloc(gfp) ?? null;
  const pages = how === "pages" ? dma.allocPages(device, bytes, way, gfp) : null;
  const coherent = how === "coherent" ? dma.allocCoherent(device, bytes, gfp) : null;
  const buffer = block ?? pages ?? coherent;
  if (buffer === null) {
    wrong.push("no memory");
    return -1;
  }
  const sent = pattern(bytes, 1);
  const answer = pattern(bytes, 101);
  if (way !== DMA_FROM_DEVICE) {
    dma.cpuWrite(buffer.physical, sent);
    if (pages !== null) dma.syncSingleForDevice(device, buffer.dma, bytes, way);
    compare(device.read(buffer.dma, bytes), sent, "the device", wrong);
  }
  if (way !== DMA_TO_DEVICE) {
    device.write(buffer.dma, answer);
    if (pages !== null) dma.syncSingleForCpu(device, buffer.dma, bytes, way);
    compare(dma.cpuRead(buffer.physical, bytes), answer, "the CPU", wrong);
  }
  if (block !== null) pool?.free(block);
  pool?.destroy();
  if (pages !== null) dma.freePages(device, pages, way);
  if (coherent !== null) dma.freeCoherent(device, coherent);
  return buffer.physical;
}

/** Low zones, and a Normal zone from where the device's address lines end. */
function machineFor(bits: number): Memory {
  const high = 2 ** Math.min(bits, WIDEST_BITS);
  const start = Math.max(high, LOW_END);
  return bootMemory({
    era: ERA,
    bytes: new Uint8Array(start + HIGH_BYTES),
    zones: [
      { name: "DMA", startPfn: 1, pages: ISA_LIMIT / PAGE - 1 },
      {
        name: "DMA32",
        startPfn: ISA_LIMIT / PAGE,
        pages: (LOW_END - ISA_LIMIT) / PAGE,
        holes: [{ start: POOL / PAGE, end: (POOL + POOL_BYTES) / PAGE }],
      },
      { name: "Normal", startPfn: start / PAGE, pages: HIGH_BYTES / PAGE },
    ],
  });
}

function dmaOf(memory: Memory): Dma | null {
  const rule = swiotlbRule(ERA);
  if (rule === null) return null;
  const pool = { rule, start: POOL, slots: POOL_BYTES / 2048, areas: 1, pageSize: PAGE };
  const bounce = createSwiotlb(memory.image, memory, pool);
  return createDma(memory, { era: ERA, bounce, debug: { allErrors: true } });
}

function zoneAt(memory: Memory, at: number): string {
  const starts = [0, ISA_LIMIT / PAGE, LOW_END / PAGE];
  const zone = starts.filter((start) => at / PAGE >= start).length - 1;
  return memory.names[zone] ?? "none";
}

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff);
}

function compare(got: unknown, wanted: Uint8Array, who: string, wrong: string[]): void {
  const isSame =
    got instanceof Uint8Array &&
    got.length === wanted.length &&
    got.every((byte, i) => byte === wanted[i]);
  if (!isSame) wrong.push(`${who} reads other bytes`);
}

/** A network card's buffer, and two that a driver shares with its device for long. */
export const EXAMPLE: readonly DroppedFlag[] = [
  {
    place: "a packet",
    call: "kmalloc",
    how: "mapped",
    flag: "GFP_DMA",
    isSlab: true,
    bytes: 1500,
    bits: 32,
    direction: "to device",
  },
  {
    place: "a ring",
    call: "dma_alloc_coherent",
    how: "coherent",
    flag: "GFP_DMA",
    isSlab: false,
    bytes: 4096,
    bits: 32,
    direction: "both",
  },
];

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const failed = dropFlags(EXAMPLE, (line) => process.stdout.write(`${line}\n`));
  process.exitCode = failed > 0 ? 1 : 0;
}
