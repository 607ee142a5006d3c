/**
 * A memory as a snapshot found it: every free list and per-CPU list linked in
 * the recorded order, head first, with the marks, reserves and pageset words of
 * that moment. What is on no list is taken.
 *
 * The reserves are computed, not read: reading vm/lowmem_reserve_ratio makes
 * the kernel compute them anew, so they are newer than the snapshot.
 *
 * Linux: lowmem_reserve_ratio_sysctl_handler(), mm/page_alloc.c
 */
import type { Issue, Outcome } from "../base/issue.ts";
import { linkTail } from "../mm/buddy.ts";
import { buildZonelists } from "../mm/build-zonelists.ts";
import { gfpZoneTable } from "../mm/gfp.ts";
import { layMemory } from "../mm/lay-memory.ts";
import {
  KIND_MASK,
  type Memory,
  MOBILE,
  P_FACTOR,
  P_FREE_COUNT,
  P_HIGH_MAX,
  P_HIGH_MIN,
  PCP,
  PCP_HUGE_LIST,
  PCP_LISTS,
  PCP_WORDS,
  pcpListOrder,
  rowOf,
  TAKEN,
  Z_FREE,
  Z_FREE_CMA,
  Z_HIGHATOMIC,
  Z_MIN,
  Z_RESERVE,
  Z_THRESHOLD,
  ZONE_WORDS,
  type ZoneSpec,
} from "../mm/memory.ts";
import { lowmemReserve } from "../mm/protection.ts";
import { type AllocatorRule, CMA, ISOLATE, PCP_TYPES, TYPE_COUNT } from "../mm/rule.ts";
import { allocatorRule } from "../mm/rule-eras.ts";
import type { ListSnapshot, MachineFacts, SnapZone } from "./snapshot.ts";

export interface StartState {
  /** By row >> pageblockOrder: 1 where compaction passes the pageblock over. */
  readonly skip: Uint8Array;
  readonly m: Memory;
  readonly zones: readonly ZoneSpec[];
  readonly facts: MachineFacts;
  /** Our number of a kernel's migratetype: kernels without CMA count Isolate as 4. */
  readonly typeOf: (kernel: number) => number;
  /** Zone number by node and index; -1 for none. */
  readonly zoneNumber: (node: number, index: number) => number;
}

/** Frames of a pageblock in the snapshot's pageblocks file. Measured: huge pages of 2 MiB. */
export const SNAP_PAGEBLOCK = 512;
export const PAGEBLOCK_ORDER = 9;
/** MAX_ORDER with 4 KiB pages, inclusive. */
export const MAX_ORDER = 10;

/** The memory of `snap`; `change` swaps rules of the era, for tests of what a wrong rule does. */
export function startState(
  snap: ListSnapshot,
  facts: MachineFacts,
  change: Partial<AllocatorRule> = {},
): Outcome<StartState | null> {
  const rule = allocatorRule(facts.upstream);
  if (rule === undefined) {
    const message = `the allocator's lists are not modelled for ${facts.era}`;
    return { value: null, issues: [{ severity: "error", message }] };
  }
  const issues = misplaced(snap, facts);
  if (issues.length > 0) return { value: null, issues };
  const zones = zoneSpecs(snap.zones, facts);
  const m = layMemory({
    zones,
    rule: { ...rule, ...change },
    pageSize: 4096,
    maxOrder: snap.maxOrder,
    pageblockOrder: snap.pageblockOrder,
    cpus: facts.cpus,
    cpuNode: facts.cpuNode,
    shared: false,
    cma: facts.cma,
    gfpVersion: facts.upstream,
    gfpZone: gfpZoneTable(zones.filter((z) => z.node === zones[0].node).map((z) => z.name)),
    bytes: null,
    bytesPfn: 0,
  });
  buildZonelists(m, zones, facts.upstream);
  const state: StartState = {
    m,
    skip: new Uint8Array(m.blockType.length),
    zones,
    facts,
    typeOf: (kernel) => (!facts.cma && kernel === CMA ? ISOLATE : kernel),
    zoneNumber: (node, index) => zones.findIndex((z) => z.node === node && z.index === index),
  };
  setTypes(state, snap);
  setZones(state, snap);
  takeAll(m, zones);
  const broken = [...linkFree(state, snap), ...linkStock(state, snap)];
  if (broken.length > 0) return { value: null, issues: broken };
  setPagesets(state, snap);
  markMobile(m, snap);
  return { value: state, issues: [] };
}

