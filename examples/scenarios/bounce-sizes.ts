// What replaces swiotlb's cap of 256 KiB when bounce buffers come from a mask pool: pages instead of
// slots of 2 KiB, and no segment that a buffer has to fit in.
//
// Both have 16 MiB below 4 GiB and nothing else. Buffers of one size are mapped until one is refused.

import { formatBytes } from "../../src/base/units.ts";
import { createDma, DMA_TO_DEVICE, simpleDevice } from "../../src/dma/index.ts";
import { createMaskPool } from "../../src/dma/mask-pool/mask-pool.ts";
import { createPoolBounce } from "../../src/dma/mask-pool/pool-bounce.ts";
import { createSwiotlb } from "../../src/dma/swiotlb/swiotlb.ts";
import { swiotlbRule } from "../../src/kernels/swiotlb.ts";
import { bootMemory } from "../../src/mm/boot-memory.ts";
import { KIB, MIB, PAGE } from "./machines.ts";
import type { Row, Scenario } from "./scenario.ts";

const POOL = 16 * MIB;
const SIZES = [64, 1500, 4 * KIB, 9000, 64 * KIB, 256 * KIB, 257 * KIB, MIB, 4 * MIB];
const SLOT = 2 * KIB;
const GFP_ATOMIC = 0xa20;
/** The buffer that is mapped, again and again; as with swiotlb=force, wherever it lies. */
const HIGH = 32 * MIB;
const RAM = 64 * MIB;

/** How many buffers of a size there can be at once, and the largest there can be. */
function measure(isPool: boolean): { readonly largest: number; readonly atOnce: number[] } {
  const bounced = { start: 0, end: POOL / PAGE };
  const zone = { name: "Normal", startPfn: bounced.end, pages: (RAM - POOL) / PAGE };
  const memory = bootMemory({ zones: [zone], bytes: new Uint8Array(RAM), bytesPfn: 0 });
  const rule = swiotlbRule("6.12");
  if (rule === null) throw new TypeError("6.12 has a swiotlb");
  const slots = POOL / SLOT;
  const spec = { rule, start: 0, slots, areas: 1, pageSize: PAGE };
  const ranges = [bounced];
  const bounce = isPool
    ? createPoolBounce(memory.image, createMaskPool(memory.image, { ranges, pageSize: PAGE }), {
        gfp: GFP_ATOMIC,
        endPfn: bounced.end,
        copiesAlways: true,
        copy: (from, to, length) => memory.bytes?.copyWithin(to, from, from + length),
      })
    : createSwiotlb(memory.image, memory, spec);
  const dma = createDma(memory, { era: "6.12", bounce });
  const card = dma.addDevice({ ...simpleDevice("0000:03:00.0", 32), forceBounce: true });
  const atOnce = SIZES.map((size) => {
    const held: number[] = [];
    for (;;) {
      const address = dma.mapSingle(card, HIGH, size, DMA_TO_DEVICE);
      if (dma.mappingError(card, address)) break;
      held.push(address);
    }
    for (const address of held) dma.unmapSingle(card, address, size, DMA_TO_DEVICE);
    return held.length;
  });
  return { largest: dma.maxMappingSize(card), atOnce };
}

export const bounceSizes: Scenario = {
  name: "bounce-sizes",
  title: "What replaces the cap of 256 KiB",
  question:
    "16 MiB for bounce buffers, as swiotlb's slots and as a mask pool. How many buffers of a size are there at " +
    "once, and how much memory does each take?",
  run: () => {
    const slots = measure(false);
    const pages = measure(true);
    const each = (count: number | undefined): string =>
      count === undefined || count === 0 ? "—" : formatBytes(Math.floor(POOL / count));
    const rows: Row[] = SIZES.map((size, i) => [
      formatBytes(size),
      slots.atOnce[i] ?? 0,
      each(slots.atOnce[i]),
      pages.atOnce[i] ?? 0,
      each(pages.atOnce[i]),
    ]);
    return {
      head: ["size", "swiotlb", "of 16 MiB each", "mask pool", "of 16 MiB each"],
      rows,
      verdict:
        `swiotlb maps ${formatBytes(slots.largest)} at most, the pool ${formatBytes(pages.largest)}: whatever ` +
        "lies in one piece. The price is paid by small buffers: what is smaller than a page takes a page, " +
        `so that a network card has ${pages.atOnce[1]} packets in flight instead of ${slots.atOnce[1]}.`,
    };
  },
};
