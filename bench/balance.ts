/**
 * Balance between zones: one workload on the same memory cut into one to four zones, by the rules of
 * 2.6.9, 2.6.11, 2.6.18 and 6.1. "The VM had a very hard time balancing" such zones, it was said in
 * 2005; here is how hard.
 *
 * A table of work and of misplacement, not of time: the same numbers on every machine.
 */
import {
  allocPages,
  bootMemory,
  dropPage,
  freePages,
  gfpOf,
  type Memory,
  MemoryStore,
  managePages,
  NO_HANDLE,
  NO_PFN,
  newPage,
  type Pages,
  runKswapd,
  touchPage,
  usePressure,
} from "zonewright/mm";
import { Z_INDEX, Z_PRESENT, ZONE_WORDS } from "../src/mm/words.ts";
import type { RunOptions } from "./run.ts";
import { renderTable } from "./table.ts";

/** 256 MiB. */
const PAGES = 65536;
const STEPS = 400_000;

/** The same memory in one to four zones: what a machine without limits, with ISA, with HIGHMEM and with both would have. */
const CUTS: readonly (readonly [string, number][])[] = [
  [["Normal", PAGES]],
  [
    ["DMA", 4096],
    ["Normal", PAGES - 4096],
  ],
  [
    ["DMA", 4096],
    ["Normal", 28672],
    ["HighMem", PAGES - 32768],
  ],
  [
    ["DMA", 4096],
    ["DMA32", 12288],
    ["Normal", 16384],
    ["HighMem", PAGES - 32768],
  ],
];

/** Each by its own marks, reserves and reclaim. */
const ERAS: readonly string[] = ["2.6.9", "2.6.11", "2.6.18", "6.1"];

interface Outcome {
  readonly pages: Pages;
  readonly placed: readonly number[];
  /** Pages that would rather have been in a higher zone. */
  readonly misplaced: readonly number[];
  readonly refused: number;
}

const LEGEND = `256 MiB under one workload: files read once, programs' pages used again, the kernel's own.
times over   a zone's pages were reclaimed so often: where zones are balanced, all as often
misplaced    of the pages a zone got, those that would rather have had a higher one
`;

/** Prints the tables; nothing here can fail to hold. */
export function runBalance({ say }: RunOptions): boolean {
  console.log(LEGEND);
  for (const era of ERAS) {
    const rows = CUTS.flatMap((cut) => {
      say(`round balance: ${era}, ${cut.length} zones`);
      return rowsOf(cut, run(era, cut));
    });
    const head = [
      "zones",
      "",
      "pages",
      "scanned",
      "reclaimed",
      "times over",
      "scanned per page freed",
      "misplaced",
      "",
    ];
    console.log(renderTable(`balance by the rules of ${era}`, [head, ...rows]));
  }
  return true;
}

function rowsOf(cut: readonly [string, number][], outcome: Outcome): string[][] {
  const { pages, placed, misplaced, refused } = outcome;
  return cut.map(([name, count], zone) => {
    const scanned = pages.scanned[zone] ?? 0;
    const freed = pages.freed[zone] ?? 0;
    const all = placed[zone] ?? 0;
    const wrong = misplaced[zone] ?? 0;
    return [
      zone === 0 ? String(cut.length) : "",
      name,
      String(count),
      String(scanned),
      String(freed),
      (freed / count).toFixed(2),
      freed === 0 ? "-" : (scanned / freed).toFixed(2),
      all === 0 ? "-" : `${((100 * wrong) / all).toFixed(1)} %`,
      zone === 0 && refused > 0 ? `${refused} refused` : "",
    ];
  });
}

function machine(era: string, cut: readonly [string, number][]): Memory {
  let start = 0;
  const zones = cut.map(([name, pages]) => {
    start += pages;
    return { name, startPfn: start - pages, pages };
  });
  return bootMemory({ era, zones });
}

/** Files that are read once, programs' pages that are used again and again, and the kernel's own. */
function run(era: string, cut: readonly [string, number][]): Outcome {
  const m = machine(era, cut);
  const store = new MemoryStore(PAGES, m.pageSize, false);
  const pages = managePages(m, { store });
  usePressure(pages);
  const kernel = gfpOf(m, "GFP_KERNEL");
  const dma = gfpOf(m, "GFP_KERNEL|__GFP_DMA");
  const placed = cut.map(() => 0);
  const misplaced = cut.map(() => 0);
  const anon: number[] = [];
  const files: number[] = [];
  const own: number[] = [];
  let refused = 0;
  let seed = 1;
  const draw = (below: number): number => {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return (seed >>> 0) % below;
  };
  const note = (pfn: number, gfp: number): void => {
    const zone = m.names.findIndex(
      (_, z) => pfn < (m.zoneStart[z] ?? 0) + (m.zone[z * ZONE_WORDS + Z_PRESENT] ?? 0),
    );
    const highest = m.gfpZone[gfp & 0xf] ?? 0;
    const best = m.names.findLastIndex(
      (_, z) => (m.zone[z * ZONE_WORDS + Z_INDEX] ?? 0) <= highest,
    );
    placed[zone] = (placed[zone] ?? 0) + 1;
    if (zone < best) misplaced[zone] = (misplaced[zone] ?? 0) + 1;
  };
  const make = (kind: "anon" | "file", list: number[]): void => {
    const handle = newPage(pages, pages.gfp, kind);
    if (handle === NO_HANDLE) {
      refused++;
      return;
    }
    note(touchPage(pages, handle, false), pages.gfp);
    list.push(handle);
  };
  for (let step = 0; step < STEPS; step++) {
    const choice = draw(100);
    if (choice < 45) make("file", files);
    else if (choice < 60) make("anon", anon);
    else if (choice < 70) {
      const gfp = choice < 62 && cut.length > 1 ? dma : kernel;
      const pfn = allocPages(m, gfp, 0);
      if (pfn === NO_PFN) refused++;
      else {
        note(pfn, gfp);
        own.push(pfn);
      }
    } else if (choice < 90 && anon.length > 0) {
      // The newest quarter is what programs work with.
      touchPage(pages, anon[anon.length - 1 - draw(Math.ceil(anon.length / 4))] ?? 0, true);
    }
    if (own.length > 6000) freePages(m, own.splice(draw(own.length), 1)[0] ?? 0, 0);
    if (anon.length > 24_000) dropPage(pages, anon.splice(draw(6000), 1)[0] ?? 0);
    if (files.length > 40_000) dropPage(pages, files.shift() ?? 0);
    if (step % 64 === 0) runKswapd(pages);
  }
  return { pages, placed, misplaced, refused };
}
