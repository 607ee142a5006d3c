/**
 * What a running memory would show in /proc: records for the writers of
 * `src/formats`, in the form of the memory's era.
 *
 *   writeZoneinfo(zoneinfoOf(m))          /proc/zoneinfo
 *   writeBuddyinfo(buddyinfoOf(m))        /proc/buddyinfo
 *   writePagetypeinfo(pagetypeinfoOf(m))  /proc/pagetypeinfo
 *
 * Every number is the engine's. What it does not count (numa_hit and the other
 * NUMA counters, the counters of a node) is left out; what it has none of (pages
 * under writeback, bounced, of zsmalloc) is printed as the 0 it is. LRU lists have
 * pages where somebody manages them (`managePages`).
 *
 * Linux: zoneinfo_show_print(), frag_show_print(), pagetypeinfo_show(), mm/vmstat.c
 */
import type { Buddyinfo, BuddyinfoZone } from "../formats/buddyinfo.ts";
import type { PagetypeBlocks, PagetypeFree, Pagetypeinfo } from "../formats/pagetypeinfo.ts";
import type {
  Zoneinfo,
  ZoneinfoLayout,
  ZoneinfoPageset,
  ZoneinfoZone,
} from "../formats/zoneinfo.ts";
import {
  EXTENT,
  freeHead,
  KIND_MASK,
  type Memory,
  rowOf,
  Z_ACTIVE,
  Z_INACTIVE,
  Z_NODE,
  Z_PRESENT,
  ZONE_WORDS,
  zoneOf,
} from "./memory.ts";
import { lruCounters, nodeUnreclaimable } from "./pressure/lru-counters.ts";
import { CMA, TYPE_NAMES } from "./rule.ts";
import { type ZoneFields, zoneFields } from "./zone-fields.ts";

/** How an era's zoneinfo differs from that of 6.1. Measured on captures of Debian's kernels. */
interface ZoneinfoForm {
  readonly boost: boolean;
  readonly promo: boolean;
  readonly cma: boolean;
  /** Counters after nr_free_pages. */
  readonly counters: readonly string[];
}

const LRU_COUNTERS = [
  "nr_zone_inactive_anon",
  "nr_zone_active_anon",
  "nr_zone_inactive_file",
  "nr_zone_active_file",
  "nr_zone_unevictable",
  "nr_zone_write_pending",
  "nr_mlock",
];

const FORM_5_10: ZoneinfoForm = {
  boost: false,
  promo: false,
  cma: false,
  counters: [...LRU_COUNTERS, "nr_page_table_pages", "nr_bounce", "nr_zspages"],
};

const FORM_6_1: ZoneinfoForm = {
  boost: true,
  promo: false,
  cma: true,
  counters: [...LRU_COUNTERS, "nr_bounce", "nr_zspages"],
};

const FORM_6_12: ZoneinfoForm = { ...FORM_6_1, promo: true };

/**
 * 2.6.18, as read: counters came with 2.6.21, empty zones were not printed. temp_priority was up to
 * then; from 2.6.19 on each scan has its own.
 */
const LAYOUT_2_6: ZoneinfoLayout = {
  counterIndent: 4,
  protectionLast: true,
  pagesetWidth: 7,
  tail: ["all_unreclaimable", "prev_priority", "temp_priority", "start_pfn"],
  tailWidth: 19,
};

/** /proc/zoneinfo of now. Zones without memory are in it, except in 2.6. Linux: zoneinfo_show() */
export function zoneinfoOf(m: Memory): Zoneinfo {
  const zones = inOrder(m);
  if (m.rule.zoneinfo === "2.6") {
    const populated = zones.filter((z) => isPopulated(m, z));
    return {
      zones: populated.map((z) => zone26(m, z)),
      nodeCounters: new Map(),
      layout: LAYOUT_2_6,
    };
  }
  const form = formOf(m);
  return { zones: zones.map((z) => zone(m, z, form)), nodeCounters: new Map() };
}

