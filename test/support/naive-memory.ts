// The page allocator of 6.1 a second time, written for reading: lists are arrays of pfns with
// their head at index 0, counts are counted when they are asked for. Marks, reserves and pageset
// sizes are given; everything that an allocation or a free changes is worked out here.
import {
  HIGHATOMIC,
  MOVABLE,
  NaiveBuddy,
  type NaivePcp,
  type NaiveZone,
  type Wish,
} from "./naive-buddy.ts";

/** In the order in which a drain goes round. */
const PCP_LISTS: readonly string[] = [
  ...[0, 1, 2, 3].flatMap((order) => [0, 1, 2].map((type) => `${order}/${type}`)),
  "huge/0",
  "huge/1",
];

export interface Pass {
  mark: "min" | "low" | null;
  half: boolean;
  harder: boolean;
  highatomic: boolean;
  whole: boolean;
}
export interface Request extends Wish {
  highest: number;
  cpu: number;
}

export class NaiveMemory extends NaiveBuddy {
  /** Who does what is being done. */
  cpu = 0;

  alloc(gfp: number, order: number, cpu: number): number {
    this.cpu = cpu;
    const { zones } = this.state;
    const index = (name: string): number => this.names.indexOf(name);
    let highest = index("Normal");
    if ((gfp & 1) !== 0) highest = index("DMA");
    if ((gfp & 4) !== 0 && index("DMA32") >= 0) highest = index("DMA32");
    const node = Math.min(cpu, Math.max(...zones.map((zone) => zone.node)));
    const order_ = (zone: NaiveZone): number =>
      (zone.node === node ? 0 : 100) - this.names.indexOf(zone.name);
    const request: Request = {
      order,
      type: this.mobilityOf(gfp),
      highest,
      wakes: this.mayWake(gfp),
      cpu,
      zones: zones
        .filter((zone) => this.names.indexOf(zone.name) <= highest)
        .filter((zone) => (gfp & 0x200000) === 0 || zone.node === node)
        .sort((a, b) => order_(a) - order_(b)),
    };
    const pfn = this.passes(request, gfp);
    if (pfn >= 0) this.state.taken[pfn] = { order, mobile: request.type === MOVABLE };
    return pfn;
  }

  mobilityOf(gfp: number): number {
    return (gfp & 8) !== 0 ? MOVABLE : (gfp & 16) !== 0 ? 2 : 0;
  }

  mayWake(gfp: number): boolean {
    return (gfp & 0x800) !== 0;
  }

  /** Who may wait is helped by a drain; who frees memory may have all of it. */
  mayWait(gfp: number): boolean {
    return (gfp & 0x400) !== 0;
  }

  mayHaveAll(gfp: number): boolean {
    return (gfp & 0x20000) !== 0 && (gfp & 0x80000) === 0;
  }

  triesHarder(gfp: number): boolean {
    return (gfp & 0x400) === 0 && (gfp & 0x80000) === 0;
  }

  /** Whether blocks of the reserve are for a request with these rights. */
  mayReserve(high: boolean, harder: boolean): boolean {
    return high && harder;
  }

  passes(request: Request, gfp: number): number {
    const first = request.zones[0];
    const near = this.state.zones.find((z) => z.node === first?.node && z.name === "DMA32");
    const plain = { half: false, harder: false, highatomic: false, whole: false };
    const whole = this.startsWhole() && first?.name === "Normal" && near !== undefined;
    let pfn = this.pass(request, { ...plain, mark: "low", whole });
    if (pfn >= 0) return pfn;
    const high = (gfp & 0x20) !== 0;
    const harder = this.triesHarder(gfp);
    const highatomic = request.order > 0 && this.mayReserve(high, harder);
    for (const zone of request.wakes ? request.zones : []) this.wake(zone, request.order);
    const slow: Pass = { mark: "min", half: high, harder, highatomic, whole: false };
    pfn = this.pass(request, slow);
    if (pfn >= 0) return pfn;
    if (this.mayHaveAll(gfp)) {
      pfn = this.pass(request, { ...plain, mark: null });
      if (pfn >= 0) return pfn;
    }
    if (!this.mayWait(gfp)) return -1;
    this.drainAll();
    do pfn = this.pass(request, slow);
    while (pfn < 0 && this.unreserve(request));
    return pfn;
  }

  /** Whether lower zones are asked before types mix. */
  startsWhole(): boolean {
    return true;
  }

  /** Whether a block that per-CPU lists keep comes from them or not at all. */
  asksOnlyLists(): boolean {
    return false;
  }

