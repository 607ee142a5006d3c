/**
 * What the engine did besides answering, against what the kernel told: blocks
 * that refilled a per-CPU list, blocks that were given back to the zone, blocks
 * that changed their type. Compared, never fed.
 *
 * Both sides come in the same order on one CPU; drains of different zones may
 * interleave, when an interrupt drains another zone's lists in between. A kind that the
 * recording has none of was not recorded, and is not compared.
 *
 * Linux: mm_page_alloc_zone_locked, mm_page_pcpu_drain, mm_page_alloc_extfrag
 */
import { type EventSink, type Memory, pfnOf } from "../mm/memory.ts";
import { type Block, BlockQueue, blockWords } from "./block-queue.ts";
import type { ReplayEvent } from "./event.ts";

export interface CheckCount {
  /** Events in the recording, and those that the engine did alike. */
  recorded: number;
  equal: number;
}

interface Fragment {
  readonly row: number;
  readonly text: string;
  readonly type: number;
  /** Type of the fallback. */
  readonly from: number;
  /** Of the recorded side: the whole pageblock changed its type. */
  readonly owner: boolean;
}

/** Refills that differ: what the engine took, and what the kernel did. */
export interface Refills {
  readonly own: readonly Block[];
  readonly real: readonly Block[];
}

/** A frame of a pageblock, and the type that the kernel gave it. */
export interface Ownership {
  readonly row: number;
  readonly type: number;
}

/** Which kinds the recording has, where a run before has seen all of it. */
export interface ToldKinds {
  readonly refills: boolean;
  readonly drains: boolean;
  readonly extfrags: boolean;
}

const NO_BLOCKS: readonly Block[] = [];

/** Blocks of ours that wait for a kind to be told at all: more than any one call has. */
const UNTOLD_MOST = 4096;

/** Told of every difference: what it is about, ours and theirs, in words. */
export type MissSink = (kind: "refill" | "drain" | "extfrag", ours: string, theirs: string) => void;

export class Checks implements EventSink {
  readonly refills: CheckCount = { recorded: 0, equal: 0 };
  readonly drains: CheckCount = { recorded: 0, equal: 0 };
  readonly extfrags: CheckCount = { recorded: 0, equal: 0 };
  readonly #m: Memory;
  readonly #typeOf: (kernel: number) => number;
  readonly #miss: MissSink;
  readonly #told: ToldKinds | null;
  /** Told when a request of ours asks for kswapd; nothing is compared. */
  readonly #wake: EventSink["wakeKswapd"];
  readonly #ownRefills: BlockQueue[];
  readonly #realRefills: BlockQueue[];
  /** By CPU, then by zone. */
  readonly #ownDrains: BlockQueue[][];
  /** By CPU: blocks in its queues of drains. */
  readonly #drainsDue: Int32Array;
  readonly #ownFrags: Fragment[] = [];
  readonly #realFrags: Fragment[] = [];

  constructor(
    m: Memory,
    typeOf: (kernel: number) => number,
    miss: MissSink,
    wake: EventSink["wakeKswapd"],
    told: ToldKinds | null = null,
  ) {
    this.#told = told;
    this.#m = m;
    this.#typeOf = typeOf;
    this.#miss = miss;
    this.#wake = wake;
    const cpus = Array.from({ length: m.cpuCount });
    this.#ownRefills = cpus.map(() => new BlockQueue());
    this.#realRefills = cpus.map(() => new BlockQueue());
    this.#ownDrains = cpus.map(() => m.names.map(() => new BlockQueue()));
    this.#drainsDue = new Int32Array(m.cpuCount);
  }

