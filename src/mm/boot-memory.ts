/**
 * Memory as a boot leaves it: zones with their free pages, marks, reserves and
 * pagesets. Whole largest blocks that nobody has touched stay one extent in the
 * free list, so a terabyte costs as little as a gigabyte.
 *
 * Linux: memblock_free_all(), __free_pages_core(), init_per_zone_wmark_min(), mm/page_alloc.c
 */
import { assert } from "../base/assert.ts";
import { clip, type Range, rangeList, totalLength } from "../base/range.ts";
import { giveBlock, linkHead } from "./buddy.ts";
import { gfpZoneTable } from "./gfp.ts";
import { ALLOC_NOFRAGMENT } from "./gfp-alloc.ts";
import {
  EXTENT,
  FREE,
  freeHead,
  layMemory,
  type Memory,
  P_BATCH,
  P_HIGH,
  P_HIGH_MAX,
  P_HIGH_MIN,
  PCP_WORDS,
  rowOf,
  Z_BLOCKS,
  Z_BOOST,
  Z_FREE,
  Z_HIGH,
  Z_INDEX,
  Z_LOW,
  Z_MANAGED,
  Z_MIN,
  Z_NODE,
  Z_ORDERS_OF,
  Z_PROMO,
  Z_RESERVE,
  Z_THRESHOLD,
  ZONE_WORDS,
  type ZoneSpec,
} from "./memory.ts";
import { pagesetSize } from "./pageset.ts";
import { defaultReserveRatios, lowmemReserve } from "./protection.ts";
import { type AllocatorRule, allocatorRule, RECLAIMABLE, RULE_6_1 } from "./rule.ts";
import { defaultMinFreeKbytes, zoneMarks } from "./watermark.ts";
import { nodeFallbackOrders, zonelist } from "./zonelist.ts";

/** One zone of `bootMemory`. */
export interface BootZone {
  /** DMA, DMA32, Normal, HighMem, Movable, or any name of your own. */
  readonly name: string;
  /** Node; 0 by default. */
  readonly node?: number;
  readonly startPfn: number;
  /** Pages from `startPfn` on. */
  readonly pages: number;
  /** Pages that are not RAM, or that nobody may allocate: pfns, half-open. */
  readonly holes?: readonly Range[];
}

export interface BootOptions {
  /** Lowest zone first within each node; a name stands for the same position on every node. */
  readonly zones: readonly BootZone[];
  /** "2.6", "5.10", "6.1" or "6.12"; 6.1 by default. */
  readonly era?: string;
  /** 4096 by default. */
  readonly pageSize?: number;
  /** Largest order, inclusive; 10 by default. */
  readonly maxOrder?: number;
  /** Order of a pageblock; 9 by default, never above the largest order. */
  readonly pageblockOrder?: number;
  readonly cpus?: number;
  /** Node of each CPU. */
  readonly cpuNode?: readonly number[];
  /** State in SharedArrayBuffers. */
  readonly shared?: boolean;
  /** KiB; by the kernel's square root by default. 0 keeps nothing back. */
  readonly minFreeKbytes?: number;
  readonly watermarkScaleFactor?: number;
  readonly lowmemReserveRatio?: readonly number[];
  /** Keeps per-CPU shares of the free count back, as SMP kernels do; exact counts by default. */
  readonly drift?: boolean;
  /** Factor in ten-thousandths; what the era has by default. */
  readonly watermarkBoostFactor?: number;
  /** Real bytes, and the pfn of their first page. */
  readonly bytes?: Uint8Array;
  readonly bytesPfn?: number;
  /** Highest zone by the four zone bits of a request; by the zones' names, as Linux, by default. */
  readonly gfpZone?: Int8Array;
  /** Slots of the kmap pool of a memory with HighMem: 1024 by default, 512 with PAE. */
  readonly kmapSlots?: number;
}

/** GFP flags and rights of each allocator rule. */
const GFP_VERSION: ReadonlyMap<string, string> = new Map([
  ["2.6", "2.6.18"],
  ["5.10", "5.10"],
  ["6.1", "6.1.176"],
  ["6.12", "6.12.95"],
]);