/** Numbers that would lead outside the memory's tables. */
function misplaced(snap: ListSnapshot, facts: MachineFacts): Issue[] {
  const { zones, free, pcp, counters, maxOrder } = snap;
  const bad = (message: string): Issue[] => [
    { severity: "error", message, source: "snap/freelists", mend: "take the snapshot again" },
  ];
  if (zones.length === 0) return bad("no zone is in it");
  const known = new Set(facts.zones.map((z) => `${z.node} ${z.index}`));
  for (const z of zones) {
    const sane = z.startPfn >= 0 && z.spanned >= 0 && z.startPfn + z.spanned < 2 ** 31;
    if (!sane || !known.has(`${z.node} ${z.index}`)) return bad(`zone ${z.name} lies nowhere`);
  }
  for (const own of [...free, ...pcp, ...counters]) {
    if (!known.has(`${own.node} ${own.index}`)) return bad("a list belongs to no zone");
  }
  const lists = pcp.some((p) => !(p.list >= 0 && p.list < PCP_LISTS));
  if (lists || [...pcp, ...counters].some((p) => p.cpu >= facts.cpus)) {
    return bad("a per-CPU list belongs to no CPU");
  }
  if (free.some((f) => f.order > maxOrder || f.type >= TYPE_COUNT)) {
    return bad("a free list has an order or a type that no kernel has");
  }
  return [];
}

function zoneSpecs(snap: readonly SnapZone[], facts: MachineFacts): ZoneSpec[] {
  return facts.zones.map(({ node, index, name }): ZoneSpec => {
    const z = snap.find((own) => own.node === node && own.index === index);
    if (z === undefined) return { name, node, index, startPfn: 0, spanned: 0, ram: [] };
    const { startPfn, spanned, managed } = z;
    const ram = managed > 0 ? [{ start: startPfn, end: startPfn + spanned }] : [];
    return { name, node, index, startPfn, spanned, ram };
  });
}

function setTypes({ m, typeOf, skip }: StartState, snap: ListSnapshot): void {
  for (const { pfn, types, skip: skipped } of snap.blocks) {
    for (const [i, type] of types.entries()) {
      const row = rowOf(m, pfn + (i << m.pageblockOrder));
      if (row < 0) continue;
      m.blockType[row >> m.pageblockOrder] = typeOf(type);
      if (skipped?.[i] === true) skip[row >> m.pageblockOrder] = 1;
    }
  }
}

function setZones({ m, zones, facts }: StartState, snap: ListSnapshot): void {
  const managed = zones.map((own) => sameZone(snap.zones, own)?.managed ?? 0);
  for (const [number, own] of zones.entries()) {
    const at = number * ZONE_WORDS;
    const z = sameZone(snap.zones, own);
    if (z === undefined) continue;
    m.zone.set([z.min, z.low, z.high, z.promo, z.boost, z.managed], at + Z_MIN);
    m.zone[at + Z_HIGHATOMIC] = z.highatomic;
    m.zone[at + Z_THRESHOLD] = sameZone(facts.zones, own)?.threshold ?? 0;
    const onNode = managed.filter((_, i) => zones[i].node === own.node);
    const reserves = lowmemReserve(onNode, facts.reserveRatios)[own.index]?.slice(0, 8);
    if (reserves !== undefined) m.zone.set(reserves, at + Z_RESERVE);
  }
}

interface ZoneKey {
  readonly node: number;
  readonly index: number;
}

function sameZone<T extends ZoneKey>(list: readonly T[], key: ZoneKey): T | undefined {
  return list.find((own) => own.node === key.node && own.index === key.index);
}

