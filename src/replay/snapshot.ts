/**
 * What a recorded snapshot holds, and the facts of its machine, in the shape a
 * replay starts from. Lists are in the kernel's order, head first.
 *
 *   Z   a zone's fields    F  a free list     P  a per-CPU list    C  a pageset's counters
 *
 * Linux: struct zone, struct free_area, struct per_cpu_pages, include/linux/mmzone.h
 */

export interface SnapZone {
  readonly node: number;
  readonly index: number;
  readonly name: string;
  readonly startPfn: number;
  /** Pages. */
  readonly spanned: number;
  readonly managed: number;
  readonly min: number;
  readonly low: number;
  readonly high: number;
  readonly promo: number;
  readonly boost: number;
  readonly highatomic: number;
  /** pageset_high; with tuned pagesets the highest. */
  readonly pagesetHigh: number;
}

export interface SnapFreeList {
  readonly node: number;
  readonly index: number;
  readonly order: number;
  /** The kernel's number. */
  readonly type: number;
  readonly pfns: readonly number[];
}

export interface SnapStock {
  readonly node: number;
  readonly index: number;
  readonly cpu: number;
  /** order * 3 + type for orders 0 to 3, then the lists of huge pages. */
  readonly list: number;
  readonly pfns: readonly number[];
}

export interface SnapCounters {
  readonly node: number;
  readonly index: number;
  readonly cpu: number;
  readonly count: number;
  readonly high: number;
  readonly batch: number;
  /** free_factor; free_count since 6.7. */
  readonly factor: number;
  /** Of tuned pagesets, null where the snapshot does not tell. Pages, but the factor. */
  readonly allocFactor: number | null;
  readonly highMin: number | null;
  readonly highMax: number | null;
}

export interface SnapBlocks {
  readonly pfn: number;
  readonly types: readonly number[];
  /** Whether compaction passes a block over; absent: none. */
  readonly skip?: readonly boolean[];
}

export interface ListSnapshot {
  /** The kernel's own lists; otherwise free pages and sums only, see start-from-flags.ts. */
  readonly exact: boolean;
  readonly pageblockOrder: number;
  /** Largest order, inclusive. */
  readonly maxOrder: number;
  readonly zones: readonly SnapZone[];
  readonly free: readonly SnapFreeList[];
  readonly pcp: readonly SnapStock[];
  readonly counters: readonly SnapCounters[];
  /** Migratetypes of neighbouring pageblocks from the first one's pfn on. */
  readonly blocks: readonly SnapBlocks[];
  /** Runs of pages whose owners let them be moved: page cache, anonymous, slab-less LRU. */
  readonly movable: readonly { readonly pfn: number; readonly pages: number }[];
  /** Runs of holes and of what the boot kept; null where nobody told. */
  readonly unmanaged: readonly { readonly pfn: number; readonly pages: number }[] | null;
}

export interface ZoneFacts {
  readonly node: number;
  readonly index: number;
  readonly name: string;
  /** `vm stats threshold`, pages. */
  readonly threshold: number;
}

export interface MachineFacts {
  /** Name of the allocator's era, e.g. "6.1". */
  readonly era: string;
  /** Upstream release, e.g. "6.1.176". */
  readonly upstream: string;
  readonly cma: boolean;
  readonly cpus: number;
  /** Node of each CPU; empty: all on the first. */
  readonly cpuNode: readonly number[];
  /** vm.lowmem_reserve_ratio. */
  readonly reserveRatios: readonly number[];
  /** Numeric sysctls of vm/ as captured, by name. */
  readonly sysctls: ReadonlyMap<string, readonly number[]>;
  /** Every zone as zoneinfo prints them, empty ones too. */
  readonly zones: readonly ZoneFacts[];
}