/** Builds a memory and frees all its pages to it. Throws only on a caller's mistake. */
export function bootMemory(options: BootOptions): Memory {
  const rule = ruleOf(options);
  const zones = zoneSpecs(options.zones);
  const maxOrder = options.maxOrder ?? 10;
  const m = layMemory({
    zones,
    rule,
    pageSize: options.pageSize ?? 4096,
    maxOrder,
    pageblockOrder: Math.min(options.pageblockOrder ?? 9, maxOrder),
    cpus: options.cpus ?? 1,
    cpuNode: options.cpuNode ?? [],
    shared: options.shared ?? false,
    cma: false,
    gfpVersion: GFP_VERSION.get(rule.name) ?? "6.1.176",
    gfpZone: options.gfpZone ?? gfpZoneTable(zoneNames(zones)),
    bytes: options.bytes ?? null,
    bytesPfn: options.bytesPfn ?? 0,
    ...(options.kmapSlots === undefined ? {} : { kmapSlots: options.kmapSlots }),
  });
  zones.forEach((zone, z) => {
    freeToZone(m, z, zone.ram);
  });
  buildZonelists(m, zones);
  setMarks(m, options);
  return m;
}

function ruleOf(options: BootOptions): AllocatorRule {
  const rule = options.era === undefined ? RULE_6_1 : allocatorRule(options.era);
  assert(rule !== undefined, "era is not one of 2.6, 5.10, 6.1, 6.12");
  const boostFactor = options.watermarkBoostFactor ?? rule.boostFactor;
  return { ...rule, boostFactor };
}

function zoneSpecs(zones: readonly BootZone[]): ZoneSpec[] {
  const names = [...new Set(zones.map((zone) => zone.name))];
  return zones.map((zone): ZoneSpec => {
    const { name, startPfn, pages } = zone;
    const end = startPfn + pages;
    const holes = rangeList(zone.holes ?? []);
    const whole: Range = { start: startPfn, end };
    const ram = pages === 0 ? [] : without(whole, holes);
    return {
      name,
      node: zone.node ?? 0,
      index: names.indexOf(name),
      startPfn,
      spanned: pages,
      ram,
    };
  });
}

function without(whole: Range, holes: readonly Range[]): Range[] {
  const ram: Range[] = [];
  let start = whole.start;
  for (const hole of clip(holes, whole.start, whole.end)) {
    if (hole.start > start) ram.push({ start, end: hole.start });
    start = hole.end;
  }
  if (start < whole.end) ram.push({ start, end: whole.end });
  return ram;
}

function zoneNames(zones: readonly ZoneSpec[]): string[] {
  return [...new Set(zones.map((zone) => zone.name))];
}

/**
 * Hands ranges of pfns to a zone's free lists, in ascending order as memblock
 * does, each block queued last. Linux: __free_memory_core(), __free_pages_memory()
 */
export function freeToZone(m: Memory, zone: number, ranges: readonly Range[]): void {
  const largest = 2 ** m.maxOrder;
  for (const { start, end } of ranges) {
    let pfn = start;
    while (pfn < end) {
      const run = pfn % largest === 0 ? Math.floor((end - pfn) / largest) : 0;
      if (run > 0 && m.rule.tailWhenMergeLikely) {
        pfn += linkExtents(m, zone, pfn, run) * largest;
        continue;
      }
      let order = pfn === 0 ? m.maxOrder : Math.min(m.maxOrder, trailingZeros(pfn));
      while (pfn + 2 ** order > end) order--;
      const row = rowOf(m, pfn);
      m.touched[row >> m.sectionShift] = 1;
      const type = m.blockType[row >> m.pageblockOrder];
      if (m.rule.tailWhenMergeLikely) giveBlock(m, zone, row, order, type, true);
      else giveFirst(m, zone, row, order, type);
      pfn += 2 ** order;
    }
  }
  const words = zone * ZONE_WORDS;
  m.zone[words + Z_FREE] += totalLength(ranges);
  m.zone[words + Z_MANAGED] += totalLength(ranges);
}

/** Before 5.10 freed pages went to the head of their list: later memory is used first. */
function giveFirst(m: Memory, zone: number, row: number, order: number, type: number): void {
  if (order === m.maxOrder) linkHead(m, zone, row, order, type);
  else giveBlock(m, zone, row, order, type, false);
}

function trailingZeros(pfn: number): number {
  let zeros = 0;
  for (let rest = pfn; rest % 2 === 0 && zeros < 31; rest /= 2) zeros++;
  return zeros;
}

