/**
 * How much of a zone's free memory is in pieces: the kernel's two indices, and what is left of a
 * zone's lists after some allocations. Blocks by order, as /proc/buddyinfo prints them.
 *
 * Linux: fill_contig_page_info(), __fragmentation_index(), unusable_free_index(), mm/vmstat.c
 */

/** Blocks of each order, from 0 on. */
export type Blocks = readonly number[];

/** Pages in all blocks. */
export function pagesIn(blocks: Blocks): number {
  return blocks.reduce((sum, count, order) => sum + count * 2 ** order, 0);
}

/** Pieces of `order` that the blocks can be cut into. */
export function piecesIn(blocks: Blocks, order: number): number {
  return blocks.reduce(
    (sum, count, own) => sum + (own < order ? 0 : count * 2 ** (own - order)),
    0,
  );
}

/** Thousandths of the free pages that no request of `order` can use; all of them where none is free. */
export function unusableIndex(blocks: Blocks, order: number): number {
  const free = pagesIn(blocks);
  if (free === 0) return 1000;
  return Math.floor(((free - piecesIn(blocks, order) * 2 ** order) * 1000) / free);
}

/**
 * Why a request of `order` would be refused, in thousandths: towards 0 for lack of memory, towards 1000
 * because it is in pieces. -1000 where a block is there, 0 where nothing is free.
 */
export function fragmentationIndex(blocks: Blocks, order: number): number {
  const total = blocks.reduce((sum, count) => sum + count, 0);
  if (total === 0) return 0;
  if (piecesIn(blocks, order) > 0) return -1000;
  const wanted = Math.floor((pagesIn(blocks) * 1000) / 2 ** order);
  return 1000 - Math.floor((1000 + wanted) / total);
}

/**
 * The blocks after `count` allocations of `order`, each from the smallest block that is large enough;
 * what is split leaves its upper halves. No more may be taken than there are.
 *
 * Linux: __rmqueue_smallest(), expand(), mm/page_alloc.c
 */
export function blocksAfter(blocks: Blocks, order: number, count: number): number[] {
  const left = [...blocks];
  let wanted = count;
  for (let own = order; own < left.length && wanted > 0; own++) {
    const pieces = 2 ** (own - order);
    const here = left[own] ?? 0;
    const used = Math.min(here, Math.ceil(wanted / pieces));
    left[own] = here - used;
    let rest = used * pieces - wanted;
    wanted -= Math.min(wanted, used * pieces);
    for (let lower = order; rest > 0; lower++, rest = Math.floor(rest / 2)) {
      if (rest % 2 === 1) left[lower] = (left[lower] ?? 0) + 1;
    }
  }
  return left;
}
