/**
 * /proc/pagetypeinfo: free blocks by order and migratetype, and how many
 * pageblocks belong to each migratetype. Kernels with several nodes print the
 * whole for each node that has memory.
 *
 *   Page block order: 9
 *   Pages per block:  512
 *
 *   Free pages count per migrate type at order       0      1 …
 *   Node    0, zone      DMA, type    Unmovable      0 >100000 …   counting stops there
 *
 *   Number of blocks type     Unmovable      Movable …
 *   Node 0, zone      DMA            1            7 …
 *
 *   Number of mixed blocks    Unmovable …                         with page_owner only
 *
 * Linux: pagetypeinfo_show(), mm/vmstat.c; pagetypeinfo_showmixedcount_print(), mm/page_owner.c
 */
import { fullRows, numbersIn } from "./buddyinfo.ts";
import type { Reader } from "./reader.ts";
import { CUT_MEND, type LineLog, type Table, tableReader } from "./table.ts";

/** Free blocks of one migratetype of a zone. */
export interface PagetypeFree {
  readonly node: number;
  readonly zone: string;
  /** The kernel's name: Unmovable, Movable, Reclaimable, HighAtomic, CMA, Isolate … */
  readonly type: string;
  /** 1-based line. */
  readonly line: number;
  /** Number of free blocks by order; where `capped`, at least that many. */
  readonly blocks: readonly number[];
  /** Orders whose number the kernel stopped counting at, printed with ">". */
  readonly capped: readonly number[];
}

/** Pageblocks of one zone by migratetype. */
export interface PagetypeBlocks {
  readonly node: number;
  readonly zone: string;
  /** 1-based line. */
  readonly line: number;
  readonly counts: ReadonlyMap<string, number>;
}

export interface Pagetypeinfo {
  /** log2 of the pages in a pageblock; null when the file does not say. */
  readonly pageblockOrder: number | null;
  readonly pagesPerBlock: number | null;
  readonly free: readonly PagetypeFree[];
  readonly blocks: readonly PagetypeBlocks[];
  /** Blocks with pages of another type in them; empty where page_owner is off. */
  readonly mixed: readonly PagetypeBlocks[];
}

const ORDER = /^Page block order:\s*(\d+)\s*$/;
const PAGES = /^Pages per block:\s*(\d+)\s*$/;
const FREE_HEADER = /^Free pages count per migrate type at order(?:\s+\d+)+\s*$/;
const FREE_ROW = /^Node +(\d+), zone +(\S+), type +(\S+)((?: +>?\d+)+)\s*$/;
const BLOCK_HEADER = /^Number of (blocks type|mixed blocks)((?: +\S+)+)\s*$/;
const BLOCK_ROW = /^Node +(\d+), zone +(\S+)((?: +\d+)+)\s*$/;

/** Issues: lines of another form are warnings, lines with too few numbers errors. */
export function pagetypeinfoReader(): Reader<Pagetypeinfo> {
  return tableReader(new PagetypeTable());
}

class PagetypeTable implements Table<Pagetypeinfo> {
  readonly name = "pagetypeinfo";
  readonly #free: PagetypeFree[] = [];
  readonly #blocks: PagetypeBlocks[] = [];
  readonly #mixed: PagetypeBlocks[] = [];
  #order: number | null = null;
  #pages: number | null = null;
  #types: readonly string[] = [];
  #rows: PagetypeBlocks[] = this.#blocks;

  take(text: string, log: LineLog): boolean {
    if (text.trim() === "" || FREE_HEADER.test(text)) return true;
    if (text.startsWith("Node ")) return this.#freeRow(text, log) || this.#blockRow(text, log);
    const [, order] = ORDER.exec(text) ?? [];
    const [, pages] = PAGES.exec(text) ?? [];
    if (order !== undefined) this.#order = log.decimal(order);
    if (pages !== undefined) this.#pages = log.decimal(pages);
    if (order !== undefined || pages !== undefined) return true;
    const [, what, types] = BLOCK_HEADER.exec(text) ?? [];
    if (what === undefined || types === undefined) return false;
    this.#types = types.trim().split(/ +/);
    this.#rows = what === "mixed blocks" ? this.#mixed : this.#blocks;
    return true;
  }

  finish(log: LineLog): Pagetypeinfo {
    return {
      pageblockOrder: this.#order,
      pagesPerBlock: this.#pages,
      free: fullRows(this.#free, (row) => row.blocks, log),
      blocks: this.#blocks,
      mixed: this.#mixed,
    };
  }

  #freeRow(text: string, log: LineLog): boolean {
    const [, node, zone, type, row] = FREE_ROW.exec(text) ?? [];
    if (node === undefined || zone === undefined || type === undefined || row === undefined) {
      return false;
    }
    const cells = row.trim().split(/ +/);
    const capped = cells.flatMap((cell, order) => (cell.startsWith(">") ? [order] : []));
    const blocks = cells.map((cell) => log.decimal(cell.replace(">", "")));
    this.#free.push({ node: log.decimal(node), zone, type, line: log.line, blocks, capped });
    return true;
  }

  #blockRow(text: string, log: LineLog): boolean {
    const [, node, zone, row] = BLOCK_ROW.exec(text) ?? [];
    if (node === undefined || zone === undefined || row === undefined) return false;
    const numbers = numbersIn(row, log);
    if (numbers.length !== this.#types.length) {
      const message = `${numbers.length} numbers under ${this.#types.length} migratetypes`;
      log.report("error", message, CUT_MEND);
      return true;
    }
    const counts = new Map(this.#types.map((type, i) => [type, numbers[i] ?? 0]));
    this.#rows.push({ node: log.decimal(node), zone, line: log.line, counts });
    return true;
  }
}
