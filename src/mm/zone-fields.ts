/**
 * `struct zone` as a whole: every field that the kernel keeps of a zone, under
 * the kernel's own names, read live from the image.
 *
 *   who may have memory   free_pages, pages_min … protection, watermark_boost
 *   what is free          free_area, pageset, nr_reserved_highatomic, nr_free_cma
 *   reclaim               active_list … prev_priority, all_unreclaimable
 *   page locks            wait_table, wait_table_size, wait_table_bits
 *   where and what        zone_pgdat, zone_start_pfn, spanned_pages …
 *
 * Nothing here is a copy: a field read twice may differ. Fields of reclaim are those
 * of kernels whose zones had lists of their own; they move once pages are managed
 * (`managePages`), and hold what a zone that was never reclaimed holds in memories of
 * other eras. Locks and the wait table move where several CPUs share a memory.
 *
 * Linux: struct zone, include/linux/mmzone.h (2.6.9 to 6.12)
 */
import { assertZone } from "./arguments.ts";
import {
  freeHead,
  LRU_LISTS,
  type Memory,
  P_BATCH,
  P_COUNT,
  P_DRIFT,
  P_HIGH,
  P_HIGH_MAX,
  P_HIGH_MIN,
  PCP_WORDS,
  pfnOf,
  Z_ACTIVE,
  Z_ALL_UNRECLAIMABLE,
  Z_BLOCKS,
  Z_BOOST,
  Z_CMA,
  Z_FREE,
  Z_FREE_CMA,
  Z_HIGH,
  Z_HIGHATOMIC,
  Z_INACTIVE,
  Z_LOCK,
  Z_LOW,
  Z_LRU_LOCK,
  Z_MANAGED,
  Z_MIN,
  Z_NODE,
  Z_PAGES_SCANNED,
  Z_PRESENT,
  Z_PREV_PRIORITY,
  Z_PROMO,
  Z_RESERVE,
  Z_ROW,
  Z_SCAN_ACTIVE,
  Z_SCAN_INACTIVE,
  Z_SPANNED,
  Z_TEMP_PRIORITY,
  Z_THRESHOLD,
  Z_WAIT,
  Z_WAIT_BITS,
  ZONE_WORDS,
} from "./memory.ts";

/** Free blocks of one order. Linux: struct free_area */
export interface FreeArea {
  readonly order: number;
  /** Blocks of 2^order pages. */
  readonly nr_free: number;
  /** First pfns of the list of one migratetype from its head on; a run of untouched blocks shows as its first. */
  free_list(type: number): Generator<number>;
}

/** One CPU's stock of the zone's pages. Linux: struct per_cpu_pages */
export interface Pageset {
  readonly cpu: number;
  /** Pages on the lists, where the lists are cut, and how many move at once. */
  readonly count: number;
  readonly high: number;
  readonly batch: number;
  /** Bounds of high where it is tuned at run time (6.7+); both are high elsewhere. */
  readonly high_min: number;
  readonly high_max: number;
  /** What this CPU has not added to free_pages yet, pages; at most `stat_threshold` either way. */
  readonly vm_stat_diff: number;
  readonly stat_threshold: number;
}

/** A live view of zone number `zone`. Asserts that there is one. */
export function zoneFields(m: Memory, zone: number): ZoneFields {
  assertZone(m, zone);
  return new ZoneFields(m, zone);
}

/** Of `zoneFields`. Counts are pages unless said otherwise. */
export class ZoneFields {
  readonly #m: Memory;
  readonly #zone: number;
  readonly #at: number;

  constructor(m: Memory, zone: number) {
    this.#m = m;
    this.#zone = zone;
    this.#at = zone * ZONE_WORDS;
  }

