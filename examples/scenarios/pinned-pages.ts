// The low 16 MiB fill with pages that stay: pages pinned for I/O and kernel objects, which nobody can
// move, and mlocked ones, which stay in memory but may move. Then a 24-bit card wants its buffers.
//
// 256 MiB. Normal requests take everything, two of three for user pages, one of three for the kernel; then
// most of it is given back. What stays: every 3rd user page mlocked, every 64th pinned, one kernel block in
// 4. Mlocked pages carry their number, so that one that was moved can be told to be whole.
import { allocMask, type MaskPool } from "../../src/dma/mask-pool/mask-pool.ts";
import type { BootOptions } from "../../src/mm/boot-memory.ts";
import { pageBytes } from "../../src/mm/bytes.ts";
import {
  allocPages,
  drainAllPages,
  dropPage,
  freePages,
  GFP_DMA,
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  lockPage,
  managePages,
  NO_HANDLE,
  newPage,
  type Pages,
  pinPage,
  touchPage,
  usePressure,
} from "../../src/mm/index.ts";
import type { Memory } from "../../src/mm/memory.ts";
import { aboveMin, bootPc, bootPooledPc, KIB, MIB, mib, PAGE } from "./machines.ts";
import { dice, type Row, type Scenario } from "./scenario.ts";

const RAM = 256 * MIB;
const BUFFERS = 64;
const ISA_LIMIT = 2 ** 24 - 1;
const ISA_END = (ISA_LIMIT + 1) / PAGE;
const MLOCKED_OF = 3;
const PINNED_OF = 64;
const KERNEL_OF = 4;
/** Blocks of the kernel are of this order, as its small objects' are. */
const KERNEL_ORDER = 1;

interface Way {
  readonly name: string;
  /** Whether this kernel can move pages: some are built without. */
  readonly migrates: boolean;
  boot(bytes: Uint8Array): { readonly memory: Memory; readonly pool: MaskPool | null };
}

const zoned = (bytes: Uint8Array, more: Partial<BootOptions>) => ({
  memory: bootPc(RAM, { bytes, ...more }),
  pool: null,
});
const OPEN = { lowmemReserveRatio: [0, 0] };
const STRICT = { lowmemReserveRatio: [32, 32] };

const WAYS: readonly Way[] = [
  { name: "no reserve", migrates: false, boot: (bytes) => zoned(bytes, OPEN) },
  { name: "no reserve, migration", migrates: true, boot: (bytes) => zoned(bytes, OPEN) },
  { name: "reserve 1/256", migrates: false, boot: (bytes) => zoned(bytes, {}) },
  { name: "reserve 1/256, migration", migrates: true, boot: (bytes) => zoned(bytes, {}) },
  { name: "reserve 1/32", migrates: false, boot: (bytes) => zoned(bytes, STRICT) },
  {
    name: "mask pool 4 MiB",
    migrates: false,
    boot: (bytes) => bootPooledPc(RAM, (4 * MIB) / PAGE, { bytes }),
  },
];

/** Who has pages for long. */
interface Kept {
  /** Handles of mlocked pages. */
  readonly mlocked: readonly number[];
  /** pfns of pages that nobody moves. */
  readonly fixed: readonly number[];
  /** Pages of the lowest zone that were free above its min mark when requests were refused. */
  readonly idle: number;
}

function fill(pages: Pages, isPooled: boolean): Kept {
  const { m } = pages;
  const roll = dice(2006);
  const user: number[] = [];
  const kernel: number[] = [];
  for (;;) {
    if (roll(3) > 0) {
      const handle = newPage(pages, GFP_HIGHUSER_MOVABLE, "anon");
      if (handle === NO_HANDLE) break;
      user.push(handle);
      continue;
    }
    const pfn = allocPages(m, GFP_KERNEL, KERNEL_ORDER);
    if (pfn >= 0) kernel.push(pfn);
  }
  const idle = isPooled ? 0 : aboveMin(m, 0);
  const mlocked: number[] = [];
  const fixed: number[] = [];
  for (const handle of user) {
    if (roll(PINNED_OF) === 0) fixed.push(pinPage(pages, handle));
    else if (roll(MLOCKED_OF) === 0) {
      numberOf(m, lockPage(pages, handle)).setUint32(0, handle);
      mlocked.push(handle);
    } else dropPage(pages, handle);
  }
  for (const pfn of kernel) {
    if (roll(KERNEL_OF) === 0) fixed.push(pfn, pfn + 1);
    else freePages(m, pfn, KERNEL_ORDER);
  }
  drainAllPages(m);
  return { mlocked, fixed, idle };
}

