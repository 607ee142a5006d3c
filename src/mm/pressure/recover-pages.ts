/**
 * After a worker died that had pages in its hands: what it was in the middle of is
 * ended one way or the other, what was its goes, and what was others' stays with all
 * its bytes.
 *
 * `place` tells where a page is (T1): other rows that still name the handle are
 * leftovers of a move, and go with the dead. Whoever died under the lock of LRU lists
 * may have left them torn: they are built anew from the flags, in the order of rows.
 * Pages are not freed here but made the dead one's, for `recover` of the frames.
 *
 * Linux: exit_mmap(), mm/mmap.c; munlock and put_page of what a task had pinned
 */
import { assert } from "../../base/assert.ts";
import { assertOthers } from "../arguments.ts";
import { holderOf, inheritWord, lockWord, unlockWord } from "../lock.ts";
import { type Memory, OWNED, Z_ROW, Z_ROW_END, ZONE_WORDS, zoneOf } from "../memory.ts";
import { mendLocks, type Recovered, recoverFrames } from "../recover.ts";
import { LRU_LISTS, Z_ACTIVE, Z_INACTIVE, Z_LRU_LOCK } from "../words.ts";
import { setReclaimActive } from "./balance-node.ts";
import { DAEMON_WORDS, K_LOCK, K_ORDER, K_WOKEN } from "./compact-state.ts";
import { cpuOfOwner, giveTo, lockHandle, unlockHandle, unlockLru } from "./handle-lock.ts";
import { claimRow, forget } from "./handles.ts";
import { addLru, homeZone, lruHead, putOn, takeOff } from "./lru.ts";
import {
  HANDLE_ANON,
  HANDLE_FILE,
  HANDLE_FREE,
  HANDLE_GONE,
  N_KSWAPD_LOCK,
  N_KSWAPD_WOKEN,
  NODE_WORDS,
  type Pages,
  PG_DIRTY,
  PG_ISOLATED,
  PG_LRU,
  R_ANON,
  RECLAIM_WORDS,
  type SharedWords,
  W_CMA_LOCK,
  W_RECOVER_LOCK,
  W_STORE,
} from "./pages.ts";
import { zonesOfNode } from "./scan-node.ts";
import { setSlot } from "./stored.ts";

export interface RecoveredPages extends Recovered {
  /** Handles that went with the dead, ascending: they are free. */
  readonly handles: readonly number[];
}

/** What is at hand of one recovery. */
interface Wake {
  readonly pages: Pages;
  readonly shared: SharedWords;
  readonly dead: readonly number[];
  /** Handles that a dead CPU had locked, and which: locked by this CPU now. */
  readonly stuck: ReadonlyMap<number, number>;
}

/**
 * Puts a shared memory with its pages right after the workers that were these CPUs are gone for good:
 * instead of `recover`, and under its conditions. Handles of the dead are dropped, but for those that a
 * living CPU has pinned, which are its from now on.
 */
export function recoverPages(pages: Pages, dead: readonly number[]): RecoveredPages {
  const { m, shared } = pages;
  assert(shared !== null, "this memory was not made with shared: true");
  assertOthers(m, dead);
  // Whoever is alive and has what is wanted below may be waiting for a zone.
  const inFlight = mendLocks(m, dead);
  takeWord(shared.words, W_RECOVER_LOCK, dead, m.cpu);
  const stuck = inheritHandles(shared, dead, m.cpu);
  try {
    const wake: Wake = { pages, shared, dead, stuck };
    for (let zone = 0; zone < m.zoneCount; zone++) {
      if (homeZone(pages, zone) === zone) settleRows(wake, zone);
    }
    pages.store?.shared?.recover(dead, pages.slot);
    loseStore(wake);
    for (const handle of stuck.keys()) endWork(wake, handle);
    releasePins(wake);
    const handles = dropTheirs(wake);
    for (const handle of stuck.keys()) unlockHandle(pages, handle);
    stuck.clear();
    const frames = recoverFrames(m, dead);
    endDaemons(wake);
    endClaims(wake);
    return { ...frames, inFlight: inFlight + frames.inFlight, handles };
  } finally {
    // Where it could not be done: the next one finds them as they were.
    for (const [handle, holder] of stuck) inheritWord(shared.lock, handle, m.cpu, holder);
    unlockWord(shared.words, W_RECOVER_LOCK);
  }
}

/** A word's lock, from the dead where one of them has it: returns whether. */
function takeWord(words: Int32Array, at: number, dead: readonly number[], cpu: number): boolean {
  const holder = holderOf(words, at);
  if (dead.includes(holder) && inheritWord(words, at, holder, cpu)) return true;
  lockWord(words, at, cpu);
  return false;
}

