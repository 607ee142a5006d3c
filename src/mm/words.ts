/**
 * Names of the words and bits that the image holds: the state of a frame row, the
 * words of a zone, and those of a per-CPU pageset.
 *
 * Linux: struct zone, struct per_cpu_pages, include/linux/mmzone.h
 */

export const KIND_MASK = 0x70;
export const ORDER_MASK = 0x0f;
export const FREE = 0x10;
export const EXTENT = 0x20;
export const PCP = 0x30;
export const TAKEN = 0x40;
/** TAKEN, and the owner agrees to the frame being moved (LRU pages and the like). */
export const MOBILE = 0x50;
/** Beside TAKEN and MOBILE: a handle or an owner has the block, so no free by its pfn matches it. */
export const OWNED = 0x80;

/** Orders are 0 to 15 at most: 64 KiB pages have 13. */
export const ORDERS = 16;

/** Words of a zone. Pages, unless they are rows. */
export const Z_FREE = 0;
export const Z_MIN = 1;
export const Z_LOW = 2;
export const Z_HIGH = 3;
export const Z_PROMO = 4;
export const Z_BOOST = 5;
export const Z_MANAGED = 6;
export const Z_PRESENT = 7;
export const Z_SPANNED = 8;
/** First row, and the row after the last. */
export const Z_ROW = 9;
export const Z_ROW_END = 10;
export const Z_HIGHATOMIC = 11;
export const Z_FREE_CMA = 12;
export const Z_FLAGS = 13;
/** vm stats threshold: a CPU keeps back changes of Z_FREE up to this. */
export const Z_THRESHOLD = 14;
export const Z_INDEX = 15;
export const Z_NODE = 16;
/** lowmem_reserve[8]. */
export const Z_RESERVE = 17;
/** nr_free by order. */
export const Z_BLOCKS = 25;
/** By type: bit k is set when list k is not empty. */
export const Z_ORDERS_OF = 41;
/** Locks of the free lists and of the LRU lists: 0 when nobody holds them. */
export const Z_LOCK = 47;
export const Z_LRU_LOCK = 48;
/** Pages on the LRU lists, and what the next scan of each owes. */
export const Z_ACTIVE = 49;
export const Z_INACTIVE = 50;
export const Z_SCAN_ACTIVE = 51;
export const Z_SCAN_INACTIVE = 52;
/** Pages scanned since a page was last freed to the zone; then 0 or 1. */
export const Z_PAGES_SCANNED = 53;
export const Z_ALL_UNRECLAIMABLE = 54;
/** Scan priorities: now, and where the last reclaim came to. 12 is the most relaxed. */
export const Z_TEMP_PRIORITY = 55;
export const Z_PREV_PRIORITY = 56;
/** The zone's first queue in `waitTable`, and log2 of how many it has. */
export const Z_WAIT = 57;
export const Z_WAIT_BITS = 58;
/** Pages of CMA areas, free or not. */
export const Z_CMA = 59;
export const ZONE_WORDS = 64;

/** Z_FLAGS. */
export const ZONE_BOOSTED = 1;
export const ZONE_RECLAIM_ACTIVE = 2;
/** Free pages are below the high mark: tuned pagesets stop growing. */
export const ZONE_BELOW_HIGH = 4;
/** Another CPU asks for what the per-CPU lists hold: frees look closer. */
export const ZONE_ASKED = 8;

/** Words of a per-CPU pageset. */
export const P_COUNT = 0;
export const P_HIGH = 1;
export const P_BATCH = 2;
/** free_factor, or alloc_factor where pagesets are tuned. */
export const P_FACTOR = 3;
export const P_FREE_COUNT = 4;
export const P_HIGH_MIN = 5;
export const P_HIGH_MAX = 6;
/** What this CPU has not yet added to Z_FREE. */
export const P_DRIFT = 7;
/** The free before this one was of order 1 to 3 (tuned pagesets). */
export const P_FREED_HIGH_ORDER = 8;
export const P_UNUSED = 9;
/** What this CPU has not yet added to Z_FREE_CMA. */
export const P_DRIFT_CMA = 10;
/** Less than a batch is not drained for such frees: PCPF_FREE_HIGH_BATCH, set where the CPU's cache is large. */
export const P_KEEPS_SMALL = 11;
export const PCP_WORDS = 16;

/** Lists of a pageset: order * 3 + type for orders 0 to 3, then huge pages not movable, movable. */
export const PCP_LISTS = 14;
export const PCP_HUGE_LIST = 12;
/** PAGE_ALLOC_COSTLY_ORDER: above it requests are not fought for. */
export const COSTLY_ORDER = 3;

/** Rows for LRU lists that each zone has: active and inactive first, see pressure/lru.ts. */
export const LRU_LISTS = 5;

/** Priority of a scan that is in no hurry. Linux: DEF_PRIORITY, include/linux/mmzone.h */
export const DEF_PRIORITY = 12;

/** CONFIG_PCP_BATCH_SCALE_MAX: how often a batch may double. */
export const SCALE_MAX = 5;
