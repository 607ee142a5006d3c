/**
 * The page tables of one domain: real pages, taken from the page allocator, with
 * entries as the hardware reads them. Where the memory has bytes they lie in the
 * page itself; otherwise in a region of their own.
 *
 *   slot     one table; row 0 is none, row 1 the root. Row 0 of `link` heads the
 *            unused slots, of `used` has the first slot never used, of `pfn` the tables
 *   pfn      its page
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
 * Linux: __domain_mapping(), domain_unmap(), drivers/iommu/intel/iommu.c;
 * iommu_v1_map_pages(), drivers/iommu/amd/io_pgtable.c; drivers/iommu/io-pgtable-arm.c
 */
import { assert } from "../../base/assert.ts";
import { allocPages, freePages, NO_PFN, zeroPages } from "../../mm/allocate.ts";
import { addChunkedRegion } from "../../mm/image.ts";
import type { Memory } from "../../mm/memory.ts";
import type { PteFormat } from "./formats.ts";

export const ENTRIES = 512;
export const ROOT = 1;
const NONE = 0;

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
  readonly child: Int32Array;
  readonly link: Int32Array;
  readonly used: Int32Array;
  /** Entries of tables whose pages have no bytes. */
  readonly own: Int32Array;
  readonly touched: Uint8Array;
  readonly walked: Walked;
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
    child: new Int32Array(column("child", 11)),
    link: new Int32Array(column("link", 2)),
    used: new Int32Array(column("used", 2)),
    own: new Int32Array(column("entries", 12)),
    touched,
    walked: { pfn: -1, level: 0, prot: 0 },
  };
  touched[NONE] = 1;
  table.used[NONE] = ROOT;
  return takeTable(table) === ROOT ? table : null;
}

/** Tables that hold a page now: the root, and those that wait to be freed, too. */
export function tableCount(t: PageTable): number {
  return t.pfn[NONE];
}

/** Highest page that the levels reach, exclusive. */
export function reachOf(t: PageTable): number {
  return 2 ** (9 * t.levels);
}

/** A new table of zeros: its slot, or none without memory. */
function takeTable(t: PageTable): number {
  const { memory, link, used } = t;
  const slot = link[NONE] === NONE ? used[NONE] : link[NONE];
  if (slot === t.maxTables) return NONE;
  const pfn = allocPages(memory, t.gfp, 0);
  if (pfn === NO_PFN) return NONE;
  if (slot === used[NONE]) used[NONE]++;
  else link[NONE] = link[slot];
  zeroPages(memory, pfn, 0);
  t.touched[slot] = 1;
  t.pfn[slot] = pfn;
  t.pfn[NONE]++;
  used[slot] = 0;
  link[slot] = NONE;
  t.own.fill(0, slot * ENTRIES * 2, (slot + 1) * ENTRIES * 2);
  t.child.fill(NONE, slot * ENTRIES, (slot + 1) * ENTRIES);
  return slot;
}

/** Gives the pages of a list of tables back; the IOTLB must have forgotten them. */
export function freeTables(t: PageTable, list: number): void {
  for (let slot = list; slot !== NONE; ) {
    const next = t.link[slot];
    freePages(t.memory, t.pfn[slot], 0);
    t.pfn[NONE]--;
    t.link[slot] = t.link[NONE];
    t.link[NONE] = slot;
    slot = next;
  }
}

/** Where a table's entries lie: words of the memory's bytes, or of the own region. */
export function entriesOf(t: PageTable, slot: number): Int32Array {
  const { bytes, bytesPfn } = t.memory;
  const at = (t.pfn[slot] - bytesPfn) * 4096;
  if (bytes === null || at < 0 || at + 4096 > bytes.byteLength || (bytes.byteOffset & 3) !== 0) {
    return t.own.subarray(slot * ENTRIES * 2, (slot + 1) * ENTRIES * 2);
  }
  return new Int32Array(bytes.buffer, bytes.byteOffset + at, ENTRIES * 2);
}

function indexAt(pfn: number, level: number): number {
  return Math.floor(pfn / 2 ** (9 * (level - 1))) % ENTRIES;
}

/**
 * Maps `pages` pages from page `iova` on to those from `phys` on, in the largest
 * pages that both are aligned to. False without memory for a table; what was
 * mapped by then stays. `flush`: tables gave way to a larger page.
 */
export function mapRange(
  t: PageTable,
  iova: number,
  phys: number,
  pages: number,
  prot: number,
  flush: () => void,
): boolean {
  let left = pages;
  let from = iova;
  let to = phys;
  while (left > 0) {
    const level = levelFor(t, from, to, left);
    const slot = tableAt(t, from, level);
    if (slot === NONE) return false;
    const step = 2 ** (9 * (level - 1));
    const entries = entriesOf(t, slot);
    // All entries of this size in this table.
    let i = indexAt(from, level);
    for (; i < ENTRIES && left >= step && levelFor(t, from, to, left) === level; i++) {
      replaceTable(t, slot, i, entries, flush);
      assert(entries[i * 2] === 0, "an address is mapped twice", from);
      setLeaf(t, entries, i, to, level, prot);
      t.used[slot]++;
      from += step;
      to += step;
      left -= step;
    }
  }
  return true;
}

