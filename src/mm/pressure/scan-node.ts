/**
 * Reclaim of a node, whose lists hold anonymous and file pages apart (4.8): how
 * much of each list is looked at, by size, priority, and what each kind has cost.
 *
 * Linux: shrink_node(), get_scan_count(), shrink_lruvec(), inactive_is_low(), mm/vmscan.c
 */
import {
  type Memory,
  Z_BOOST,
  Z_FREE,
  Z_HIGH,
  Z_INDEX,
  Z_MANAGED,
  Z_NODE,
  ZONE_WORDS,
} from "../memory.ts";
import { DEF_PRIORITY, LRU_LISTS } from "../words.ts";
import { lruHead } from "./lru.ts";
import {
  L_ACTIVE,
  L_ANON,
  L_INACTIVE,
  N_ANON_COST,
  N_FAILURES,
  N_FILE_COST,
  NODE_WORDS,
  nodePlace,
  type Pages,
} from "./pages.ts";
import { type ScanControl, SWAP_CLUSTER, shrinkActive, shrinkInactive } from "./scan.ts";

/** The unit of the inactive ratio. */
const GIB = 2 ** 30;

/** Zones of a node, lowest first. */
export function zonesOfNode(m: Memory, node: number): number[] {
  const found: number[] = [];
  for (let zone = 0; zone < m.zoneCount; zone++) {
    if (m.zone[zone * ZONE_WORDS + Z_NODE] === node) found.push(zone);
  }
  return found;
}

/** Pages on a list of a node, in zones up to `highest`. Linux: lruvec_lru_size() */
export function lruSize(
  pages: Pages,
  zones: readonly number[],
  list: number,
  highest: number,
): number {
  let size = 0;
  for (const zone of zones) {
    if (pages.m.zone[zone * ZONE_WORDS + Z_INDEX] > highest) continue;
    size += pages.lru[zone * LRU_LISTS + list];
  }
  return size;
}

/** Whether an active list should give some up. `kind` is 0 for file pages, L_ANON for anonymous ones. */
function inactiveIsLow(pages: Pages, zones: readonly number[], kind: number): boolean {
  const inactive = lruSize(pages, zones, kind + L_INACTIVE, 15);
  const active = lruSize(pages, zones, kind + L_ACTIVE, 15);
  const gib = Math.floor(((inactive + active) * pages.m.pageSize) / GIB);
  const ratio = gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1;
  return inactive * ratio < active;
}

/** One look at all lists of a node, at the control's priority. Linux: shrink_node(), shrink_lruvec() */
export function shrinkNode(pages: Pages, node: number, control: ScanControl): void {
  const { m } = pages;
  const zones = zonesOfNode(m, node);
  const zone = zones[0];
  if (zone === undefined) return;
  const deactivates = (kind: number): boolean =>
    control.forceDeactivate || inactiveIsLow(pages, zones, kind);
  const mayDeactivate = [deactivates(0), false, deactivates(L_ANON)];
  const left = scanCounts(pages, zones, control, mayDeactivate);
  const targets = [...left];
  const before = control.reclaimed;
  const proportional = !control.kswapd && control.priority === DEF_PRIORITY;
  const of = (list: number): number => left[list] ?? 0;
  while (of(L_ANON + L_INACTIVE) > 0 || of(L_ACTIVE) > 0 || of(L_INACTIVE) > 0) {
    for (const kind of [L_ANON, 0]) {
      for (const list of [L_INACTIVE, L_ACTIVE]) {
        const count = Math.min(of(kind + list), SWAP_CLUSTER);
        if (count === 0) continue;
        left[kind + list] = of(kind + list) - count;
        const head = lruHead(pages, zone, kind + list);
        if (list === L_INACTIVE) shrinkKind(pages, head, count, control, node, kind);
        else if (mayDeactivate[kind] !== true) control.skippedDeactivate = true;
        else shrinkActive(pages, head, count, control.reclaimIdx, () => false);
      }
    }
    if (control.reclaimed - before < control.toReclaim || proportional) continue;
    if (!adjustScan(left, targets)) break;
  }
  if (control.reclaimed > before) pages.node[nodePlace(m, zone) * NODE_WORDS + N_FAILURES] = 0;
  if (ages(pages) && inactiveIsLow(pages, zones, L_ANON)) {
    const head = lruHead(pages, zone, L_ANON + L_ACTIVE);
    shrinkActive(pages, head, SWAP_CLUSTER, control.reclaimIdx, () => false);
  }
}

/**
 * Enough is reclaimed: the kind of which less is left is let off, the other is looked at in proportion
 * to what the first had. False where one of them is done. Linux: shrink_lruvec()
 */
function adjustScan(left: number[], targets: readonly number[]): boolean {
  const sum = (counts: readonly number[], kind: number): number =>
    (counts[kind + L_ACTIVE] ?? 0) + (counts[kind + L_INACTIVE] ?? 0);
  const file = sum(left, 0);
  const anon = sum(left, L_ANON);
  if (file === 0 || anon === 0) return false;
  const [less, more] = file > anon ? [L_ANON, 0] : [0, L_ANON];
  const percentage = Math.floor((sum(left, less) * 100) / (sum(targets, less) + 1));
  for (const list of [L_ACTIVE, L_INACTIVE]) {
    left[less + list] = 0;
    const target = targets[more + list] ?? 0;
    const scanned = target - (left[more + list] ?? 0);
    const share = Math.floor((target * (100 - percentage)) / 100);
    left[more + list] = Math.max(share - scanned, 0);
  }
  return true;
}

