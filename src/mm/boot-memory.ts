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
import { buildZonelists } from "./build-zonelists.ts";
import { gfpZoneTable } from "./gfp.ts";
import { layMemory } from "./lay-memory.ts";
import { type MarkOptions, setMarks } from "./marks.ts";
import {
  EXTENT,
  FREE,
  freeHead,
  type Memory,
  rowOf,
  Z_BLOCKS,
  Z_FREE,
  Z_MANAGED,
  Z_ORDERS_OF,
  ZONE_WORDS,
  type ZoneSpec,
} from "./memory.ts";
import type { AllocatorRule } from "./rule.ts";
import { allocatorRule, RULE_6_1 } from "./rule-eras.ts";
import type { ZonelistOrder } from "./zonelist-order.ts";

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

export interface BootOptions extends MarkOptions {
  /** Lowest zone first within each node; a name stands for the same position on every node. */
  readonly zones: readonly BootZone[];
  /**
   * An era of `rule-eras.ts`, e.g. "2.6", "4.19" or "6.12", or any version since 2.6.9, which gets the
   * nearest older one: `Memory.rule` says which. 6.1 by default.
   */
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
  /** The kernel can lend CMA areas (`lendCma`); no by default. */
  readonly cma?: boolean;
  /** State in SharedArrayBuffers. */
  readonly shared?: boolean;
  /** Factor in ten-thousandths; what the era has by default. */
  readonly watermarkBoostFactor?: number;
  /** Real bytes, and the pfn of their first page. */
  readonly bytes?: Uint8Array;
  readonly bytesPfn?: number;
  /** Highest zone by the four zone bits of a request; by the zones' names, as Linux, by default. */
  readonly gfpZone?: Int8Array;
  /** Order of zones beyond the own node: that of the era by default. */
  readonly zonelistOrder?: ZonelistOrder;
  /** Slots of the kmap pool of a memory with HighMem: 1024 by default, 512 with PAE. */
  readonly kmapSlots?: number;
}

/**
 * Builds a memory and frees all its pages to it. Asserts what only a caller can get wrong: whole
 * numbers, zones apart from each other, an era that is known, bytes for every page where there are any.
 */
export function bootMemory(options: BootOptions): Memory {
  const rule = ruleOf(options);
  const zones = zoneSpecs(options.zones);
  assertApart(zones);
  assertBytes(options, zones);
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
    cma: options.cma ?? false,
    gfpVersion: gfpVersionOf(rule, options.era),
    gfpZone: options.gfpZone ?? gfpZoneTable(zoneNames(zones)),
    bytes: options.bytes ?? null,
    bytesPfn: options.bytesPfn ?? 0,
    ...(options.kmapSlots === undefined ? {} : { kmapSlots: options.kmapSlots }),
  });
  zones.forEach((zone, z) => {
    freeToZone(m, z, zone.ram);
  });
  buildZonelists(m, zones, options.era ?? rule.name, options.zonelistOrder);
  setMarks(m, options);
  return m;
}

function ruleOf(options: BootOptions): AllocatorRule {
  const rule = options.era === undefined ? RULE_6_1 : allocatorRule(options.era);
  assert(rule !== undefined, "era is no kernel version, or older than 2.6.9");
  const boostFactor = options.watermarkBoostFactor ?? rule.boostFactor;
  return { ...rule, boostFactor };
}

/** A version has the flags of its own time, an era those of the kernel it was read from. */
function gfpVersionOf(rule: AllocatorRule, era = rule.name): string {
  return era === rule.name ? rule.gfpVersion : era;
}

function zoneSpecs(zones: readonly BootZone[]): ZoneSpec[] {
  const names = [...new Set(zones.map((zone) => zone.name))];
  return zones.map((zone): ZoneSpec => {
    const { name, startPfn, pages } = zone;
    assert(Number.isSafeInteger(startPfn) && startPfn >= 0, "a zone starts at a pfn", startPfn);
    assert(Number.isSafeInteger(pages) && pages >= 0, "a zone has a number of pages", pages);
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

/** No page of RAM belongs to two zones; spans may reach into each other, as those of NUMA nodes do. */
function assertApart(zones: readonly ZoneSpec[]): void {
  const ram = zones.flatMap((zone) => zone.ram).sort((a, b) => a.start - b.start);
  for (const [i, { start }] of ram.entries()) {
    assert(start >= (ram[i - 1]?.end ?? 0), "two zones have this page", start);
  }
}

function assertBytes(options: BootOptions, zones: readonly ZoneSpec[]): void {
  const { bytes, bytesPfn = 0, pageSize = 4096 } = options;
  if (bytes === undefined) return;
  const held = bytesPfn + Math.floor(bytes.length / pageSize);
  for (const { start, end } of zones.flatMap((zone) => zone.ram)) {
    assert(start >= bytesPfn && end <= held, "bytes do not reach over all pages", end);
  }
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
      if (run > 0 && m.rule.bootTail) {
        pfn += linkExtents(m, zone, pfn, run) * largest;
        continue;
      }
      let order = pfn === 0 ? m.maxOrder : Math.min(m.maxOrder, trailingZeros(pfn));
      while (pfn + 2 ** order > end) order--;
      const row = rowOf(m, pfn);
      m.touched[row >> m.sectionShift] = 1;
      const type = m.blockType[row >> m.pageblockOrder];
      if (m.rule.bootTail) giveBlock(m, zone, row, order, type, true);
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
