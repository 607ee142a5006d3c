/**
 * Memory that comes and goes while the machine runs: a block of pageblocks is
 * emptied and taken out of its zone, or put into it. Marks and reserves rest on
 * managed pages: call `setMarks` afterwards, as the kernel does.
 *
 * Linux: offline_pages(), online_pages(), mm/memory_hotplug.c
 */
import { assert } from "../../base/assert.ts";
import { freePages, freePagesPastPcp } from "../allocate.ts";
import { isHole } from "../isolate.ts";
import { lockZone, unlockZone } from "../lock.ts";
import {
  type Memory,
  rowOf,
  TAKEN,
  Z_HIGHATOMIC,
  Z_MANAGED,
  Z_PRESENT,
  ZONE_WORDS,
  zoneOf,
} from "../memory.ts";
import { plug, reachOver, zoneToBe } from "../plugged.ts";
import { CMA, HIGHATOMIC, ISOLATE, MOVABLE, UNMOVABLE } from "../rule.ts";
import { heldInRange, type RangeRefusal, takeRange } from "./move-range.ts";
import type { Pages } from "./pages.ts";

/** What taking memory out came to. */
export type OfflineAnswer =
  | { readonly done: true }
  | {
      readonly done: false;
      readonly reason: RangeRefusal;
      /** pfns of pages that nobody may move, in the pageblock that could not be emptied. */
      readonly held: readonly number[];
    };

/**
 * Takes `count` pages from `pfn` on out of their zone, whole pageblocks of one zone: what is in them
 * moves away first. On refusal nothing has changed but places of pages.
 */
export function offlinePages(pages: Pages, pfn: number, count: number): OfflineAnswer {
  const { m } = pages;
  const size = 2 ** m.pageblockOrder;
  assertBlocks(m, pfn, count);
  for (let at = pfn; at < pfn + count; at += size) {
    const type = m.blockType[rowOf(m, at) >> m.pageblockOrder];
    // What is lent stays: its area could not have it back. What another worker isolates is his.
    const refusal = type === CMA || type === ISOLATE ? "-EBUSY" : takeRange(pages, at, size, type);
    if (refusal === null) continue;
    const held = heldInRange(pages, at, size);
    for (let own = pfn; own < at; own++) freePages(m, own, 0);
    return { done: false, reason: refusal, held };
  }
  // All of it at once, and rows before the counts: `recover` counts anew.
  const zone = zoneOf(m, rowOf(m, pfn));
  const words = zone * ZONE_WORDS;
  lockZone(m, zone);
  for (let at = pfn; at < pfn + count; at += size) {
    const row = rowOf(m, at);
    const block = row >> m.pageblockOrder;
    if (m.blockType[block] === HIGHATOMIC) m.zone[words + Z_HIGHATOMIC] -= size;
    m.blockType[block] = m.rule.mobility ? MOVABLE : UNMOVABLE;
    m.state.fill(0, row, row + size);
    plug(m, row, false);
    countIn(m, words, -size);
  }
  unlockZone(m, zone);
  return { done: true };
}

/** Puts pages that `offlinePages` took out, or that were a hole of the zone, into it. Asserts that they are neither. */
export function onlinePages(pages: Pages, pfn: number, count: number): void {
  const { m } = pages;
  const size = 2 ** m.pageblockOrder;
  assertBlocks(m, pfn, count);
  for (let at = pfn; at < pfn + count; at += size) {
    assert(isHole(m, rowOf(m, at)), "this memory is online", at);
  }
  for (let at = pfn; at < pfn + count; at += size) {
    const row = rowOf(m, at);
    const zone = zoneToBe(m, at);
    lockZone(m, zone);
    reachOver(m, zone, row);
    m.touched[row >> m.sectionShift] = 1;
    // RAM first: what a worker that dies leaves between is a gap in it.
    plug(m, row, true);
    if (m.cpus !== null) m.owner[row] = ((m.cpu + 1) << 8) | m.pageblockOrder;
    m.state[row] = TAKEN | m.pageblockOrder;
    countIn(m, zone * ZONE_WORDS, size);
    unlockZone(m, zone);
    freePagesPastPcp(m, at, m.pageblockOrder);
  }
}

function assertBlocks(m: Memory, pfn: number, count: number): void {
  const size = 2 ** m.pageblockOrder;
  assert(
    count > 0 && pfn % size === 0 && count % size === 0,
    "memory comes in whole pageblocks",
    pfn,
  );
  for (let at = pfn; at < pfn + count; at += size) {
    const zone = zoneToBe(m, at);
    assert(zone >= 0 && zone === zoneToBe(m, pfn), "memory of one zone comes and goes at once", at);
  }
}

function countIn(m: Memory, words: number, pages: number): void {
  m.zone[words + Z_PRESENT] += pages;
  m.zone[words + Z_MANAGED] += pages;
}
