/**
 * What reclaim and compaction add to a replay, all told by the recording: while
 * kswapd works per-CPU lists are short and a finished pass lowers boosts; who
 * reclaims may go below the marks; and compaction takes free blocks without a
 * request.
 *
 * Linux: balance_pgdat(), mm/vmscan.c; isolate_freepages_block(),
 * fast_isolate_freepages(), mm/compaction.c
 */
import { type Memory, requestOf, Z_NODE, ZONE_WORDS } from "../mm/memory.ts";
import { Compaction } from "./compaction.ts";
import type { TakenSink } from "./compaction-pages.ts";
import type { ReplayEvent } from "./event.ts";
import { KswapdPasses } from "./kswapd.ts";
import { NO_FLAGS } from "./reclaim-checks.ts";
import { wakeAllKswapds } from "./request.ts";
import type { StartState } from "./start-state.ts";

export class ReclaimState {
  readonly #m: Memory;
  readonly #gfpBits: (text: string) => number;
  readonly #kswapd: KswapdPasses;
  readonly #compaction: Compaction;
  /** By task that reclaims: its request's flags. */
  readonly #reclaiming: Map<number, string> = new Map();
  readonly #past: Set<number> = new Set();
  readonly #victims: Set<number> = new Set();

  constructor(
    { m, skip }: StartState,
    gfpBits: (text: string) => number,
    taken: TakenSink | null = null,
  ) {
    this.#m = m;
    this.#compaction = new Compaction(m, skip, taken);
    this.#gfpBits = gfpBits;
    this.#kswapd = new KswapdPasses(m);
  }

  /** The task frees memory itself, so that no mark holds it back: PF_MEMALLOC. */
  isReclaimer(e: ReplayEvent): boolean {
    if (e.interrupt) return false;
    if (e.kswapd || (this.#reclaiming.size > 0 && this.#reclaiming.has(e.pid))) return true;
    return this.#compaction.isDirect(e.pid);
  }

  /** The OOM killer chose the task: half of the min mark is for it. */
  isVictim(e: ReplayEvent): boolean {
    return this.#victims.size > 0 && !e.interrupt && this.#victims.has(e.pid);
  }

  /** The task's request has reclaimed already. */
  isPast(e: ReplayEvent): boolean {
    return this.#past.size > 0 && !e.interrupt && this.#past.has(e.pid);
  }

  /** The task's request has reclaimed already: it goes on at the min mark. Asked once a request. */
  takePast(e: ReplayEvent): boolean {
    if (this.#past.size === 0) return false;
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
      // Nearly all events, and none of these two's business.
      case "alloc":
      case "batched":
      case "refill":
      case "drain":
        return;
      case "free":
        if (this.#compaction.isRunning) this.#compaction.note(e);
        return;
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
      case "kswapd-sleep":
        this.#kswapd.sleeps(e.a);
        return;
      case "victim":
        this.#victims.add(e.a);
        return;
      default:
        this.#compaction.note(e);
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

  /** kswapd of `node` is through, by `e`. */
  passEnds(node: number, e: ReplayEvent): void {
    this.#kswapd.ends(node, e.kind === "suitable");
  }

  /** A single page goes to this CPU's list, and a drain of it is recorded next or is not. */
  beforeFree(zone: number, drained: boolean): void {
    this.#kswapd.seen(zone, drained);
  }
}