/**
 * Queues whole largest blocks as extents: one for each run of neighbouring
 * sections. Returns how many blocks went in: all, or up to where rows jump.
 */
function linkExtents(m: Memory, zone: number, pfn: number, blocks: number): number {
  const size = 1 << m.maxOrder;
  const row = rowOf(m, pfn);
  const type = m.blockType[row >> m.pageblockOrder];
  let count = 1;
  // Rows follow pfns through neighbouring sections, and types are alike until told otherwise.
  while (count < blocks && rowOf(m, pfn + count * size) === row + count * size) count++;
  const head = freeHead(zone, type, m.maxOrder);
  const last = m.prev[head];
  m.touched[row >> m.sectionShift] = 1;
  m.next[row] = head;
  m.prev[row] = last;
  m.next[last] = row;
  m.prev[head] = row;
  const words = zone * ZONE_WORDS;
  if (count === 1) m.state[row] = FREE | m.maxOrder;
  else {
    m.state[row] = EXTENT | m.maxOrder;
    m.next[row + 1] = row + count * size;
  }
  m.zone[words + Z_BLOCKS + m.maxOrder] += count;
  m.zone[words + Z_ORDERS_OF + type] |= 1 << m.maxOrder;
  return count;
}

/** Every node's lists, to every highest zone, with and without other nodes. */
export function buildZonelists(m: Memory, zones: readonly ZoneSpec[]): void {
  const populated = zones.flatMap((zone) => (zone.ram.length > 0 ? [zone] : []));
  const withMemory = [...new Set(populated.map((zone) => zone.node))];
  const orders = nodeFallbackOrders(m.nodes, {
    nodes: withMemory,
    distance: (from, to) => (from === to ? 10 : 20),
    hasCpus: () => false,
  });
  let at = 0;
  m.nodes.forEach((node, place) => {
    const refs = zonelist(orders.get(node) ?? [node], populated);
    for (let highest = 0; highest < m.zoneNames.length; highest++) {
      for (const thisNode of [0, 1]) {
        m.zonelistAt[(place * m.zoneNames.length + highest) * 2 + thisNode] = at;
        const flags = at++;
        for (const ref of refs) {
          if (ref.index > highest || (thisNode === 1 && ref.node !== node)) continue;
          m.zonelist[at++] = zones.findIndex((z) => z.node === ref.node && z.index === ref.index);
        }
        m.zonelist[at++] = -1;
        m.zonelist[flags] = nofragment(m, zones, m.zonelist[flags + 1]);
      }
    }
    for (let bits = 0; bits < 64; bits++) {
      const gfp = bits >> 1;
      const highest = m.gfpZone[gfp & 0xf];
      const list = m.zonelistAt[(place * m.zoneNames.length + highest) * 2 + (bits & 1)];
      // Both mobility bits together are a mistake that the kernel only warns of.
      const type = m.rule.mobility ? Math.min(gfp >> 3, RECLAIMABLE) : 0;
      m.requests[place * 64 + bits] = (list << 8) | (highest << 4) | type;
    }
  });
}

/**
 * Whether a list that prefers `zone` tries lower zones before types mix: only
 * from Normal, and on several nodes only beside a DMA32 zone with memory.
 *
 * Linux: alloc_flags_nofragment(), mm/page_alloc.c
 */
function nofragment(m: Memory, zones: readonly ZoneSpec[], zone: number): number {
  const preferred = zones[zone];
  if (!m.rule.nofragment || preferred?.name !== "Normal") return 0;
  const below = zones.find((own) => own.node === preferred.node && own.name === "DMA32");
  if (below === undefined || (m.nodes.length > 1 && below.ram.length === 0)) return 0;
  return ALLOC_NOFRAGMENT;
}

/** Settings that marks, reserves and pagesets follow from; see `BootOptions`. */
export type MarkOptions = Pick<
  BootOptions,
  "minFreeKbytes" | "watermarkScaleFactor" | "lowmemReserveRatio" | "drift"
>;