  pass(request: Request, pass: Pass): number {
    for (const zone of request.zones) {
      if (pass.whole && zone.node !== request.zones[0]?.node) break;
      if (pass.mark !== null && !this.mayGive(zone, request, pass, pass.mark)) continue;
      const pfn = this.fromZone(zone, request, pass);
      if (request.wakes && zone.boosted) {
        zone.boosted = false;
        this.wake(zone, 0);
      }
      if (pfn < 0) continue;
      if (pass.highatomic) this.reserve(zone, pfn, request.order);
      return pfn;
    }
    return pass.whole ? this.pass(request, { ...pass, whole: false }) : -1;
  }

  wake(zone: NaiveZone, order: number): void {
    this.log.push(`kswapd ${this.state.zones.indexOf(zone)} ${order}`);
  }

  mayGive(zone: NaiveZone, request: Request, pass: Pass, name: "min" | "low"): boolean {
    const { order } = request;
    const free = zone.counted - (this.opensReserve(pass) ? 0 : zone.highatomic);
    const above = zone.reserve[request.highest] ?? 0;
    const enough = (mark: number): boolean =>
      free - (2 ** order - 1) > this.lowered(mark, pass) + above;
    const mark = zone.marks[name];
    if (order === 0) {
      if (Math.max(0, free) > mark + zone.boost + above || enough(mark + zone.boost)) return true;
      return this.isAtomic(pass) && zone.boost > 0 && name === "min" && enough(mark);
    }
    return enough(mark + zone.boost) && this.hasBlock(zone, order, mark, pass);
  }

  opensReserve(pass: Pass): boolean {
    return pass.half || pass.harder || pass.highatomic;
  }

  lowered(mark: number, pass: Pass): number {
    let min = mark;
    if (pass.half) min -= Math.floor(min / 2);
    if (pass.half && pass.harder) min -= Math.floor(min / 4);
    return min;
  }

  /** Who has a second chance without the boost. */
  isAtomic(pass: Pass): boolean {
    return pass.half;
  }

  hasBlock(zone: NaiveZone, order: number, _mark: number, pass: Pass): boolean {
    const types = pass.highatomic ? [0, 1, 2, HIGHATOMIC] : [0, 1, 2];
    return types.some((type) => zone.free[type]?.some((list, o) => o >= order && list.length > 0));
  }

  fromZone(zone: NaiveZone, request: Request, pass: Pass): number {
    const { order, type } = request;
    const set = zone.pcp[request.cpu];
    if (set !== undefined && this.keeps(order)) {
      const list = this.pcpList(set, order, type);
      this.taking(set);
      if (list.length === 0) {
        const pfns = this.many(zone, request, pass.whole, this.refill(zone, set, order));
        list.push(...pfns.map((pfn) => ({ pfn, type })));
        this.countRefill(zone, pfns.length, order);
      }
      const page = list.shift();
      if (page !== undefined || this.asksOnlyLists()) return page?.pfn ?? -1;
    }
    let pfn = pass.highatomic ? this.smallest(zone, order, HIGHATOMIC) : -1;
    if (pfn < 0) pfn = this.fromBuddy(zone, request, pass.whole);
    if (pfn < 0 && this.hasLastResort(pass)) pfn = this.smallest(zone, order, HIGHATOMIC);
    if (pfn >= 0) this.count(zone, -(2 ** order));
    return pfn;
  }

  count(zone: NaiveZone, pages: number): void {
    const set = zone.pcp[this.cpu];
    if (set === undefined) return;
    set.drift += pages;
    if (Math.abs(set.drift) <= zone.threshold) return;
    zone.counted += set.drift;
    set.drift = 0;
  }

  countRefill(zone: NaiveZone, blocks: number, order: number): void {
    this.count(zone, -blocks * 2 ** order);
  }

  hasLastResort(pass: Pass): boolean {
    return pass.harder;
  }

  /** Whether blocks of this order wait on per-CPU lists. */
  keeps(order: number): boolean {
    return order <= 3 || order === this.pageblock;
  }

  /** A request came to this CPU's lists. */
  taking(set: NaivePcp): void {
    set.factor >>= 1;
  }

  /** Blocks of a refill. */
  refill(zone: NaiveZone, _set: NaivePcp, order: number): number {
    return zone.batch > 1 ? Math.max(zone.batch >> order, 2) : zone.batch;
  }