function inheritHandles({ lock }: SharedWords, dead: readonly number[], cpu: number) {
  const stuck = new Map<number, number>();
  for (let handle = 1; handle < lock.length; handle++) {
    const holder = holderOf(lock, handle);
    if (dead.includes(holder) && inheritWord(lock, handle, holder, cpu)) stuck.set(handle, holder);
  }
  return stuck;
}

/** Rows that the dead were at are off the lists of a home; those that are no page's are the dead's. */
function settleRows({ pages, dead, stuck }: Wake, home: number): void {
  const { m, flags, handleOf, place } = pages;
  const isTorn = takeWord(m.zone, home * ZONE_WORDS + Z_LRU_LOCK, dead, m.cpu);
  const rows = ownedRows(pages, home);
  for (const row of rows) {
    const handle = handleOf[row];
    const holder = handle > 0 ? stuck.get(handle) : cpuOfOwner(handle);
    if (holder === undefined || !dead.includes(holder)) continue;
    if (isTorn) flags[row] &= ~PG_LRU;
    else if ((flags[row] & PG_LRU) !== 0) takeOff(pages, row);
    flags[row] &= ~PG_ISOLATED;
    if (handle > 0 && place[handle] === row && isUsed(pages, handle)) {
      claimRow(pages, row, handle);
      continue;
    }
    if (handle > 0) giveTo(m, row, holder);
    flags[row] = 0;
    m.state[row] &= ~OWNED;
    handleOf[row] = 0;
  }
  if (isTorn) relist(pages, home, rows);
  unlockLru(pages, home);
}

function isUsed({ kind }: Pages, handle: number): boolean {
  return kind[handle] === HANDLE_ANON || kind[handle] === HANDLE_FILE;
}

/** Rows with an owner in the zones whose lists are at `home`, ascending. */
function ownedRows(pages: Pages, home: number): number[] {
  const { m, handleOf } = pages;
  const rows: number[] = [];
  for (const zone of zonesAt(pages, home)) {
    const end = m.zone[zone * ZONE_WORDS + Z_ROW_END];
    for (let row = m.zone[zone * ZONE_WORDS + Z_ROW]; row < end; row++) {
      if (m.touched[row >> m.sectionShift] === 0) row |= m.sectionMask;
      else if (handleOf[row] !== 0 && zoneOf(m, row) === zone) rows.push(row);
    }
  }
  return rows;
}

function zonesAt(pages: Pages, home: number): number[] {
  const zones = [...pages.m.names.keys()];
  return zones.filter((zone) => homeZone(pages, zone) === home);
}

/** Lists and their sizes anew. */
function relist(pages: Pages, home: number, rows: readonly number[]): void {
  const { m, flags, lru, reclaim } = pages;
  for (let list = 0; list < LRU_LISTS; list++) {
    const head = lruHead(pages, home, list);
    m.next[head] = head;
    m.prev[head] = head;
  }
  for (const zone of zonesAt(pages, home)) {
    lru.fill(0, zone * LRU_LISTS, (zone + 1) * LRU_LISTS);
    reclaim[zone * RECLAIM_WORDS + R_ANON] = 0;
    m.zone[zone * ZONE_WORDS + Z_ACTIVE] = 0;
    m.zone[zone * ZONE_WORDS + Z_INACTIVE] = 0;
  }
  for (const row of rows) if ((flags[row] & PG_LRU) !== 0) putOn(pages, row, true);
}

/** A store that only the dead had is gone: what was in it alone is lost, what is in memory as well is dirty. */
function loseStore({ pages, shared, dead, stuck }: Wake): void {
  const { slot, place, flags, kind } = pages;
  if (!dead.includes(shared.words[W_STORE] - 1)) return;
  for (let handle = 1; handle < slot.length; handle++) {
    if (slot[handle] === 0) continue;
    if (!stuck.has(handle)) lockHandle(pages, handle);
    if (kind[handle] === HANDLE_GONE) {
      slot[handle] = 0;
      if (!stuck.has(handle)) kind[handle] = HANDLE_FREE;
    } else if (place[handle] === 0) slot[handle] = -1;
    else {
      flags[place[handle]] |= PG_DIRTY;
      slot[handle] = 0;
    }
    if (!stuck.has(handle)) unlockHandle(pages, handle);
  }
  shared.words[W_STORE] = 0;
}

