// What the other eras do otherwise than 6.1, each a second time and for reading; 5.4 and before are in
// naive-old.ts.
//   5.10  single pages only on per-CPU lists, emptied in turns; who tries harder needs no __GFP_HIGH
//   2.6   the same without mobility types: one list an order, freed blocks first, marks by order
//   6.12  pageblocks are claimed or left alone, lists keep to them, and pagesets adapt
import type { NaivePcp, NaiveZone, Wish } from "./naive-buddy.ts";
import { HIGHATOMIC, MOVABLE } from "./naive-buddy.ts";
import { NaiveMemory, type Pass } from "./naive-memory.ts";

export class Naive5_10 extends NaiveMemory {
  override triesHarder(gfp: number): boolean {
    return (gfp & 0x200) !== 0 && (gfp & 0x80000) === 0;
  }

  override mayReserve(_high: boolean, harder: boolean): boolean {
    return harder;
  }

  override opensReserve(pass: Pass): boolean {
    return pass.harder;
  }

  override lowered(mark: number, pass: Pass): number {
    let min = mark;
    if (pass.half) min -= Math.floor(min / 2);
    if (pass.harder) min -= Math.floor(min / 4);
    return min;
  }

  override isAtomic(pass: Pass): boolean {
    return pass.harder;
  }

  override hasLastResort(): boolean {
    return false;
  }

  override keeps(order: number): boolean {
    return order === 0;
  }

  override drainsItself(): boolean {
    return true;
  }

  override taking(_set: NaivePcp): void {
    // A request leaves no mark.
  }

  override refill(zone: NaiveZone, _set: NaivePcp, _order: number): number {
    return zone.batch;
  }

  override relieve(zone: NaiveZone, set: NaivePcp): void {
    if (this.pcpPages(set) >= set.high) this.turns(zone, set, zone.batch);
  }

  override empty(zone: NaiveZone, set: NaivePcp): void {
    this.turns(zone, set, this.pcpPages(set));
  }

  /** A block of each list in turn, from Movable on; what empty lists do not give, the next one does. */
  turns(zone: NaiveZone, set: NaivePcp, pages: number): void {
    const keys = this.turnKeys();
    let left = Math.min(pages, this.pcpPages(set));
    let at = 0;
    let due = 0;
    while (left > 0) {
      at = (at + 1) % keys.length;
      due++;
      const key = keys[at] ?? "";
      const list = set.lists[key] ?? [];
      if (list.length === 0) continue;
      if (due === keys.length) due = left;
      while (left > 0 && due > 0 && list.length > 0) {
        const page = list.pop();
        if (page !== undefined) this.giveDrained(zone, page, this.orderOf(key));
        left -= 2 ** this.orderOf(key);
        due--;
      }
    }
  }

  turnKeys(): string[] {
    return ["0/0", "0/1", "0/2"];
  }
}

export class Naive2_6 extends Naive5_10 {
  override boot(): void {
    const size = 2 ** this.pageblock;
    for (const zone of this.state.zones) {
      for (let b = Math.floor(zone.start / size); b * size < zone.end; b++) this.state.types[b] = 0;
      for (let pfn = zone.start; pfn < zone.end; ) {
        let order = this.maxOrder;
        while (pfn % 2 ** order !== 0 || pfn + 2 ** order > zone.end) order--;
        this.give(zone, pfn, order, 0);
        pfn += 2 ** order;
      }
    }
  }

  override mobilityOf(): number {
    return 0;
  }

  override mayWake(): boolean {
    return true;
  }

  override mayWait(gfp: number): boolean {
    return (gfp & 0x10) !== 0;
  }

  override mayHaveAll(): boolean {
    return false;
  }

  override triesHarder(gfp: number): boolean {
    return !this.mayWait(gfp);
  }

  override mayReserve(): boolean {
    return false;
  }

  override hasBlock(zone: NaiveZone, order: number, mark: number, pass: Pass): boolean {
    let left = zone.counted - (2 ** order - 1);
    let min = this.lowered(mark, pass);
    for (let below = 0; below < order; below++) {
      for (const lists of zone.free) left -= (lists[below]?.length ?? 0) * 2 ** below;
      min = Math.floor(min / 2);
      if (left <= min) return false;
    }
    return true;
  }

  override fallback(): boolean {
    return false;
  }

  override putBack(zone: NaiveZone, pfn: number, order: number): void {
    zone.free[0]?.[order]?.unshift(pfn);
  }
}

/** Larger blocks wait as well, but go back as single pages did; nobody asks the zone after its lists. */
export class Naive5_15 extends Naive5_10 {
  override keeps(order: number): boolean {
    return order <= 3 || order === this.pageblock;
  }

  override taking(set: NaivePcp): void {
    set.factor >>= 1;
  }

