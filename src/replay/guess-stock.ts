/**
 * Which pages wait on per-CPU lists, where only their number is told.
 *
 * They carry no flag, so kpageflags shows them as "other", like pages that the
 * kernel took for itself. Those lie in unmovable pageblocks: measured on the
 * recordings with exact lists, every "other" page of a movable or reclaimable
 * pageblock is on a per-CPU list. What the number lacks then is taken from
 * unmovable pageblocks, next to free blocks first, where refills and drains work.
 *
 * The order within a list is unknown; ascending here, as a refill queues them.
 *
 * Linux: free_unref_page_commit(), rmqueue_bulk(), mm/page_alloc.c
 */
import type { Range } from "../base/range.ts";
import type { SnapRun } from "../formats/snap-pages.ts";
import { MOVABLE, PCP_TYPES, UNMOVABLE } from "../mm/rule.ts";
import { PCP_HUGE_LIST } from "../mm/words.ts";

/** Pages for one list of a pageset, ascending. */
export interface Stock {
  readonly list: number;
  readonly pfns: readonly number[];
}

export interface StockPlace {
  readonly zone: Range;
  readonly pageblockOrder: number;
  /** Migratetype by number of the pageblock. */
  readonly types: ReadonlyMap<number, number>;
}

/** What the pagesets of a zone hold: `counts` pages each. Fewer where no page can be one. */
export function guessStock(
  runs: readonly SnapRun[],
  place: StockPlace,
  counts: readonly number[],
): Stock[][] {
  const size = 2 ** place.pageblockOrder;
  const left = candidates(runs, place);
  return counts.map((count) => {
    const lists = new Map<number, number[]>();
    let wanted = count;
    const put = (list: number, pfn: number, pages: number): void => {
      const pfns = lists.get(list);
      if (pfns === undefined) lists.set(list, [pfn]);
      else pfns.push(pfn);
      wanted -= pages;
    };
    while (wanted > 0) {
      const block = wanted >= size ? left.blocks.pop() : undefined;
      if (block !== undefined) put(PCP_HUGE_LIST + 1, block, size);
      else {
        const page = left.pages.pop();
        if (page === undefined) break;
        put(page.type, page.pfn, 1);
      }
    }
    return [...lists].map(([list, pfns]) => ({ list, pfns: pfns.sort((a, b) => a - b) }));
  });
}

interface Page {
  readonly pfn: number;
  readonly type: number;
  /** Pages to the nearest free block, in the same run. */
  readonly far: number;
}

/** Whole movable pageblocks, and pages; the likeliest last. */
function candidates(
  runs: readonly SnapRun[],
  { zone, pageblockOrder, types }: StockPlace,
): { readonly blocks: number[]; readonly pages: Page[] } {
  const size = 2 ** pageblockOrder;
  const blocks: number[] = [];
  const pages: Page[] = [];
  for (const [i, run] of runs.entries()) {
    if (run.class !== "other") continue;
    const before = runs[i - 1]?.class === "buddy" ? run.start - 1 : Number.NEGATIVE_INFINITY;
    const after = runs[i + 1]?.class === "buddy" ? run.end : Number.POSITIVE_INFINITY;
    const end = Math.min(run.end, zone.end);
    for (let pfn = Math.max(run.start, zone.start); pfn < end; ) {
      const type = types.get(Math.floor(pfn / size)) ?? UNMOVABLE;
      if (type === MOVABLE && pfn % size === 0 && pfn + size <= end) {
        blocks.push(pfn);
        pfn += size;
        continue;
      }
      if (type < PCP_TYPES) pages.push({ pfn, type, far: Math.min(pfn - before, after - pfn) });
      pfn++;
    }
  }
  const kernels = (page: Page): number => (page.type === UNMOVABLE ? 1 : 0);
  pages.sort((a, b) => kernels(b) - kernels(a) || compare(b.far, a.far) || a.pfn - b.pfn);
  return { blocks, pages };
}

/** Two infinite numbers are alike. */
const compare = (a: number, b: number): number => (a === b ? 0 : a - b);
