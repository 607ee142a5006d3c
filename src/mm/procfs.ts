/**
 * What a running memory would show in /proc: records for the writers of
 * `src/formats`, in the form of the memory's era.
 *
 *   writeZoneinfo(zoneinfoOf(m))          /proc/zoneinfo
 *   writeBuddyinfo(buddyinfoOf(m))        /proc/buddyinfo
 *   writePagetypeinfo(pagetypeinfoOf(m))  /proc/pagetypeinfo
 *
 * Every number is the engine's. What it does not count (numa_hit and the other
 * NUMA counters, nr_unaccepted, the counters of a node) is left out; what it has none of (pages
 * under writeback, bounced, of zsmalloc) is printed as the 0 it is. LRU lists have pages where
 * somebody manages them (`managePages`).
 *
 * Linux: zoneinfo_show_print(), frag_show_print(), pagetypeinfo_show(), mm/vmstat.c
 */
import type { Buddyinfo, BuddyinfoZone } from "../formats/buddyinfo.ts";
import type { PagetypeBlocks, PagetypeFree, Pagetypeinfo } from "../formats/pagetypeinfo.ts";
import type { Zoneinfo, ZoneinfoPageset, ZoneinfoZone } from "../formats/zoneinfo.ts";
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
import { PROC_FORMS, type ProcForm } from "./procfs-form.ts";
import { CMA, TYPE_NAMES } from "./rule.ts";
import { type ZoneFields, zoneFields } from "./zone-fields.ts";

/** /proc/zoneinfo of now. Linux: zoneinfo_show() */
export function zoneinfoOf(m: Memory): Zoneinfo {
  const form = PROC_FORMS[m.rule.proc];
  const zones = form.emptyZones ? inOrder(m) : populatedZones(m);
  const { layout } = form;
  return { zones: zones.map((z) => zone(m, z, form)), nodeCounters: new Map(), layout };
}

function zone(m: Memory, z: number, form: ProcForm): ZoneinfoZone {
  const fields = zoneFields(m, z);
  const populated = isPopulated(m, z);
  // A CPU's share can be ahead of the zone's count; the kernel does not print less than 0 either.
  const free = Math.max(0, fields.free_pages);
  return {
    ...sizes(fields, free),
    boost: form.boost ? fields.watermark_boost : null,
    promo: form.promo ? fields.pages_promo : null,
    managed: form.managed ? fields.managed_pages : null,
    cma: form.cma ? fields.cma_pages : null,
    ...scanning(m, z, fields, form),
    counters: populated ? counters(m, z, fields, free, form) : new Map(),
    pagesets: populated ? pagesets(fields, form) : [],
    startPfn: populated ? fields.zone_start_pfn : null,
    tail: tailOf(m, z, fields, form),
  };
}

/** The sizes that only some eras print: what reclaim looked at. */
function scanning(
  m: Memory,
  z: number,
  fields: ZoneFields,
  form: ProcForm,
): Pick<ZoneinfoZone, "otherSizes" | "scannedBy"> {
  if (form.scanned === "none") return {};
  if (form.scanned === "node") return { otherSizes: new Map([["node_scanned", 0]]) };
  const scanned: [string, number] = ["scanned", fields.pages_scanned];
  if (form.scanned === "zone") return { otherSizes: new Map([scanned]) };
  const words = z * ZONE_WORDS;
  return {
    otherSizes: new Map([
      ["active", m.zone[words + Z_ACTIVE]],
      ["inactive", m.zone[words + Z_INACTIVE]],
      scanned,
    ]),
    scannedBy: new Map([
      ["a", fields.nr_scan_active],
      ["i", fields.nr_scan_inactive],
    ]),
  };
}

