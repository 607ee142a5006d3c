// A small machine of two zones for rules of reclaim, in any era, and hands for its counts.
import {
  addOwner,
  allocPages,
  bootMemory,
  type Memory,
  MemoryStore,
  managePages,
  NO_PFN,
  newPage,
  ownPages,
  type PageOptions,
  type Pages,
} from "../../src/mm/index.ts";
import { wakeKswapd } from "../../src/mm/pressure/kswapd.ts";
import { LRU_LISTS, Z_FREE, Z_INDEX, ZONE_WORDS } from "../../src/mm/words.ts";

export const DMA = 0;
export const NORMAL = 1;

export interface SmallOptions extends PageOptions {
  /** Pages that swap has room for: as many as memory by default. */
  readonly slots?: number;
  /** A second node with one zone. */
  readonly far?: boolean;
}

export function small(era: string, options: SmallOptions = {}): Pages {
  const far = { name: "Normal", node: 1, startPfn: 8192, pages: 4096 };
  const m = bootMemory({
    era,
    minFreeKbytes: 512,
    zones: [
      { name: "DMA", startPfn: 0, pages: 1024 },
      { name: "Normal", startPfn: 1024, pages: 7168 },
      ...(options.far === true ? [far] : []),
    ],
  });
  const slots = options.slots ?? 8192;
  const store = slots > 0 ? new MemoryStore(slots, m.pageSize, false) : undefined;
  return managePages(m, { ...options, ...(store === undefined ? {} : { store }) });
}

export function word(m: Memory, zone: number, at: number): number {
  return m.zone[zone * ZONE_WORDS + at] ?? 0;
}

export function setWord(m: Memory, zone: number, at: number, value: number): void {
  m.zone[zone * ZONE_WORDS + at] = value;
}

/** Takes pages that nobody may move or free until a zone has `left` free ones. */
export function takeDownTo(pages: Pages, zone: number, left: number, gfp = pages.gfp): number[] {
  const taken: number[] = [];
  while (word(pages.m, zone, Z_FREE) > left) {
    const pfn = allocPages(pages.m, gfp, 0);
    if (pfn === NO_PFN) break;
    taken.push(pfn);
  }
  return taken;
}

/** Makes `count` pages; their handles. */
export function make(pages: Pages, kind: "anon" | "file", count: number): number[] {
  return Array.from({ length: count }, () => newPage(pages, pages.gfp, kind));
}

export function index(pages: Pages, zone: number): number {
  return word(pages.m, zone, Z_INDEX);
}

export function wake(pages: Pages, order = 0, zone = NORMAL): void {
  wakeKswapd(pages, zone, order, index(pages, zone), true);
}

/** Blocks of an owner who gives up all of them; the pfns that it gave, in order. */
export function owned(pages: Pages, count: number): number[] {
  const gone: number[] = [];
  const owner = addOwner(pages, { name: "cache", mayFree: (pfn) => gone.push(pfn) > 0 });
  for (let i = 0; i < count; i++) {
    const pfn = allocPages(pages.m, pages.gfp, 0);
    if (pfn === NO_PFN) break;
    ownPages(pages, pfn, owner);
  }
  return gone;
}

export function listed(pages: Pages, list: number): number {
  return [DMA, NORMAL].reduce((sum, zone) => sum + (pages.lru[zone * LRU_LISTS + list] ?? 0), 0);
}

/** Both zones get so many free pages, as far as counts tell. */
export function free(pages: Pages, mark: number, more: number): void {
  for (const zone of [DMA, NORMAL]) {
    setWord(pages.m, zone, Z_FREE, word(pages.m, zone, mark) + more);
  }
}
