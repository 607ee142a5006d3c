// A driver's view of the DMA API: an old network card with 24 address lines in a machine of 64 MiB.
// What it must share lies below 16 MiB; packets lie anywhere and bounce; mistakes are named.
//
//   node examples/network-card.ts
import process from "node:process";
import { pathToFileURL } from "node:url";
import {
  createDma,
  createSwiotlb,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  isFault,
  simpleDevice,
  swiotlbRule,
} from "../src/dma/index.ts";
import { allocPages, bootMemory, GFP_KERNEL } from "../src/mm/index.ts";

const PAGE = 4096;
const MIB = 2 ** 20;
const POOL = 8 * MIB; // where the bounce pool lies, a MiB of it

/** Runs the example; `print` takes its lines. */
export function networkCard(print: (line: string) => unknown): void {
  const memory = bootMemory({
    era: "6.12",
    bytes: new Uint8Array(64 * MIB),
    zones: [
      {
        name: "DMA",
        startPfn: 1,
        pages: (16 * MIB) / PAGE - 1,
        holes: [{ start: POOL / PAGE, end: (POOL + MIB) / PAGE }],
      },
      { name: "Normal", startPfn: (16 * MIB) / PAGE, pages: (48 * MIB) / PAGE },
    ],
  });
  const rule = swiotlbRule("6.12");
  if (rule === null) return;
  const pool = { rule, start: POOL, slots: MIB / 2048, areas: 1, pageSize: PAGE };
  const bounce = createSwiotlb(memory.image, memory, pool);
  const dma = createDma(memory, { era: "6.12", bounce, debug: { allErrors: true } });
  const card = dma.addDevice({ ...simpleDevice("0000:00:05.0", 24), driver: "lance" });
  const hex = (value: number): string => `0x${value.toString(16)}`;

  const ring = dma.allocCoherent(card, PAGE);
  print(`ring            ${hex(ring?.dma ?? -1)}, below 16 MiB`);

  const packet = allocPages(memory, GFP_KERNEL, 0) * PAGE;
  dma.cpuWrite(packet, new TextEncoder().encode("hello"));
  const sent = dma.mapSingle(card, packet, 1500, DMA_TO_DEVICE);
  const fails = dma.mappingError(card, sent);
  print(`packet          ${hex(packet)}, for the card ${fails ? "nowhere" : hex(sent)}`);
  print(`the card sends  ${text(card.read(sent, 5))}`);
  dma.unmapSingle(card, sent, 1500, DMA_TO_DEVICE);

  const filled = dma.mapSingle(card, packet, 1500, DMA_FROM_DEVICE);
  dma.mappingError(card, filled);
  card.write(filled, new TextEncoder().encode("world"));
  print(`the CPU reads   ${text(dma.cpuRead(packet, 5))}, too early`);
  dma.syncSingleForCpu(card, filled, 1500, DMA_FROM_DEVICE);
  print(`after the sync  ${text(dma.cpuRead(packet, 5))}`);
  dma.unmapSingle(card, filled, 64, DMA_FROM_DEVICE);
  const late = card.read(filled, 5);
  print(`after the unmap ${isFault(late) ? `fault: ${late.reason}` : text(late)}`);

  for (const { kind } of dma.reports.misuses) print(`caught          ${kind}`);
  for (const line of dma.reports.log.slice(2)) print(line);
  const { maps, bounces, bouncedBytes } = dma.counts(card);
  print(`mapped ${maps} times, bounced ${bounces} times, ${bouncedBytes} bytes`);
}

function text(answer: Uint8Array | object | null): string {
  return answer instanceof Uint8Array ? new TextDecoder().decode(answer) : "nothing";
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  networkCard((line) => process.stdout.write(`${line}\n`));
}
