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
 *   TAKEN   allocated, order in the low bits; MOBILE when its owner lets it move
 *
 * Zones, per-CPU lists and pageblocks are rows of words in regions of their own;
 * the constants below name the words.
 *
 * Linux: struct zone, struct per_cpu_pages, struct page, include/linux/mmzone.h
 */
import { assert } from "../base/assert.ts";
import { type GfpEra, gfpEra } from "../kernels/gfp.ts";
import { type AllocRule, allocRuleOf } from "../kernels/gfp-alloc.ts";
import { addChunkedRegion, addRegion, createImage, type Image } from "./image.ts";
import { type AllocatorRule, ISOLATE, MOVABLE, PCP_TYPES, TYPE_COUNT, UNMOVABLE } from "./rule.ts";
import { waitTableSize } from "./wait-table.ts";
import type { WatermarkRule } from "./zone-watermark.ts";

export const KIND_MASK = 0xf0;
export const ORDER_MASK = 0x0f;
export const FREE = 0x10;
export const EXTENT = 0x20;
export const PCP = 0x30;
export const TAKEN = 0x40;
/** TAKEN, and the owner agrees to the frame being moved (LRU pages and the like). */
export const MOBILE = 0x50;

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
export const PCP_WORDS = 16;

/** Lists of a pageset: order * 3 + type for orders 0 to 3, then huge pages not movable, movable. */
export const PCP_LISTS = 14;
export const PCP_HUGE_LIST = 12;
/** PAGE_ALLOC_COSTLY_ORDER: above it requests are not fought for. */
export const COSTLY_ORDER = 3;

/** LRU lists of a zone: active, inactive. */
export const LRU_LISTS = 2;

/** Priority of a scan that is in no hurry. Linux: DEF_PRIORITY, include/linux/mmzone.h */
const DEF_PRIORITY = 12;

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
  wakeKswapd(zone: number, order: number): void;
}

/** The bits that the hot path looks at, by the era's numbers, and the rules for the slow one. */
export interface GfpMasks {
  readonly era: GfpEra;
  readonly rule: AllocRule;
  readonly kswapd: number;
  readonly direct: number;
  /** Place of the bit __GFP_THISNODE; the sign where the era has none. */
  readonly thisnodeShift: number;
  readonly zero: number;
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
}

export const MIXED = 0xffff;

/** Row of the head of free list (zone, type, order). */
export function freeHead(zone: number, type: number, order: number): number {
  return (zone * TYPE_COUNT + type) * ORDERS + order;
}

/** The word of `requests` for a request of this CPU. */
export function requestOf(m: Memory, gfp: number): number {
  const node = (gfp >> m.gfp.thisnodeShift) & 1;
  return m.requests[(m.cpuPlace[m.cpu] << 6) + ((gfp & 0x1f) << 1) + node];
}

/** Row of a frame; -1 when the pfn is in no section. */
export function rowOf(m: Memory, pfn: number): number {
  if ((pfn | 0) !== pfn || pfn < 0) return farRowOf(m, pfn);
  const section = pfn >> m.sectionShift;
  if (section >= m.sectionRow.length) return -1;
  const base = m.sectionRow[section];
  return base < 0 ? -1 : base + (pfn & m.sectionMask);
}

