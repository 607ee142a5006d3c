// The low 16 MiB fill with pages that stay: pages pinned for I/O and kernel objects, which nobody can
// move, and mlocked ones, which stay in memory but may move. Then a 24-bit card wants its buffers.
//
// 1 GiB. Normal requests take everything, two thirds for user pages, one third for the kernel; then most
// of it is given back. What stays: every 3rd page mlocked, every 64th pinned, one kernel block in 4.
// Pages carry their number, so that a page that was moved can be told to be whole.
import { allocMask, type MaskPool } from "../../src/dma/mask-pool/mask-pool.ts";
import type { BootOptions } from "../../src/mm/boot-memory.ts";
import { pageBytes } from "../../src/mm/bytes.ts";
import { beginContig, endContig, takeContig } from "../../src/mm/contig.ts";
import {
  allocPages,
  drainAllPages,
  freePages,
  GFP_DMA,
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
} from "../../src/mm/index.ts";
import { type Memory, rowOf } from "../../src/mm/memory.ts";
import { MOVABLE } from "../../src/mm/rule.ts";
import { aboveMin, bootPc, bootPooledPc, GIB, KIB, MIB, mib, PAGE } from "./machines.ts";
import { dice, type Row, type Scenario } from "./scenario.ts";

const RAM = GIB;
const BUFFERS = 64;
const BUFFER_PAGES = (64 * KIB) / PAGE;
const ISA_LIMIT = 2 ** 24 - 1;
const ISA_END = (ISA_LIMIT + 1) / PAGE;
const MLOCKED_OF = 3;
const PINNED_OF = 64;
const KERNEL_OF = 4;
/** Blocks of the kernel are of this order, as its small objects' are. */
const KERNEL_ORDER = 1;

interface Way {
  readonly name: string;
  readonly migrates: boolean;
  boot(bytes: Uint8Array): { readonly memory: Memory; readonly pool: MaskPool | null };
}

const ratios = (...lowmemReserveRatio: number[]): Partial<BootOptions> => ({ lowmemReserveRatio });

const WAYS: readonly Way[] = [
  {
    name: "no reserve",
    migrates: false,
    boot: (bytes) => ({ memory: bootPc(RAM, { bytes, ...ratios(0, 0) }), pool: null }),
  },
  {
    name: "no reserve, migration",
    migrates: true,
    boot: (bytes) => ({ memory: bootPc(RAM, { bytes, ...ratios(0, 0) }), pool: null }),
  },
  {
    name: "reserve 1/256",
    migrates: false,
    boot: (bytes) => ({ memory: bootPc(RAM, { bytes }), pool: null }),
  },
  {
    name: "reserve 1/256, migration",
    migrates: true,
    boot: (bytes) => ({ memory: bootPc(RAM, { bytes }), pool: null }),
  },
  {
    name: "reserve 1/32",
    migrates: false,
    boot: (bytes) => ({ memory: bootPc(RAM, { bytes, ...ratios(32, 32) }), pool: null }),
  },
  {
    name: "mask pool 4 MiB",
    migrates: false,
    boot: (bytes) => bootPooledPc(RAM, (4 * MIB) / PAGE, { bytes }),
  },
];

/** Who has which page for long: by first pfn. */
interface Kept {
  /** May move; with the number that is in its bytes. */
  readonly mlocked: Map<number, number>;
  /** May not: pinned pages, and the kernel's blocks. */
  readonly fixed: Set<number>;
  /** Pages of the lowest zone that were free above its min mark when requests were refused. */
  readonly idle: number;
}

function fill(m: Memory, isPooled: boolean): Kept {
  const roll = dice(2006);
  const taken: { pfn: number; order: number; isKernel: boolean }[] = [];
  for (;;) {
    const isKernel = roll(3) === 0;
    const order = isKernel ? KERNEL_ORDER : 0;
    const pfn = allocPages(m, isKernel ? GFP_KERNEL : GFP_HIGHUSER_MOVABLE, order);
    if (pfn < 0 && isKernel) continue;
    if (pfn < 0) break;
    taken.push({ pfn, order, isKernel });
  }
  const idle = isPooled ? 0 : aboveMin(m, 0);
  const kept: Kept = { mlocked: new Map(), fixed: new Set(), idle };
  for (const { pfn, order, isKernel } of taken) {
    if (isKernel && roll(KERNEL_OF) === 0) {
      for (let i = 0; i < 2 ** order; i++) kept.fixed.add(pfn + i);
    } else if (!isKernel && roll(PINNED_OF) === 0) kept.fixed.add(pfn);
    else if (!isKernel && roll(MLOCKED_OF) === 0) {
      kept.mlocked.set(pfn, pfn);
      numberOf(m, pfn).setUint32(0, pfn);
    } else freePages(m, pfn, order);
  }
  drainAllPages(m);
  return kept;
}

