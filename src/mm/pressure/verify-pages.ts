/**
 * Do pages and their owners hold together? W1, W2, W3, R1, R2 and R3, against the frames
 * themselves; in a shared memory, when nobody is at it, T4, T5 and A1 too.
 *
 * Linux: what mm/debug.c and CONFIG_DEBUG_VM check, put together.
 */
import {
  KIND_MASK,
  MOBILE,
  ORDER_MASK,
  OWNED,
  rowOf,
  TAKEN,
  Z_NODE,
  ZONE_WORDS,
  zoneOf,
} from "../memory.ts";
import { LRU_LISTS } from "../words.ts";
import { listOf, lruHead } from "./lru.ts";
import {
  HANDLE_FREE,
  type Pages,
  PG_ANON,
  PG_LRU,
  R_ANON,
  RECLAIM_WORDS,
  type SharedWords,
} from "./pages.ts";

/** Everything that does not hold; empty when all is well. */
export function verifyPages(pages: Pages): string[] {
  const broken: string[] = [];
  verifyHandles(pages, broken);
  verifyLists(pages, broken);
  if (pages.shared !== null) verifyShared(pages, pages.shared, broken);
  return broken;
}

function verifyHandles({ m, place, kind, handleOf, flags }: Pages, broken: string[]): void {
  for (let handle = 1; handle < place.length; handle++) {
    const row = place[handle];
    if (row === 0) continue;
    if (kind[handle] === HANDLE_FREE || handleOf[row] !== handle) {
      broken.push(`W1: handle ${handle} is at row ${row}, which has handle ${handleOf[row]}`);
    }
    if ((flags[row] & PG_LRU) === 0)
      broken.push(`W2: row ${row} of handle ${handle} is on no list`);
    const state = m.state[row] & KIND_MASK;
    if (state !== TAKEN && state !== MOBILE)
      broken.push(`W1: row ${row} of handle ${handle} is free`);
  }
}

function verifyShared(pages: Pages, shared: SharedWords, broken: string[]): void {
  const { m, place, pins, kind, slot } = pages;
  const { lock, owner, held } = shared;
  for (let handle = 1; handle < place.length; handle++) {
    if (lock[handle] !== 0) broken.push(`T1: handle ${handle} is locked, by word ${lock[handle]}`);
    if (kind[handle] === HANDLE_FREE && (place[handle] !== 0 || slot[handle] !== 0)) {
      broken.push(`W1: handle ${handle} is free, and has a page or a slot`);
    }
    const row = place[handle];
    if (row === 0) continue;
    if (m.owner[row] >> 8 !== owner[handle]) {
      broken.push(
        `T4: handle ${handle} goes with ${owner[handle]}, its page with ${m.owner[row] >> 8}`,
      );
    }
    let sum = 0;
    for (let cpu = 0; cpu < m.cpuCount; cpu++) sum += held[cpu * lock.length + handle];
    if (sum !== pins[row])
      broken.push(`T5: handle ${handle} has ${pins[row]} pins, CPUs hold ${sum}`);
  }
  for (const { name, bits, basePfn, orderPerBit } of pages.areas) {
    bits.forEach((claimer, bit) => {
      const state = m.state[rowOf(m, basePfn + (bit << orderPerBit))] & KIND_MASK;
      if (claimer !== 0 && state !== TAKEN && state !== MOBILE)
        broken.push(`A1: bit ${bit} of area ${name} is claimed, its first page is free`);
    });
  }
}

function verifyLists(pages: Pages, broken: string[]): void {
  const { m, flags, lru, handleOf, reclaim, rule } = pages;
  const counted = new Int32Array(lru.length);
  const listed = new Set<number>();
  const anon = new Int32Array(m.zoneCount);
  for (let zone = 0; zone < m.zoneCount; zone++) {
    for (let list = 0; list < LRU_LISTS; list++) {
      const head = lruHead(pages, zone, list);
      for (let row = m.next[head]; row !== head; row = m.next[row]) {
        if (listed.has(row)) break;
        listed.add(row);
        const at = zoneOf(m, row) * LRU_LISTS + list;
        counted[at] += 1 << (m.state[row] & ORDER_MASK);
        if ((flags[row] & PG_ANON) !== 0) anon[zoneOf(m, row)] += 1 << (m.state[row] & ORDER_MASK);
        const isOwn = (flags[row] & PG_LRU) !== 0 && listOf(pages, row) === list;
        const node = m.zone[zoneOf(m, row) * ZONE_WORDS + Z_NODE];
        const isHome = node === m.zone[zone * ZONE_WORDS + Z_NODE];
        if (!isOwn || !isHome || handleOf[row] === 0 || m.prev[m.next[row]] !== row) {
          broken.push(
            `R2: row ${row} is on list ${list} of zone ${zone}, and does not belong there`,
          );
        }
      }
    }
  }
  lru.forEach((size, at) => {
    if (size !== counted[at]) {
      broken.push(
        `R1: list ${at % LRU_LISTS} of zone ${Math.floor(at / LRU_LISTS)} has ${counted[at]} pages, ${size} are counted`,
      );
    }
  });
  anon.forEach((size, zone) => {
    const known = reclaim[zone * RECLAIM_WORDS + R_ANON];
    if (rule.lists === "zone" && known !== size)
      broken.push(`R3: zone ${zone} has ${size} anonymous pages on lists, ${known} are counted`);
  });
  for (let row = m.firstRow; row < m.rows; row++) {
    if (handleOf[row] > 0 && pages.place[handleOf[row]] !== row)
      broken.push(`W1: row ${row} has handle ${handleOf[row]}, which is elsewhere`);
    if ((handleOf[row] !== 0) !== ((m.state[row] & OWNED) !== 0))
      broken.push(`W3: row ${row} has handle ${handleOf[row]} and state ${m.state[row]}`);
    if ((flags[row] & PG_LRU) !== 0 && !listed.has(row))
      broken.push(`R2: row ${row} is on no list`);
  }
}
