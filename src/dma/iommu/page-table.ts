/**
 * Mapping, unmapping and walking one domain's page tables (`table-store.ts`), as
 * drivers and hardware do.
 *
 * Linux: __domain_mapping(), domain_unmap(), drivers/iommu/intel/iommu.c;
 * iommu_v1_map_pages(), drivers/iommu/amd/io_pgtable.c; drivers/iommu/io-pgtable-arm.c
 */
import { assert } from "../../base/assert.ts";
import {
  ENTRIES,
  entriesOf,
  freeTables,
  NO_TABLE as NONE,
  type PageTable,
  ROOT,
  startOf,
  takeTable,
  type Walked,
} from "./table-store.ts";

/** Highest page that the levels reach, exclusive. */
export function reachOf(t: PageTable): number {
  return 2 ** (9 * t.levels);
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
    const start = startOf(t, slot);
    // All entries of this size in this table.
    let i = indexAt(from, level);
    for (; i < ENTRIES && left >= step && levelFor(t, from, to, left) === level; i++) {
      replaceTable(t, slot, i, flush);
      assert(entries[start + i * 2] === 0, "an address is mapped twice", from);
      setLeaf(t, entries, start + i * 2, to, level, prot);
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
  at: number,
  pfn: number,
  level: number,
  prot: number,
): void {
  entries[at] = lowOf(pfn) | t.format.leafLow(level, prot);
  entries[at + 1] = highOf(pfn) | t.format.leafHigh(prot);
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
      const entry = startOf(t, slot) + i * 2;
      assert(entries[entry] === 0, "an address is mapped twice", iova);
      entries[entry] = lowOf(t.pfn[next]) | t.format.tableLow(at);
      entries[entry + 1] = highOf(t.pfn[next]) | t.format.tableHigh;
      t.child[slot * ENTRIES + i] = next;
      t.used[slot]++;
    }
    slot = next;
  }
  return slot;
}

/** An empty table in the place of a larger page is freed. Linux: switch_to_super_page(), free_clear_pte() */
function replaceTable(t: PageTable, slot: number, i: number, flush: () => void): void {
  const old = t.child[slot * ENTRIES + i];
  if (old === NONE) return;
  clearEntry(t, slot, i);
  flush();
  freeTables(t, collect(t, old, NONE));
}

function clearEntry(t: PageTable, slot: number, i: number): void {
  const entries = entriesOf(t, slot);
  const at = startOf(t, slot) + i * 2;
  entries[at] = 0;
  entries[at + 1] = 0;
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
  const own = startOf(t, slot);
  let freed = list;
  const from = Math.max(0, Math.floor((first - base) / size));
  const to = Math.min(ENTRIES - 1, Math.floor((last - base) / size));
  for (let i = from; i <= to; i++) {
    if (entries[own + i * 2] === 0) continue;
    const start = base + i * size;
    const child = t.child[slot * ENTRIES + i];
    const whole = first <= start && last >= start + size - 1;
    if (child !== NONE && !(whole && t.format.freesCovered)) {
      freed = clearLevel(t, child, level - 1, start, first, last, freed);
      continue;
    }
    assert(child !== NONE || whole, "part of a large page is unmapped", start);
    clearEntry(t, slot, i);
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
    const at = startOf(t, slot) + i * 2;
    const low = entries[at];
    const high = entries[at + 1];
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
