/**
 * Reclaim of a node, whose lists hold anonymous and file pages apart (4.8): how
 * much of each list is looked at, by size, priority, and what each kind has cost.
 *
 * Linux: shrink_node(), get_scan_count(), shrink_lruvec(), inactive_is_low(), mm/vmscan.c
 */
import { type Memory, Z_FREE, Z_HIGH, Z_INDEX, Z_MANAGED, Z_NODE, ZONE_WORDS } from "../memory.ts";
import { LRU_LISTS } from "../words.ts";
import { lruHead } from "./lru.ts";
import {
  L_ACTIVE,
  L_ANON,
  L_INACTIVE,
  N_ANON_COST,
  N_FILE_COST,
  NODE_WORDS,
  nodePlace,
  type Pages,
} from "./pages.ts";
import { type ScanControl, SWAP_CLUSTER, shrinkActive, shrinkInactive } from "./scan.ts";

/** Pages of 1 GiB, the unit of the inactive ratio; 4 KiB pages. */
const GIB_SHIFT = 18;

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
  const gib = (inactive + active) >> GIB_SHIFT;
  const ratio = gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1;
  return inactive * ratio < active;
}

/** One look at all lists of a node, at the control's priority. Linux: shrink_node(), shrink_lruvec() */
export function shrinkNode(pages: Pages, node: number, control: ScanControl): void {
  const { m } = pages;
  const zones = zonesOfNode(m, node);
  const zone = zones[0];
  if (zone === undefined) return;
  const left = scanCounts(pages, zones, control);
  const before = control.reclaimed;
  const proportional = !control.kswapd && control.priority === 12;
  for (;;) {
    let looked = 0;
    for (const kind of [L_ANON, 0]) {
      for (const list of [L_INACTIVE, L_ACTIVE]) {
        const at = kind + list;
        const count = Math.min(left[at] ?? 0, SWAP_CLUSTER);
        if (count === 0) continue;
        left[at] = (left[at] ?? 0) - count;
        const head = lruHead(pages, zone, at);
        if (list === L_INACTIVE) looked += shrinkKind(pages, head, count, control, node, kind);
        else if (inactiveIsLow(pages, zones, kind)) {
          looked += shrinkActive(pages, head, count, control.reclaimIdx, () => false);
        }
      }
    }
    if (looked === 0) break;
    if (control.reclaimed - before >= control.toReclaim && !proportional) break;
  }
  if (canSwap(pages) && inactiveIsLow(pages, zones, L_ANON)) {
    const head = lruHead(pages, zone, L_ANON + L_ACTIVE);
    shrinkActive(pages, head, SWAP_CLUSTER, control.reclaimIdx, () => false);
  }
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

function canSwap({ store }: Pages): boolean {
  return store !== null && store.free > 0;
}

/** Pages of each list that this look is for. Linux: get_scan_count() */
function scanCounts(pages: Pages, zones: readonly number[], control: ScanControl): number[] {
  const { priority, reclaimIdx } = control;
  const [anon, file] = fractions(pages, zones, control);
  const counts: number[] = [];
  for (const [kind, part] of [
    [0, file],
    [L_ANON, anon],
  ] as const) {
    for (const list of [L_ACTIVE, L_INACTIVE]) {
      const size = lruSize(pages, zones, kind + list, reclaimIdx);
      counts[kind + list] = Math.floor(Math.floor(size / 2 ** priority) * part);
    }
  }
  return counts;
}

/** Shares of anonymous and file pages, 0 to 1. */
function fractions(
  pages: Pages,
  zones: readonly number[],
  control: ScanControl,
): readonly [number, number] {
  const { swappiness, node } = pages;
  if (!canSwap(pages)) return [0, 1];
  if (control.priority === 0 && swappiness > 0) return [1, 1];
  if (fileIsTiny(pages, zones)) return [1, 0];
  const inactiveFile = lruSize(pages, zones, L_INACTIVE, 15);
  if (inactiveFile / 2 ** control.priority >= 1 && !inactiveIsLow(pages, zones, 0)) return [0, 1];
  const words = nodePlace(pages.m, zones[0] ?? 0) * NODE_WORDS;
  const anonCost = node[words + N_ANON_COST];
  const fileCost = node[words + N_FILE_COST];
  const total = anonCost + fileCost;
  const ap = (swappiness * (total + 1)) / (total + anonCost + 1);
  const fp = ((200 - swappiness) * (total + 1)) / (total + fileCost + 1);
  return [ap / (ap + fp), fp / (ap + fp)];
}

/** File pages and free ones together are not more than the high marks: only anonymous ones help. */
function fileIsTiny(pages: Pages, zones: readonly number[]): boolean {
  const { m } = pages;
  let high = 0;
  let free = 0;
  for (const zone of zones) {
    const at = zone * ZONE_WORDS;
    if (m.zone[at + Z_MANAGED] === 0) continue;
    high += m.zone[at + Z_HIGH];
    free += m.zone[at + Z_FREE];
  }
  const file = lruSize(pages, zones, L_ACTIVE, 15) + lruSize(pages, zones, L_INACTIVE, 15);
  const anon = lruSize(pages, zones, L_ANON + L_INACTIVE, 15);
  return file + free <= high && !inactiveIsLow(pages, zones, L_ANON) && anon > 0;
}
