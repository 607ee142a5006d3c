// Free lists of 5.10 and 6.1 a second time, written for reading: a list is an array of pfns whose head is at
// index 0. Splitting, merging, stealing between types, and the HighAtomic reserve.
export interface NaiveZone {
  readonly node: number;
  readonly name: string;
  /** Pages of RAM [start, end), and how many the zone manages. */
  readonly start: number;
  readonly end: number;
  managed: number;
  /** Free pages as the zone knows them: CPUs keep changes back up to the threshold. */
  counted: number;
  threshold: number;
  marks: { min: number; low: number; high: number };
  reserve: number[];
  batch: number;
  /** Between which a tuned pageset's `high` moves. */
  highMin: number;
  highMax: number;
  /** Somebody reclaims the zone; it was found below its high mark. */
  reclaimed: boolean;
  belowHigh: boolean;
  boost: number;
  boosted: boolean;
  highatomic: number;
  /** free[type][order] */
  free: number[][][];
  /** One for each CPU. */
  pcp: NaivePcp[];
}

export interface NaivePcp {
  /** By "order/type". */
  lists: Record<string, { pfn: number; type: number }[]>;
  high: number;
  /** Change of the free pages that this CPU has not told the zone yet. */
  drift: number;
  /** free_factor; alloc_factor where pagesets are tuned, and there only the other two. */
  factor: number;
  freeCount: number;
  blockBefore: boolean;
}

export interface NaiveState {
  zones: NaiveZone[];
  /** Mobility type by pageblock number. */
  types: Record<number, number>;
  taken: Record<number, { order: number; mobile: boolean }>;
}

/** What the lists must know of a request. */
export interface Wish {
  order: number;
  type: number;
  wakes: boolean;
  zones: NaiveZone[];
}

const FALLBACKS = [
  [2, 1],
  [2, 0],
  [0, 1],
];
export const MOVABLE = 1;
export const HIGHATOMIC = 3;

export class NaiveBuddy {
  state: NaiveState;
  /** What the kernel's tracepoints would have told, in their order. */
  log: string[] = [];
  readonly maxOrder: number;
  readonly pageblock: number;
  readonly names: string[];

  constructor(state: NaiveState, maxOrder: number, pageblock: number) {
    this.state = state;
    this.maxOrder = maxOrder;
    this.pageblock = pageblock;
    this.names = [...new Set(state.zones.map((zone) => zone.name))];
  }

  boot(): void {
    for (const zone of this.state.zones) {
      const size = 2 ** this.pageblock;
      // A pageblock is marked Movable by the zone that has its first page, or by none.
      for (let b = Math.floor(zone.start / size); b * size < zone.end; b++)
        this.state.types[b] ??= b * size < zone.start ? 0 : MOVABLE;
    }
    for (const zone of this.state.zones) {
      for (let pfn = zone.start; pfn < zone.end; ) {
        let order = this.maxOrder;
        while (pfn % 2 ** order !== 0 || pfn + 2 ** order > zone.end) order--;
        zone.free[this.typeOf(pfn)]?.[order]?.push(pfn);
        pfn += 2 ** order;
      }
    }
  }

  smallest(zone: NaiveZone, order: number, type: number): number {
    for (let from = order; from <= this.maxOrder; from++) {
      const pfn = zone.free[type]?.[from]?.shift();
      if (pfn === undefined) continue;
      this.halve(zone, pfn, from, order, type);
      this.log.push(`refill ${pfn} ${order} ${type}`);
      return pfn;
    }
    return -1;
  }

  halve(zone: NaiveZone, pfn: number, from: number, order: number, type: number): void {
    for (let half = from - 1; half >= order; half--) {
      zone.free[type]?.[half]?.unshift(pfn + 2 ** half);
    }
  }

  /** What a zone finds for a request: the smallest of its own type, else of another. */
  fromBuddy(zone: NaiveZone, request: Wish, whole: boolean): number {
    const pfn = this.smallest(zone, request.order, request.type);
    if (pfn >= 0 || !this.fallback(zone, request, whole)) return pfn;
    return this.smallest(zone, request.order, request.type);
  }

  /** `count` blocks for a per-CPU list, or as many as there are. */
  many(zone: NaiveZone, request: Wish, whole: boolean, count: number): number[] {
    const pfns: number[] = [];
    while (pfns.length < count) {
      const pfn = this.fromBuddy(zone, request, whole);
      if (pfn < 0) break;
      pfns.push(pfn);
    }
    return pfns;
  }

  fallback(zone: NaiveZone, request: Wish, whole: boolean): boolean {
    const { order, type } = request;
    const has = (from: number): number => this.otherType(zone, from, type);
    const wholly = (from: number): boolean => this.wholly(from, type);
    const least = whole ? Math.max(order, this.pageblock) : order;
    let from = this.maxOrder;
    while (from >= least && has(from) < 0) from--;
    if (from < least) return false;
    if (!wholly(from)) {
      from = order;
      while (has(from) < 0) from++;
    }
    this.steal(zone, has(from), from, request, wholly(from));
    return true;
  }

  /** The first type that `type` may take a block of this order from. */
  otherType(zone: NaiveZone, order: number, type: number): number {
    return FALLBACKS[type]?.find((other) => (zone.free[other]?.[order]?.length ?? 0) > 0) ?? -1;
  }

  /** Whether a block of this order stands for its pageblock. */
  wholly(order: number, type: number): boolean {
    return order >= Math.floor(this.pageblock / 2) || type !== MOVABLE;
  }

