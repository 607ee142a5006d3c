/**
 * Ranges that were taken by name (contig-scan.ts tells where and which), done as the kernel does:
 * isolate and drain, take, and open the pageblocks again when the caller has given back what whole
 * blocks reached beyond the range.
 */
import { beginContig, type Contig, endContig, takeContig } from "../mm/contig.ts";
import { type Memory, rowOf, zoneOf } from "../mm/memory.ts";
import { CMA, MOVABLE } from "../mm/rule.ts";
import type { ContigCall } from "./contig-scan.ts";
import type { ReplayEvent } from "./event.ts";
import { settle } from "./surgery.ts";
import type { Watch } from "./watch.ts";

interface OpenCall extends ContigCall {
  /** Of the pageblocks, before and after. */
  readonly type: number;
  /** Isolated. */
  begun: boolean;
  taken: boolean;
  /** Pages beyond the range that the caller has not given back yet. */
  beyond: number;
}

export class ContigCalls {
  readonly #m: Memory;
  readonly #watch: Watch | undefined;
  /** By task. */
  readonly #open: Map<number, OpenCall> = new Map();
  /** Calls whose range was isolated. */
  begun = 0;

  constructor(m: Memory, watch?: Watch) {
    this.#m = m;
    this.#watch = watch;
  }

  /** Before `e` is replayed; `due`: a drain that the engine did by itself. Returns whether it was the call's alone. */
  before(e: ReplayEvent, due: boolean): boolean {
    if (e.contig !== null) this.#announce(e.pid, e.contig);
    if (this.#open.size === 0 || e.interrupt) return false;
    const own = this.#open.get(e.pid);
    if (own === undefined) return false;
    if (!own.begun && (e.kind === "cma" || e.kind === "scan" || (e.kind === "drain" && !due))) {
      this.#begin(e.pid, own);
    }
    if (e.kind !== "isolate") return false;
    this.#take(e, own);
    return true;
  }

  /** After `e` was replayed: the caller gave a page back. */
  after(e: ReplayEvent): void {
    if (e.kind !== "free" || this.#open.size === 0 || e.interrupt) return;
    const own = this.#open.get(e.pid);
    if (own === undefined || !own.taken || (e.pfn >= own.start && e.pfn < own.end)) return;
    own.beyond -= 2 ** e.order;
    if (own.beyond <= 0) this.#end(e.pid, own);
  }

  #announce(pid: number, { start, end }: ContigCall): void {
    const row = rowOf(this.#m, start);
    const last = rowOf(this.#m, end - 1);
    if (row < 0 || last - row !== end - 1 - start) return;
    const lent = this.#m.blockType[row >> this.#m.pageblockOrder] === CMA;
    const type = lent ? CMA : MOVABLE;
    this.#open.set(pid, { start, end, type, begun: false, taken: false, beyond: 0 });
  }

  #begin(pid: number, own: OpenCall): void {
    own.begun = beginContig(this.#m, own.start, own.end - own.start, own.type);
    if (!own.begun) {
      this.#open.delete(pid);
      return;
    }
    this.begun++;
    const zone = zoneOf(this.#m, rowOf(this.#m, own.start));
    for (let cpu = 0; cpu < this.#m.cpuCount; cpu++) this.#watch?.drained("remote", zone, cpu);
  }

  #take(e: ReplayEvent, own: OpenCall): void {
    if (own.taken || !own.begun) return;
    const pages = own.end - own.start;
    const taken = takeContig(this.#m, own.start, pages) ?? this.#force(e, own);
    own.taken = true;
    for (let i = 0; i < taken.pages; i++) {
      this.#watch?.compacted(rowOf(this.#m, taken.pfn + i), 0);
    }
    own.beyond = taken.pages - pages;
    if (own.beyond === 0) this.#end(e.pid, own);
  }

  /** Pages of the range are in use here: they are the caller's all the same, with what is told beyond. */
  #force(e: ReplayEvent, { start, end }: OpenCall): Contig {
    const first = Math.min(e.pfn, start);
    const last = Math.max(e.pfn + e.c, end);
    const [from, to] = [rowOf(this.#m, first), rowOf(this.#m, last - 1)];
    const whole = from >= 0 && to - from === last - 1 - first;
    const row = whole ? from : rowOf(this.#m, start);
    const pages = whole ? last - first : end - start;
    for (let i = 0; i < pages; i++) settle(this.#m, row + i, 0);
    return { pfn: whole ? first : start, pages };
  }

  #end(pid: number, own: OpenCall): void {
    endContig(this.#m, own.start, own.end - own.start, own.type);
    this.#open.delete(pid);
  }
}
