/**
 * What reclaim and compaction add to a replay, all told by the recording: while
 * kswapd works per-CPU lists are short and a finished pass lowers boosts; who
 * reclaims may go below the marks; and compaction takes free blocks without a
 * request.
 *
 * Linux: balance_pgdat(), mm/vmscan.c; isolate_freepages_block(),
 * fast_isolate_freepages(), mm/compaction.c
 */
import { unlink } from "../mm/buddy.ts";
import {
  FREE,
  KIND_MASK,
  type Memory,
  MOBILE,
  ORDER_MASK,
  pfnOf,
  rowOf,
  TAKEN,
  Z_BOOST,
  Z_FLAGS,
  Z_NODE,
  ZONE_RECLAIM_ACTIVE,
  ZONE_WORDS,
  zoneOf,
} from "../mm/memory.ts";
import { countPages } from "../mm/queue.ts";
import { MOVABLE, PCP_TYPES } from "../mm/rule.ts";
import type { ReplayEvent } from "./event.ts";

/** Told of each block that compaction takes off a free list. */
export type TakenSink = (row: number, order: number) => void;

export class ReclaimState {
  readonly #m: Memory;
  readonly #taken: TakenSink | null;
  /** Boost of each zone when the running pass of its node began. */
  readonly #boosts: number[];
  readonly #reclaiming: Set<number> = new Set();
  readonly #past: Set<number> = new Set();

  constructor(m: Memory, taken: TakenSink | null = null) {
    this.#m = m;
    this.#taken = taken;
    this.#boosts = m.names.map(() => 0);
  }

  /** The task frees memory itself, so that no mark holds it back: PF_MEMALLOC. */
  isReclaimer(e: ReplayEvent): boolean {
    return !e.interrupt && (e.reclaimer || this.#reclaiming.has(e.pid));
  }

  /** The task's request has reclaimed already: it goes on at the min mark. Asked once a request. */
  takePast(e: ReplayEvent): boolean {
    const past = this.#past.has(e.pid);
    if (!e.interrupt) this.#past.delete(e.pid);
    return past;
  }

  /** Before the event is replayed. */
  note(e: ReplayEvent): void {
    if (e.kind === "reclaim") this.#reclaiming.add(e.pid);
    else if (e.kind === "reclaim-end") {
      this.#reclaiming.delete(e.pid);
      this.#past.add(e.pid);
    } else if (e.kind === "kswapd") this.#wake(e.a);
    else if (e.kind === "isolate") {
      // A scan in strides, after blocks that gave nothing, looks at few frames of the range.
      if (e.c > 0 || e.b * 2 > e.a - e.pfn) isolateRange(this.#m, e.pfn, e.a, this.#taken);
    } else if (e.kind === "take") takeFast(this.#m, rowOf(this.#m, e.pfn), this.#taken);
  }

  #wake(node: number): void {
    const { zone, zoneCount } = this.#m;
    for (let z = 0; z < zoneCount; z++) {
      const at = z * ZONE_WORDS;
      if (zone[at + Z_NODE] !== node) continue;
      this.#boosts[z] = zone[at + Z_BOOST];
      zone[at + Z_FLAGS] |= ZONE_RECLAIM_ACTIVE;
    }
  }

  /** kswapd of `node` is through: what was boosted when it began is paid. */
  passEnds(node: number): void {
    const { zone, zoneCount } = this.#m;
    for (let z = 0; z < zoneCount; z++) {
      const at = z * ZONE_WORDS;
      if (zone[at + Z_NODE] !== node) continue;
      zone[at + Z_FLAGS] &= ~ZONE_RECLAIM_ACTIVE;
      zone[at + Z_BOOST] -= Math.min(zone[at + Z_BOOST], this.#boosts[z]);
    }
  }
}

/**
 * A block that compaction found by looking at the lists' ends, without an event:
 * what was queued before it goes behind. Linux: move_freelist_head()
 */
function takeFast(m: Memory, row: number, taken: TakenSink | null): void {
  if (row < m.firstRow) return;
  for (let order = 0; order <= m.maxOrder; order++) {
    const head = row & ~((1 << order) - 1);
    if (m.state[head] !== (FREE | order)) continue;
    rotateTo(m, head);
    const pfn = pfnOf(m, head);
    isolateRange(m, pfn, pfn + (1 << order), taken);
    break;
  }
  if ((m.state[row] & KIND_MASK) === TAKEN) m.state[row] = MOBILE | (m.state[row] & ORDER_MASK);
}

/** Cuts a free list before `row` and joins the parts the other way round. */
function rotateTo(m: Memory, row: number): void {
  const { next, prev } = m;
  let list = next[row];
  while (list >= m.firstRow) list = next[list];
  const first = next[list];
  if (first === row) return;
  const last = prev[list];
  const before = prev[row];
  next[last] = first;
  prev[first] = last;
  next[list] = row;
  prev[row] = list;
  next[before] = list;
  prev[list] = before;
}

/** Every free block of a range leaves its list, as single pages. Linux: isolate_freepages_block() */
function isolateRange(m: Memory, from: number, to: number, taken: TakenSink | null): void {
  for (let pfn = from; pfn < to; ) {
    const row = rowOf(m, pfn);
    const state = row < m.firstRow ? 0 : m.state[row];
    if ((state & KIND_MASK) !== FREE) {
      pfn++;
      continue;
    }
    const order = state & ORDER_MASK;
    const zone = zoneOf(m, row);
    unlink(m, zone, row, order);
    countPages(m, zone, row, -(1 << order));
    if (order >= m.pageblockOrder - 1) claimBlocks(m, row, order);
    m.state.fill(TAKEN, row, row + (1 << order));
    taken?.(row, order);
    pfn += 1 << order;
  }
}

/** Half a pageblock or more at once makes it movable. Linux: __isolate_free_page() */
function claimBlocks(m: Memory, row: number, order: number): void {
  const last = (row + (1 << order) - 1) >> m.pageblockOrder;
  for (let block = row >> m.pageblockOrder; block <= last; block++) {
    if (m.blockType[block] < PCP_TYPES) m.blockType[block] = MOVABLE;
  }
}