  steal(zone: NaiveZone, other: number, order: number, request: Wish, wholly: boolean): void {
    const pfn = zone.free[other]?.[order]?.[0] ?? -1;
    const { type } = request;
    this.log.push(`extfrag ${pfn} ${order} ${other} ${type}`);
    const size = 2 ** this.pageblock;
    const owner = this.typeOf(pfn);
    if (owner !== HIGHATOMIC && order >= this.pageblock) {
      for (let p = pfn; p < pfn + 2 ** order; p += size) this.state.types[p / size] = type;
    } else if (owner !== HIGHATOMIC) {
      this.raise(zone, request);
      const start = this.movableFrom(zone, pfn);
      if (wholly && start >= 0) {
        const pages = this.pagesOf(start);
        const { free, mobile } = pages;
        for (const head of pages.heads) this.move(zone, head, type);
        const other = owner === MOVABLE ? size - free - mobile : 0;
        const alike = type === MOVABLE ? mobile : other;
        if (free + alike >= size / 2) this.state.types[Math.floor(pfn / size)] = type;
        return;
      }
    }
    this.move(zone, pfn, type);
  }

  raise(zone: NaiveZone, request: Wish): void {
    const size = 2 ** this.pageblock;
    const share = Math.floor(zone.marks.high * 1.5);
    if (size * 4 > zone.managed || share === 0) return;
    zone.boost = Math.min(zone.boost + size, Math.max(size, share));
    if (request.wakes) zone.boosted = true;
  }

  /** Free blocks and mobile pages from `start` to the end of its pageblock. */
  pagesOf(start: number): { free: number; mobile: number; heads: number[] } {
    const size = 2 ** this.pageblock;
    const end = (Math.floor(start / size) + 1) * size;
    let free = 0;
    let mobile = 0;
    const heads: number[] = [];
    for (let pfn = start; pfn < end; pfn++) {
      const found = this.find(pfn);
      if (found !== null) {
        heads.push(pfn);
        free += 2 ** found.order;
      }
      const taken = this.state.taken[pfn];
      if (taken?.mobile === true) mobile += 2 ** taken.order;
    }
    return { free, mobile, heads };
  }

  movableFrom(zone: NaiveZone, pfn: number): number {
    const size = 2 ** this.pageblock;
    const start = Math.floor(pfn / size) * size;
    if (start + size > zone.end) return -1;
    return start >= zone.start ? start : pfn;
  }

  reserve(zone: NaiveZone, pfn: number, _order: number): void {
    const size = 2 ** this.pageblock;
    if (zone.highatomic >= Math.floor(zone.managed / 100) + size || this.typeOf(pfn) > 2) return;
    zone.highatomic += size;
    this.retype(zone, pfn, HIGHATOMIC);
  }

  unreserve(request: Wish): boolean {
    for (const zone of request.zones) {
      for (let order = 0; order <= this.maxOrder; order++) {
        const pfn = zone.free[HIGHATOMIC]?.[order]?.[0];
        if (pfn === undefined) continue;
        if (this.typeOf(pfn) === HIGHATOMIC)
          zone.highatomic = Math.max(0, zone.highatomic - 2 ** this.pageblock);
        if (this.retype(zone, pfn, request.type) > 0) return true;
      }
    }
    return false;
  }

  /** Gives a pageblock a type and moves its free blocks; how many. */
  retype(zone: NaiveZone, pfn: number, type: number): number {
    this.state.types[Math.floor(pfn / 2 ** this.pageblock)] = type;
    const start = this.movableFrom(zone, pfn);
    const heads = start < 0 ? [] : this.pagesOf(start).heads;
    for (const head of heads) this.move(zone, head, type);
    return heads.length;
  }

  move(zone: NaiveZone, pfn: number, type: number): void {
    const order = this.unlist(zone, pfn);
    zone.free[type]?.[order]?.push(pfn);
  }

  /** Puts a block back, merging upward. */
  give(zone: NaiveZone, given: number, givenOrder: number, type: number): void {
    let pfn = given;
    let order = givenOrder;
    while (order < this.maxOrder) {
      const buddy = pfn ^ (2 ** order);
      const found = this.find(buddy);
      if (found === null || found.zone !== zone || found.order !== order) break;
      const other = this.typeOf(buddy);
      if (order >= this.pageblock && other !== type && (other > 2 || type > 2)) break;
      this.unlist(zone, buddy);
      this.meet(buddy, order, type);
      pfn = Math.min(pfn, buddy);
      order++;
    }
    const above = this.find((pfn - (pfn % 2 ** (order + 1))) ^ (2 ** (order + 1)));
    const likely = above !== null && above.zone === zone && above.order === order + 1;
    this.putBack(zone, pfn, order, type, likely && order < this.maxOrder - 1);
  }

  /** Last when the block may soon be part of a larger one. */
  putBack(zone: NaiveZone, pfn: number, order: number, type: number, waits: boolean): void {
    const list = zone.free[type]?.[order];
    if (waits) list?.push(pfn);
    else list?.unshift(pfn);
  }

  /** A block of another type is about to be merged with. */
  meet(_buddy: number, _order: number, _type: number): void {
    // Up to 6.9 each pageblock keeps its type.
  }

  find(pfn: number): { zone: NaiveZone; order: number } | null {
    for (const zone of this.state.zones) {
      if (pfn < zone.start || pfn >= zone.end) continue;
      for (const lists of zone.free) {
        const order = lists.findIndex((list) => list.includes(pfn));
        if (order >= 0) return { zone, order };
      }
    }
    return null;
  }

  /** Takes a block off its list; its order. */
  unlist(zone: NaiveZone, pfn: number): number {
    const order = this.find(pfn)?.order ?? -1;
    for (const lists of zone.free) {
      const list = lists[order] ?? [];
      if (list.includes(pfn)) list.splice(list.indexOf(pfn), 1);
    }
    return order;
  }

  typeOf(pfn: number): number {
    return this.state.types[Math.floor(pfn / 2 ** this.pageblock)] ?? -1;
  }
}