  override refill(zone: NaiveZone, _set: NaivePcp, order: number): number {
    return zone.batch > 1 ? Math.max(zone.batch >> order, 2) : zone.batch;
  }

  override asksOnlyLists(): boolean {
    return true;
  }

  override relieve(zone: NaiveZone, set: NaivePcp): void {
    const high = zone.reclaimed ? Math.min(4 * zone.batch, set.high) : set.high;
    if (this.pcpPages(set) < high) return;
    const most = high - zone.batch;
    const scaled = zone.batch * 2 ** set.factor;
    if (scaled < most) set.factor++;
    this.turns(zone, set, Math.max(zone.batch, Math.min(scaled, most)));
  }

  /** Three lists an order, and three of huge pages, of which the last is never used. */
  override turnKeys(): string[] {
    const keys = [0, 1, 2, 3].flatMap((order) => [0, 1, 2].map((type) => `${order}/${type}`));
    return [...keys, "huge/0", "huge/1", "none"];
  }
}

interface Found {
  readonly pfn: number;
  readonly stolen: boolean;
}

export class Naive6_12 extends NaiveMemory {
  override fromBuddy(zone: NaiveZone, request: Wish, whole: boolean): number {
    return this.search(zone, request, whole).pfn;
  }

  override many(zone: NaiveZone, request: Wish, whole: boolean, count: number): number[] {
    const pfns: number[] = [];
    let stolen = false;
    while (pfns.length < count) {
      // Once there was nothing left to claim, this refill does not ask again.
      const found: Found = stolen
        ? { pfn: this.stealOne(zone, request), stolen }
        : this.search(zone, request, whole);
      if (found.pfn < 0) break;
      pfns.push(found.pfn);
      stolen = found.stolen;
    }
    return pfns;
  }

  search(zone: NaiveZone, request: Wish, whole: boolean): Found {
    let pfn = this.smallest(zone, request.order, request.type);
    if (pfn < 0) pfn = this.claim(zone, request, whole);
    if (pfn >= 0 || whole) return { pfn, stolen: false };
    return { pfn: this.stealOne(zone, request), stolen: true };
  }

  claim(zone: NaiveZone, request: Wish, whole: boolean): number {
    const least = whole ? Math.max(request.order, this.pageblock) : request.order;
    for (let from = this.maxOrder; from >= least; from--) {
      if (!this.wholly(from, request.type)) return -1;
      const other = this.otherType(zone, from, request.type);
      const pfn = other < 0 ? -1 : this.claimOne(zone, request, from, other);
      if (pfn >= 0) return pfn;
    }
    return -1;
  }

  claimOne(zone: NaiveZone, request: Wish, from: number, other: number): number {
    const { order, type } = request;
    const size = 2 ** this.pageblock;
    const pfn = zone.free[other]?.[from]?.[0] ?? -1;
    if (from >= this.pageblock) {
      this.log.push(`extfrag ${pfn} ${from} ${other} ${type}`);
      this.unlist(zone, pfn);
      this.setTypes(pfn, from, type);
      this.halve(zone, pfn, from, order, type);
      return pfn;
    }
    this.raise(zone, request);
    const start = this.movableFrom(zone, pfn);
    if (start < 0) return -1;
    const { free, mobile, heads } = this.pagesOf(start);
    let alike = 0;
    if (type === MOVABLE) alike = mobile;
    else if (other === MOVABLE) alike = size - free - mobile;
    if (free + alike < size / 2) return -1;
    for (const head of heads) this.move(zone, head, type);
    this.setTypes(pfn, from, type);
    const taken = this.smallest(zone, order, type);
    this.log.push(`extfrag ${taken} ${from} ${other} ${type}`);
    return taken;
  }

  /** The smallest block of another type; the rest of it stays with that. */
  stealOne(zone: NaiveZone, { order, type }: Wish): number {
    for (let from = order; from <= this.maxOrder; from++) {
      const other = this.otherType(zone, from, type);
      const pfn = zone.free[other]?.[from]?.shift();
      if (pfn === undefined) continue;
      this.log.push(`extfrag ${pfn} ${from} ${other} ${type}`);
      this.halve(zone, pfn, from, order, other);
      return pfn;
    }
    return -1;
  }

  /** Gives the pageblocks of a block, or the one that it is in, a type. */
  setTypes(pfn: number, order: number, type: number): void {
    const size = 2 ** this.pageblock;
    const end = pfn + 2 ** order;
    for (let b = Math.floor(pfn / size); b * size < end; b++) this.state.types[b] = type;
  }

  override meet(buddy: number, order: number, type: number): void {
    if (order >= this.pageblock) this.setTypes(buddy, order, type);
  }

  override movableFrom(zone: NaiveZone, pfn: number): number {
    const start = super.movableFrom(zone, pfn);
    return start % 2 ** this.pageblock === 0 ? start : -1;
  }

