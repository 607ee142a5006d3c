/**
 * How large the columns of a memory become: which sections hold RAM, and where
 * frames begin behind the list heads.
 *
 * Linux: sparse_init(), mm/sparse.c
 */
import { assert } from "../base/assert.ts";
import type { MemorySpec, ZoneSpec } from "./memory.ts";
import { TYPE_COUNT } from "./rule.ts";
import { LRU_LISTS, ORDERS, PCP_LISTS } from "./words.ts";

/** Sections of 128 MiB as Linux has them, smaller ones for small memories. */
const SECTION_SHIFT_MAX = 15;

export interface Sizes {
  /** log2 of the frames of a section. */
  readonly shift: number;
  /** Rows of list heads: free lists, per-CPU lists, then the LRU's from `lruHeads` on. */
  readonly headRows: number;
  readonly lruHeads: number;
  readonly headSections: number;
  readonly rows: number;
  /** Numbers of the sections that hold RAM, ascending. */
  readonly sections: readonly number[];
  /** Sections up to the last one. */
  readonly table: number;
  readonly nodes: readonly number[];
  readonly zoneNames: readonly string[];
  /** Zonelists of all nodes. */
  readonly lists: number;
}

export function sizesOf(spec: MemorySpec): Sizes {
  const { zones, maxOrder, pageblockOrder, cpus } = spec;
  assert(zones.length > 0, "a memory needs a zone");
  assert(maxOrder >= pageblockOrder && maxOrder < ORDERS, "largest order out of range", maxOrder);
  assert(Number.isInteger(Math.log2(spec.pageSize)), "page size is a power of two", spec.pageSize);
  assert(Number.isInteger(cpus) && cpus > 0, "a memory has a CPU", cpus);
  assert(pageblockOrder >= 1, "a pageblock has two pages at least", pageblockOrder);
  const shift = sectionShiftFor(spec);
  const lruHeads = zones.length * TYPE_COUNT * ORDERS + zones.length * cpus * PCP_LISTS;
  const headRows = lruHeads + zones.length * LRU_LISTS;
  const sections = sectionsOf(spec, shift);
  const headSections = Math.ceil(headRows / 2 ** shift);
  const rows = (headSections + sections.length) * 2 ** shift;
  assert(rows < 2 ** 31, "more than 2^31 frames cannot be indexed", rows);
  const nodes = [...new Set(zones.map((zone) => zone.node))].sort((a, b) => a - b);
  const zoneNames = namesByIndex(zones);
  const lists = nodes.length * zoneNames.length * 2;
  const table = (sections.at(-1) ?? -1) + 1;
  return {
    shift,
    headRows,
    lruHeads,
    headSections,
    rows,
    sections,
    table,
    nodes,
    zoneNames,
    lists,
  };
}

/** As large as Linux's, but not larger than the memory needs, and never below the largest block. */
function sectionShiftFor(spec: MemorySpec): number {
  let pages = 1;
  for (const { ram } of spec.zones) for (const { start, end } of ram) pages += end - start;
  const needed = Math.ceil(Math.log2(pages));
  return Math.max(spec.maxOrder, Math.min(SECTION_SHIFT_MAX, needed));
}

/** Numbers of the sections that hold RAM, or may: CMA areas lie at a zone's ends too. Ascending. */
function sectionsOf({ zones, cma }: MemorySpec, shift: number): number[] {
  const found = new Set<number>();
  const size = 2 ** shift;
  for (const { ram, startPfn, spanned } of zones) {
    const first = ram[0];
    const last = ram.at(-1);
    const ends =
      cma && first !== undefined && last !== undefined
        ? [
            { start: startPfn, end: first.start },
            { start: last.end, end: startPfn + spanned },
          ]
        : [];
    for (const { start, end } of [...ram, ...ends]) {
      for (let s = Math.floor(start / size); s * size < end; s++) found.add(s);
    }
  }
  return [...found].sort((a, b) => a - b);
}

function namesByIndex(zones: readonly ZoneSpec[]): string[] {
  const names: string[] = [];
  for (const { index, name } of zones) names[index] = name;
  return Array.from(names, (name) => name ?? "");
}