/** The same for pfns beyond 2^31, 8 TiB. */
function farRowOf(m: Memory, pfn: number): number {
  const section = Math.floor(pfn / (m.sectionMask + 1));
  if (!(section >= 0 && section < m.sectionRow.length)) return -1;
  const base = m.sectionRow[section];
  return base < 0 ? -1 : base + (pfn - section * (m.sectionMask + 1));
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

/** Sections of 128 MiB as Linux has them, smaller ones for small memories. */
const SECTION_SHIFT_MAX = 15;

/**
 * Lays out a memory with every zone empty: nothing is free yet. `bootMemory`
 * gives it its pages.
 */
export function layMemory(spec: MemorySpec): Memory {
  const { zones, maxOrder, pageblockOrder, cpus } = spec;
  assert(zones.length > 0, "a memory needs a zone");
  assert(maxOrder >= pageblockOrder && maxOrder < ORDERS, "largest order out of range", maxOrder);
  assert(pageblockOrder >= 1, "a pageblock has two pages at least", pageblockOrder);
  const shift = sectionShiftFor(spec);
  const lruHeads = zones.length * TYPE_COUNT * ORDERS + zones.length * cpus * PCP_LISTS;
  const headRows = lruHeads + zones.length * LRU_LISTS;
  const sections = sectionsOf(zones, shift);
  const headSections = Math.ceil(headRows / 2 ** shift);
  const rows = (headSections + sections.length) * 2 ** shift;
  assert(rows < 2 ** 31, "more than 2^31 frames cannot be indexed", rows);
  const nodes = [...new Set(zones.map((zone) => zone.node))].sort((a, b) => a - b);
  const zoneNames = namesByIndex(zones);
  const lists = nodes.length * zoneNames.length * 2;
  const gfp = gfpMasks(spec.gfpVersion);
  const image = createImage(spec.shared);
  const touched = bytes(image, "touched", rows >> shift);
  const table = (sections.at(-1) ?? -1) + 1;
  const int32 = (name: string, length: number): Int32Array =>
    new Int32Array(addRegion(image, name, length * 4).buffer);
  const m: Memory = {
    image,
    rule: spec.rule,
    pageSize: spec.pageSize,
    maxOrder,
    pageblockOrder,
    zoneNames,
    names: zones.map((zone) => zone.name),
    zoneCount: zones.length,
    cpuCount: cpus,
    cma: spec.cma,
    sectionShift: shift,
    sectionMask: 2 ** shift - 1,
    firstRow: headSections * 2 ** shift,
    rows,
    sectionRow: int32("sectionRow", table).fill(-1),
    sectionPfn: sectionPfns(image, rows >> shift, table * 2 ** shift < 2 ** 31),
    touched,
    next: new Int32Array(addChunkedRegion(image, "next", rows * 4, shift + 2, touched).buffer),
    prev: new Int32Array(addChunkedRegion(image, "prev", rows * 4, shift + 2, touched).buffer),
    state: new Uint8Array(addChunkedRegion(image, "state", rows, shift, touched).buffer),
    blockType: bytes(image, "blockType", rows >> pageblockOrder),
    blockZone: new Uint16Array(addRegion(image, "blockZone", (rows >> pageblockOrder) * 2).buffer),
    zone: int32("zone", zones.length * ZONE_WORDS),
    pcp: int32("pcp", zones.length * cpus * PCP_WORDS),
    freeHeads: 0,
    pcpHeads: zones.length * TYPE_COUNT * ORDERS,
    lruHeads,
    zoneStart: new Float64Array(addRegion(image, "zoneStart", zones.length * 8).buffer),
    waitTable: int32(
      "waitTable",
      zones.reduce((queues, zone) => queues + waitTableSize(zone.spanned), 0),
    ),
    pkmap: int32("pkmap", pkmapWords(spec)),
    zonelist: int32("zonelist", lists * (zones.length + 2)),
    zonelistAt: int32("zonelistAt", lists),
    requests: int32("requests", nodes.length * 64),
    pcpListOf: pcpLists(spec),
    pcpHalved: HALVED_WORD[spec.rule.pcp],
    nodes,
    cpuPlace: int32("cpuPlace", cpus),
    gfpZone: spec.gfpZone,
    gfp,
    marks: {
      harderAlone: gfp.rule.harderBy !== "no-direct-reclaim",
      watermark: spec.rule.watermark,
    },
    bytes: spec.bytes,
    bytesPfn: spec.bytesPfn,
    cpu: 0,
    events: null,
  };
  sections.forEach((section, i) => {
    const row = (headSections + i) * 2 ** shift;
    m.sectionRow[section] = row;
    m.sectionPfn[row >> shift] = section * 2 ** shift;
  });
  for (let head = 0; head < headRows; head++) {
    m.next[head] = head;
    m.prev[head] = head;
  }
  spec.cpuNode.forEach((node, cpu) => {
    m.cpuPlace[cpu] = Math.max(0, nodes.indexOf(node));
  });
  touched.fill(1, 0, headSections);
  m.blockType.fill(spec.rule.mobility ? MOVABLE : UNMOVABLE);
  m.blockZone.fill(MIXED);
  for (const [z, zone] of zones.entries()) layZone(m, zone, z);
  if (spec.rule.mobility) layCutBlocks(m, zones);
  return m;
}

function bytes(image: Image, name: string, length: number): Uint8Array {
  return new Uint8Array(addRegion(image, name, length).buffer);
}

/** As large as Linux's, but not larger than the memory needs, and never below the largest block. */
function sectionShiftFor(spec: MemorySpec): number {
  let pages = 1;
  for (const { ram } of spec.zones) for (const { start, end } of ram) pages += end - start;
  const needed = Math.ceil(Math.log2(pages));
  return Math.max(spec.maxOrder, Math.min(SECTION_SHIFT_MAX, needed));
}

/** Numbers of the sections that hold RAM, ascending. */
function sectionsOf(zones: readonly ZoneSpec[], shift: number): number[] {
  const found = new Set<number>();
  const size = 2 ** shift;
  for (const { ram } of zones) {
    for (const { start, end } of ram) {
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

/** P_UNUSED stays 0, and so does half of it. */
const HALVED_WORD = { factor: P_FACTOR, tuned: P_FREE_COUNT, batch: P_UNUSED } as const;

/** Integers while they fit: the hot path then never leaves them. */
function sectionPfns(image: Image, sections: number, fits: boolean): Int32Array | Float64Array {
  const { buffer } = addRegion(image, "sectionPfn", sections * 8);
  return fits ? new Int32Array(buffer, 0, sections) : new Float64Array(buffer);
}

/** Which list of a pageset serves (order, type): index by order * 8 + type. Linux: order_to_pindex() */
function pcpLists({ rule, pageblockOrder }: MemorySpec): Int8Array {
  const lists = new Int8Array(ORDERS * 8).fill(-1);
  for (let type = 0; type < TYPE_COUNT; type++) {
    // HighAtomic and CMA pages wait among the movable ones.
    const kept = type < PCP_TYPES ? type : MOVABLE;
    for (let order = 0; order <= rule.pcpOrderMax; order++) {
      lists[order * 8 + type] = order * PCP_TYPES + kept;
    }
    if (rule.pcpHuge && pageblockOrder > COSTLY_ORDER) {
      lists[pageblockOrder * 8 + type] = PCP_HUGE_LIST + (kept === MOVABLE ? 1 : 0);
    }
  }
  for (let order = 0; order < ORDERS; order++) lists[order * 8 + ISOLATE] = -1;
  return lists;
}

function gfpMasks(version: string): GfpMasks {
  const era = gfpEra(version);
  const rule = allocRuleOf(version);
  assert(rule !== null, "no allocation rule for this version");
  const bit = (name: string): number => era.bits.get(`__GFP_${name}`) ?? 0;
  return {
    era,
    rule,
    kswapd: bit("KSWAPD_RECLAIM") | bit("WAIT"),
    direct: bit("DIRECT_RECLAIM") | bit("WAIT"),
    thisnodeShift: bit("THISNODE") === 0 ? 31 : 31 - Math.clz32(bit("THISNODE")),
    zero: bit("ZERO"),
  };
}

/** LAST_PKMAP without PAE; 512 with it. Linux: arch/x86/include/asm/pgtable_32_areas.h */
const KMAP_SLOTS = 1024;

/** The slot used last, then mappings and frame row of each slot. */
function pkmapWords(spec: MemorySpec): number {
  const slots = spec.kmapSlots ?? KMAP_SLOTS;
  assert(slots > 0 && (slots & (slots - 1)) === 0, "kmap slots are a power of two", slots);
  return spec.zones.some((zone) => zone.name === "HighMem") ? 1 + slots * 2 : 0;
}

/** A zone's own words and the pageblocks it owns. Rows are as sorted as pfns. */
function layZone(m: Memory, spec: ZoneSpec, z: number): void {
  const words = z * ZONE_WORDS;
  const first = spec.ram[0];
  const last = spec.ram.at(-1);
  m.zone[words + Z_INDEX] = spec.index;
  m.zone[words + Z_NODE] = spec.node;
  m.zone[words + Z_SPANNED] = spec.spanned;
  m.zone[words + Z_TEMP_PRIORITY] = DEF_PRIORITY;
  m.zone[words + Z_PREV_PRIORITY] = DEF_PRIORITY;
  m.zone[words + Z_WAIT_BITS] = Math.log2(waitTableSize(spec.spanned));
  if (z > 0) {
    const before = words - ZONE_WORDS;
    m.zone[words + Z_WAIT] = m.zone[before + Z_WAIT] + 2 ** m.zone[before + Z_WAIT_BITS];
  }
  m.zoneStart[z] = spec.startPfn;
  if (first === undefined || last === undefined) return;
  const row = rowOf(m, first.start);
  const end = rowOf(m, last.end - 1) + 1;
  m.zone[words + Z_ROW] = row;
  m.zone[words + Z_ROW_END] = end;
  for (const { start, end: stop } of spec.ram) m.zone[words + Z_PRESENT] += stop - start;
  const block = m.pageblockOrder;
  for (const { start, end: stop } of spec.ram) {
    // Only whole blocks have one owner; a cut block is looked up by rows.
    const from = Math.ceil(start / 2 ** block);
    const to = Math.floor(stop / 2 ** block);
    for (let b = from; b < to; ) {
      const at = rowOf(m, b * 2 ** block);
      const left = Math.min(
        to - b,
        ((1 << m.sectionShift) - (at & ((1 << m.sectionShift) - 1))) >> block,
      );
      m.blockZone.fill(z, at >> block, (at >> block) + left);
      b += left;
    }
  }
}

/**
 * A pageblock whose first page is no RAM was never given the Movable type at boot.
 * Linux: memmap_init_range(), mm/mm_init.c
 */
function layCutBlocks(m: Memory, zones: readonly ZoneSpec[]): void {
  const size = 2 ** m.pageblockOrder;
  for (const { startPfn } of zones) {
    const first = Math.floor(startPfn / size) * size;
    const row = rowOf(m, startPfn);
    if (first === startPfn || row < 0) continue;
    const isRam = zones.some(({ ram }) => ram.some((own) => own.start <= first && first < own.end));
    if (!isRam) m.blockType[row >> m.pageblockOrder] = UNMOVABLE;
  }
}
