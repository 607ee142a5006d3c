// A machine of one zone whose pages are laid out by hand: a character a page.
//
//   .  free                         k  the kernel's: nobody may move it
//   a  an anonymous page            f  a file's page, dirty; c a clean one
//   A  an anonymous page, pinned    F  a file's page, pinned
//   o  an owner's, who lets it move     r  an owner's, who refuses; d  who also gives pages up
import { equal, ok } from "node:assert/strict";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import {
  addOwner,
  type BootOptions,
  bootMemory,
  drainAllPages,
  type Memory,
  MemoryStore,
  managePages,
  newPage,
  ownPages,
  type PageOptions,
  type Pages,
  pinPage,
  touchPage,
  verifyPages,
} from "../../src/mm/index.ts";
import { rowOf, Z_HIGH, Z_LOW, Z_MIN } from "../../src/mm/memory.ts";
import { HANDLE_ANON, PG_DIRTY } from "../../src/mm/pressure/pages.ts";
import { verify } from "../../src/mm/verify.ts";

/** First pfn, and pages of a pageblock. */
export const FIRST = 1024;
export const BLOCK = 64;
const PAGE = 64;
const MEMALLOC = 0x20000;

export interface Laid {
  readonly m: Memory;
  readonly pages: Pages;
  /** Handles by the pfn they were at. */
  readonly handles: ReadonlyMap<number, number>;
  /** Moves that owners were asked for. */
  readonly asked: readonly (readonly [from: number, to: number])[];
  /** Pageblocks as they are now, in the letters above; an owner's pages are o, waiting ones a comma. */
  map(): string[];
  /** All invariants, and that every page says whose it is. */
  check(): void;
}

/** `rows` are pageblocks from pfn 1024 on; a short one is filled up with its last letter. */
export function laid(
  rows: readonly string[],
  options: PageOptions & Partial<Pick<BootOptions, "era" | "cma">> = {},
): Laid {
  const { era = "6.1", cma = false, ...own } = options;
  const letters = rows.map((row) => row.padEnd(BLOCK, row.at(-1)).slice(0, BLOCK)).join("");
  const m = bootMemory({
    ...{ era, cma, pageSize: PAGE, maxOrder: 7, pageblockOrder: 6, minFreeKbytes: 1 },
    bytes: new Uint8Array((FIRST + letters.length) * PAGE),
    zones: [{ name: "Normal", startPfn: FIRST, pages: letters.length }],
  });
  for (const mark of [Z_MIN, Z_LOW, Z_HIGH]) m.zone[mark] = 0;
  const pages = managePages(m, { store: new MemoryStore(4096, PAGE), ...own });
  for (let left = letters.length; left > 0; left--) {
    ok(allocPages(m, pages.gfp | MEMALLOC, 0) >= 0);
  }
  const asked: [number, number][] = [];
  const owner = (moves: boolean, gives: boolean): number =>
    addOwner(pages, {
      name: "owner",
      moved: (from, to) => asked.push([from, to]) > 0 && moves,
      ...(gives ? { mayFree: () => true } : {}),
    });
  const owners = { o: owner(true, false), r: owner(false, false), d: owner(true, true) };
  const handles = new Map<number, number>();
  for (const [i, letter] of [...letters].entries()) {
    const pfn = FIRST + i;
    if ("aAfFc".includes(letter)) handles.set(pfn, pageAt(pages, pfn, letter));
    if (letter === "o" || letter === "r" || letter === "d") ownPages(pages, pfn, owners[letter]);
  }
  for (const [i, letter] of [...letters].entries()) if (letter === ".") freePages(m, FIRST + i, 0);
  drainAllPages(m);
  return {
    ...{ m, pages, handles, asked },
    map: () => mapOf(pages, letters.length),
    check: () => {
      equal(verify(m).join("\n"), "");
      equal(verifyPages(pages).join("\n"), "");
      for (const handle of handles.values()) {
        if (pages.place[handle] === 0) continue;
        equal(bytesAt(m, touchPage(pages, handle, false))?.[0], handle % 251);
      }
    },
  };
}

/** The only free page there is becomes a handle's. */
function pageAt(pages: Pages, pfn: number, letter: string): number {
  const { m } = pages;
  freePages(m, pfn, 0);
  const kind = letter.toLowerCase() === "a" ? "anon" : "file";
  const handle = newPage(pages, pages.gfp | MEMALLOC, kind);
  equal(touchPage(pages, handle, false), pfn);
  bytesAt(m, pfn)?.fill(handle % 251);
  if (letter === "A" || letter === "F") pinPage(pages, handle);
  const row = rowOf(m, pfn);
  if (letter === "c") pages.flags[row] = (pages.flags[row] ?? 0) & ~PG_DIRTY;
  return handle;
}

function bytesAt({ bytes, bytesPfn }: Memory, pfn: number): Uint8Array | undefined {
  const start = (pfn - bytesPfn) * PAGE;
  return bytes?.subarray(start, start + PAGE);
}

function mapOf(pages: Pages, count: number): string[] {
  const letters: string[] = [];
  for (let i = 0; i < count; i++) letters.push(letterOf(pages, FIRST + i) ?? letters[i - 1] ?? "?");
  return Array.from({ length: count / BLOCK }, (_, i) =>
    letters.slice(i * BLOCK, (i + 1) * BLOCK).join(""),
  );
}

/** Undefined within a block. */
function letterOf({ m, handleOf, kind, pins }: Pages, pfn: number): string | undefined {
  const row = rowOf(m, pfn);
  const state = (m.state[row] ?? 0) >> 4;
  const handle = handleOf[row] ?? 0;
  if (state === 0) return undefined;
  if (state < 4) return state === 3 ? "," : ".";
  if (handle <= 0) return handle < 0 ? "o" : "k";
  const letter = kind[handle] === HANDLE_ANON ? "a" : "f";
  return (pins[row] ?? 0) > 0 ? letter.toUpperCase() : letter;
}
