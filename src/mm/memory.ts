/**
 * A memory: zones of page frames with all their state in one image.
 *
 * Frames are *rows*. Rows come in sections, whose bases are multiples of the
 * largest block, so the buddy of a block is an XOR on its row and holes cost
 * nothing. The first rows are list heads, not frames: a circular list through
 * `next` and `prev` then needs no test for its ends.
 *
 *   column    bytes  row
 *   next         4   link in the free or per-CPU list that this row is on
 *   prev         4   the same backwards
 *   state        1   kind in the high bits, order (or cached type) in the low four
 *
 * Only heads of blocks have a kind. What is inside a block is 0:
 *
 *   FREE    heads a free block of `order` on a free list
 *   EXTENT  heads a run of untouched largest blocks; its end is next[row + 1]
 *   PCP     on a per-CPU list; the low bits are the type it was freed with
 *   TAKEN   allocated, order in the low bits; MOBILE when its owner lets it move;
 *           with OWNED when a handle or an owner has it
 *
 * Zones, per-CPU lists and pageblocks are rows of words in regions of their own;
 * the constants below name the words.
 *
 * Linux: struct zone, struct per_cpu_pages, struct page, include/linux/mmzone.h
 */
import type { GfpEra } from "../kernels/gfp.ts";
import type { AllocRule } from "../kernels/gfp-alloc.ts";
import type { WatermarkRule } from "../kernels/watermark.ts";
import type { Buddy } from "./buddy.ts";
import type { Image } from "./image.ts";
import { type AllocatorRule, PCP_TYPES, RECLAIMABLE, TYPE_COUNT } from "./rule.ts";
import { ORDERS, PCP_HUGE_LIST, Z_ROW, Z_ROW_END, ZONE_WORDS } from "./words.ts";

export * from "./words.ts";

export interface ZoneSpec {
  /** As the kernel prints it: DMA, DMA32, Normal … */
  readonly name: string;
  readonly node: number;
  /** Position among the kernel's zones. */
  readonly index: number;
  readonly startPfn: number;
  /** Pages from start to end, holes included. */
  readonly spanned: number;
  /** RAM in pfns, sorted. */
  readonly ram: readonly { readonly start: number; readonly end: number }[];
}

export interface MemorySpec {
  readonly zones: readonly ZoneSpec[];
  readonly rule: AllocatorRule;
  readonly pageSize: number;
  /** Largest order of a block, inclusive: 10 with 4 KiB pages. */
  readonly maxOrder: number;
  readonly pageblockOrder: number;
  readonly cpus: number;
  /** Node of each CPU; all on the first node when empty. */
  readonly cpuNode: readonly number[];
  readonly shared: boolean;
  /** The kernel can lend CMA areas: movable requests then bypass the per-CPU lists without ALLOC_CMA. */
  readonly cma: boolean;
  /** Release whose GFP flags and rights count, e.g. "6.1.176". */
  readonly gfpVersion: string;
  /** Highest zone by the four zone bits. */
  readonly gfpZone: Int8Array;
  /** Real bytes by pfn, if any: a view that the caller may own. */
  readonly bytes: Uint8Array | null;
  readonly bytesPfn: number;
  /** Slots of the kmap pool where there is a HighMem zone: a power of two, 1024 by default. */
  readonly kmapSlots?: number;
}

/** Told by the engine what the kernel's tracepoints tell, as rows. */
export interface EventSink {
  /** A block left its free list by order and type, for a list or a request: mm_page_alloc_zone_locked. */
  refill(zone: number, row: number, order: number, type: number): void;
  drain(zone: number, row: number, order: number, type: number): void;
  extfrag(zone: number, row: number, order: number, from: number, type: number): void;
  /** kswapd of the zone is wanted, for zones up to the kernel's number `highest`. */
  wakeKswapd(zone: number, order: number, highest: number): void;
}