/** What the card has at the end. */
interface Card {
  got: number;
  /** Pages moved out of its way. */
  moved: number;
  /** Moved pages whose bytes did not come along. */
  broken: number;
}

function serve(m: Memory, pool: MaskPool | null, kept: Kept, migrates: boolean): Card {
  const card: Card = { got: 0, moved: 0, broken: 0 };
  for (let i = 0; i < BUFFERS; i++) {
    const bytes = 64 * KIB;
    const pfn =
      pool === null
        ? allocPages(m, GFP_KERNEL | GFP_DMA, 4)
        : allocMask(pool, { bytes, limit: ISA_LIMIT, gfp: GFP_KERNEL });
    if (pfn >= 0) card.got++;
    else if (!migrates || !clearOne(m, kept, card)) break;
    else card.got++;
  }
  return card;
}

/** Takes a range that nothing fixed lies in, after its pages were moved away. */
function clearOne(m: Memory, kept: Kept, card: Card): boolean {
  for (let pfn = BUFFER_PAGES; pfn < ISA_END; pfn += BUFFER_PAGES) {
    const pages = Array.from({ length: BUFFER_PAGES }, (_, i) => pfn + i);
    if (pages.some((page) => kept.fixed.has(page) || rowOf(m, page) < 0)) continue;
    if (!beginContig(m, pfn, BUFFER_PAGES, MOVABLE)) continue;
    const isClear = pages.every((page) => !kept.mlocked.has(page) || move(m, page, kept, card));
    const taken = isClear ? takeContig(m, pfn, BUFFER_PAGES) : null;
    // What larger blocks reach beyond the range goes back.
    if (taken !== null) {
      for (let at = taken.pfn; at < taken.pfn + taken.pages; at++)
        if (at < pfn || at >= pfn + BUFFER_PAGES) freePages(m, at, 0);
    }
    endContig(m, pfn, BUFFER_PAGES, MOVABLE);
    if (taken !== null) return true;
  }
  return false;
}

/** Moves one page out of the card's reach, with its bytes. */
function move(m: Memory, from: number, kept: Kept, card: Card): boolean {
  const to = allocPages(m, GFP_HIGHUSER_MOVABLE, 0);
  if (to < 0) return false;
  pageBytes(m, to, 0).set(pageBytes(m, from, 0));
  freePages(m, from, 0);
  const number = kept.mlocked.get(from) ?? 0;
  kept.mlocked.delete(from);
  kept.mlocked.set(to, number);
  card.moved++;
  if (numberOf(m, to).getUint32(0) !== number) card.broken++;
  return true;
}

/** A page's bytes, of which the first four are its number. */
function numberOf(m: Memory, pfn: number): DataView {
  const { buffer, byteOffset } = pageBytes(m, pfn, 0);
  return new DataView(buffer, byteOffset);
}

function below16(pages: Iterable<number>): number {
  return [...pages].filter((pfn) => pfn < ISA_END).length;
}

export const pinnedPages: Scenario = {
  name: "pinned-pages",
  title: "Pinned pages fill the low 16 MiB",
  question:
    "1 GiB was full once; of what stayed, mlocked pages may move, pinned pages and kernel objects may not. " +
    "A 24-bit card asks for 64 buffers of 64 KiB, 4 MiB in all. With and without a reserve, with and without " +
    "moving pages; and with a mask pool of the same 4 MiB.",
  run: () => {
    const rows: Row[] = [];
    const got = new Map<string, Card>();
    for (const way of WAYS) {
      const { memory, pool } = way.boot(new Uint8Array(RAM));
      const kept = fill(memory, pool !== null);
      const idle = kept.idle + (pool?.pages ?? 0);
      const stay = [below16(kept.mlocked.keys()), below16(kept.fixed)] as const;
      const card = serve(memory, pool, kept, way.migrates);
      got.set(way.name, card);
      rows.push([way.name, idle, ...stay, card.got, card.moved]);
    }
    const of = (name: string): Card => got.get(name) ?? { got: 0, moved: 0, broken: 0 };
    const moving = of("no reserve, migration");
    const broken = [...got.values()].reduce((sum, card) => sum + card.broken, 0);
    return {
      head: ["way", "idle when full", "mlocked below", "fixed below", "buffers of 64", "moved"],
      rows,
      verdict:
        `Without a reserve the card gets ${of("no reserve").got} of ${BUFFERS}: pages that stay lie in most ` +
        `pieces of 64 KiB. Moving ${moving.moved} mlocked pages (${broken} lost their bytes) makes it ` +
        `${moving.got}; what is pinned and what the kernel keeps stays in the way. A reserve of 1/256, ` +
        `paid at all times, gives ${of("reserve 1/256").got}, the mask pool for the same price ` +
        `(${mib((4 * MIB) / PAGE)}) ${of("mask pool 4 MiB").got}: nobody else can lie in it; the last one is lost to ` +
        "the firmware's hole below 1 MiB.",
    };
  },
};
