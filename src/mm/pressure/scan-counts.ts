/**
 * How many pages of each list a scan is for: by size, priority, and what each kind
 * has cost.
 *
 * The lists are those of some zones: of a node, or of one zone where each has its
 * own. Refaults are not counted: no shadow of a page is kept.
 *
 * Linux: get_scan_count(), prepare_scan_count(), inactive_is_low(), mm/vmscan.c;
 * lru_note_cost(), mm/swap.c
 */
import {
  LRU_LISTS,
  Z_ALL_UNRECLAIMABLE,
  Z_BOOST,
  Z_FREE,
  Z_HIGH,
  Z_INDEX,
  Z_MANAGED,
  Z_PAGES_SCANNED,
  ZONE_WORDS,
} from "../words.ts";
import { homeZone } from "./lru.ts";
import {
  L_ACTIVE,
  L_ANON,
  L_INACTIVE,
  N_ANON_COST,
  N_FILE_COST,
  NODE_WORDS,
  nodePlace,
  type Pages,
  R_OWED,
  R_ROTATED,
  R_SCANNED,
  RECLAIM_WORDS,
} from "./pages.ts";
import { type ScanControl, SWAP_CLUSTER } from "./scan.ts";

/** The unit of the inactive ratio. */
const GIB = 2 ** 30;
/** Highest zone index that there can be, or more: pages of every zone. */
export const EVERY_ZONE = 15;

/** Lists by number, in the order in which they are looked at. Linux: for_each_evictable_lru() */
export const LISTS: readonly number[] = [
  L_ANON + L_INACTIVE,
  L_ANON + L_ACTIVE,
  L_INACTIVE,
  L_ACTIVE,
];

/** Pages on a list, in those of the zones up to `highest`. Linux: lruvec_lru_size() */
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

/** Whether there is anywhere that anonymous pages could ever go, full or not. Linux: total_swap_pages */
export function hasSwap({ store }: Pages): boolean {
  return store !== null && store.slots > 0;
}

/** Whether anonymous pages can go now. Linux: can_reclaim_anon_pages() */
export function canSwap({ store }: Pages): boolean {
  return store !== null && store.free > 0;
}

/** Pages of a zone that might be reclaimed. Linux: zone_reclaimable_pages() */
export function zoneReclaimable(pages: Pages, zone: number): number {
  const { lru, m, rule } = pages;
  const at = zone * LRU_LISTS;
  let size = lru[at + L_ACTIVE] + lru[at + L_INACTIVE];
  if (canSwap(pages)) size += lru[at + L_ANON + L_ACTIVE] + lru[at + L_ANON + L_INACTIVE];
  if (size === 0 && rule.emptyZone === "free-counts") return m.zone[zone * ZONE_WORDS + Z_FREE];
  return size;
}

/**
 * Whether zones that share lists were looked at so often without a page freed that they count as
 * unreclaimable. The least of their counts is theirs together: a page that is freed clears its zone's.
 * Linux: zone_reclaimable() of 3.10, pgdat_reclaimable() of 4.9
 */
export function isUnreclaimable(pages: Pages, zones: readonly number[]): boolean {
  const { m, rule } = pages;
  if (rule.scannedTimes === 0) return false;
  let scanned = Number.POSITIVE_INFINITY;
  let size = 0;
  for (const zone of zones) {
    scanned = Math.min(scanned, m.zone[zone * ZONE_WORDS + Z_PAGES_SCANNED]);
    size += zoneReclaimable(pages, zone);
  }
  return scanned >= size * rule.scannedTimes;
}

/**
 * Whether an active list should give some up. `kind` is 0 for file pages, L_ANON for anonymous ones.
 * Linux: inactive_is_low(); inactive_list_is_low() of 4.9; inactive_anon_is_low_global() of 3.10
 */