/** A page's bytes, of which the first four are its number. */
function numberOf(m: Memory, pfn: number): DataView {
  const { buffer, byteOffset } = pageBytes(m, pfn, 0);
  return new DataView(buffer, byteOffset);
}

/** Buffers that the card gets: as they lie, or where pages can be moved, with the requests' own compaction. */
function serve(pages: Pages, pool: MaskPool | null): number {
  if (pages.migration) usePressure(pages);
  for (let got = 0; got < BUFFERS; got++) {
    const bytes = 64 * KIB;
    const pfn =
      pool === null
        ? allocPages(pages.m, GFP_KERNEL | GFP_DMA, 4)
        : allocMask(pool, { bytes, limit: ISA_LIMIT, gfp: GFP_KERNEL });
    if (pfn < 0) return got;
  }
  return BUFFERS;
}

function below16(pfns: readonly number[]): number {
  return pfns.filter((pfn) => pfn < ISA_END).length;
}

interface Result {
  readonly got: number;
  readonly moved: number;
  /** mlocked pages whose bytes are not theirs any more. */
  readonly broken: number;
}

export const pinnedPages: Scenario = {
  name: "pinned-pages",
  title: "Pinned pages fill the low 16 MiB",
  question:
    "256 MiB were full once; of what stayed, mlocked pages may move, pinned pages and kernel objects may not. " +
    "A 24-bit card asks for 64 buffers of 64 KiB, 4 MiB in all. With and without a reserve, with and without " +
    "moving pages; and with a mask pool of the same 4 MiB.",
  run: () => {
    const rows: Row[] = [];
    const by = new Map<string, Result>();
    const ram = new Uint8Array(RAM);
    for (const way of WAYS) {
      const { memory, pool } = way.boot(ram);
      const pages = managePages(memory, { migration: way.migrates });
      const kept = fill(pages, pool !== null);
      const idle = kept.idle + (pool?.pages ?? 0);
      const locked = kept.mlocked.map((handle) => touchPage(pages, handle, false));
      const stay = [below16(locked), below16(kept.fixed)] as const;
      const got = serve(pages, pool);
      const broken = kept.mlocked.filter(
        (handle) => numberOf(memory, touchPage(pages, handle, false)).getUint32(0) !== handle,
      ).length;
      const moved = pages.counts.pgmigrateSuccess;
      by.set(way.name, { got, moved, broken });
      rows.push([way.name, idle, ...stay, got, moved]);
    }
    const of = (name: string): Result => by.get(name) ?? { got: 0, moved: 0, broken: 0 };
    const moving = of("no reserve, migration");
    const broken = [...by.values()].reduce((sum, result) => sum + result.broken, 0);
    return {
      head: ["way", "idle when full", "mlocked below", "fixed below", "buffers of 64", "moved"],
      rows,
      verdict:
        `Without a reserve the card gets ${of("no reserve").got} of ${BUFFERS}: pages that stay lie in most ` +
        `pieces of 64 KiB. Moving ${moving.moved} mlocked pages (${broken} lost their bytes) makes it ` +
        `${moving.got}; what is pinned and what the kernel keeps stays in the way. The default reserve of a ` +
        `256th gives ${of("reserve 1/256").got}, one of a 32nd ${of("reserve 1/32").got}, paid at all times. The mask ` +
        `pool gives ${of("mask pool 4 MiB").got} for ${mib((4 * MIB) / PAGE)}: nobody else can lie in it; the ` +
        "last one is lost to the firmware's hole below 1 MiB.",
    };
  },
};