  #word(word: number): number {
    return this.#m.zone[this.#at + word];
  }

  /** Lock of the free lists: 0 while nobody holds it. */
  get lock(): number {
    return this.#word(Z_LOCK);
  }

  /** Pages on the free lists, without what each CPU keeps back or has in stock. NR_FREE_PAGES since 2.6.21. */
  get free_pages(): number {
    return this.#word(Z_FREE);
  }

  /** Below this only requests with a right to reserves are served. WMARK_MIN since 2.6.31, without boost. */
  get pages_min(): number {
    return this.#word(Z_MIN);
  }

  /** Below this kswapd is woken. WMARK_LOW, without boost. */
  get pages_low(): number {
    return this.#word(Z_LOW);
  }

  /** Here kswapd goes back to sleep. WMARK_HIGH, without boost. */
  get pages_high(): number {
    return this.#word(Z_HIGH);
  }

  /** Room that must be here before pages of slow memory are promoted to it (5.18+). WMARK_PROMO. */
  get pages_promo(): number {
    return this.#word(Z_PROMO);
  }

  /** Added to every mark for a while after types were mixed (5.0+). */
  get watermark_boost(): number {
    return this.#word(Z_BOOST);
  }

  /**
   * Pages that a request whose highest zone is index i must leave here, by i:
   * lowmem_reserve since 2.6.11. A live view of the words.
   */
  get protection(): Int32Array {
    const start = this.#at + Z_RESERVE;
    return this.#m.zone.subarray(start, start + this.#m.zoneNames.length);
  }

  /** Lock of the LRU lists: 0 while nobody holds it. */
  get lru_lock(): number {
    return this.#word(Z_LRU_LOCK);
  }

  /** First pfns of pages in use lately, from the head on. Empty where nothing is managed. */
  get active_list(): Generator<number> {
    return listed(this.#m, this.#m.lruHeads + this.#zone * LRU_LISTS);
  }

  /** First pfns of pages to be reclaimed next, from the head on. Empty where nothing is managed. */
  get inactive_list(): Generator<number> {
    return listed(this.#m, this.#m.lruHeads + this.#zone * LRU_LISTS + 1);
  }

  /** Pages on the active list. 0 where nothing is managed. */
  get nr_active(): number {
    return this.#word(Z_ACTIVE);
  }

  /** Pages on the inactive list. 0 where nothing is managed. */
  get nr_inactive(): number {
    return this.#word(Z_INACTIVE);
  }

  /** Pages of the active list that the next scan owes. 0 where nothing is managed. */
  get nr_scan_active(): number {
    return this.#word(Z_SCAN_ACTIVE);
  }

  /** Pages of the inactive list that the next scan owes. 0 where nothing is managed. */
  get nr_scan_inactive(): number {
    return this.#word(Z_SCAN_INACTIVE);
  }

  /** Pages scanned since one was last freed to the zone. 0 where nothing is managed. */
  get pages_scanned(): number {
    return this.#word(Z_PAGES_SCANNED);
  }

  /** 1 when scanning found nothing to reclaim for long; then kswapd leaves the zone alone. */
  get all_unreclaimable(): number {
    return this.#word(Z_ALL_UNRECLAIMABLE);
  }

  /** Priority of the scan going on, 12 (a 4096th of a list at once) to 0 (all). 12 before the first. */
  get temp_priority(): number {
    return this.#word(Z_TEMP_PRIORITY);
  }

  /** The priority at which the last scan had enough. 12 before the first. */
  get prev_priority(): number {
    return this.#word(Z_PREV_PRIORITY);
  }

  /** Free blocks by order, 0 to the largest. */
  get free_area(): readonly FreeArea[] {
    const m = this.#m;
    const zone = this.#zone;
    return Array.from(
      { length: m.maxOrder + 1 },
      (_, order): FreeArea => ({
        order,
        get nr_free(): number {
          return m.zone[zone * ZONE_WORDS + Z_BLOCKS + order];
        },
        free_list: (type) => listed(m, freeHead(zone, type, order)),
      }),
    );
  }

  /** Sleepers by queue: those who wait for the lock of a page of this zone. A live view of the words. */
  get wait_table(): Int32Array {
    const start = this.#word(Z_WAIT);
    return this.#m.waitTable.subarray(start, start + this.wait_table_size);
  }

  /** Queues of the wait table: one for 256 pages, a power of two from 4 to 4096. */
  get wait_table_size(): number {
    return 2 ** this.#word(Z_WAIT_BITS);
  }

  /** log2 of `wait_table_size`. */
  get wait_table_bits(): number {
    return this.#word(Z_WAIT_BITS);
  }

  /** Each CPU's stock, by CPU. */
  get pageset(): readonly Pageset[] {
    const m = this.#m;
    return Array.from({ length: m.cpuCount }, (_, cpu): Pageset => {
      const words = (this.#zone * m.cpuCount + cpu) * PCP_WORDS;
      return {
        cpu,
        count: m.pcp[words + P_COUNT],
        high: m.pcp[words + P_HIGH],
        batch: m.pcp[words + P_BATCH],
        high_min: m.pcp[words + P_HIGH_MIN],
        high_max: m.pcp[words + P_HIGH_MAX],
        vm_stat_diff: m.pcp[words + P_DRIFT],
        stat_threshold: this.#word(Z_THRESHOLD),
      };
    });
  }

  /** The node that the zone belongs to, by number. */
  get zone_pgdat(): number {
    return this.#word(Z_NODE);
  }

  /** Row of the zone's first frame: where its `struct page`s begin. 0 for a zone without memory. */
  get zone_mem_map(): number {
    return this.#word(Z_ROW);
  }

  /** First pfn, be there memory or not. */
  get zone_start_pfn(): number {
    return this.#m.zoneStart[this.#zone];
  }

  /** As the kernel prints it: DMA, DMA32, Normal … */
  get name(): string {
    return this.#m.names[this.#zone];
  }

  /** From the first pfn to the last, holes included. */
  get spanned_pages(): number {
    return this.#word(Z_SPANNED);
  }

  /** What is RAM. */
  get present_pages(): number {
    return this.#word(Z_PRESENT);
  }

  /** What was given to the page allocator (3.10+). */
  get managed_pages(): number {
    return this.#word(Z_MANAGED);
  }

  /** Pages of the pageblocks kept for HighAtomic requests (4.4+). */
  get nr_reserved_highatomic(): number {
    return this.#word(Z_HIGHATOMIC);
  }

  /** Pages of CMA areas, free or not (3.5+ counts the free ones). */
  get cma_pages(): number {
    return this.#word(Z_CMA);
  }

  /** Free pages of CMA areas, which only movable requests may have. */
  get nr_free_cma(): number {
    return this.#word(Z_FREE_CMA);
  }
}

/** pfns on a circular list, from its head on. */
function* listed(m: Memory, head: number): Generator<number> {
  for (let row = m.next[head]; row !== head; row = m.next[row]) yield pfnOf(m, row);
}
