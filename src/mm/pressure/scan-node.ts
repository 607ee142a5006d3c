/**
 * Reclaim of lists that hold anonymous and file pages apart: a node's since 4.8, a
 * zone's from 2.6.28 on.
 *
 * Linux: shrink_node(), shrink_lruvec(), should_continue_reclaim(), mm/vmscan.c;
 * shrink_zone() of 2.6.39 and 3.10
 */
import { COSTLY_ORDER, type Memory, Z_INDEX, Z_MANAGED, Z_NODE, ZONE_WORDS } from "../memory.ts";
import { DEF_PRIORITY, Z_PAGES_SCANNED } from "../words.ts";
import { compactGap, compactionSuitable } from "./compact-suitable.ts";
import { homeZone, lruHead } from "./lru.ts";
import {
  L_ACTIVE,
  L_ANON,
  L_INACTIVE,
  N_FAILURES,
  NODE_WORDS,
  nodePlace,
  type Pages,
  R_ROTATED,
  R_SCANNED,
  RECLAIM_WORDS,
} from "./pages.ts";
import { type ScanControl, SWAP_CLUSTER, shrinkActive, shrinkInactive } from "./scan.ts";
import {
  canSwap,
  EVERY_ZONE,
  hasSwap,
  inactiveIsLow,
  LISTS,
  lruSize,
  noteCost,
  scanCounts,
  trimsCache,
} from "./scan-counts.ts";

/** Zones of a node, lowest first. */
export function zonesOfNode(m: Memory, node: number): number[] {
  const found: number[] = [];
  for (let zone = 0; zone < m.zoneCount; zone++) {
    if (m.zone[zone * ZONE_WORDS + Z_NODE] === node) found.push(zone);
  }
  return found;
}

/**
 * Looks at the lists of `zones`, which share them, at the control's priority; for a larger block again
 * while that frees pages and compaction cannot begin.
 */
export function shrinkNode(pages: Pages, zones: readonly number[], control: ScanControl): void {
  const { m } = pages;
  const zone = zones[0];
  if (zone === undefined) return;
  let any = false;
  let vain = 0;
  for (let goesOn = true; goesOn; ) {
    const before = control.reclaimed;
    const scanned = control.scanned;
    shrinkLists(pages, zones, control);
    const freed = control.reclaimed - before;
    if (freed > 0) any = true;
    vain = freed > 0 ? 0 : vain + control.scanned - scanned;
    // Who tries hard goes on in vain; a list that was gone through is enough, as nobody else frees pages meanwhile.
    const isHope = freed > 0 || (control.scanned > scanned && vain < inactiveOf(pages, zones));
    goesOn = goesOnFor(pages, zones, control, freed > 0, isHope);
  }
  if (any) pages.node[nodePlace(m, zone) * NODE_WORDS + N_FAILURES] = 0;
}

/** Linux: shrink_lruvec() */
function shrinkLists(pages: Pages, zones: readonly number[], control: ScanControl): void {
  const { rule } = pages;
  const isLow = lowKinds(pages, zones, control);
  const left = scanCounts(pages, zones, control, isLow);
  const targets = [...left];
  const before = control.reclaimed;
  const trims = trimsCache(pages, zones, control) && !isLow(0);
  let adjusts = control.kswapd || control.priority !== DEF_PRIORITY;
  const of = (list: number): number => left[list] ?? 0;
  while (of(L_ANON + L_INACTIVE) > 0 || of(L_ACTIVE) > 0 || of(L_INACTIVE) > 0) {
    for (const list of LISTS) {
      const count = Math.min(of(list), SWAP_CLUSTER);
      if (count === 0) continue;
      left[list] = of(list) - count;
      shrinkList(pages, zones, list, count, control, isLow);
    }
    if (control.reclaimed - before < control.toReclaim || !adjusts) continue;
    if (rule.proportional === "never") {
      if (control.priority < DEF_PRIORITY) break;
      continue;
    }
    if (!adjustScan(left, targets)) break;
    if (rule.proportional === "once") adjusts = false;
  }
  if (trims && control.reclaimed === before) control.trimFailed = true;
  ageAnon(pages, zones, control);
}

