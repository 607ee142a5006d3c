/**
 * Pages that were taken before the first recorded event: the boot allocates before
 * it traces, among it the trace's own buffers. They are told by what is recorded
 * later, so only a repaired run takes them, and counts them:
 *
 *   freed first    the page's first event is a free
 *   never seen     no event is of the page, and it is not free at the end
 *
 * The free block that such a request broke became its type's, with its pageblocks: the
 * type that is next seen to be taken from there, unmovable where none is.
 *
 * Linux: steal_suitable_fallback(), mm/page_alloc.c
 */
import { linkHead, unlink } from "../mm/buddy.ts";
import { FREE, type Memory, ORDER_MASK, rowOf, TAKEN, zoneOf } from "../mm/memory.ts";
import { PCP_TYPES } from "../mm/rule.ts";
import type { ReplayEvent } from "./event.ts";
import type { ListSnapshot } from "./snapshot.ts";
import { takeOff } from "./surgery.ts";

const SEEN = 1;
const FREED_FIRST = 2;

export class FirstUses {
  readonly #m: Memory;
  /** By row: how its first event found it; 0 while there was none. */
  readonly #first: Uint8Array;

  /** By pageblock: type of the first refill from it, plus one; 0 while there was none. */
  readonly #types: Uint8Array;

  constructor(m: Memory) {
    this.#m = m;
    this.#types = new Uint8Array(m.blockType.length);
    this.#first = new Uint8Array(m.rows);
  }

  note(e: ReplayEvent): void {
    const { kind, pfn, order } = e;
    if (kind === "refill") this.#noteType(e);
    if (kind === "alloc" || kind === "refill") this.#mark(pfn, 2 ** order, SEEN);
    else if (kind === "free") this.#mark(pfn, 2 ** order, FREED_FIRST);
    else if (kind === "isolate") this.#mark(pfn, e.a - pfn, SEEN);
    else if (kind === "take") this.#mark(pfn, 1, SEEN);
  }

  #noteType({ pfn, type }: ReplayEvent): void {
    const row = rowOf(this.#m, pfn);
    const block = row >> this.#m.pageblockOrder;
    if (row >= 0 && this.#types[block] === 0 && type >= 0 && type < PCP_TYPES) {
      this.#types[block] = type + 1;
    }
  }

  #mark(pfn: number, pages: number, how: number): void {
    if (pfn < 0) return;
    for (let i = 0; i < pages; i++) {
      const row = rowOf(this.#m, pfn + i);
      if (row >= 0 && this.#first[row] === 0) this.#first[row] = how;
    }
  }

  /** Takes them out of `m`, the same memory afresh. Returns how many. `end` is null where nobody looked. */
  takeFrom(m: Memory, end: ListSnapshot | null): number {
    if (end !== null) this.#seeEnd(end);
    let taken = 0;
    for (let row = m.firstRow; row < m.rows; row++) {
      const how = this.#first[row];
      if (how === SEEN || (how === 0 && end === null)) continue;
      const head = freeHeadOf(m, row);
      if (head < 0) continue;
      this.#steal(m, head);
      takeOff(m, row, 0);
      m.state[row] = TAKEN;
      taken++;
    }
    return taken;
  }

  #steal(m: Memory, head: number): void {
    const order = m.state[head] & ORDER_MASK;
    const block = head >> m.pageblockOrder;
    const type = Math.max(0, this.#types[block] - 1);
    if (order < m.pageblockOrder || m.blockType[block] === type) return;
    const zone = zoneOf(m, head);
    m.blockType.fill(type, block, (head + (1 << order)) >> m.pageblockOrder);
    unlink(m, zone, head, order);
    linkHead(m, zone, head, order, type);
  }

  /** What is free at the end without an event was free all the time. */
  #seeEnd({ free, pcp }: ListSnapshot): void {
    for (const { pfns, order } of free) for (const pfn of pfns) this.#mark(pfn, 2 ** order, SEEN);
    for (const { pfns } of pcp) for (const pfn of pfns) this.#mark(pfn, 1, SEEN);
  }
}

/** Row of the free block that holds `row`; -1 for none. */
function freeHeadOf(m: Memory, row: number): number {
  for (let order = 0; order <= m.maxOrder; order++) {
    const head = row & ~((1 << order) - 1);
    if (m.state[head] === (FREE | order)) return head;
  }
  return -1;
}