export function inactiveIsLow(
  pages: Pages,
  zones: readonly number[],
  kind: number,
  reclaimIdx: number,
): boolean {
  const { m, rule } = pages;
  if (rule.ratioOf !== "all" && kind === L_ANON && !hasSwap(pages)) return false;
  const highest = rule.ratioOf === "eligible" ? reclaimIdx : EVERY_ZONE;
  const inactive = lruSize(pages, zones, kind + L_INACTIVE, highest);
  const active = lruSize(pages, zones, kind + L_ACTIVE, highest);
  let size = inactive + active;
  if (rule.ratioOf === "zone") size = kind === L_ANON ? managedOf(pages, zones) : 0;
  const gib = Math.floor((size * m.pageSize) / GIB);
  const ratio = gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1;
  return inactive * ratio < active;
}

function managedOf({ m }: Pages, zones: readonly number[]): number {
  return zones.reduce((sum, zone) => sum + m.zone[zone * ZONE_WORDS + Z_MANAGED], 0);
}

/** Shares of anonymous and file pages, and of what. */
type Shares = readonly [anon: number, file: number, whole: number];
const FILE: Shares = [0, 1, 1];
const ANON: Shares = [1, 0, 1];
const EQUAL: Shares = [1, 1, 1];

/** Pages of each list that this look is for; `isLow` says which kinds may lose active pages. */
export function scanCounts(
  pages: Pages,
  zones: readonly number[],
  control: ScanControl,
  isLow: (kind: number) => boolean,
): number[] {
  const { rule } = pages;
  const shares = sharesOf(pages, zones, control, isLow);
  let counts = countsOf(pages, zones, control, shares, false);
  if (control.kswapd && isForced(pages, zones, counts)) {
    counts = countsOf(pages, zones, control, shares, true);
  }
  return rule.owes ? owed(pages, zones, counts) : counts;
}

/** Whether short lists are looked at although the priority leaves them out. */
function isForced(pages: Pages, zones: readonly number[], counts: readonly number[]): boolean {
  const { m, rule } = pages;
  if (rule.forceScan === "each") {
    return m.zone[(zones[0] ?? 0) * ZONE_WORDS + Z_ALL_UNRECLAIMABLE] !== 0;
  }
  const none = counts.every((count) => count === 0);
  return rule.forceScan === "if-none" && none && isUnreclaimable(pages, zones);
}

function countsOf(
  pages: Pages,
  zones: readonly number[],
  { priority, reclaimIdx }: ScanControl,
  [anon, file, whole]: Shares,
  force: boolean,
): number[] {
  const counts = [0, 0, 0, 0];
  for (const list of LISTS) {
    const size = lruSize(pages, zones, list, reclaimIdx);
    let scan = size >> priority;
    if (scan === 0 && force) scan = Math.min(size, SWAP_CLUSTER);
    const part = (scan * (list >= L_ANON ? anon : file)) / whole;
    counts[list] = pages.rule.share === "up" ? Math.ceil(part) : Math.floor(part);
  }
  return counts;
}

/** Less than a cluster waits for the next look. Linux: nr_scan_try_batch() of 2.6.39 */
function owed({ reclaim }: Pages, [zone = 0]: readonly number[], counts: number[]): number[] {
  return counts.map((count, list) => {
    const at = zone * RECLAIM_WORDS + R_OWED + list;
    const sum = reclaim[at] + count;
    reclaim[at] = sum >= SWAP_CLUSTER ? 0 : sum;
    return sum - reclaim[at];
  });
}

function sharesOf(
  pages: Pages,
  zones: readonly number[],
  control: ScanControl,
  isLow: (kind: number) => boolean,
): Shares {
  const { swappiness, rule } = pages;
  const { priority, reclaimIdx } = control;
  if (!control.maySwap || !canSwap(pages)) return FILE;
  if (priority === 0 && (swappiness > 0 || rule.equalAtZero === "always")) return EQUAL;
  if (fileIsTiny(pages, zones)) {
    const highest = rule.ratioOf === "eligible" ? reclaimIdx : EVERY_ZONE;
    const inactive = lruSize(pages, zones, L_ANON + L_INACTIVE, highest) >> priority;
    if (rule.tinyFile === "anon" || (inactive > 0 && !isLow(L_ANON))) return ANON;
  }
  if (trimsCache(pages, zones, control) && !isLow(0)) return FILE;
  return rule.balance === "rotated" ? rotatedShares(pages, zones) : costShares(pages, zones);
}

