// The card that started it: a 32-bit graphics card on an em64t of 2004 with 8 GiB and no IOMMU, and what
// could be done about it, side by side.
//
// Its driver wants 384 buffers of 64 KiB that card and CPU share; then it maps 512 textures of 64 KiB
// that lie above 4 GiB, all at once, and 16 of 1 MiB. The card reads every one of them.
import { type DeviceSpec, DMA_TO_DEVICE, simpleDevice } from "../../src/dma/index.ts";
import { allocPages } from "../../src/mm/index.ts";
import { isShared, probeBytes, readsBack } from "./bus.ts";
import { aboveMin, GIB, KIB, MIB, mib, PAGE, pcZones, takeAll } from "./machines.ts";
import { gartPc, type Pc, plainPc, pooledPc, swiotlbPc } from "./pcs.ts";
import type { Row, Scenario } from "./scenario.ts";

const RAM = 8 * GIB;
const SHARED = 384;
const TEXTURES = 512;
const LARGE = 16;
const BYTES = 64 * KIB;
/** GFP_KERNEL by the rules of the page allocator. */
const GFP_KERNEL: Readonly<Record<string, number>> = { "2.6": 0xd0, "6.1": 0xcc0 };
const GFP_DMA32 = 0x04;

const card: DeviceSpec = { ...simpleDevice("0000:01:00.0", 32), driver: "nv" };

interface Way {
  readonly name: string;
  readonly pages: string;
  /** Zone bits that the driver asks for its textures with. */
  readonly zoneBits: number;
  build(): Pc;
}

const OLD = { dma: "2.6.9", pages: "2.6" };
const WITH_SWIOTLB = { dma: "2.6.11", pages: "2.6" };
const WITH_DMA32 = { dma: "2.6.18", pages: "2.6" };
const NOW = { dma: "6.1", pages: "6.1" };

const WAYS: readonly Way[] = [
  {
    name: "2.6.9: ZONE_DMA only",
    pages: "2.6",
    zoneBits: 0,
    build: () => plainPc(pcZones(RAM, false), OLD, card),
  },
  {
    name: "2.6.11: swiotlb",
    pages: "2.6",
    zoneBits: 0,
    build: () => swiotlbPc(pcZones(RAM, false), WITH_SWIOTLB, card),
  },
  {
    name: "2.6.9 on K8: GART, 64 MiB",
    pages: "2.6",
    zoneBits: 0,
    build: () => gartPc(pcZones(RAM, false), OLD, card),
  },
  {
    name: "2.6.18: ZONE_DMA32, asked for",
    pages: "2.6",
    zoneBits: GFP_DMA32,
    build: () => plainPc(pcZones(RAM), WITH_DMA32, card),
  },
  {
    name: "6.1: ZONE_DMA32, swiotlb",
    pages: "6.1",
    zoneBits: 0,
    build: () => swiotlbPc(pcZones(RAM), NOW, card),
  },
  { name: "mask pool 16 MiB", pages: "6.1", zoneBits: 0, build: () => pooledPc(16 * MIB, card) },
];

interface Got {
  shared: number;
  textures: number;
  large: number;
  copies: number;
  bytes: number;
  idle: number;
  right: number;
}

function measure(way: Way): Got {
  const pc = way.build();
  const { memory, dma, device } = pc;
  const gfp = (GFP_KERNEL[way.pages] ?? 0) | way.zoneBits;
  const got: Got = { shared: 0, textures: 0, large: 0, copies: 0, bytes: 0, idle: 0, right: 0 };
  for (let i = 0; i < SHARED; i++) {
    const buffer = dma.allocCoherent(device, BYTES);
    if (buffer === null) continue;
    got.shared++;
    if (isShared(dma, device, buffer, i)) got.right++;
  }
  const map = (order: number, number: number): boolean => {
    const physical = allocPages(memory, gfp, order) * PAGE;
    const size = PAGE * 2 ** order;
    dma.cpuWrite(physical, probeBytes(number));
    const address = dma.mapSingle(device, physical, size, DMA_TO_DEVICE);
    if (dma.mappingError(device, address)) return false;
    if (readsBack(device, address, number)) got.right++;
    return true;
  };
  for (let i = 0; i < TEXTURES; i++) if (map(4, i)) got.textures++;
  for (let i = 0; i < LARGE; i++) if (map(8, i)) got.large++;
  const copies = dma.counts(device).bounces;
  return { ...got, copies, bytes: pc.copied(), idle: idleOf(way) };
}

/** Pages that normal requests never get, in such a machine fresh from its boot. */
function idleOf(way: Way): number {
  const { memory, aside } = way.build();
  takeAll(memory, GFP_KERNEL[way.pages] ?? 0);
  let idle = aside;
  for (let z = 0; z < memory.zoneCount; z++) idle += aboveMin(memory, z);
  return idle;
}

export const nvidiaCard: Scenario = {
  name: "nvidia-card",
  title: "A 32-bit graphics card on em64t with 8 GiB",
  question:
    "No IOMMU, 5 GiB out of the card's reach. 384 buffers of 64 KiB that card and CPU share, 512 textures of " +
    "64 KiB and 16 of 1 MiB, mapped where they lie, or, where it says so, taken by the driver from ZONE_DMA32.",
  run: () => {
    const rows: Row[] = [];
    const by = new Map<string, Got>();
    for (const way of WAYS) {
      const got = measure(way);
      by.set(way.name, got);
      const { shared, textures, large, copies, bytes, idle, right } = got;
      rows.push([way.name, shared, textures, large, copies, mib(bytes / PAGE), mib(idle), right]);
    }
    const old = by.get("2.6.9: ZONE_DMA only");
    const swiotlb = by.get("2.6.11: swiotlb");
    const gart = by.get("2.6.9 on K8: GART, 64 MiB");
    const now = by.get("6.1: ZONE_DMA32, swiotlb");
    const pool = by.get("mask pool 16 MiB");
    return {
      head: [
        "way",
        "shared of 384",
        "64 KiB of 512",
        "1 MiB of 16",
        "copies",
        "copied",
        "idle",
        "right on bus",
      ],
      rows,
      verdict:
        `2004: ${old?.shared} shared buffers, then the 16 MiB are empty, and the first texture is a panic. ` +
        `swiotlb maps ${swiotlb?.textures} textures by copying ${mib((swiotlb?.bytes ?? 0) / PAGE)}, none of ` +
        `1 MiB: a slot's segment is 256 KiB. A GART copies nothing, but its ` +
        `64 MiB are all there is: ${gart?.large} of the large ones, then a panic. ZONE_DMA32 does without a copy for drivers that ask for it. The ` +
        `mask pool maps all, ${pool?.large} large ones too, with nothing set aside but ${mib(16 * 256)}; of ` +
        `what lies idle (${mib(pool?.idle ?? 0)}, where today ${mib(now?.idle ?? 0)}) the rest is DMA32's reserve.`,
    };
  },
};