  free(pfn: number, cpu: number): void {
    this.cpu = cpu;
    const { order } = this.state.taken[pfn] ?? { order: -1 };
    delete this.state.taken[pfn];
    const zone = this.state.zones.find((own) => pfn >= own.start && pfn < own.end);
    const set = zone?.pcp[cpu];
    if (zone === undefined || set === undefined) throw new Error(`pfn ${pfn} is in no zone`);
    const type = this.typeOf(pfn);
    if (!this.keeps(order)) {
      this.giveLarge(zone, pfn, order, type);
      return;
    }
    this.pcpList(set, order, type).unshift({ pfn, type });
    this.relieve(zone, set, order, type);
  }

  giveLarge(zone: NaiveZone, pfn: number, order: number, type: number): void {
    this.give(zone, pfn, order, type);
    this.count(zone, 2 ** order);
  }

  /** After a free: where there are too many pages now, the oldest go. */
  relieve(zone: NaiveZone, set: NaivePcp, order: number, type: number): void {
    const count = this.pcpPages(set);
    if (order > 0 && order <= 3 && set.factor > 0) {
      this.drain(zone, set, count, order, type);
      return;
    }
    const high = zone.reclaimed ? Math.min(4 * zone.batch, set.high) : set.high;
    if (count < high) return;
    const most = high - zone.batch;
    const scaled = zone.batch * 2 ** set.factor;
    if (scaled < most && set.factor < 5) set.factor++;
    this.drain(zone, set, Math.max(zone.batch, Math.min(scaled, most)), order, type);
  }

  /** Oldest first: all of the list of (order, type), then of those after it, round and round. */
  drain(zone: NaiveZone, set: NaivePcp, pages: number, order: number, type: number): void {
    let left = Math.min(pages, this.pcpPages(set));
    let at = PCP_LISTS.indexOf(this.pcpKey(order, type));
    for (; left > 0; at = (at + 1) % PCP_LISTS.length) {
      const key = PCP_LISTS[at] ?? "";
      const list = set.lists[key] ?? [];
      while (left > 0 && list.length > 0) {
        const page = list.pop();
        if (page === undefined) break;
        this.giveDrained(zone, page, this.orderOf(key));
        left -= 2 ** this.orderOf(key);
      }
    }
  }

  drainAll(): void {
    const cpus = this.state.zones[0]?.pcp.length ?? 0;
    const caller = this.cpu;
    for (let cpu = 0; cpu < cpus; cpu++) {
      if (this.drainsItself()) this.cpu = cpu;
      for (const zone of this.state.zones) {
        const set = zone.pcp[cpu];
        if (set !== undefined) this.empty(zone, set);
      }
    }
    this.cpu = caller;
  }

  /** Whether every CPU empties its own lists, asked by one. */
  drainsItself(): boolean {
    return false;
  }

  empty(zone: NaiveZone, set: NaivePcp): void {
    this.drain(zone, set, this.pcpPages(set), 0, 0);
  }

  /** Only pagesets that adapt (6.7+) are looked after by the statistics worker. */
  decay(_zone: NaiveZone, _set: NaivePcp): void {
    // Nothing adapts.
  }

  giveDrained(zone: NaiveZone, page: { pfn: number; type: number }, order: number): void {
    const type = this.drainedAs(page);
    this.log.push(`drain ${page.pfn} ${order} ${type}`);
    this.give(zone, page.pfn, order, type);
    this.count(zone, 2 ** order);
  }

  /** As what a page goes back: what it was when it was freed. */
  drainedAs(page: { pfn: number; type: number }): number {
    return page.type;
  }

  pcpPages(set: NaivePcp): number {
    let pages = 0;
    for (const [key, list] of Object.entries(set.lists))
      pages += list.length * 2 ** this.orderOf(key);
    return pages;
  }

  pcpLists(set: NaivePcp): { pfn: number; type: number }[][] {
    return PCP_LISTS.map((key) => set.lists[key] ?? []);
  }

  orderOf(key: string): number {
    return key.startsWith("huge") ? this.pageblock : Number(key[0]);
  }

  /** HighAtomic pages wait among the movable ones; huge pages know movable ones and others. */
  pcpKey(order: number, type: number): string {
    const kept = type > 2 ? MOVABLE : type;
    return order > 3 ? `huge/${kept === MOVABLE ? 1 : 0}` : `${order}/${kept}`;
  }

  pcpList(set: NaivePcp, order: number, type: number): { pfn: number; type: number }[] {
    const key = this.pcpKey(order, type);
    set.lists[key] ??= [];
    return set.lists[key];
  }
}
