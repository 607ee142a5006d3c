// What 5.4 and the kernels before it did otherwise, each a second time and for reading.
//   5.4     free pages go to the front of lists at boot and when they change lists; a boost binds all
//   4.19    no boost, and types mix before lower zones are asked
//   4.9     the block that a search finds is taken itself; only free pages speak for a pageblock
//   3.10    marks order by order, no HighAtomic; __GFP_WAIT and __GFP_RECLAIMABLE elsewhere
//   2.6.39  what is left of a small block keeps its type; two pages too many are asked for
import type { NaiveState, NaiveZone, Wish } from "./naive-buddy.ts";
import { Naive2_6, Naive5_10, Naive5_15, Naive6_12 } from "./naive-eras.ts";
import { NaiveMemory, type Pass, type Request } from "./naive-memory.ts";

class Naive5_4 extends Naive5_10 {
  override boot(): void {
    super.boot();
    // Blocks came one after the other, each before those that were there.
    for (const zone of this.state.zones) {
      const blocks = zone.free
        .flatMap((lists) => lists.flatMap((list, order) => list.map((pfn) => ({ pfn, order }))))
        .sort((a, b) => a.pfn - b.pfn);
      for (const lists of zone.free) for (const list of lists) list.length = 0;
      for (const { pfn, order } of blocks) this.give(zone, pfn, order, this.typeOf(pfn));
    }
  }

  override move(zone: NaiveZone, pfn: number, type: number): void {
    const order = this.unlist(zone, pfn);
    zone.free[type]?.[order]?.unshift(pfn);
  }

  override isAtomic(_pass: Pass): boolean {
    return false;
  }
}

/** GFP flags of 6.1, and where they were in 4.9 and 4.19. */
const MOVED: readonly (readonly [now: number, v4_9: number, v4_19: number])[] = [
  [0x200, 0x80000, 0x80000], // ATOMIC
  [0x400, 0x400000, 0x200000], // DIRECT_RECLAIM
  [0x800, 0x2000000, 0x400000], // KSWAPD_RECLAIM
  [0x20000, 0x2000, 0x2000], // MEMALLOC
  [0x80000, 0x10000, 0x10000], // NOMEMALLOC
  [0x100000, 0x20000, 0x20000], // HARDWALL
  [0x200000, 0x40000, 0x40000], // THISNODE
];

/** Flags of 6.1 as those of 4.9 or 4.19. */
export function flagsOf4(era: "4.9" | "4.19", gfp: number): number {
  const column = era === "4.9" ? 1 : 2;
  return MOVED.reduce((sum, bits) => sum | ((gfp & bits[0]) === 0 ? 0 : bits[column]), gfp & 0xff);
}

function flagsNow(column: 1 | 2, gfp: number): number {
  return MOVED.reduce((sum, bits) => sum | ((gfp & bits[column]) === 0 ? 0 : bits[0]), gfp & 0xff);
}

class Naive4_19 extends Naive5_4 {
  override alloc(gfp: number, order: number, cpu: number): number {
    return super.alloc(this.flags(gfp), order, cpu);
  }

  flags(gfp: number): number {
    return flagsNow(2, gfp);
  }

  override raise(): void {
    // Fragmenting costs nothing.
  }

  override startsWhole(): boolean {
    return false;
  }
}

class Naive4_9 extends Naive4_19 {
  override flags(gfp: number): number {
    return flagsNow(1, gfp);
  }

  override fromBuddy(zone: NaiveZone, request: Wish): number {
    const { order, type } = request;
    const own = this.smallest(zone, order, type);
    if (own >= 0) return own;
    for (let from = this.maxOrder; from >= order; from--) {
      const other = this.otherType(zone, from, type);
      if (other >= 0) return this.takeFound(zone, request, from, other);
    }
    return -1;
  }

  takeFound(zone: NaiveZone, { order, type }: Wish, from: number, other: number): number {
    const size = 2 ** this.pageblock;
    const pfn = zone.free[other]?.[from]?.[0] ?? -1;
    const wholly = this.wholly(from, type);
    if (from >= this.pageblock) {
      for (let p = pfn; p < pfn + 2 ** from; p += size) this.state.types[p / size] = type;
    } else if (wholly) {
      const start = this.movableFrom(zone, pfn);
      const { free, heads } = start < 0 ? { free: 0, heads: [] } : this.pagesOf(start);
      for (const head of heads) this.move(zone, head, type);
      if (free * 2 >= size) this.state.types[Math.floor(pfn / size)] = type;
    }
    this.unlist(zone, pfn);
    this.halve(zone, pfn, from, order, this.typeOfRest(other, type, wholly));
    this.log.push(`extfrag ${pfn} ${from} ${other} ${type}`, `refill ${pfn} ${order} ${type}`);
    return pfn;
  }

  typeOfRest(_other: number, type: number, _wholly: boolean): number {
    return type;
  }
}

class Naive3_10 extends Naive4_9 {
  override flags(gfp: number): number {
    return gfp;
  }

  override mobilityOf(gfp: number): number {
    return (gfp & 0x80000) !== 0 ? 2 : (gfp & 8) !== 0 ? 1 : 0;
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
    return !this.mayWait(gfp) && (gfp & 0x10000) === 0;
  }

  override mayReserve(): boolean {
    return false;
  }

  override hasBlock(zone: NaiveZone, order: number, mark: number, pass: Pass): boolean {
    return Naive2_6.prototype.hasBlock.call(this, zone, order, mark, pass);
  }

  override wholly(order: number, type: number): boolean {
    return order >= Math.floor(this.pageblock / 2) || type === 2;
  }
}

class Naive2_6_39 extends Naive3_10 {
  override typeOfRest(other: number, type: number, wholly: boolean): number {
    return wholly ? type : other;
  }

  override mayGive(zone: NaiveZone, request: Request, pass: Pass, name: "min" | "low"): boolean {
    const { order, highest } = request;
    const min = this.lowered(zone.marks[name], pass);
    let left = zone.counted - 2 ** order - 1;
    if (left <= min + (zone.reserve[highest] ?? 0)) return false;
    for (let below = 0; below < order; below++) {
      for (const lists of zone.free) left -= (lists[below]?.length ?? 0) * 2 ** below;
      if (left <= Math.floor(min / 2 ** (below + 1))) return false;
    }
    return true;
  }
}

/** Whether there is a block is found out on the lists. */
class Naive2_6_9 extends Naive2_6 {
  override hasBlock(zone: NaiveZone, order: number): boolean {
    return zone.free.some((lists) => lists.some((list, o) => o >= order && list.length > 0));
  }
}

const TWINS: Readonly<Record<string, typeof NaiveMemory>> = {
  "2.6.9": Naive2_6_9,
  "2.6.11": Naive2_6,
  "2.6": Naive2_6,
  "2.6.39": Naive2_6_39,
  "3.10": Naive3_10,
  "4.9": Naive4_9,
  "4.19": Naive4_19,
  "5.4": Naive5_4,
  "5.10": Naive5_10,
  "5.15": Naive5_15,
  "6.1": NaiveMemory,
  "6.6": NaiveMemory,
  "6.12": Naive6_12,
  "6.18": Naive6_12,
};

export function naiveMemory(
  era: string,
  state: NaiveState,
  maxOrder: number,
  pageblock: number,
): NaiveMemory {
  const Twin = TWINS[era];
  if (Twin === undefined) throw new Error(`no twin of ${era}`);
  return new Twin(state, maxOrder, pageblock);
}
