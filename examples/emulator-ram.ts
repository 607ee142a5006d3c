// An emulator's RAM: 32 MiB in a WebAssembly.Memory, of which a bus-master device with 24 address
// lines reaches the first 16 MiB. Its buffer comes from the DMA zone; everything else stays out of
// that zone for as long as there is other memory.
//
//   node examples/emulator-ram.ts
import process from "node:process";
import { pathToFileURL } from "node:url";
import { createMemory, NO_PFN } from "../src/mm/index.ts";

const MIB = 1024 * 1024;
const DEVICE_REACH = 16 * MIB; // 24 address lines

/** Runs the example; `print` takes its lines. */
export function emulatorRam(print: (line: string) => unknown): void {
  const ram = new WebAssembly.Memory({ initial: 512, maximum: 1024 }); // 64 KiB each
  const memory = createMemory({
    zones: [
      { name: "DMA", pages: DEVICE_REACH / 4096 },
      { name: "Normal", pages: (16 * MIB) / 4096 },
    ],
    bytes: ram,
    // A 64th of what is above stays in DMA memory when others run out.
    lowmemReserveRatio: [64],
  });

  const ring = memory.alloc(2, "DMA", { zero: true });
  print(`device ring   ${place(memory.addressOf(ring), 4)} in zone ${memory.zoneOf(ring)}`);
  if (memory.addressOf(ring) + 4 * 4096 > DEVICE_REACH)
    throw new Error("out of the device's reach");

  const page = memory.alloc(0);
  print(`guest page    ${place(memory.addressOf(page), 1)} in zone ${memory.zoneOf(page)}`);

  // The device writes to RAM by physical address; the guest sees the same bytes.
  new Uint8Array(ram.buffer).set([0xca, 0xfe], memory.addressOf(ring));
  print(`guest reads   ${[...memory.bytesOf(ring, 2).subarray(0, 2)].map(hex).join(" ")}`);

  // The emulator may give its RAM's module more pages: the old buffer is gone, the RAM is not.
  ram.grow(16);
  print(`after grow    ${[...memory.bytesOf(ring, 2).subarray(0, 2)].map(hex).join(" ")}`);

  let pages = 0;
  while (memory.alloc(0) !== NO_PFN) pages++;
  print(`guest takes   ${pages} pages more, then is refused`);
  print(`kept for DMA  ${memory.freePages("DMA")} pages`);
  const late = memory.alloc(4, "DMA");
  print(`device again  ${late === NO_PFN ? "refused" : place(memory.addressOf(late), 16)}`);

  memory.free(ring, 2);
  memory.free(page, 0);
}

function place(address: number, pages: number): string {
  return `0x${address.toString(16).padStart(7, "0")}, ${pages * 4} KiB`;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  emulatorRam((line) => process.stdout.write(`${line}\n`));
}