/** Computes marks, reserves and pageset sizes anew from what the zones manage. */
export function setMarks(m: Memory, options: MarkOptions): void {
  const managed = Array.from(m.names, (_, z) => m.zone[z * ZONE_WORDS + Z_MANAGED]);
  const special = m.names.map((name) => name === "HighMem");
  const lowmem = managed.reduce((sum, pages, z) => sum + (special[z] ? 0 : pages), 0);
  const minFreeKbytes =
    options.minFreeKbytes ?? defaultMinFreeKbytes(lowmem, m.pageSize, MIN_FREE_KBYTES_MAX);
  const marks = zoneMarks(
    managed.map((pages, z) => ({ managed: pages, special: special[z] ?? false })),
    {
      minFreeKbytes,
      watermarkScaleFactor: options.watermarkScaleFactor ?? 10,
      pageSize: m.pageSize,
    },
  );
  marks.forEach(({ min, low, high, promo }, z) => {
    const words = z * ZONE_WORDS;
    // A memory without a reserve has none at all: not even the gap above min.
    const none = options.minFreeKbytes === 0;
    m.zone[words + Z_MIN] = none ? 0 : min;
    m.zone[words + Z_LOW] = none ? 0 : low;
    m.zone[words + Z_HIGH] = none ? 0 : high;
    m.zone[words + Z_PROMO] = none ? 0 : promo;
    m.zone[words + Z_BOOST] = 0;
    m.zone[words + Z_THRESHOLD] = options.drift === true ? driftThreshold(m, managed[z]) : 0;
  });
  setReserves(m, managed, options.lowmemReserveRatio ?? defaultReserveRatios(m.zoneNames));
  setPagesets(m, managed);
}

/** Upper clamp of min_free_kbytes. Linux: calculate_min_free_kbytes() */
const MIN_FREE_KBYTES_MAX = 262144;

/** Linux: calculate_normal_threshold(), mm/vmstat.c */
function driftThreshold(m: Memory, managed: number): number {
  const fls = (n: number): number => 32 - Math.clz32(n);
  const blocks = Math.floor((managed * m.pageSize) / 2 ** 27);
  return Math.min(125, 2 * fls(m.cpuCount) * (1 + fls(blocks)));
}

function setReserves(m: Memory, managed: readonly number[], ratios: readonly number[]): void {
  for (const node of m.nodes) {
    const own = m.zoneNames.map((_, index) => zoneAt(m, node, index));
    const rows = lowmemReserve(
      own.map((z) => (z < 0 ? 0 : (managed[z] ?? 0))),
      ratios,
    );
    rows.forEach((row, index) => {
      const z = own[index] ?? -1;
      if (z >= 0) m.zone.set(row.slice(0, 8), z * ZONE_WORDS + Z_RESERVE);
    });
  }
}

/** Zone number by node and index, -1 for none. */
function zoneAt(m: Memory, node: number, index: number): number {
  for (let z = 0; z < m.zoneCount; z++) {
    if (m.zone[z * ZONE_WORDS + Z_NODE] === node && m.zone[z * ZONE_WORDS + Z_INDEX] === index)
      return z;
  }
  return -1;
}

function setPagesets(m: Memory, managed: readonly number[]): void {
  const rule = m.rule;
  const policy = {
    pageset: {
      high: rule.pcp === "batch" ? ("six-batches" as const) : ("low-mark" as const),
      tuned: rule.pcp === "tuned",
      fractionSysctl: "percpu_pagelist_high_fraction" as const,
    },
  };
  for (let z = 0; z < m.zoneCount; z++) {
    const place = m.nodes.indexOf(m.zone[z * ZONE_WORDS + Z_NODE]);
    const own = m.cpuPlace.filter((at) => at === place).length;
    const size = pagesetSize(
      {
        managed: managed[z] ?? 0,
        lowMark: m.zone[z * ZONE_WORDS + Z_LOW],
        cpus: own > 0 ? own : m.cpuCount,
        pageSize: m.pageSize,
        fraction: 0,
      },
      policy,
    );
    for (let cpu = 0; cpu < m.cpuCount; cpu++) {
      const words = (z * m.cpuCount + cpu) * PCP_WORDS;
      m.pcp[words + P_HIGH] = size.high;
      m.pcp[words + P_BATCH] = size.batch;
      m.pcp[words + P_HIGH_MIN] = size.tunedTo?.min ?? size.high;
      m.pcp[words + P_HIGH_MAX] = size.tunedTo?.max ?? size.high;
    }
  }
}