function formOf(m: Memory): ZoneinfoForm {
  if (m.rule.zoneinfo === "5.10") return FORM_5_10;
  return m.rule.zoneinfo === "6.12" ? FORM_6_12 : FORM_6_1;
}

function zone(m: Memory, z: number, form: ZoneinfoForm): ZoneinfoZone {
  const fields = zoneFields(m, z);
  const populated = isPopulated(m, z);
  // A CPU's share can be ahead of the zone's count; the kernel does not print less than 0 either.
  const free = Math.max(0, fields.free_pages);
  return {
    ...sizes(fields, free),
    boost: form.boost ? fields.watermark_boost : null,
    promo: form.promo ? fields.pages_promo : null,
    managed: fields.managed_pages,
    cma: form.cma ? fields.cma_pages : null,
    counters: populated ? counters(m, z, fields, free, form) : new Map(),
    pagesets: populated ? pagesets(fields) : [],
    startPfn: populated ? fields.zone_start_pfn : null,
    tail: new Map([["node_unreclaimable", nodeUnreclaimable(m, z)]]),
  };
}

/** What all eras print. */
function sizes(
  fields: ZoneFields,
  free: number,
): Pick<
  ZoneinfoZone,
  "node" | "name" | "line" | "free" | "min" | "low" | "high" | "spanned" | "present" | "protection"
> {
  return {
    node: fields.zone_pgdat,
    name: fields.name,
    line: 0,
    free,
    min: fields.pages_min,
    low: fields.pages_low,
    high: fields.pages_high,
    spanned: fields.spanned_pages,
    present: fields.present_pages,
    protection: [...fields.protection],
  };
}

function counters(
  m: Memory,
  z: number,
  fields: ZoneFields,
  free: number,
  form: ZoneinfoForm,
): Map<string, number> {
  const none = form.counters.map((name): [string, number] => [name, 0]);
  const counted: readonly [string, number][] = [["nr_free_pages", free], ...none];
  return new Map([...counted, ...lruCounters(m, z), ["nr_free_cma", fields.nr_free_cma]]);
}

function pagesets(fields: ZoneFields): ZoneinfoPageset[] {
  return fields.pageset.map(({ cpu, count, high, batch, stat_threshold }) => ({
    cpu,
    count,
    high,
    batch,
    highMin: null,
    highMax: null,
    // Counts without shares are those of a kernel for one CPU, which has no such line.
    ...(stat_threshold > 0 ? { statThreshold: stat_threshold } : {}),
  }));
}

/** The engine has one list where 2.6 had a hot and a cold one: it is the hot one. CPUs without pages are not printed. */
function zone26(m: Memory, z: number): ZoneinfoZone {
  const fields = zoneFields(m, z);
  const words = z * ZONE_WORDS;
  return {
    ...sizes(fields, fields.free_pages),
    boost: null,
    promo: null,
    managed: null,
    cma: null,
    otherSizes: new Map([
      ["active", m.zone[words + Z_ACTIVE]],
      ["inactive", m.zone[words + Z_INACTIVE]],
      ["scanned", fields.pages_scanned],
    ]),
    scannedBy: new Map([
      ["a", fields.nr_scan_active],
      ["i", fields.nr_scan_inactive],
    ]),
    counters: new Map(),
    pagesets: pagesets(fields)
      .filter(({ count }) => count > 0)
      .map((set) => ({ ...set, pcp: 0 })),
    startPfn: fields.zone_start_pfn,
    tail: new Map([
      ["all_unreclaimable", fields.all_unreclaimable],
      ["prev_priority", fields.prev_priority],
      ["temp_priority", fields.temp_priority],
    ]),
  };
}

