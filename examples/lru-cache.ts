// A cache that gives memory back when it is asked to: decoded tiles fill whatever memory nobody else
// needs. When a burst of other work wants it, reclaim asks the cache for the tiles that were used
// longest ago; what was used lately stays.
//
//   node examples/lru-cache.ts
import process from "node:process";
import { pathToFileURL } from "node:url";
import {
  addOwner,
  allocPages,
  bootMemory,
  disownPages,
  freePages,
  GFP_KERNEL,
  managePages,
  NO_PFN,
  ownPages,
  type Pages,
  runKswapd,
  usePages,
  usePressure,
} from "../src/mm/index.ts";

const PAGES = 4096;
const TILES = 10_000;
/** Tiles that are looked at again and again. */
const FAVOURITES = 200;

/** Tiles by number, each in a page of its own. */
class TileCache {
  readonly #pages: Pages;
  readonly #owner: number;
  readonly #pfnOf = new Map<number, number>();
  readonly #tileAt = new Map<number, number>();
  made = 0;
  given = 0;

  constructor(pages: Pages) {
    this.#pages = pages;
    this.#owner = addOwner(pages, {
      name: "tiles",
      mayFree: (pfn) => {
        const tile = this.#tileAt.get(pfn);
        if (tile === undefined) return false;
        this.#tileAt.delete(pfn);
        this.#pfnOf.delete(tile);
        this.given++;
        return true;
      },
      moved: (from, to) => {
        const tile = this.#tileAt.get(from);
        if (tile === undefined) return false;
        this.#tileAt.delete(from);
        this.#tileAt.set(to, tile);
        this.#pfnOf.set(tile, to);
        return true;
      },
    });
  }

  get size(): number {
    return this.#pfnOf.size;
  }

  has(tile: number): boolean {
    return this.#pfnOf.has(tile);
  }

  /** The page of a tile, made where it is not there. */
  look(tile: number): number {
    const there = this.#pfnOf.get(tile);
    if (there !== undefined) {
      usePages(this.#pages, there);
      return there;
    }
    const pfn = allocPages(this.#pages.m, this.#pages.gfp, 0);
    if (pfn === NO_PFN) return NO_PFN;
    this.made++;
    ownPages(this.#pages, pfn, this.#owner);
    this.#pfnOf.set(tile, pfn);
    this.#tileAt.set(pfn, tile);
    return pfn;
  }

  clear(): void {
    for (const pfn of this.#tileAt.keys()) {
      disownPages(this.#pages, pfn);
      freePages(this.#pages.m, pfn, 0);
    }
  }
}

/** Runs the example; `print` takes its lines. */
export function lruCache(print: (line: string) => unknown): void {
  const zones = [{ name: "Normal", startPfn: 0, pages: PAGES }];
  const m = bootMemory({ zones, minFreeKbytes: 512 });
  const pages = managePages(m);
  usePressure(pages);
  const cache = new TileCache(pages);
  const work = (): void => {
    for (let tile = 0; tile < TILES; tile++) {
      cache.look(tile % 3 === 0 ? tile % FAVOURITES : tile);
      if (tile % 500 === 0) runKswapd(pages);
    }
  };

  work();
  print(`${cache.made} tiles were made, ${cache.size} fit into ${PAGES} pages, nobody was refused`);
  const before = cache.size;
  const burst: number[] = [];
  for (let i = 0; i < 2048; i++) {
    const pfn = allocPages(m, GFP_KERNEL, 0);
    if (pfn !== NO_PFN) burst.push(pfn);
    if (i % 100 === 0) runKswapd(pages);
  }
  print(`other work took ${burst.length} pages: the cache gave ${before - cache.size} back`);
  let kept = 0;
  for (let tile = 0; tile < FAVOURITES; tile++) if (cache.has(tile)) kept++;
  print(`of its ${FAVOURITES} favourite tiles it still has ${kept}`);
  for (const pfn of burst) freePages(m, pfn, 0);
  cache.clear();
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  lruCache((line) => process.stdout.write(`${line}\n`));
}
