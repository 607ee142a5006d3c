/**
 * Lays a memory out: regions, sections, pageblocks and zones, with nothing free
 * yet. `bootMemory` gives it its pages.
 *
 * Linux: free_area_init(), memmap_init(), mm/mm_init.c
 */
import { assert } from "../base/assert.ts";
import { gfpEra } from "../kernels/gfp.ts";
import { allocRuleOf } from "../kernels/gfp-alloc.ts";
import { watermarkRuleOf } from "../kernels/watermark.ts";
import { bindBuddy, type Unbound } from "./buddy.ts";
import {
  addChunkedRegion,
  addPassingRegion,
  addRegion,
  attachImage,
  createImage,
  type Image,
} from "./image.ts";
import { type Sizes, sizesOf } from "./lay-sizes.ts";
import {
  type GfpMasks,
  type Memory,
  type MemorySpec,
  MIXED,
  rowOf,
  type ZoneSpec,
} from "./memory.ts";
import { ISOLATE, MOVABLE, PCP_TYPES, TYPE_COUNT, UNMOVABLE } from "./rule.ts";
import { C_STATE, CPU_RUNNING, lineOf } from "./share-words.ts";
import { waitTableSize } from "./wait-table.ts";
import {
  COSTLY_ORDER,
  DEF_PRIORITY,
  ORDERS,
  P_FACTOR,
  P_FREE_COUNT,
  P_UNUSED,
  PCP_HUGE_LIST,
  PCP_WORDS,
  Z_INDEX,
  Z_NODE,
  Z_PRESENT,
  Z_PREV_PRIORITY,
  Z_ROW,
  Z_ROW_END,
  Z_SPANNED,
  Z_TEMP_PRIORITY,
  Z_WAIT,
  Z_WAIT_BITS,
  ZONE_WORDS,
} from "./words.ts";

/**
 * Lays out a memory with every zone empty: nothing is free yet. `bootMemory`
 * gives it its pages. Over the regions of a memory that another thread laid out
 * by the same spec, nothing is written.
 */
export function layMemory(
  spec: MemorySpec,
  given: ReadonlyMap<string, SharedArrayBuffer> | null = null,
): Memory {
  const { zones, maxOrder, pageblockOrder, cpus } = spec;
  const sizes = sizesOf(spec);
  const { shift, lruHeads, headSections, rows, nodes, zoneNames, lists, table } = sizes;
  const gfp = gfpMasks(spec.gfpVersion, spec.rule.mobility);
  const marks = watermarkRuleOf(spec.gfpVersion);
  assert(marks !== null, "no watermark rule for this version");
  const image = given === null ? createImage(spec.shared) : attachImage(given);
  const touched = bytes(image, "touched", rows >> shift);
  const int32 = (name: string, length: number): Int32Array =>
    new Int32Array(addRegion(image, name, length * 4).buffer);
  const unbound: Unbound = {
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
    sectionRow: int32("sectionRow", table),
    sectionPfn: sectionPfns(image, rows >> shift, table * 2 ** shift < 2 ** 31),
    touched,
    ...frameColumns(image, rows, shift, touched, spec.shared),
    blockType: bytes(image, "blockType", rows >> pageblockOrder),
    plugged: bytes(image, "plugged", spec.shared ? rows >> pageblockOrder : 0),
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
    marks,
    bytes: spec.bytes,
    bytesPfn: spec.bytesPfn,
    cpu: 0,
    events: null,
    pressure: null,
    spec,
    cpus: cpuLines(image, spec),
  };
  const m: Memory = Object.assign(unbound, { buddy: bindBuddy(unbound) });
  if (given === null) fillIn(m, spec, sizes);
  return m;
}

/** What is not zero in a memory that has no pages yet. */
function fillIn(m: Memory, spec: MemorySpec, sizes: Sizes): void {
  const { sections, shift, headSections, headRows, nodes } = sizes;
  m.sectionRow.fill(-1);
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
  m.touched.fill(1, 0, headSections);
  m.blockType.fill(spec.rule.mobility ? MOVABLE : UNMOVABLE);
  m.blockZone.fill(MIXED);
  for (const [z, zone] of spec.zones.entries()) layZone(m, zone, z);
  if (spec.rule.mobility) layCutBlocks(m, spec.zones);
  if (m.cpus !== null) m.cpus[lineOf(0) + C_STATE] = CPU_RUNNING;
}

/** Columns of the frame table; whose a page is only matters to several. */
function frameColumns(
  image: Image,
  rows: number,
  shift: number,
  touched: Uint8Array,
  shared: boolean,
): Pick<Memory, "next" | "prev" | "state" | "owner" | "pageLock"> {
  const column = (name: string, log: number): ArrayBufferLike =>
    addChunkedRegion(image, name, rows * 2 ** log, shift + log, touched).buffer;
  return {
    next: new Int32Array(column("next", 2)),
    prev: new Int32Array(column("prev", 2)),
    state: new Uint8Array(column("state", 0)),
    owner: shared ? new Uint16Array(column("owner", 1)) : new Uint16Array(0),
    pageLock: shared ? new Uint8Array(column("pageLock", 0)) : new Uint8Array(0),
  };
}

/** `owner` and `pageLock` have a byte for a CPU's number plus one. */
const SHARED_CPUS_MAX = 255;

function cpuLines(image: Image, { shared, cpus }: MemorySpec): Int32Array | null {
  assert(!shared || cpus <= SHARED_CPUS_MAX, "a shared memory has 255 CPUs at most", cpus);
  return shared ? new Int32Array(addPassingRegion(image, "cpus", lineOf(cpus) * 4).buffer) : null;
}

function bytes(image: Image, name: string, length: number): Uint8Array {
  return new Uint8Array(addRegion(image, name, length).buffer);
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
  // HighAtomic and CMA pages wait among the movable ones, isolated ones nowhere.
  for (let type = 0; type < ISOLATE; type++) {
    const kept = type < PCP_TYPES ? type : MOVABLE;
    for (let order = 0; order <= rule.pcpOrderMax; order++) {
      lists[order * 8 + type] = order * PCP_TYPES + kept;
    }
    if (rule.pcpHuge && pageblockOrder > COSTLY_ORDER) {
      lists[pageblockOrder * 8 + type] = PCP_HUGE_LIST + (kept === MOVABLE ? 1 : 0);
    }
  }
  return lists;
}

function gfpMasks(version: string, mobility: boolean): GfpMasks {
  const era = gfpEra(version);
  const rule = allocRuleOf(version);
  assert(rule !== null, "no allocation rule for this version");
  const bit = (name: string): number => era.bits.get(`__GFP_${name}`) ?? 0;
  return {
    era,
    rule,
    kswapd: bit("KSWAPD_RECLAIM"),
    direct: bit("DIRECT_RECLAIM") | bit("WAIT"),
    thisnodeShift: bit("THISNODE") === 0 ? 31 : 31 - Math.clz32(bit("THISNODE")),
    zero: bit("ZERO"),
    noretry: bit("NORETRY"),
    reclaimable: mobility && bit("RECLAIMABLE") !== 0x10 ? bit("RECLAIMABLE") : 0,
    retry: bit("RETRY_MAYFAIL") | bit("NOFAIL") | bit("REPEAT"),
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