/** Whether file pages that were used once may be all that is looked at. */
export function trimsCache(pages: Pages, zones: readonly number[], control: ScanControl): boolean {
  const { trimsCache: rule, ratioOf } = pages.rule;
  if (rule !== "ratio-and-size") return rule === "ratio";
  const highest = ratioOf === "eligible" ? control.reclaimIdx : EVERY_ZONE;
  return !control.noTrim && lruSize(pages, zones, L_INACTIVE, highest) >> control.priority > 0;
}

/** File pages and free ones together are not more than the high marks: only anonymous ones help. */
function fileIsTiny(pages: Pages, zones: readonly number[]): boolean {
  const { m } = pages;
  let high = 0;
  let free = 0;
  for (const zone of zones) {
    const at = zone * ZONE_WORDS;
    if (m.zone[at + Z_MANAGED] === 0) continue;
    high += m.zone[at + Z_HIGH] + m.zone[at + Z_BOOST];
    free += m.zone[at + Z_FREE];
  }
  return free + filesOf(pages, zones, 0) <= high;
}

/** Pages of a kind on both lists. */
function filesOf(pages: Pages, zones: readonly number[], kind: number): number {
  const active = lruSize(pages, zones, kind + L_ACTIVE, EVERY_ZONE);
  return active + lruSize(pages, zones, kind + L_INACTIVE, EVERY_ZONE);
}

function costShares({ m, node, swappiness }: Pages, [zone = 0]: readonly number[]): Shares {
  const words = nodePlace(m, zone) * NODE_WORDS;
  const both = node[words + N_ANON_COST] + node[words + N_FILE_COST];
  const anonCost = both + node[words + N_ANON_COST];
  const fileCost = both + node[words + N_FILE_COST];
  const total = anonCost + fileCost + 1;
  const anon = Math.floor((swappiness * total) / (anonCost + 1));
  const file = Math.floor(((200 - swappiness) * total) / (fileCost + 1));
  return [anon, file, anon + file];
}

/** What was used again among what was looked at; older looks count half. Linux: get_scan_count() of 2.6.39 to 5.4 */
function rotatedShares(pages: Pages, zones: readonly number[]): Shares {
  const { reclaim, swappiness, rule } = pages;
  const words = homeZone(pages, zones[0] ?? 0) * RECLAIM_WORDS;
  const more = rule.share === "plus-one" ? 1 : 0;
  const shares = [swappiness, 200 - swappiness].map((weight, at) => {
    const kind = 1 - at;
    const scanned = words + R_SCANNED + kind;
    const rotated = words + R_ROTATED + kind;
    if (reclaim[scanned] > filesOf(pages, zones, kind * L_ANON) / 4) {
      reclaim[scanned] >>= 1;
      reclaim[rotated] >>= 1;
    }
    return Math.floor(((weight + more) * (reclaim[scanned] + 1)) / (reclaim[rotated] + 1));
  });
  const [anon = 0, file = 0] = shares;
  return [anon, file, anon + file + 1];
}

/** What a look at inactive pages of a kind cost: pages written, pages that did not go. Linux: lru_note_cost() */
export function noteCost(
  pages: Pages,
  zones: readonly number[],
  kind: number,
  written: number,
  kept: number,
): void {
  const { m, node, rule } = pages;
  const words = nodePlace(m, zones[0] ?? 0) * NODE_WORDS;
  const cost = rule.balance === "written" ? written : written * SWAP_CLUSTER + kept;
  if (cost === 0 && rule.balance === "both-if-any") return;
  node[words + (kind === L_ANON ? N_ANON_COST : N_FILE_COST)] += cost;
  const listed = filesOf(pages, zones, 0) + filesOf(pages, zones, L_ANON);
  if (node[words + N_ANON_COST] + node[words + N_FILE_COST] > listed >> 2) {
    node[words + N_ANON_COST] >>= 1;
    node[words + N_FILE_COST] >>= 1;
  }
}
