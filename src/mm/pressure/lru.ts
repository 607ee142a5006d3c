/**
 * The LRU lists: pages that may go, the least used at the tail.
 *
 * A page's links are those of its frame, which is on no other list while it is
 * taken. Lists belong to a zone or to a node by the era; a node's are headed by the
 * rows of its first zone. Sizes are counted by zone in both.
 *
 *   R1  lru[zone, list] is the number of pages of the zone on that list
 *   R2  a page with PG_LRU is on the list that its flags name, and no other page is
 *   R3  reclaim[zone, R_ANON] is how many of them are anonymous, where one list holds both kinds
 *
 * Linux: lruvec_add_folio(), folio_lru_list(), include/linux/mm_inline.h;
 * 2.6: add_page_to_active_list(), include/linux/mm_inline.h
 */
import { ORDER_MASK, zoneOf } from "../memory.ts";
import { LRU_LISTS, Z_ACTIVE, Z_INACTIVE, Z_NODE, ZONE_WORDS } from "../words.ts";
import { lockLru, unlockLru } from "./handle-lock.ts";
import {
  L_ACTIVE,
  L_ANON,
  L_INACTIVE,
  L_UNEVICTABLE,
  type Pages,
  PG_ACTIVE,
  PG_ANON,
  PG_LRU,
  PG_MLOCKED,
  R_ANON,
  RECLAIM_WORDS,
} from "./pages.ts";

/** Row of the head of a list: of `zone`, or of its node. */
export function lruHead(pages: Pages, zone: number, list: number): number {
  return pages.m.lruHeads + homeZone(pages, zone) * LRU_LISTS + list;
}

/** The zone that has the lists, their lock and the books of a zone's pages: itself, or its node's first. */
export function homeZone({ m, rule }: Pages, zone: number): number {
  if (rule.lists !== "node") return zone;
  const node = m.zone[zone * ZONE_WORDS + Z_NODE];
  let first = 0;
  while (m.zone[first * ZONE_WORDS + Z_NODE] !== node) first++;
  return first;
}

/** Zone whose lock guards the list with this head. */
export function homeOfHead({ m }: Pages, head: number): number {
  return Math.floor((head - m.lruHeads) / LRU_LISTS);
}

/** The list that a page belongs on by its flags. */
export function listOf(pages: Pages, row: number): number {
  const flags = pages.flags[row];
  const active = (flags & PG_ACTIVE) !== 0 ? L_ACTIVE : L_INACTIVE;
  if (pages.rule.lists === "zone") return active;
  if ((flags & PG_MLOCKED) !== 0) return L_UNEVICTABLE;
  return active + ((flags & PG_ANON) !== 0 ? L_ANON : 0);
}

/** Puts a page on the list that its flags name, as the most recently used, or as the least. */
export function addLru(pages: Pages, row: number, toTail = false): void {
  const home = homeZone(pages, zoneOf(pages.m, row));
  lockLru(pages, home);
  putOn(pages, row, toTail);
  unlockLru(pages, home);
}

/** The same under the list's lock. */
export function putOn(pages: Pages, row: number, toTail = false): void {
  const { m } = pages;
  const zone = zoneOf(m, row);
  const list = listOf(pages, row);
  const head = lruHead(pages, zone, list);
  link(pages, row, toTail ? m.prev[head] : head);
  pages.flags[row] |= PG_LRU;
  count(pages, row, zone, list, 1 << (m.state[row] & ORDER_MASK));
}

/** Puts a row behind `before`, whatever is known of it. */
export function link({ m }: Pages, row: number, before: number): void {
  const after = m.next[before];
  m.next[row] = after;
  m.prev[row] = before;
  m.next[before] = row;
  m.prev[after] = row;
}

/** Takes a row out between its neighbours, whatever is known of it. */
export function unlink({ m }: Pages, row: number): void {
  const before = m.prev[row];
  const after = m.next[row];
  m.next[before] = after;
  m.prev[after] = before;
}

export function removeLru(pages: Pages, row: number): void {
  const home = homeZone(pages, zoneOf(pages.m, row));
  lockLru(pages, home);
  takeOff(pages, row);
  unlockLru(pages, home);
}

/** The same under the list's lock. */
export function takeOff(pages: Pages, row: number): void {
  const { m } = pages;
  unlink(pages, row);
  pages.flags[row] &= ~PG_LRU;
  const size = 1 << (m.state[row] & ORDER_MASK);
  count(pages, row, zoneOf(m, row), listOf(pages, row), -size);
}

function count(pages: Pages, row: number, zone: number, list: number, size: number): void {
  pages.lru[zone * LRU_LISTS + list] += size;
  if (pages.rule.lists !== "zone") return;
  // The book's struct zone counts its own two lists; later zones count by kind only.
  const word = zone * ZONE_WORDS + (list === L_ACTIVE ? Z_ACTIVE : Z_INACTIVE);
  pages.m.zone[word] += size;
  if ((pages.flags[row] & PG_ANON) !== 0) pages.reclaim[zone * RECLAIM_WORDS + R_ANON] += size;
}