/** What the allocator asks when it has nothing. See `pressure/slow-path.ts`. */
export interface Pressure {
  /** A request of `order` up to zone index `highest`, which may wait or not, found a zone below its mark. */
  wake(zone: number, order: number, highest: number, waits: boolean): void;
  /**
   * Frees, moves and takes for a request that may wait, until there is a block or no hope: its row,
   * or -1. `allocFlags` are those of its last pass over `list`.
   */
  relieve(
    gfp: number,
    order: number,
    highest: number,
    type: number,
    list: number,
    allocFlags: number,
  ): number;
}

/** The bits that the hot path looks at, by the era's numbers, and the rules for the slow one. */
export interface GfpMasks {
  readonly era: GfpEra;
  readonly rule: AllocRule;
  /** Who wakes kswapd; 0 where everybody does (2.6). */
  readonly kswapd: number;
  readonly direct: number;
  /** Place of the bit __GFP_THISNODE; the sign where the era has none. */
  readonly thisnodeShift: number;
  readonly zero: number;
  /** __GFP_RECLAIMABLE where it is no neighbour of __GFP_MOVABLE (up to 4.3); else 0. */
  readonly reclaimable: number;
  /** Requests that try again beyond costly orders. */
  readonly retry: number;
  /** Who does not: __GFP_NORETRY. */
  readonly noretry: number;
}

/** One memory. Views are created once; every number of it lives in the image. */
export interface Memory {
  readonly image: Image;
  readonly rule: AllocatorRule;
  readonly pageSize: number;
  readonly maxOrder: number;
  readonly pageblockOrder: number;
  readonly zoneNames: readonly string[];
  /** Names by zone number. */
  readonly names: readonly string[];
  readonly zoneCount: number;
  readonly cpuCount: number;
  readonly cma: boolean;
  readonly sectionShift: number;
  readonly sectionMask: number;
  /** First frame row: those below are list heads. */
  readonly firstRow: number;
  readonly rows: number;
  /** Row of the first frame of a section by pfn >> sectionShift; -1 for none. */
  readonly sectionRow: Int32Array;
  /** pfn of the first frame of a section by row >> sectionShift. */
  readonly sectionPfn: Int32Array | Float64Array;
  readonly touched: Uint8Array;
  readonly next: Int32Array;
  readonly prev: Int32Array;
  readonly state: Uint8Array;
  /** Mobility type by row >> pageblockOrder. */
  readonly blockType: Uint8Array;
  /** Zone by row >> pageblockOrder; MIXED where a zone boundary cuts the block. */
  readonly blockZone: Uint16Array;
  readonly zone: Int32Array;
  readonly pcp: Int32Array;
  /** First list head row of the free lists, and of the per-CPU lists. */
  readonly freeHeads: number;
  readonly pcpHeads: number;
  /** First list head row of the LRU lists: active and inactive, zone by zone. */
  readonly lruHeads: number;
  /** zone_start_pfn by zone number: a double, as pfns outgrow a word. */
  readonly zoneStart: Float64Array;
  /** Sleepers by queue, for the page locks of all zones; see Z_WAIT. */
  readonly waitTable: Int32Array;
  /** The kmap pool; no words where no zone is HighMem. See `kmap.ts`. */
  readonly pkmap: Int32Array;
  /**
   * Zonelists end to end: a word of ALLOC_* flags that the list allows, zones
   * in the order they are tried, -1. `zonelistAt` has the start of each, by
   * (node, highest zone, this node only).
   */
  readonly zonelist: Int32Array;
  readonly zonelistAt: Int32Array;
  /**
   * What a request's low bits come to: list << 8 | highest zone << 4 | type, by
   * (node, gfp & 0x1f, this node only), 64 a node. See `requestOf`.
   */
  readonly requests: Int32Array;
  /** List of a pageset by order * 8 + type; -1 where blocks of the order are not kept. */
  readonly pcpListOf: Int8Array;
  /** Word of a pageset that every allocation from it halves: free_factor, free_count, or none. */
  readonly pcpHalved: number;
  /** Nodes in order, and each CPU's place among them. */
  readonly nodes: readonly number[];
  readonly cpuPlace: Int32Array;
  /** Highest zone by the four zone bits of a gfp mask. */
  readonly gfpZone: Int8Array;
  readonly gfp: GfpMasks;
  readonly marks: WatermarkRule;
  /**
   * Real bytes behind the frames, by pfn from `bytesPfn` on; null where there are
   * none. Replaced when the buffer under them is (a WebAssembly.Memory that grew).
   */
  bytes: Uint8Array | null;
  readonly bytesPfn: number;
  /** The CPU that calls: whose per-CPU lists are used. The caller sets it. */
  cpu: number;
  events: EventSink | null;
  /** Who frees pages for requests that may wait; null where nobody does. */
  pressure: Pressure | null;
  /** The buddy's functions, bound to this memory. */
  readonly buddy: Buddy;
  /** What the memory was laid out by. */
  readonly spec: MemorySpec;
  /** What the CPUs of a shared memory tell each other, by `share-words.ts`; null where one thread has it all. */
  readonly cpus: Int32Array | null;
  /**
   * By frame row in a shared memory: whose a page is, allocated or waiting on a
   * per-CPU list, as (CPU + 1) << 8 | order. No entries where one thread has it all.
   */
  readonly owner: Uint16Array;
  /** By frame row in a shared memory: the CPU that has the page locked, plus one. See `page-lock.ts`. */
  readonly pageLock: Uint8Array;
  /** By pageblock in a shared memory: how it differs from what was laid out. See `plugged.ts`. */
  readonly plugged: Uint8Array;
}

