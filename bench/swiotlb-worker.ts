/**
 * swiotlb in a process of its own; prints nanoseconds and what was left. The argument is the number
 * of mappings.
 *
 *   fill    mappings of 1 byte to 256 KiB until one is refused, then all of them back, again and again
 *   empty   the same sizes, each mapping given back before the next
 *   full    the same sizes, as many held as keep nine tenths of the pool in use
 *   copy    mappings of 64 and 256 KiB with their copies, beside Uint8Array.set
 */
import process from "node:process";
import type { DmaDevice } from "../src/dma/dma-device.ts";
import { createSwiotlb, type Swiotlb } from "../src/dma/swiotlb/swiotlb.ts";
import { DMA_ATTR_NO_WARN, DMA_TO_DEVICE, NO_LIMIT } from "../src/dma/words.ts";
import { swiotlbRule } from "../src/kernels/swiotlb.ts";
import { createImage } from "../src/mm/image.ts";

const SLOTS = 32768;
const POOL = 0x800_0000;
const ORIG = 0x400_0000;
const MOST = 262144;

const DEVICE: DmaDevice = {
  name: "0000:00:04.0",
  driver: "bench",
  streamingLimit: 0xffffffff,
  coherentLimit: 0xffffffff,
  busLimit: NO_LIMIT,
  windows: null,
  parent: null,
  node: -1,
  maxSegmentSize: 65536,
  segmentBoundary: 0xffffffff,
  minAlignMask: 0,
  coherent: true,
  untrusted: false,
  forceBounce: false,
};

function pool(bytes: Uint8Array | null, areas: number): Swiotlb {
  const rule = swiotlbRule("6.12");
  if (rule === null) throw new Error("no rule");
  const memory = bytes === null ? null : { bytes, bytesPfn: 0, pageSize: 4096 };
  const spec = { rule, start: POOL, slots: SLOTS, areas, pageSize: 4096 };
  return createSwiotlb(createImage(false), memory, spec);
}

/** xorshift32 */
let state = 0x9e3779b9;
function random(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}

const held = new Float64Array(SLOTS);
const sizes = new Uint32Array(SLOTS);
let count = 0;

function map(own: Swiotlb): boolean {
  const size = 1 + random(MOST);
  const buffer = own.map(DEVICE, ORIG, size, size, 0, DMA_TO_DEVICE, DMA_ATTR_NO_WARN, count);
  if (buffer < 0) return false;
  held[count] = buffer;
  sizes[count++] = size;
  return true;
}

function unmap(own: Swiotlb, at: number): void {
  own.unmap(DEVICE, held[at] ?? 0, sizes[at] ?? 0, DMA_TO_DEVICE, 0);
  count--;
  held[at] = held[count] ?? 0;
  sizes[at] = sizes[count] ?? 0;
}

/** CPU time of this process, nanoseconds: others run here, too. */
function now(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

/** Nanoseconds a mapping and its end; slots in use and faults at the end. */
function fill(maps: number, areas: number) {
  const own = pool(null, areas);
  const from = now();
  let done = 0;
  let refused = 0;
  while (done < maps) {
    while (map(own)) done++;
    refused++;
    while (count > 0) unmap(own, random(count));
  }
  const ns = (now() - from) / done;
  return { ns, left: own.used, refused, faults: own.verify().length };
}

function empty(maps: number): number {
  const own = pool(null, 1);
  const from = now();
  for (let i = 0; i < maps; i++) {
    map(own);
    unmap(own, 0);
  }
  return (now() - from) / maps;
}

/** Refused attempts count as mappings: they are searches, and the longest ones. */
function full(maps: number): { readonly ns: number; readonly refused: number } {
  const own = pool(null, 1);
  while (own.used < SLOTS * 0.9 && map(own));
  let refused = 0;
  const from = now();
  for (let i = 0; i < maps; i++) {
    if (own.used > SLOTS * 0.9) unmap(own, random(count));
    if (!map(own)) {
      refused++;
      unmap(own, random(count));
    }
  }
  const ns = (now() - from) / maps;
  while (count > 0) unmap(own, 0);
  return { ns, refused: refused / maps };
}

/** Speed of mappings with their copies, of that of Uint8Array.set between the same places. */
function copy(size: number, rounds: number): number {
  const bytes = new Uint8Array(POOL + SLOTS * 2048);
  bytes.fill(1, ORIG, ORIG + 64 * MOST);
  const own = pool(bytes, 1);
  const from = Array.from({ length: 64 }, (_, i) =>
    bytes.subarray(ORIG + i * MOST, ORIG + i * MOST + size),
  );
  const to = new Float64Array(64);
  let bounced = 0;
  let plain = 0;
  for (let round = 0; round < rounds; round++) {
    // Both go over the same memory, so caches hold as much of it for either.
    const a = now();
    for (let i = 0; i < 64; i++) {
      const buffer = own.map(DEVICE, ORIG + i * MOST, size, size, 0, DMA_TO_DEVICE, 0, 0);
      own.unmap(DEVICE, buffer, size, DMA_TO_DEVICE, 0);
      to[i] = buffer;
    }
    const b = now();
    for (let i = 0; i < 64; i++) bytes.set(from[i] ?? bytes, to[i]);
    const c = now();
    if (round < rounds / 8) continue;
    bounced += b - a;
    plain += c - b;
  }
  return plain / bounced;
}

const maps = Number(process.argv[2] ?? 1e6);
empty(1e5);
full(1e5);
const answer = {
  fill: fill(maps, 1),
  fillAreas: fill(maps, 4),
  empty: empty(maps),
  full: full(maps),
  copy64: copy(65536, 800),
  copy256: copy(262144, 200),
};
console.log(JSON.stringify(answer));