  override giveLarge(zone: NaiveZone, pfn: number, order: number): void {
    const step = 2 ** Math.min(order, this.pageblock);
    for (let at = pfn; at < pfn + 2 ** order; at += step) {
      this.give(zone, at, Math.log2(step), this.typeOf(at));
      this.count(zone, step);
    }
  }

  override drainedAs({ pfn }: { pfn: number }): number {
    return this.typeOf(pfn);
  }

  override reserve(zone: NaiveZone, pfn: number, order: number): void {
    const size = 2 ** this.pageblock;
    const hundredth = Math.floor(zone.managed / 100);
    const most = hundredth < size ? 0 : Math.ceil(hundredth / size) * size;
    if (zone.highatomic >= most || this.typeOf(pfn) > 2) return;
    const start = this.movableFrom(zone, pfn);
    if (start < 0) return;
    zone.highatomic += Math.max(size, 2 ** order);
    this.setTypes(pfn, order, HIGHATOMIC);
    for (const head of this.pagesOf(start).heads) this.move(zone, head, HIGHATOMIC);
  }

  override unreserve(request: Wish): boolean {
    const size = 2 ** this.pageblock;
    for (const zone of request.zones) {
      for (let order = 0; order <= this.maxOrder; order++) {
        const pfn = zone.free[HIGHATOMIC]?.[order]?.[0];
        if (pfn === undefined) continue;
        zone.highatomic -= Math.min(zone.highatomic, Math.max(size, 2 ** order));
        const heads =
          order > this.pageblock ? [pfn] : this.pagesOf(this.movableFrom(zone, pfn)).heads;
        this.setTypes(pfn, order, request.type);
        for (const head of heads) this.move(zone, head, request.type);
        return true;
      }
    }
    return false;
  }

  override countRefill(zone: NaiveZone, blocks: number, order: number): void {
    for (let i = 0; i < blocks; i++) this.count(zone, -(2 ** order));
  }

  override taking(set: NaivePcp): void {
    set.freeCount >>= 1;
  }

  override refill(zone: NaiveZone, set: NaivePcp, order: number): number {
    const { batch, highMin, highMax } = zone;
    set.high = clamp(set.high, highMin, highMax);
    if (set.high < batch) return 1;
    let wanted = order === 0 ? batch * 2 ** set.factor : batch;
    if (highMin !== highMax && !zone.belowHigh) set.high = Math.min(set.high + wanted, highMax);
    if (order === 0) {
      const most = Math.max(set.high - this.pcpPages(set) - batch, batch);
      if (wanted <= most && set.factor < 5) set.factor++;
      wanted = Math.min(wanted, most);
    }
    return wanted > 1 ? Math.max(wanted >> order, 2) : wanted;
  }

  override relieve(zone: NaiveZone, set: NaivePcp, order: number, type: number): void {
    const { batch, highMin, highMax } = zone;
    const isBlock = order > 0 && order <= 3;
    const all = isBlock && set.blockBefore && set.freeCount >= batch;
    set.blockBefore = isBlock;
    set.factor >>= 1;
    if (set.freeCount < 32 * batch) set.freeCount += 2 ** order;
    const count = this.pcpPages(set);
    set.high = clamp(set.high, highMin, highMax);
    if (all) {
      set.high = Math.max(set.high - 32 * batch, highMin);
      this.drain(zone, set, Math.min(count, 32 * batch), order, type);
      return;
    }
    const high = this.highNow(zone, set, count);
    if (count < high) return;
    const pages = high < batch ? 1 : clamp(set.freeCount, batch, high - batch);
    this.drain(zone, set, pages, order, type);
  }

  /** Where the pageset is full; that moves with how it is used. */
  highNow(zone: NaiveZone, set: NaivePcp, count: number): number {
    const { batch, highMin, highMax } = zone;
    const { high } = set;
    const lower = Math.max(high - Math.max(set.freeCount, batch), highMin);
    if (zone.reclaimed) {
      set.high = lower;
      return Math.min(4 * batch, lower);
    }
    if (highMin === highMax) return high;
    if (zone.belowHigh) {
      set.high = lower;
      return Math.max(count, highMin);
    }
    if (count >= high && high < set.freeCount + batch)
      set.high = clamp(set.freeCount + batch, highMin, highMax);
    return high;
  }

  /** What the statistics worker does once in a while. */
  override decay(zone: NaiveZone, set: NaivePcp): void {
    const count = this.pcpPages(set);
    if (set.high > zone.highMin) {
      const lower = set.high - Math.floor(set.high / 8);
      set.high = Math.max(count - 32 * zone.batch, lower, zone.highMin);
    }
    let left = count - set.high;
    while (left > 0) {
      const pages = Math.min(left, zone.batch);
      this.drain(zone, set, pages, 0, 0);
      left -= pages;
    }
  }
}

const clamp = (value: number, low: number, high: number): number =>
  Math.min(Math.max(value, low), high);
