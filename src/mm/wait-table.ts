/**
 * The wait table of a zone: queues on which those sleep who wait for a page's
 * lock. Pages share queues by hash, so that a page needs no queue of its own.
 *
 *   Z_WAIT       first queue of the zone in `waitTable`
 *   Z_WAIT_BITS  log2 of its number of queues
 *
 * Kernels since 4.9 have one table for all zones; the model keeps the zone's.
 *
 * Linux: wait_table_size(), zone_wait_table_init(), mm/page_alloc.c (2.6)
 */

const PAGES_PER_QUEUE = 256; // PAGES_PER_WAITQUEUE
const QUEUES_MIN = 4;
const QUEUES_MAX = 4096;

/**
 * Queues of a zone that spans `pages`: a power of two.
 *
 * Linux: wait_table_size(), mm/page_alloc.c (2.6)
 */
export function waitTableSize(pages: number): number {
  const wanted = Math.floor(pages / PAGES_PER_QUEUE);
  let queues = QUEUES_MIN;
  while (queues < wanted && queues < QUEUES_MAX) queues *= 2;
  return queues;
}