/** /proc/buddyinfo of now: free blocks by order of each zone with memory. Linux: frag_show() */
export function buddyinfoOf(m: Memory): Buddyinfo {
  const zones = populatedZones(m).map((z): BuddyinfoZone => {
    const { zone_pgdat, name, free_area } = zoneFields(m, z);
    return { node: zone_pgdat, name, line: 0, free: free_area.map(({ nr_free }) => nr_free) };
  });
  return { zones };
}

/**
 * /proc/pagetypeinfo of now; no rows for an era without mobility types. Counting
 * stops at 100000 blocks of a list, as in the kernel.
 *
 * Linux: pagetypeinfo_showfree_print(), pagetypeinfo_showblockcount_print(), mm/vmstat.c
 */
export function pagetypeinfoOf(m: Memory): Pagetypeinfo {
  const zones = m.rule.mobility ? populatedZones(m) : [];
  const types = TYPE_NAMES.flatMap((name, type) => (type !== CMA || m.cma ? [{ name, type }] : []));
  return {
    pageblockOrder: m.rule.mobility ? m.pageblockOrder : null,
    pagesPerBlock: m.rule.mobility ? 1 << m.pageblockOrder : null,
    free: zones.flatMap((z) => types.map(({ name, type }) => freeByType(m, z, name, type))),
    blocks: zones.map((z) => blocksByType(m, z, types)),
    mixed: [],
  };
}

const BLOCKS_COUNTED = 100000;

function freeByType(m: Memory, z: number, name: string, type: number): PagetypeFree {
  const all = Array.from({ length: m.maxOrder + 1 }, (_, order) => listLength(m, z, type, order));
  return {
    ...place(m, z),
    type: name,
    blocks: all.map((count) => Math.min(count, BLOCKS_COUNTED)),
    capped: all.flatMap((count, order) => (count >= BLOCKS_COUNTED ? [order] : [])),
  };
}

/** Blocks of a free list; a run of untouched ones is one entry of it. */
function listLength(m: Memory, z: number, type: number, order: number): number {
  const head = freeHead(z, type, order);
  let blocks = 0;
  for (let row = m.next[head]; row !== head && blocks < BLOCKS_COUNTED; row = m.next[row]) {
    const isRun = (m.state[row] & KIND_MASK) === EXTENT;
    blocks += isRun ? (m.next[row + 1] - row) / 2 ** order : 1;
  }
  return blocks;
}

/**
 * Pageblocks from the zone's first pfn on, be that the start of one or not. Holes in
 * sections that have frames count, other zones' frames do not.
 */
function blocksByType(
  m: Memory,
  z: number,
  types: readonly { readonly name: string; readonly type: number }[],
): PagetypeBlocks {
  const counts = new Map(types.map(({ name }) => [name, 0]));
  const { zone_start_pfn: start, spanned_pages: spanned } = zoneFields(m, z);
  const size = 2 ** m.pageblockOrder;
  for (let pfn = start; pfn < start + spanned; pfn += size) {
    const row = rowOf(m, pfn);
    const own = row < 0 ? -1 : zoneOf(m, row);
    if (row < 0 || (own >= 0 && own !== z)) continue;
    const name = TYPE_NAMES[m.blockType[row >> m.pageblockOrder]] ?? "";
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return { ...place(m, z), counts };
}

function place(m: Memory, z: number): { node: number; zone: string; line: number } {
  return { node: m.zone[z * ZONE_WORDS + Z_NODE], zone: m.names[z], line: 0 };
}

function isPopulated(m: Memory, z: number): boolean {
  return m.zone[z * ZONE_WORDS + Z_PRESENT] > 0;
}

function populatedZones(m: Memory): number[] {
  return inOrder(m).filter((z) => isPopulated(m, z));
}

/** Zone numbers node by node; within a node they are lowest first as they are. */
function inOrder(m: Memory): number[] {
  const nodeOf = (z: number): number => m.zone[z * ZONE_WORDS + Z_NODE];
  return m.names.map((_, z) => z).sort((a, b) => nodeOf(a) - nodeOf(b));
}
