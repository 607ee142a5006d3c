// What the protection of low memory costs: pages that normal requests may not take, in machines of
// all sizes, with the classic reserve and with a mask pool.
//
// Everything is measured on the allocator: normal requests take all they are given, and what is still
// free above the min marks is idle. Then a 24-bit card asks for sixteen buffers of 64 KiB.
import { allocMask, type MaskPool } from "../../src/dma/mask-pool/mask-pool.ts";
import type { BootOptions } from "../../src/mm/boot-memory.ts";
import { allocPages, GFP_DMA, GFP_KERNEL } from "../../src/mm/index.ts";
import type { Memory } from "../../src/mm/memory.ts";
import { aboveMin, bootPc, bootPooledPc, GIB, KIB, MIB, mib, PAGE, takeAll } from "./machines.ts";
import type { Row, Scenario } from "./scenario.ts";

const RAM = [1, 4, 8, 16, 64];
const BUFFERS = 16;
const ISA_LIMIT = 2 ** 24 - 1;
/** No reserve in any zone. */
const OPEN: Partial<BootOptions> = { lowmemReserveRatio: [0, 0, 0] };

interface Way {
  readonly name: string;
  boot(ram: number): { readonly memory: Memory; readonly pool: MaskPool | null };
}

const WAYS: readonly Way[] = [
  { name: "no reserve", boot: (ram) => ({ memory: bootPc(ram, OPEN), pool: null }) },
  { name: "lowmem_reserve", boot: (ram) => ({ memory: bootPc(ram), pool: null }) },
  { name: "mask pool 4 MiB", boot: (ram) => bootPooledPc(ram, (4 * MIB) / PAGE) },
  { name: "mask pool 64 MiB alone", boot: (ram) => bootPooledPc(ram, (64 * MIB) / PAGE, OPEN) },
];

function measure(way: Way, ram: number): { idle: number; low: number; got: number } {
  const { memory, pool } = way.boot(ram);
  takeAll(memory, GFP_KERNEL);
  const low = pool === null ? aboveMin(memory, 0) : pool.source.free();
  const first = pool === null ? 1 : 0;
  let idle = low;
  for (let z = first; z < memory.zoneCount; z++) idle += aboveMin(memory, z);
  let got = 0;
  for (let i = 0; i < BUFFERS; i++) {
    const bytes = 64 * KIB;
    const pfn =
      pool === null
        ? allocPages(memory, GFP_KERNEL | GFP_DMA, 4)
        : allocMask(pool, { bytes, limit: ISA_LIMIT, gfp: GFP_KERNEL });
    if (pfn >= 0) got++;
  }
  return { idle, low, got };
}

export const idleReserve: Scenario = {
  name: "idle-reserve",
  title: "What the reserve costs when nobody needs it",
  question:
    "Normal requests take all they may. How much memory then lies idle to protect devices that reach " +
    "only low addresses, and does a 24-bit card get sixteen buffers of 64 KiB? The last way has no " +
    "reserve in any zone and a pool for 32-bit cards too.",
  run: () => {
    const rows: Row[] = [];
    const idle = new Map<string, number>();
    for (const gib of RAM) {
      for (const way of WAYS) {
        const own = measure(way, gib * GIB);
        idle.set(`${way.name} ${gib}`, own.idle);
        const share = (own.idle * PAGE * 100) / (gib * GIB);
        rows.push([`${gib} GiB`, way.name, own.low, own.idle, `${share.toFixed(2)} %`, own.got]);
      }
    }
    const of = (name: string, gib: number): string => mib(idle.get(`${name} ${gib}`) ?? 0);
    return {
      head: ["RAM", "protected by", "idle below", "idle in all", "of RAM", "buffers of 16"],
      rows,
      verdict:
        `The reserve grows with memory that nobody protects: ${of("lowmem_reserve", 1)} at 1 GiB, ` +
        `${of("lowmem_reserve", 8)} at 8 GiB, ${of("lowmem_reserve", 64)} at 64 GiB. A pool of 4 MiB in ` +
        `place of ZONE_DMA leaves DMA32's reserve as it is; a pool of 64 MiB in place of all reserves ` +
        `costs ${of("mask pool 64 MiB alone", 64)} whatever the machine has. Without either the card gets ` +
        "nothing.",
    };
  },
};