/** An inactive list, and what it cost. Linux: lru_note_cost(), mm/swap.c */
function shrinkKind(
  pages: Pages,
  head: number,
  count: number,
  control: ScanControl,
  node: number,
  kind: number,
): number {
  const { m, counts } = pages;
  const before = control.reclaimed;
  const written = counts.pswpout;
  const looked = shrinkInactive(pages, head, count, control);
  // Writing, and pages that were used again, are what makes a kind expensive.
  const cost = counts.pswpout - written + Math.max(looked - (control.reclaimed - before), 0);
  const words = m.nodes.indexOf(node) * NODE_WORDS;
  pages.node[words + (kind === L_ANON ? N_ANON_COST : N_FILE_COST)] += cost;
  const total = pages.node[words + N_ANON_COST] + pages.node[words + N_FILE_COST];
  const size = lruSize(pages, zonesOfNode(m, node), kind + L_INACTIVE, 15);
  if (total > Math.max(size, SWAP_CLUSTER) >> 2) {
    pages.node[words + N_ANON_COST] >>= 1;
    pages.node[words + N_FILE_COST] >>= 1;
  }
  return looked;
}

function canSwap({ store }: Pages, control: ScanControl): boolean {
  return control.maySwap && store !== null && store.free > 0;
}

/** Whether anonymous pages age: where there is anything to swap to, full or not. Linux: can_age_anon_pages() */
function ages({ store }: Pages): boolean {
  return store !== null && store.slots > 0;
}

/** Pages of a zone that might be reclaimed. Linux: zone_reclaimable_pages() */
export function zoneReclaimable({ lru, store }: Pages, zone: number): number {
  const at = zone * LRU_LISTS;
  const file = lru[at + L_ACTIVE] + lru[at + L_INACTIVE];
  if (store === null || store.free === 0) return file;
  return file + lru[at + L_ANON + L_ACTIVE] + lru[at + L_ANON + L_INACTIVE];
}

/** Pages of each list that this look is for. Linux: get_scan_count() */
function scanCounts(
  pages: Pages,
  zones: readonly number[],
  control: ScanControl,
  mayDeactivate: readonly boolean[],
): number[] {
  const { priority, reclaimIdx } = control;
  const [anon, file, whole] = fractions(pages, zones, control, mayDeactivate);
  const counts: number[] = [];
  for (const [kind, part] of [
    [0, file],
    [L_ANON, anon],
  ] as const) {
    for (const list of [L_ACTIVE, L_INACTIVE]) {
      const scan = lruSize(pages, zones, kind + list, reclaimIdx) >> priority;
      counts[kind + list] = Math.floor((scan * part) / whole);
    }
  }
  return counts;
}

/** Shares of anonymous and file pages, and of what. Linux: get_scan_count() */
function fractions(
  pages: Pages,
  zones: readonly number[],
  control: ScanControl,
  mayDeactivate: readonly boolean[],
): readonly [number, number, number] {
  const { swappiness, node } = pages;
  const { priority } = control;
  if (!canSwap(pages, control)) return [0, 1, 1];
  if (priority === 0 && swappiness > 0) return [1, 1, 1];
  const anonEnough = mayDeactivate[L_ANON] !== true;
  if (anonEnough && fileIsTiny(pages, zones, priority)) return [1, 0, 1];
  const hasCache = lruSize(pages, zones, L_INACTIVE, 15) >> priority > 0;
  if (hasCache && mayDeactivate[0] !== true) return [0, 1, 1];
  const words = nodePlace(pages.m, zones[0] ?? 0) * NODE_WORDS;
  const both = node[words + N_ANON_COST] + node[words + N_FILE_COST];
  const anonCost = both + node[words + N_ANON_COST];
  const fileCost = both + node[words + N_FILE_COST];
  const total = anonCost + fileCost + 1;
  const ap = Math.floor((swappiness * total) / (anonCost + 1));
  const fp = Math.floor(((200 - swappiness) * total) / (fileCost + 1));
  return [ap, fp, ap + fp];
}

/** File pages and free ones together are not more than the high marks: only anonymous ones help. */
function fileIsTiny(pages: Pages, zones: readonly number[], priority: number): boolean {
  const { m } = pages;
  let high = 0;
  let free = 0;
  for (const zone of zones) {
    const at = zone * ZONE_WORDS;
    if (m.zone[at + Z_MANAGED] === 0) continue;
    high += m.zone[at + Z_HIGH] + m.zone[at + Z_BOOST];
    free += m.zone[at + Z_FREE];
  }
  const file = lruSize(pages, zones, L_ACTIVE, 15) + lruSize(pages, zones, L_INACTIVE, 15);
  return file + free <= high && lruSize(pages, zones, L_ANON + L_INACTIVE, 15) >> priority > 0;
}
