/**
 * The page tables of one domain: real pages, taken from the page allocator, with
 * entries as the hardware reads them. Where the memory has bytes they lie in the
 * page itself; otherwise in a region of their own.
 *
 *   slot     one table; row 0 is none, row 1 the root. Row 0 of `link` heads the
 *            unused slots, of `used` has the first slot never used, of `pfn` the tables
 *   pfn      its page
 *   start    word of the memory's bytes where its entries begin; -1 for the own region
 *   child    slot by entry, for entries that lead to a table: the kernel has the
 *            direct map for that
 *   link     the next of the unused slots, or of tables that wait to be freed
 *   used     entries that are not zero
 *
 * Levels count from 1, pages of 4 KiB, up: each is nine bits of the address.
 *
 *   P1  an entry is a table exactly if it has a child
 *   P2  `used` is what the table holds
 *
 * Linux: alloc_pgtable_page(), drivers/iommu/intel/iommu.c
 */
import { assert } from "../../base/assert.ts";
import { allocPages, freePages, NO_PFN, zeroPages } from "../../mm/allocate.ts";
import { addChunkedRegion } from "../../mm/image.ts";
import type { Memory } from "../../mm/memory.ts";
import type { PteFormat } from "./formats.ts";

export const ENTRIES = 512;
export const ROOT = 1;
export const NO_TABLE = 0;

export interface PageTableSpec {
  readonly name: string;
  readonly memory: Memory;
  readonly format: PteFormat;
  /** 3 for 39 bits of address, 4 for 48, 5 for 57. */
  readonly levels: number;
  /** log2 of the page sizes that the hardware maps: 12, and 21 and 30 where it can. */
  readonly pageShifts: readonly number[];
  /** Flags that tables are taken with. */
  readonly gfp: number;
  readonly maxTables: number;
}

/** What a walk found; one object, overwritten by the next. */
export interface Walked {
  /** Page of memory behind the asked one. */
  pfn: number;
  level: number;
  prot: number;
}

export interface PageTable extends PageTableSpec {
  readonly pfn: Float64Array;
  readonly start: Float64Array;
  readonly child: Int32Array;
  readonly link: Int32Array;
  readonly used: Int32Array;
  /** Entries of tables whose pages have no bytes. */
  readonly own: Int32Array;
  readonly touched: Uint8Array;
  readonly walked: Walked;
  readonly view: { bytes: Uint8Array | null; words: Int32Array };
}

/** null where the page allocator has no page for the root. */
export function createPageTable(spec: PageTableSpec): PageTable | null {
  const { memory, maxTables } = spec;
  assert(maxTables >= 2 && memory.pageSize === 4096, "tables are pages of 4 KiB", maxTables);
  const touched = new Uint8Array(maxTables);
  const column = (name: string, shift: number): ArrayBufferLike => {
    const bytes = maxTables * 2 ** shift;
    return addChunkedRegion(memory.image, `iommu.${name}.${spec.name}`, bytes, shift, touched)
      .buffer;
  };
  const table: PageTable = {
    ...spec,
    pfn: new Float64Array(column("pfn", 3)),
    start: new Float64Array(column("start", 3)),
    child: new Int32Array(column("child", 11)),
    link: new Int32Array(column("link", 2)),
    used: new Int32Array(column("used", 2)),
    own: new Int32Array(column("entries", 12)),
    touched,
    walked: { pfn: -1, level: 0, prot: 0 },
    view: { bytes: null, words: new Int32Array(0) },
  };
  touched[NO_TABLE] = 1;
  table.used[NO_TABLE] = ROOT;
  return takeTable(table) === ROOT ? table : null;
}

/** Tables that hold a page now: the root, and those that wait to be freed, too. */
export function tableCount(t: PageTable): number {
  return t.pfn[NO_TABLE];
}

/** A new table of zeros: its slot, or none without memory. */
export function takeTable(t: PageTable): number {
  const { memory, link, used } = t;
  const slot = link[NO_TABLE] === NO_TABLE ? used[NO_TABLE] : link[NO_TABLE];
  if (slot === t.maxTables) return NO_TABLE;
  const pfn = allocPages(memory, t.gfp, 0);
  if (pfn === NO_PFN) return NO_TABLE;
  if (slot === used[NO_TABLE]) used[NO_TABLE]++;
  else link[NO_TABLE] = link[slot];
  zeroPages(memory, pfn, 0);
  t.touched[slot] = 1;
  t.pfn[slot] = pfn;
  t.start[slot] = startIn(t, pfn);
  t.pfn[NO_TABLE]++;
  used[slot] = 0;
  link[slot] = NO_TABLE;
  t.own.fill(0, slot * ENTRIES * 2, (slot + 1) * ENTRIES * 2);
  t.child.fill(NO_TABLE, slot * ENTRIES, (slot + 1) * ENTRIES);
  return slot;
}

/** Gives the pages of a list of tables back; the IOTLB must have forgotten them. */
export function freeTables(t: PageTable, list: number): void {
  for (let slot = list; slot !== NO_TABLE; ) {
    const next = t.link[slot];
    freePages(t.memory, t.pfn[slot], 0);
    t.pfn[NO_TABLE]--;
    t.link[slot] = t.link[NO_TABLE];
    t.link[NO_TABLE] = slot;
    slot = next;
  }
}

/** What a table's entries lie in: the memory's bytes as words, or the own region. */
export function entriesOf(t: PageTable, slot: number): Int32Array {
  return t.start[slot] < 0 ? t.own : wordsOf(t);
}

/** Index of a table's first entry there. */
export function startOf(t: PageTable, slot: number): number {
  const at = t.start[slot];
  return at < 0 ? slot * ENTRIES * 2 : at;
}

/** The memory's bytes as words; made anew when they moved. */
function wordsOf(t: PageTable): Int32Array {
  const { bytes } = t.memory;
  if (t.view.bytes !== bytes && bytes !== null) {
    t.view.bytes = bytes;
    t.view.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  }
  return t.view.words;
}

/** Where the entries of a table in page `pfn` begin: a word of the memory's bytes, -1 for none. */
function startIn({ memory: { bytes, bytesPfn } }: PageTable, pfn: number): number {
  const at = (pfn - bytesPfn) * 4096;
  if (bytes === null || (bytes.byteOffset & 3) !== 0) return -1;
  return at >= 0 && at + 4096 <= bytes.byteLength ? at / 4 : -1;
}