export const MIXED = 0xffff;

/** Row of the head of free list (zone, type, order). */
export function freeHead(zone: number, type: number, order: number): number {
  return (zone * TYPE_COUNT + type) * ORDERS + order;
}

/** Order of the blocks on a pageset's list: three types each of orders 0 to 3, then huge pages. */
export function pcpListOrder(m: Pick<Memory, "pageblockOrder">, list: number): number {
  return list >= PCP_HUGE_LIST ? m.pageblockOrder : Math.floor(list / PCP_TYPES);
}

/** The word of `requests` for a request of this CPU. */
export function requestOf(m: Memory, gfp: number): number {
  const node = (gfp >> m.gfp.thisnodeShift) & 1;
  const request = m.requests[(m.cpuPlace[m.cpu] << 6) + ((gfp & 0x1f) << 1) + node];
  return (gfp & m.gfp.reclaimable) === 0 ? request : (request & ~0xf) | RECLAIMABLE;
}

/** Row of a frame; -1 when the pfn is in no section. */
export function rowOf(m: Memory, pfn: number): number {
  if ((pfn | 0) !== pfn || pfn < 0) return farRowOf(m, pfn);
  const section = pfn >> m.sectionShift;
  if (section >= m.sectionRow.length) return -1;
  const base = m.sectionRow[section];
  return base < 0 ? base : base + (pfn & m.sectionMask);
}

/** The same for pfns beyond 2^31, 8 TiB. */
function farRowOf(m: Memory, pfn: number): number {
  const section = Math.floor(pfn / (m.sectionMask + 1));
  if (!(section >= 0 && section < m.sectionRow.length)) return -1;
  const base = m.sectionRow[section];
  return base < 0 ? base : base + (pfn - section * (m.sectionMask + 1));
}

/** pfn of a frame row. */
export function pfnOf(m: Memory, row: number): number {
  return m.sectionPfn[row >> m.sectionShift] + (row & m.sectionMask);
}

/** Zone number of a frame row; -1 for none. */
export function zoneOf(m: Memory, row: number): number {
  const zone = m.blockZone[row >> m.pageblockOrder];
  if (zone !== MIXED) return zone;
  for (let z = 0; z < m.zoneCount; z++) {
    const words = z * ZONE_WORDS;
    if (row >= m.zone[words + Z_ROW] && row < m.zone[words + Z_ROW_END]) return z;
  }
  return -1;
}