  refill(_zone: number, row: number, order: number, type: number): void {
    const queue = this.#ownRefills[this.#m.cpu];
    if (this.#isUntold("refills") && queue.length === UNTOLD_MOST) queue.clear();
    queue.push(pfnOf(this.#m, row), order, type);
  }

  drain(zone: number, row: number, order: number, type: number): void {
    const { cpu } = this.#m;
    if (this.#isUntold("drains") && this.#drainsDue[cpu] === UNTOLD_MOST) this.#clearDrains(cpu);
    this.#ownDrains[cpu][zone].push(pfnOf(this.#m, row), order, type);
    this.#drainsDue[cpu]++;
  }

  extfrag(_zone: number, row: number, order: number, from: number, type: number): void {
    const text = `${pfnOf(this.#m, row).toString(16)} of order ${order}, type ${from} to ${type}`;
    if (this.#isUntold("extfrags") && this.#ownFrags.length === UNTOLD_MOST) {
      this.#ownFrags.length = 0;
    }
    this.#ownFrags.push({ row, text, type, from, owner: false });
  }

  /** Whether the recording has none of a kind, as far as is known. */
  #isUntold(kind: keyof ToldKinds): boolean {
    return this.#told === null ? this[kind].recorded === 0 : !this.#told[kind];
  }

  #clearDrains(cpu: number): void {
    for (const queue of this.#ownDrains[cpu]) queue.clear();
    this.#drainsDue[cpu] = 0;
  }

  wakeKswapd(zone: number, order: number, highest: number): void {
    this.#wake(zone, order, highest);
  }

  /** Blocks that the engine drained on this CPU, but that the recording has not told yet. */
  isDrainDue(cpu: number): boolean {
    return this.#drainsDue[cpu] > 0;
  }

  /** Blocks of a refill of ours that the recording has not told yet. */
  isRefillDue(cpu: number): boolean {
    return this.#ownRefills[cpu].length > this.#realRefills[cpu].length;
  }

  realRefill(e: ReplayEvent): void {
    this.refills.recorded++;
    this.#realRefills[e.cpu].push(e.pfn, e.order, this.#typeOf(e.type));
  }

  /** Returns false when it is none of the blocks that we drain. */
  realDrain(e: ReplayEvent): boolean {
    this.drains.recorded++;
    const { pfn, order, cpu } = e;
    const type = this.#typeOf(e.type);
    let first: BlockQueue | null = null;
    for (const queue of this.#ownDrains[cpu]) {
      if (queue.length === 0) continue;
      first ??= queue;
      if (!queue.startsWith(pfn, order, type)) continue;
      queue.shift();
      this.#drainsDue[cpu]--;
      this.drains.equal++;
      return true;
    }
    this.#miss("drain", first?.firstWords() ?? "none", blockWords(pfn, order, type));
    for (const queue of this.#ownDrains[cpu]) {
      if (!queue.remove(pfn, order)) continue;
      this.#drainsDue[cpu]--;
      return true;
    }
    return false;
  }

  realFrag(e: ReplayEvent): void {
    this.extfrags.recorded++;
    const type = this.#typeOf(e.type);
    const pfn = e.pfn.toString(16);
    const text = `${pfn} of order ${e.a}, type ${this.#typeOf(e.b)} to ${type}`;
    this.#realFrags.push({ row: -1, text, type, from: -1, owner: e.flag });
  }

  /** What both sides have told by now. After a difference all of it is dropped, and returned. */
  settleRefills(cpu: number): Refills | null {
    const own = this.#ownRefills[cpu];
    const real = this.#realRefills[cpu];
    const both = Math.min(own.length, real.length);
    if (both === 0) return null;
    const alike = own.alikeWith(real);
    this.refills.equal += alike;
    if (alike < both) return this.#refillMiss(own, real, alike);
    own.shift(both);
    real.shift(both);
    return null;
  }

  /** Blocks of a refill that only one side has told; null when there are none. */
  lopsidedRefills(cpu: number): Refills | null {
    const own = this.#ownRefills[cpu];
    const real = this.#realRefills[cpu];
    const untold = this.#isUntold("refills");
    return untold || own.length + real.length === 0 ? null : this.#refillMiss(own, real);
  }

  /** After so many blocks that are alike. */
  #refillMiss(own: BlockQueue, real: BlockQueue, alike = 0): Refills {
    const refills = { own: own.copy(), real: real.copy() };
    own.shift(alike);
    real.shift(alike);
    this.#miss("refill", own.firstWords(), real.firstWords());
    own.clear();
    real.clear();
    return refills;
  }

  /** As `settleRefills`, for who mends every difference: ours of this request, and no rest stays. */
  takeRefills(cpu: number): readonly Block[] {
    const blocks = this.#ownRefills[cpu].copy();
    if (this.settleRefills(cpu) === null) this.lopsidedRefills(cpu);
    return blocks;
  }

  /** A new call begins on this CPU: what only we have drained by now is a difference, and returned. */
  beginCall(cpu: number): readonly Block[] {
    if (this.#drainsDue[cpu] === 0 || this.#isUntold("drains")) return NO_BLOCKS;
    const only: Block[] = [];
    for (const queue of this.#ownDrains[cpu]) {
      if (queue.length === 0) continue;
      this.#miss("drain", `${queue.firstWords()} and ${queue.length - 1} more`, "none");
      only.push(...queue.take());
    }
    this.#drainsDue[cpu] = 0;
    return only;
  }

  /** The recording is over: what only one side has told. */
  end(): void {
    for (let cpu = 0; cpu < this.#m.cpuCount; cpu++) {
      this.beginCall(cpu);
      const own = this.#ownRefills[cpu];
      const real = this.#realRefills[cpu];
      if (this.#isUntold("refills") || own.length + real.length === 0) continue;
      this.#miss("refill", own.firstWords(), real.firstWords());
    }
    const [frag] = this.#ownFrags;
    if (frag !== undefined && this.extfrags.recorded > 0)
      this.#miss("extfrag", `0x${frag.text}`, "none");
  }

  /** Returns the pageblock of a fallback that went alike, but for the block's type; else null. */
  settleFrags(): Ownership | null {
    const both = Math.min(this.#ownFrags.length, this.#realFrags.length);
    let other: Ownership | null = null;
    if (both === 0) return null;
    for (let i = 0; i < both; i++) {
      const own = this.#ownFrags[i];
      const real = this.#realFrags[i];
      const owner = this.#m.blockType[own.row >> this.#m.pageblockOrder] === real.type;
      // Since 6.15's claim the flag tells of the block that was found, not of what became of it.
      const told = this.#m.rule.fallback === "claim" || owner === real.owner;
      if (own.text === real.text && told) this.extfrags.equal++;
      else {
        this.#miss("extfrag", ownerWords(own, owner), ownerWords(real, real.owner));
        if (own.text === real.text)
          other = { row: own.row, type: real.owner ? own.type : own.from };
      }
    }
    this.#ownFrags.splice(0, both);
    this.#realFrags.splice(0, both);
    return other;
  }
}

function ownerWords({ text }: Fragment, owner: boolean): string {
  return `0x${text}${owner ? ", with its pageblock" : ""}`;
}
