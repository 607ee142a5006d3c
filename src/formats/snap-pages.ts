/**
 * The files of a snapshot (scripts/lab/snap.c) that speak of all pages:
 *
 *   pageblocks        8000: 1111111111111111…     first pfn of a section, then one digit
 *                                                 a pageblock: migratetype, +8 for "skip"
 *   kpageflags.rle    # start_pfn length class: …
 *                     120 ee0 B                   runs of pages of one class, hexadecimal
 *
 * Linux: struct mem_section_usage, include/linux/mmzone.h; enum pageblock_bits,
 * include/linux/pageblock-flags.h; stable_page_flags(), fs/proc/page.c
 */
import type { Reader } from "./reader.ts";
import { CUT_MEND, type LineLog, tableReader } from "./table.ts";

/** Pages that one digit of `pageblocks` stands for. */
export const SNAP_PAGEBLOCK_PAGES = 512;

/** Pageblocks of one memory section. */
export interface SnapSection {
  /** 1-based line. */
  readonly line: number;
  readonly firstPfn: number;
  /** The kernel's number of the migratetype of each pageblock. */
  readonly migratetypes: readonly number[];
  /** Whether compaction skips it. */
  readonly skip: readonly boolean[];
}

/**
 * What a page was used for. Pages of several kinds are named after the first that fits, in the
 * order of this list, but for "other", which is the rest.
 */
export type PageClass =
  | "no-page"
  | "buddy"
  | "reserved"
  | "thp"
  | "hugetlb"
  | "slab"
  | "pagetable"
  | "anon"
  | "swapbacked"
  | "lru"
  | "compound"
  | "other";

/** Pages of one class, first pfn and the one behind the last. */
export interface SnapRun {
  readonly line: number;
  readonly start: number;
  readonly end: number;
  readonly class: PageClass;
}

const CLASSES: ReadonlyMap<string, PageClass> = new Map([
  ["N", "no-page"],
  ["B", "buddy"],
  ["R", "reserved"],
  ["H", "thp"],
  ["h", "hugetlb"],
  ["S", "slab"],
  ["T", "pagetable"],
  ["a", "anon"],
  ["s", "swapbacked"],
  ["l", "lru"],
  ["c", "compound"],
  ["o", "other"],
]);
const SECTION = /^([\da-f]+): ([\da-f]+)$/;
const RUN = /^([\da-f]+) ([\da-f]+) (\w)$/;
/** Low three bits of a digit; the fourth is pageblock_skip. */
const MIGRATETYPE_MASK = 7;

/** Issues: sections that overlap are errors, lines of another form warnings. */
export function pageblocksReader(): Reader<readonly SnapSection[]> {
  const sections: SnapSection[] = [];
  let end = 0;
  return tableReader({
    name: "snap/pageblocks",
    take(text: string, log: LineLog): boolean {
      if (text === "") return true;
      const [, first, digits] = SECTION.exec(text) ?? [];
      if (first === undefined || digits === undefined) return false;
      const firstPfn = log.hex(first);
      if (firstPfn < end) log.report("error", "this section overlaps the one above", CUT_MEND);
      const values = [...digits].map((digit) => Number.parseInt(digit, 16));
      end = firstPfn + values.length * SNAP_PAGEBLOCK_PAGES;
      sections.push({
        line: log.line,
        firstPfn,
        migratetypes: values.map((value) => value & MIGRATETYPE_MASK),
        skip: values.map((value) => value > MIGRATETYPE_MASK),
      });
      return true;
    },
    finish: (): readonly SnapSection[] => sections,
  });
}

/** Issues: runs that do not follow each other are errors, lines of another form warnings. */
export function kpageflagsReader(): Reader<readonly SnapRun[]> {
  const runs: SnapRun[] = [];
  let end = 0;
  return tableReader({
    name: "snap/kpageflags.rle",
    take(text: string, log: LineLog): boolean {
      if (text === "" || text.startsWith("#")) return true;
      const [, first, length, letter] = RUN.exec(text) ?? [];
      const kind = CLASSES.get(letter ?? "");
      if (first === undefined || length === undefined || kind === undefined) return false;
      const start = log.hex(first);
      if (start !== end) log.report("error", "this run does not follow the one above", CUT_MEND);
      end = Math.min(start + log.hex(length), Number.MAX_SAFE_INTEGER);
      runs.push({ line: log.line, start, end, class: kind });
      return true;
    },
    finish: (): readonly SnapRun[] => runs,
  });
}
