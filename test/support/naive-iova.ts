// The IOVA allocator as plainly as it can be said: one sorted array that is walked, arrays for caches.
import type { IovaRule } from "../../src/kernels/iommu.ts";

interface Block {
  readonly lo: number;
  readonly hi: number;
}

const TOP: Block = { lo: Number.POSITIVE_INFINITY, hi: Number.POSITIVE_INFINITY };

export class NaiveIova {
  /** Ascending, the anchor last. */
  blocks: Block[] = [TOP];
  readonly rule: IovaRule;
  readonly start: number;
  readonly dma32: number;
  readonly roundsAll: boolean;
  cached: Block = TOP;
  cached32: Block = TOP;
  max32: number;
  /** By CPU and size: the used magazine, the previous one. */
  magazines: [number[], number[]][][];
  depots: number[][][];
  due: number[];
  now = 0;

  constructor(
    rule: IovaRule,
    granuleShift: number,
    start: number,
    cpus: number,
    roundsAll = false,
  ) {
    this.rule = rule;
    this.start = start;
    this.dma32 = 2 ** (32 - granuleShift);
    this.max32 = this.dma32;
    this.roundsAll = roundsAll;
    const bins = Array.from({ length: rule.cacheOrders }, (_, i) => i);
    this.magazines = Array.from({ length: cpus }, () => bins.map(() => [[], []]));
    this.depots = bins.map(() => []);
    this.due = bins.map(() => 0);
  }

  reserve(lo: number, hi: number): void {
    const inside = (pfn: number): boolean => this.blocks.some((b) => b.lo <= pfn && pfn <= b.hi);
    for (let pfn = lo; pfn <= hi; pfn++) {
      if (!inside(pfn)) this.#insert({ lo: pfn, hi: pfn });
    }
  }

  #insert(block: Block): void {
    this.blocks.push(block);
    this.blocks.sort((a, b) => a.lo - b.lo);
  }

  alloc(size: number, limitPfn: number, flush: boolean, cpu: number): number {
    const all = this.roundsAll || size < 2 ** (this.rule.cacheOrders - 1);
    const pages = all ? power(size) : size;
    const cached = this.#fromCache(pages, limitPfn + 1 - pages, cpu);
    if (cached !== 0) return cached;
    const pfn = this.#walk(pages, limitPfn + 1);
    if (pfn !== 0 || !flush) return pfn;
    for (const bins of this.magazines) {
      for (const pair of bins) {
        for (const mag of pair) for (const one of mag.splice(0)) this.free(one);
      }
    }
    for (const depot of this.depots)
      for (const mag of depot.splice(0)) mag.map((one) => this.free(one));
    return this.#walk(pages, limitPfn + 1);
  }

  #walk(size: number, limit: number): number {
    const below = limit <= this.dma32;
    if (below && this.rule.remembersFull32 && size >= this.max32) return 0;
    const from = this.blocks.indexOf(below ? this.cached32 : this.cached);
    let pfn = this.#down(from, size, limit, this.start);
    const low = (this.blocks[from]?.hi ?? 0) + 1;
    if (pfn === 0 && this.rule.retriesFromLimit && low - 1 < limit) {
      pfn = this.#down(this.blocks.length - 1, size, limit, low);
    }
    if (pfn === 0) {
      this.max32 = size;
      return 0;
    }
    const block = { lo: pfn, hi: pfn + size - 1 };
    this.#insert(block);
    if (block.hi < this.dma32) this.cached32 = block;
    else this.cached = block;
    return pfn;
  }

  #down(from: number, size: number, limit: number, low: number): number {
    const align = power(size);
    let high = limit;
    for (let i = from; i >= 0; i--) {
      high = Math.min(high, this.blocks[i]?.lo ?? 0);
      const pfn = Math.floor((high - size) / align) * align;
      if (pfn < low || high < size) return 0;
      if (pfn > (this.blocks[i - 1]?.hi ?? -1)) return pfn;
    }
    return 0;
  }

  free(pfn: number): void {
    const at = this.blocks.findIndex((b) => b.lo <= pfn && pfn <= b.hi);
    const block = this.blocks[at];
    if (block === undefined || block === TOP) return;
    const after = this.blocks[at + 1] ?? TOP;
    const moves =
      block === this.cached32 || (block.hi < this.dma32 && block.lo >= this.cached32.lo);
    if (moves) this.cached32 = after;
    if (this.rule.forgetsFull32 === "any-free" ? block.lo < this.dma32 : moves) {
      this.max32 = this.dma32;
    }
    if (block.lo >= this.cached.lo) this.cached = after;
    this.blocks.splice(at, 1);
  }

  release(pfn: number, size: number, cpu: number): void {
    const bin = Math.log2(power(size));
    const pair = this.magazines[cpu]?.[bin];
    const depot = this.depots[bin];
    if (pair === undefined || depot === undefined) {
      this.free(pfn);
      return;
    }
    const { magazineSize, depotLimit, depotTrimMs } = this.rule;
    if (pair[0].length === magazineSize) {
      if (pair[1].length < magazineSize) pair.reverse();
      else {
        if (depot.length < (depotLimit ?? Number.POSITIVE_INFINITY)) {
          depot.push(pair[0]);
          if (depotTrimMs !== null && this.due[bin] === 0) this.due[bin] = this.now + depotTrimMs;
        } else for (const one of pair[0]) this.free(one);
        pair[0] = [];
      }
    }
    pair[0].push(pfn);
  }

  #fromCache(size: number, last: number, cpu: number): number {
    const bin = Math.log2(power(size));
    const pair = this.magazines[cpu]?.[bin];
    if (pair === undefined) return 0;
    if (pair[0].length === 0) {
      if (pair[1].length > 0) pair.reverse();
      else pair[0] = this.depots[bin]?.pop() ?? [];
    }
    const mag = pair[0];
    const at = mag.findLastIndex((pfn) => pfn <= last);
    const pfn = mag[at];
    if (pfn === undefined) return 0;
    const end = mag.pop() ?? 0;
    if (at < mag.length) mag[at] = end;
    return pfn;
  }

  age(now: number): void {
    this.now = now;
    const every = this.rule.depotTrimMs;
    if (every === null) return;
    for (const [bin, depot] of this.depots.entries()) {
      for (let due = this.due[bin] ?? 0; due !== 0 && due <= now; due = this.due[bin] ?? 0) {
        const more = depot.length > this.magazines.length;
        if (more) for (const one of depot.pop() ?? []) this.free(one);
        this.due[bin] = more ? due + every : 0;
      }
    }
  }
}

function power(size: number): number {
  let p = 1;
  while (p < size) p *= 2;
  return p;
}
