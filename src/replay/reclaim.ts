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
  requestOf,
  rowOf,
  TAKEN,
  Z_NODE,
  ZONE_WORDS,
  zoneOf,
} from "../mm/memory.ts";
import { countFree } from "../mm/queue.ts";
import { MOVABLE, PCP_TYPES } from "../mm/rule.ts";
import type { ReplayEvent } from "./event.ts";
import { KswapdPasses } from "./kswapd.ts";
import { wakeAllKswapds } from "./request.ts";

export class ReclaimState {
  readonly #m: Memory;
  readonly #gfpBits: (text: string) => number;
  readonly #kswapd: KswapdPasses;
  /** By task that reclaims: its request's flags. */
  readonly #reclaiming: Map<number, string> = new Map();
  readonly #past: Set<number> = new Set();
  readonly #victims: Set<number> = new Set();

  constructor(m: Memory, gfpBits: (text: string) => number) {
    this.#m = m;
    this.#gfpBits = gfpBits;
    this.#kswapd = new KswapdPasses(m);
  }

  /** The task frees memory itself, so that no mark holds it back: PF_MEMALLOC. */
  isReclaimer(e: ReplayEvent): boolean {
    return !e.interrupt && (e.reclaimer || this.#reclaiming.has(e.pid));
  }

  /** The OOM killer chose the task: half of the min mark is for it. */
  isVictim(e: ReplayEvent): boolean {
    return !e.interrupt && this.#victims.has(e.pid);
  }

  /** The task's request has reclaimed already: it goes on at the min mark. Asked once a request. */
  takePast(e: ReplayEvent): boolean {
    const past = this.#past.has(e.pid);
    if (!e.interrupt) this.#past.delete(e.pid);
    return past;
  }

  kswapdWanted(zone: number, highest: number): void {
    this.#kswapd.wanted(this.#m.zone[zone * ZONE_WORDS + Z_NODE], highest);
  }

  /** Before the event is replayed. */
  note(e: ReplayEvent): void {
    switch (e.kind) {
      case "reclaim":
        this.#reclaiming.set(e.pid, e.gfp);
        this.#wakeAll(e.gfp, e.order);
        return;
      case "reclaim-end":
        this.#wakeAll(this.#reclaiming.get(e.pid) ?? "", e.order);
        this.#reclaiming.delete(e.pid);
        this.#past.add(e.pid);
        return;
      case "wakeup":
        // Without flags it is for a boosted zone, which the engine tells by itself.
        if (e.gfp !== NO_FLAGS) this.#kswapd.wanted(e.a, this.#highest(e.gfp));
        return;
      case "kswapd":
        this.#kswapd.begins(e.a);
        return;
      case "victim":
        this.#victims.add(e.a);
        return;
      case "isolate":
        // A scan in strides, after blocks that gave nothing, looks at few frames of the range.
        if (e.c > 0 || e.b * 2 > e.a - e.pfn) isolateRange(this.#m, e.pfn, e.a);
        return;
      case "take":
        takeFast(this.#m, rowOf(this.#m, e.pfn));
        return;
      default:
        return;
    }
  }

  #wakeAll(gfp: string, order: number): void {
    const bits = this.#gfpBits(gfp);
    if ((bits & this.#m.gfp.kswapd) !== 0) wakeAllKswapds(this.#m, requestOf(this.#m, bits), order);
  }

  #highest(gfp: string): number {
    return (requestOf(this.#m, this.#gfpBits(gfp)) >> 4) & 0xf;
  }

  /** kswapd of `node` is through. */
  passEnds(node: number): void {
    this.#kswapd.ends(node);
  }
}

/** What the kernel prints for a gfp mask of 0. */
const NO_FLAGS = "none";

/**
 * A block that compaction found by looking at the lists' ends, without an event:
 * what was queued before it goes behind. Linux: move_freelist_head()
 */
function takeFast(m: Memory, row: number): void {
  if (row < m.firstRow) return;
  for (let order = 0; order <= m.maxOrder; order++) {
    const head = row & ~((1 << order) - 1);
    if (m.state[head] !== (FREE | order)) continue;
    rotateTo(m, head);
    const pfn = pfnOf(m, head);
    isolateRange(m, pfn, pfn + (1 << order));
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
function isolateRange(m: Memory, from: number, to: number): void {
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
    countFree(m, zone, -(1 << order));
    if (order >= m.pageblockOrder - 1) claimBlocks(m, row, order);
    m.state.fill(TAKEN, row, row + (1 << order));
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