/** Every frame of the zones as a taken page. */
function takeAll(m: Memory, zones: readonly ZoneSpec[]): void {
  m.touched.fill(1);
  for (const { startPfn, spanned } of zones) {
    const end = startPfn + spanned;
    for (let pfn = startPfn; pfn < end; ) {
      const next = Math.min(end, pfn - (pfn & m.sectionMask) + m.sectionMask + 1);
      const row = rowOf(m, pfn);
      if (row >= m.firstRow) m.state.fill(TAKEN, row, row + next - pfn);
      pfn = next;
    }
  }
}

function linkFree(state: StartState, snap: ListSnapshot): Issue[] {
  const { m, typeOf, zoneNumber } = state;
  for (const { node, index, order, type, pfns } of snap.free) {
    const zone = zoneNumber(node, index);
    for (const pfn of pfns) {
      const row = rowOf(m, pfn);
      if (!isUnlisted(m, row, order)) return [twice(pfn)];
      m.state.fill(0, row, row + (1 << order));
      linkTail(m, zone, row, order, typeOf(type));
    }
    const pages = pfns.length << order;
    if (typeOf(type) !== ISOLATE) m.zone[zone * ZONE_WORDS + Z_FREE] += pages;
    if (m.cma && type === CMA) m.zone[zone * ZONE_WORDS + Z_FREE_CMA] += pages;
  }
  return [];
}

function isUnlisted(m: Memory, row: number, order: number): boolean {
  if (row < m.firstRow || (row & ((1 << order) - 1)) !== 0) return false;
  for (let i = 0; i < 1 << order; i++) if (m.state[row + i] !== TAKEN) return false;
  return true;
}

function twice(pfn: number): Issue {
  const message = `page 0x${pfn.toString(16)} is on two lists, or in no zone`;
  return { severity: "error", source: "snap/freelists", message, mend: "take the snapshot again" };
}

function linkStock({ m, zoneNumber }: StartState, snap: ListSnapshot): Issue[] {
  for (const { node, index, cpu, list, pfns } of snap.pcp) {
    const head = m.pcpHeads + (zoneNumber(node, index) * m.cpuCount + cpu) * PCP_LISTS + list;
    const order = pcpListOrder(m, list);
    for (const pfn of pfns) {
      const row = rowOf(m, pfn);
      if (!isUnlisted(m, row, order)) return [twice(pfn)];
      const block = m.blockType[row >> m.pageblockOrder];
      // The second huge list is the movable one.
      const kept = list < PCP_HUGE_LIST ? list % PCP_TYPES : list - PCP_HUGE_LIST;
      m.state.fill(0, row, row + (1 << order));
      m.state[row] = PCP | (kept === 1 && block >= PCP_TYPES ? block : kept);
      const last = m.prev[head];
      m.next[row] = head;
      m.prev[row] = last;
      m.next[last] = row;
      m.prev[head] = row;
    }
  }
  return [];
}

function setPagesets({ m, facts, zoneNumber }: StartState, snap: ListSnapshot): void {
  for (const own of snap.counters) {
    const { node, index, cpu, count, high, batch, factor } = own;
    const zone = zoneNumber(node, index);
    const at = (zone * m.cpuCount + cpu) * PCP_WORDS;
    m.pcp.set([count, high, batch], at);
    if (m.rule.pcp !== "tuned") m.pcp[at + P_FACTOR] = factor;
    else {
      // The snapshot's free_factor is free_count here, and its pageset_high the highest.
      const { low = 0, pagesetHigh = high } = sameZone(snap.zones, { node, index }) ?? {};
      m.pcp[at + P_FREE_COUNT] = factor;
      m.pcp[at + P_FACTOR] = own.allocFactor ?? 0;
      m.pcp[at + P_HIGH_MIN] = own.highMin ?? Math.max(Math.floor(low / facts.cpus), 4 * batch);
      m.pcp[at + P_HIGH_MAX] = own.highMax ?? pagesetHigh;
    }
  }
}

/** Pages on an LRU list can be moved; the rest that is not free is simply taken. */
function markMobile(m: Memory, snap: ListSnapshot): void {
  for (const { pfn, pages } of snap.movable) {
    for (let i = 0; i < pages; i++) {
      const row = rowOf(m, pfn + i);
      if (row >= 0 && (m.state[row] & KIND_MASK) === TAKEN) m.state[row] = MOBILE;
    }
  }
}