/** Every line after the pagesets but start_pfn; the layout says which are printed. */
function tailOf(m: Memory, z: number, fields: ZoneFields, form: ProcForm): Map<string, number> {
  const pages = form.managed ? fields.managed_pages : fields.present_pages;
  return new Map([
    ["node_unreclaimable", nodeUnreclaimable(m, z)],
    // Nobody has set it since 4.7.
    ["node_inactive_ratio", 0],
    ["all_unreclaimable", fields.all_unreclaimable],
    ["prev_priority", fields.prev_priority],
    ["temp_priority", fields.temp_priority],
    ["inactive_ratio", inactiveRatio(pages * m.pageSize)],
  ]);
}

/** How many active pages there may be for each inactive one. Linux: calculate_zone_inactive_ratio() */
function inactiveRatio(bytes: number): number {
  const gib = Math.floor(bytes / 2 ** 30);
  return gib === 0 ? 1 : Math.floor(Math.sqrt(10 * gib));
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

/** What the engine does not count there is none of. */
function counters(
  m: Memory,
  z: number,
  fields: ZoneFields,
  free: number,
  form: ProcForm,
): Map<string, number> {
  const lru = lruCounters(m, z);
  const known = new Map([
    ["nr_free_pages", free],
    ["nr_free_pages_blocks", wholeBlocks(m, fields)],
    ["nr_free_cma", fields.nr_free_cma],
    ...lru,
    // Before there were counters of nodes the names had no "zone" in them.
    ...lru.map(([name, pages]): [string, number] => [name.replace("_zone_", "_"), pages]),
  ]);
  return new Map(form.counters.map((name) => [name, known.get(name) ?? 0]));
}

/** Free pages that make whole pageblocks. Linux: NR_FREE_PAGES_BLOCKS */
function wholeBlocks(m: Memory, fields: ZoneFields): number {
  const whole = fields.free_area.filter(({ order }) => order >= m.pageblockOrder);
  return whole.reduce((sum, { order, nr_free }) => sum + nr_free * 2 ** order, 0);
}

/** The engine has one list where 2.6 had a hot and a cold one: it is the hot one. */
function pagesets(fields: ZoneFields, form: ProcForm): ZoneinfoPageset[] {
  const sets = fields.pageset.filter(({ count }) => !form.hotPagesets || count > 0);
  return sets.map(({ cpu, count, high, batch, high_min, high_max, stat_threshold }) => ({
    cpu,
    count,
    high,
    batch,
    highMin: form.bounds ? high_min : null,
    highMax: form.bounds ? high_max : null,
    ...(form.hotPagesets ? { pcp: 0 } : {}),
    // Counts without shares are those of a kernel for one CPU, which has no such line.
    ...(stat_threshold > 0 ? { statThreshold: stat_threshold } : {}),
  }));
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
  const { types: all, countsUpTo } = PROC_FORMS[m.rule.proc];
  const types = all.filter(({ type }) => type !== CMA || m.cma);
  return {
    pageblockOrder: m.rule.mobility ? m.pageblockOrder : null,
    pagesPerBlock: m.rule.mobility ? 1 << m.pageblockOrder : null,
    free: zones.flatMap((z) => types.map((row) => freeByType(m, z, row, countsUpTo))),
    blocks: zones.map((z) => blocksByType(m, z, types)),
    mixed: [],
  };
}

function freeByType(
  m: Memory,
  z: number,
  { name, type }: { readonly name: string; readonly type: number },
  most: number,
): PagetypeFree {
  const all = Array.from({ length: m.maxOrder + 1 }, (_, order) => {
    return type < 0 ? 0 : listLength(m, z, type, order, most);
  });
  return {
    ...place(m, z),
    type: name,
    blocks: all.map((count) => Math.min(count, most)),
    capped: all.flatMap((count, order) => (count >= most ? [order] : [])),
  };
}

/** Blocks of a free list, `most` at least where there are more; a run of untouched ones is one entry of it. */
function listLength(m: Memory, z: number, type: number, order: number, most: number): number {
  const head = freeHead(z, type, order);
  let blocks = 0;
  for (let row = m.next[head]; row !== head && blocks < most; row = m.next[row]) {
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
