/**
 * A page allocator for RAM of your own: zones by name and size, with or without
 * bytes, and no Linux release to know about.
 *
 *   const ram = new WebAssembly.Memory({ initial: 1024 });           64 MiB
 *   const memory = createMemory({
 *     zones: [{ name: "DMA", pages: 4096 }, { name: "Normal", pages: 12288 }],
 *     bytes: ram,
 *   });
 *   const pfn = memory.alloc(0, "DMA");                              below 16 MiB
 *
 * A request names the highest zone it may use and gets memory of that one or of
 * a lower one. It runs by the rules of Linux 6.1, with what a small machine has
 * no use for left out: nothing is kept back unless asked for, marks are never
 * boosted, one CPU, exact counts.
 *
 * Everything rests on the engine (`bootMemory`, `allocPages`, `freePages`), and
 * `engine` gives it to those who want the rest.
 */
import { assert } from "../base/assert.ts";
import { NO_PFN } from "./allocate.ts";
import { bootMemory } from "./boot-memory.ts";
import { type BoundMemory, bindMemory } from "./bound.ts";
import { type ByteSource, bytesOf, viewPages } from "./bytes.ts";
import { zoneBits } from "./create-memory-bits.ts";
import { __GFP_MOVABLE, __GFP_ZERO, GFP_KERNEL } from "./gfp.ts";
import { kmap, kunmap } from "./kmap.ts";
import {
  type Memory,
  P_COUNT,
  PCP_WORDS,
  rowOf,
  Z_FREE,
  Z_MANAGED,
  ZONE_WORDS,
  zoneOf,
} from "./memory.ts";

/** One zone of `createMemory`. */
export interface OwnZone {
  /** Any name. HighMem, Movable, DMA and DMA32 behave as Linux's do. */
  readonly name: string;
  readonly pages: number;
  /** First pfn; where the zone before ends, or 0, by default. */
  readonly startPfn?: number;
}

export interface CreateOptions {
  /** 1 to 8 zones from the lowest up, without overlap. */
  readonly zones: readonly OwnZone[];
  /** RAM: a buffer, a view, or a WebAssembly.Memory (its buffer may be replaced as it grows). */
  readonly bytes?: ByteSource;
  /** Byte of pfn 0 in `bytes`, 0 by default; negative where RAM begins at a higher pfn. */
  readonly offset?: number;
  /** Bytes, a power of two; 4096 by default. */
  readonly pageSize?: number;
  /** Largest order, inclusive: 10 by default, 1 to 15. */
  readonly maxOrder?: number;
  /** What is kept back for requests that cannot wait, KiB; 0 by default. */
  readonly minFreeKbytes?: number;
  /**
   * By zone: 1/ratio of the pages above a zone is kept there from requests that
   * could have used those above; 0, or no entry, keeps nothing. None by default.
   */
  readonly lowmemReserveRatio?: readonly number[];
}

/** What a request may say besides order and zone. */
export interface AllocWish {
  /** Fill with zeros; needs bytes. */
  readonly zero?: boolean;
  /** The owner lets the pages be moved: they are kept apart from those that stay. */
  readonly movable?: boolean;
}

/** Of `createMemory`. Pages are given and taken by pfn: physical address / page size. */
export class PageMemory {
  /**
   * The memory itself, for everything that this class has no method for. It learns
   * only from this class's methods that a WebAssembly.Memory grew.
   */
  readonly engine: Memory;
  readonly #bound: BoundMemory;
  readonly #bits: readonly number[];
  readonly #source: ByteSource | null;
  readonly #place: Parameters<typeof viewPages>[1];

  constructor(options: CreateOptions) {
    const { pageSize = 4096, maxOrder = 10, offset = 0 } = options;
    checkOptions(options.zones, pageSize, maxOrder, offset);
    const zones = placed(options.zones);
    const first = zones[0];
    const last = zones.at(-1);
    assert(first !== undefined && last !== undefined, "createMemory needs a zone");
    this.#place = {
      offset,
      firstPfn: first.startPfn,
      endPfn: last.startPfn + last.pages,
      pageSize,
    };
    this.#source = options.bytes ?? null;
    const bytes = this.#source === null ? null : viewPages(this.#source, this.#place);
    assert(this.#source === null || bytes !== null, "bytes do not hold all pages at this offset");
    const bits = zoneBits(zones.map((zone) => zone.name));
    this.engine = bootMemory({
      zones,
      gfpZone: bits.table,
      pageSize,
      maxOrder,
      minFreeKbytes: options.minFreeKbytes ?? 0,
      lowmemReserveRatio: options.lowmemReserveRatio ?? [],
      watermarkBoostFactor: 0,
      ...(bytes === null ? {} : { bytes, bytesPfn: first.startPfn }),
    });
    this.#bound = bindMemory(this.engine);
    this.#bits = bits.of;
  }

  /** Bytes of a page. */
  get pageSize(): number {
    return this.engine.pageSize;
  }

  /** Names of the zones, lowest first. */
  get zones(): readonly string[] {
    return this.engine.names;
  }