function setLeaf(
  t: PageTable,
  entries: Int32Array,
  i: number,
  pfn: number,
  level: number,
  prot: number,
): void {
  entries[i * 2] = lowOf(pfn) | t.format.leafLow(level, prot);
  entries[i * 2 + 1] = highOf(pfn) | t.format.leafHigh(prot);
}

function lowOf(pfn: number): number {
  return (pfn % 2 ** 20) << 12;
}

function highOf(pfn: number): number {
  return Math.floor(pfn / 2 ** 20);
}

export function pfnOf(low: number, high: number): number {
  return (high & 0xfffff) * 2 ** 20 + (low >>> 12);
}

/** Level of the largest page for the next step. Linux: iommu_pgsize(), drivers/iommu/iommu.c */
function levelFor(t: PageTable, iova: number, phys: number, left: number): number {
  let best = 1;
  for (const shift of t.pageShifts) {
    const level = (shift - 12) / 9 + 1;
    const size = 2 ** (shift - 12);
    if (level > best && left >= size && iova % size === 0 && phys % size === 0) best = level;
  }
  return best;
}

/** The table at `level` on the way to a page, made where it is missing; none without memory. */
function tableAt(t: PageTable, iova: number, level: number): number {
  let slot = ROOT;
  for (let at = t.levels; at > level; at--) {
    const i = indexAt(iova, at);
    let next = t.child[slot * ENTRIES + i];
    if (next === NONE) {
      next = takeTable(t);
      if (next === NONE) return NONE;
      const entries = entriesOf(t, slot);
      assert(entries[i * 2] === 0, "an address is mapped twice", iova);
      entries[i * 2] = lowOf(t.pfn[next]) | t.format.tableLow(at);
      entries[i * 2 + 1] = highOf(t.pfn[next]) | t.format.tableHigh;
      t.child[slot * ENTRIES + i] = next;
      t.used[slot]++;
    }
    slot = next;
  }
  return slot;
}

/** An empty table in the place of a larger page is freed. Linux: switch_to_super_page(), free_clear_pte() */
function replaceTable(
  t: PageTable,
  slot: number,
  i: number,
  entries: Int32Array,
  flush: () => void,
): void {
  const old = t.child[slot * ENTRIES + i];
  if (old === NONE) return;
  clearEntry(t, slot, i, entries);
  flush();
  freeTables(t, collect(t, old, NONE));
}

function clearEntry(t: PageTable, slot: number, i: number, entries: Int32Array): void {
  entries[i * 2] = 0;
  entries[i * 2 + 1] = 0;
  t.child[slot * ENTRIES + i] = NONE;
  t.used[slot]--;
}

/** Puts a table and all below it in front of a list. */
function collect(t: PageTable, slot: number, list: number): number {
  let head = list;
  for (let i = 0; i < ENTRIES; i++) {
    const child = t.child[slot * ENTRIES + i];
    if (child !== NONE) head = collect(t, child, head);
  }
  t.link[slot] = head;
  return slot;
}

/**
 * Unmaps `pages` pages; holes are stepped over. Returns the tables that can be
 * freed once the IOTLB has forgotten them, as a list, none for none.
 */
export function unmapRange(t: PageTable, iova: number, pages: number): number {
  return clearLevel(t, ROOT, t.levels, 0, iova, iova + pages - 1, NONE);
}

/** Linux: dma_pte_clear_level(), drivers/iommu/intel/iommu.c */
function clearLevel(
  t: PageTable,
  slot: number,
  level: number,
  base: number,
  first: number,
  last: number,
  list: number,
): number {
  const size = 2 ** (9 * (level - 1));
  const entries = entriesOf(t, slot);
  let freed = list;
  const from = Math.max(0, Math.floor((first - base) / size));
  const to = Math.min(ENTRIES - 1, Math.floor((last - base) / size));
  for (let i = from; i <= to; i++) {
    if (entries[i * 2] === 0) continue;
    const start = base + i * size;
    const child = t.child[slot * ENTRIES + i];
    const whole = first <= start && last >= start + size - 1;
    if (child !== NONE && !(whole && t.format.freesCovered)) {
      freed = clearLevel(t, child, level - 1, start, first, last, freed);
      continue;
    }
    assert(child !== NONE || whole, "part of a large page is unmapped", start);
    clearEntry(t, slot, i, entries);
    if (child !== NONE) freed = collect(t, child, freed);
  }
  return freed;
}

/** What the hardware finds for a page: `walked`, or null where nothing is mapped. */
export function walk(t: PageTable, iova: number): Walked | null {
  if (iova >= reachOf(t)) return null;
  let slot = ROOT;
  for (let level = t.levels; level >= 1; level--) {
    const i = indexAt(iova, level);
    const entries = entriesOf(t, slot);
    const low = entries[i * 2];
    const high = entries[i * 2 + 1];
    if (low === 0) return null;
    if (t.format.isTable(low, level)) {
      slot = t.child[slot * ENTRIES + i];
      continue;
    }
    t.walked.level = level;
    t.walked.prot = t.format.prot(low, high);
    t.walked.pfn = pfnOf(low, high) + (iova % 2 ** (9 * (level - 1)));
    return t.walked;
  }
  return null;
}

/** All pages go back: the domain is gone. */
export function destroyPageTable(t: PageTable): void {
  freeTables(t, collect(t, ROOT, NONE));
}