/** Which kinds may lose active pages: told before the look (by 5.10), or found at each list. */
function lowKinds(
  pages: Pages,
  zones: readonly number[],
  control: ScanControl,
): (kind: number) => boolean {
  const { ratioOf } = pages.rule;
  const isLow = (kind: number): boolean =>
    control.forceDeactivate || inactiveIsLow(pages, zones, kind, control.reclaimIdx);
  if (ratioOf !== "all") return isLow;
  const isFileLow = isLow(0);
  const isAnonLow = isLow(L_ANON);
  return (kind) => (kind === L_ANON ? isAnonLow : isFileLow);
}

/** Linux: shrink_list() */
function shrinkList(
  pages: Pages,
  zones: readonly number[],
  list: number,
  count: number,
  control: ScanControl,
  isLow: (kind: number) => boolean,
): void {
  const kind = list & L_ANON;
  const isActive = list - kind === L_ACTIVE;
  if (isActive) {
    if (isLow(kind)) deactivate(pages, zones, kind, count, control);
    else control.skippedDeactivate = true;
    return;
  }
  const head = lruHead(pages, zones[0] ?? 0, list);
  const look = shrinkInactive(pages, head, count, control);
  noteScanned(pages, zones, kind, look.scanned, look.taken, 0);
  if (look.taken === 0) return;
  noteCost(pages, zones, kind, look.written, look.scanned - look.freed);
}

function deactivate(
  pages: Pages,
  zones: readonly number[],
  kind: number,
  count: number,
  control: ScanControl,
): void {
  const head = lruHead(pages, zones[0] ?? 0, kind + L_ACTIVE);
  const look = shrinkActive(pages, head, count, control.reclaimIdx, () => false);
  noteScanned(pages, zones, kind, look.scanned, look.taken, look.rotated);
}

/** Looks count towards unreclaimable zones and, up to 5.8, towards what the kinds are worth. */
function noteScanned(
  { m, reclaim, rule }: Pages,
  zones: readonly number[],
  kind: number,
  scanned: number,
  taken: number,
  rotated: number,
): void {
  if (rule.scannedTimes > 0) {
    for (const zone of zones) m.zone[zone * ZONE_WORDS + Z_PAGES_SCANNED] += scanned;
  }
  const at = (zones[0] ?? 0) * RECLAIM_WORDS + (kind === L_ANON ? 1 : 0);
  reclaim[at + R_SCANNED] += taken;
  reclaim[at + R_ROTATED] += rotated;
}

/** Anonymous pages age though none is reclaimed. Linux: kswapd_age_node(), shrink_lruvec() */
export function ageAnon(pages: Pages, zones: readonly number[], control: ScanControl): void {
  if (!hasSwap(pages) || !inactiveIsLow(pages, zones, L_ANON, control.reclaimIdx)) return;
  deactivate(pages, zones, L_ANON, SWAP_CLUSTER, control);
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

/** Inactive pages that could go. */
function inactiveOf(pages: Pages, zones: readonly number[]): number {
  const size = lruSize(pages, zones, L_INACTIVE, EVERY_ZONE);
  return canSwap(pages) ? size + lruSize(pages, zones, L_ANON + L_INACTIVE, EVERY_ZONE) : size;
}

/** Linux: should_continue_reclaim(), in_reclaim_compaction() */
function goesOnFor(
  pages: Pages,
  zones: readonly number[],
  control: ScanControl,
  freed: boolean,
  isHope: boolean,
): boolean {
  const { m, rule } = pages;
  const { order, priority, reclaimIdx } = control;
  if (rule.goesOn === "never" || !pages.migration || order === 0) return false;
  if (order <= COSTLY_ORDER && priority >= DEF_PRIORITY - 2) return false;
  if (!freed && !(isHope && rule.goesOn === "twice-first" && control.triesHard)) return false;
  const gap = compactGap(order);
  const isLong = inactiveOf(pages, zones) > gap;
  if (rule.goesOn === "twice-first" && control.reclaimed < gap && isLong) return true;
  const canBegin = zones.some((zone) => {
    const at = zone * ZONE_WORDS;
    if (m.zone[at + Z_MANAGED] === 0 || m.zone[at + Z_INDEX] > reclaimIdx) return false;
    return compactionSuitable(m, zone, order, 0, reclaimIdx) !== "skipped";
  });
  if (canBegin) return false;
  return rule.goesOn === "twice-first" || isLong;
}

/** The zones whose lists are one with a zone's. */
export function sharers(pages: Pages, zone: number): number[] {
  const home = homeZone(pages, zone);
  if (pages.rule.lists !== "node") return [home];
  return zonesOfNode(pages.m, pages.m.zone[home * ZONE_WORDS + Z_NODE]);
}