  /**
   * Takes 2^order pages that lie together, aligned to their size, from `zone` or
   * a lower one; from the highest zone but HighMem and Movable when none is named.
   * Returns the first pfn, or `NO_PFN` (-1) when there is no such memory.
   * Asserts that the zone exists and the order is in range.
   */
  alloc(order: number, zone?: string, wish?: AllocWish): number {
    let gfp = GFP_KERNEL | (zone === undefined ? 0 : this.#bits[this.#zoneNumber(zone)]);
    if (wish?.movable === true) gfp |= __GFP_MOVABLE;
    if (wish?.zero === true) {
      assert(this.#source !== null, "this memory has no bytes to zero");
      this.#bind();
      gfp |= __GFP_ZERO;
    }
    return this.#bound.allocPages(gfp, order);
  }

  /** Gives 2^order pages back. Asserts that they were taken, with this order, and not yet given back. */
  free(pfn: number, order: number): void {
    this.#bound.freePages(pfn, order);
  }

  /**
   * The bytes of 2^order pages: a view of the caller's RAM. After a
   * WebAssembly.Memory grew, old views are empty; ask again. Asserts that there
   * are bytes, and that the pages are not HighMem, which `kmap` is for.
   */
  bytesOf(pfn: number, order: number): Uint8Array {
    this.#bind();
    return bytesOf(this.engine, pfn, order);
  }

  /** The bytes of one page of any zone; null when all slots for HighMem pages are in use. See `kmap`. */
  kmap(pfn: number): Uint8Array | null {
    this.#bind();
    return kmap(this.engine, pfn);
  }

  /** Gives a mapping of `kmap` back. Asserts that the page is mapped. */
  kunmap(pfn: number): void {
    kunmap(this.engine, pfn);
  }

  /** Physical address of a page, bytes. */
  addressOf(pfn: number): number {
    return pfn * this.engine.pageSize;
  }

  /** Pages of `zone`, or of all zones, that a request could have: free ones and the CPU's stock of them. */
  freePages(zone?: string): number {
    return this.#sum(zone, (z) => {
      const stock = this.engine.pcp[z * this.engine.cpuCount * PCP_WORDS + P_COUNT];
      return this.engine.zone[z * ZONE_WORDS + Z_FREE] + stock;
    });
  }

  /** Pages of `zone`, or of all zones. */
  totalPages(zone?: string): number {
    return this.#sum(zone, (z) => this.engine.zone[z * ZONE_WORDS + Z_MANAGED]);
  }

  /** Name of the zone that a page belongs to; null for a pfn outside all zones. */
  zoneOf(pfn: number): string | null {
    const row = rowOf(this.engine, pfn);
    const zone = row < 0 ? -1 : zoneOf(this.engine, row);
    return this.engine.names[zone] ?? null;
  }

  #sum(zone: string | undefined, pagesOf: (z: number) => number): number {
    if (zone !== undefined) return pagesOf(this.#zoneNumber(zone));
    return this.engine.names.reduce((sum, _, z) => sum + pagesOf(z), 0);
  }

  #zoneNumber(name: string): number {
    const zone = this.engine.names.indexOf(name);
    assert(zone >= 0, "no zone of this name");
    return zone;
  }

  /** A WebAssembly.Memory that grew has another buffer: the old view is empty. */
  #bind(): void {
    if (this.#source === null || this.engine.bytes?.byteLength !== 0) return;
    const bytes = viewPages(this.#source, this.#place);
    assert(bytes !== null, "bytes do not hold all pages any more");
    this.engine.bytes = bytes;
  }
}

/**
 * Makes a memory of the caller's zones and RAM. Throws an AssertionError that
 * says what is wrong with the options.
 */
export function createMemory(options: CreateOptions): PageMemory {
  return new PageMemory(options);
}

export { NO_PFN };

/** Zones that a request can tell apart by its zone bits, and that a reserve has entries for. */
const ZONES_MAX = 8;

function checkOptions(
  zones: readonly OwnZone[],
  pageSize: number,
  maxOrder: number,
  offset: number,
): void {
  assert(zones.length > 0 && zones.length <= ZONES_MAX, "1 to 8 zones are possible", zones.length);
  assert(
    pageSize >= 1024 && Number.isInteger(Math.log2(pageSize)),
    "page size is not a power of two of 1024 or more",
    pageSize,
  );
  assert(
    Number.isInteger(maxOrder) && maxOrder >= 1 && maxOrder <= 15,
    "largest order is not 1 to 15",
    maxOrder,
  );
  assert(Number.isSafeInteger(offset), "offset is not a whole number of bytes", offset);
  assert(new Set(zones.map((zone) => zone.name)).size === zones.length, "two zones have one name");
}

interface PlacedZone {
  readonly name: string;
  readonly startPfn: number;
  readonly pages: number;
}

function placed(zones: readonly OwnZone[]): PlacedZone[] {
  let end = 0;
  return zones.map(({ name, pages, startPfn = end }) => {
    assert(Number.isSafeInteger(pages) && pages > 0, "a zone has no pages", pages);
    assert(
      Number.isSafeInteger(startPfn) && startPfn >= end,
      "zones overlap, or are not lowest first",
      startPfn,
    );
    end = startPfn + pages;
    return { name, startPfn, pages };
  });
}