/** A handle that a dead CPU had locked is as if it never had. */
function endWork({ pages, shared }: Wake, handle: number): void {
  const { m, place, kind } = pages;
  if (!isUsed(pages, handle)) {
    // Not yet a page, or no more.
    place[handle] = 0;
    if (kind[handle] === HANDLE_GONE && setSlot(pages, handle, 0)) kind[handle] = HANDLE_FREE;
    return;
  }
  const row = place[handle];
  if (row === 0) return;
  giveTo(m, row, shared.owner[handle] - 1);
  countPins(pages, shared, handle);
  addLru(pages, row);
}

/** Pins of a row are what CPUs hold (T5). */
function countPins({ m, pins, place }: Pages, { held, lock }: SharedWords, handle: number): void {
  let sum = 0;
  for (let cpu = 0; cpu < m.cpuCount; cpu++) sum += held[cpu * lock.length + handle];
  if (place[handle] !== 0) pins[place[handle]] = sum;
}

function releasePins({ pages, shared, dead, stuck }: Wake): void {
  const { held, lock } = shared;
  for (const cpu of dead) {
    for (let handle = 1; handle < lock.length; handle++) {
      if (held[cpu * lock.length + handle] === 0) continue;
      if (!stuck.has(handle)) lockHandle(pages, handle);
      held[cpu * lock.length + handle] = 0;
      countPins(pages, shared, handle);
      if (!stuck.has(handle)) unlockHandle(pages, handle);
    }
  }
}

/** Handles of the dead go; whoever has one pinned keeps it. */
function dropTheirs({ pages, shared, dead, stuck }: Wake): number[] {
  const { m, place, kind } = pages;
  const dropped: number[] = [];
  for (let handle = 1; handle < kind.length; handle++) {
    if (!dead.includes(shared.owner[handle] - 1) || !isUsed(pages, handle)) continue;
    if (!stuck.has(handle)) lockHandle(pages, handle);
    const row = place[handle];
    const heir = heirOf(m, shared, handle);
    if (!isUsed(pages, handle)) {
      // Dropped by another meanwhile.
    } else if (heir >= 0) {
      shared.owner[handle] = heir + 1;
      giveTo(m, row, heir);
    } else {
      kind[handle] = HANDLE_GONE;
      place[handle] = 0;
      if (row !== 0) {
        giveTo(m, row, shared.owner[handle] - 1);
        forget(pages, row);
      }
      if (setSlot(pages, handle, 0)) kind[handle] = HANDLE_FREE;
      dropped.push(handle);
    }
    if (!stuck.has(handle)) unlockHandle(pages, handle);
  }
  return dropped;
}

/** A CPU that has the handle pinned; -1 for none. Pins of the dead are gone by now. */
function heirOf({ cpuCount }: Memory, { held, lock }: SharedWords, handle: number): number {
  for (let cpu = 0; cpu < cpuCount; cpu++) if (held[cpu * lock.length + handle] > 0) return cpu;
  return -1;
}

/** kswapd or kcompactd of a node that died at work is to run again. */
function endDaemons({ pages, dead }: Wake): void {
  const { m, node, compaction } = pages;
  m.nodes.forEach((id, at) => {
    const words = at * NODE_WORDS;
    const own = at * DAEMON_WORDS;
    const compacter = holderOf(compaction.daemon, own + K_LOCK);
    if (
      dead.includes(compacter) &&
      inheritWord(compaction.daemon, own + K_LOCK, compacter, m.cpu)
    ) {
      if (compaction.daemon[own + K_ORDER] > 0) compaction.daemon[own + K_WOKEN] = 1;
      unlockWord(compaction.daemon, own + K_LOCK);
    }
    const holder = holderOf(node, words + N_KSWAPD_LOCK);
    if (!dead.includes(holder) || !inheritWord(node, words + N_KSWAPD_LOCK, holder, m.cpu)) return;
    for (const zone of zonesOfNode(m, id)) setReclaimActive(m, zone, false);
    node[words + N_KSWAPD_WOKEN] = 1;
    unlockWord(node, words + N_KSWAPD_LOCK);
  });
}

/** What the dead had claimed of CMA areas is lent again: its pages are free by now. */
function endClaims({ pages, shared, dead }: Wake): void {
  for (const { bits } of pages.areas) {
    bits.forEach((claimer, bit) => {
      if (dead.includes(claimer - 1)) bits[bit] = 0;
    });
  }
  const holder = holderOf(shared.words, W_CMA_LOCK);
  if (dead.includes(holder) && inheritWord(shared.words, W_CMA_LOCK, holder, pages.m.cpu)) {
    unlockWord(shared.words, W_CMA_LOCK);
  }
}
