/**
 * The books: every live mapping of every device, in columns of the memory's
 * image, found by device and DMA address.
 *
 *   column    words  entry
 *   dma         f64  first DMA address
 *   size        f64  bytes
 *   physical    f64  first physical address; of a list's merged part: its first entry's
 *   meta        i32  device << 16 | flags << 8 | type << 4 | direction
 *   next        i32  next entry of the bucket, or of the free list; -1 ends
 *   entries     i32  of a list: entries it was mapped with; 0 otherwise
 *   serial      f64  how many mappings there were before
 *
 * A bucket holds the mappings that *start* in a page, newest first. An address
 * inside a mapping is found by walking back page by page, as dma-debug does, and
 * not further than the largest mapping reaches.
 *
 * What is freed keeps its columns until the entry is used again: an access after
 * the unmap is then named for what it is.
 *
 * Linux: struct dma_debug_entry, __hash_bucket_find(), bucket_find_contain(), kernel/dma/debug.c
 */
import { addRegion } from "../mm/image.ts";
import type { Memory } from "../mm/memory.ts";

/** Types, as dma-debug numbers them; what was allocated as pages is a single mapping there. */
export const TYPE_SINGLE = 0;
export const TYPE_SG = 1;
export const TYPE_COHERENT = 2;
export const TYPE_RESOURCE = 3;

/** As the kernel spells them. */
export const TYPE_NAMES: readonly string[] = ["single", "scather-gather", "coherent", "resource"];

/** Flags of an entry. */
export const F_LIVE = 0x01;
/** dma_mapping_error() was asked about it. */
export const F_CHECKED = 0x02;
/** CPU and device see different bytes until somebody syncs: it bounces, or caches do not follow. */
export const F_APART = 0x04;
/** Its memory is the device's own: no translation. */
export const F_DECLARED = 0x08;
/** It leads to a bounce buffer. */
export const F_BOUNCED = 0x10;

export const META_DIRECTION = 0x3;
export const META_TYPE_SHIFT = 4;
export const META_FLAG_SHIFT = 8;
export const META_DEVICE_SHIFT = 16;

/** Bits of `covering`: all directions; those in which a device reads, and writes. */
const ANY_DIRECTION = 0b1111;
export const DEVICE_READS = 0b0011;
export const DEVICE_WRITES = 0b0101;

const PER_PAGE = 1 / 4096;
const HASH = 0x9e3779b1 | 0;

export interface Books {
  readonly capacity: number;
  readonly dma: Float64Array;
  readonly size: Float64Array;
  readonly physical: Float64Array;
  readonly meta: Int32Array;
  readonly entries: Int32Array;
  readonly serial: Float64Array;
  /** Entry of a new mapping; -1 when the books are full. */
  add(
    device: number,
    dma: number,
    size: number,
    physical: number,
    direction: number,
    type: number,
    flags: number,
  ): number;
  /** The newest entry that starts at `dma`, best one first: same size, type and direction. -1 for none. */
  find(device: number, dma: number, size: number, type: number, direction: number): number;
  /** Takes an entry out. */
  remove(entry: number): void;
  /**
   * A live entry that holds all of [dma, dma + size); -1 for none. `directions` has a
   * bit for each that will do: memory may be mapped twice, to be read and to be written.
   */
  covering(device: number, dma: number, size: number, directions?: number): number;
  /** Calls `see` for every entry of the device that starts at `dma`, newest first. */
  each(device: number, dma: number, see: (entry: number) => void): void;
  /** An entry that is freed and held `dma`; -1 for none that is remembered. */
  freed(device: number, dma: number): number;
  /** Live entries, of all devices or of one. */
  live(device?: number): number[];
  /** How many are live. */
  count(): number;
}

interface Columns
  extends Pick<Books, "capacity" | "dma" | "size" | "physical" | "meta" | "entries" | "serial"> {
  readonly next: Int32Array;
  /** Heads and `next` hold entry + 1: a fresh region is zeros. */
  readonly heads: Int32Array;
  /** Entries used once, first free entry + 1, mappings so far, live, largest size. */
  readonly words: Float64Array;
}

/** Lays the books out in the memory's image. `capacity` is a power of two. */
export function createBooks(memory: Memory, name: string, capacity: number): Books {
  const region = (column: string, bytes: number): ArrayBufferLike =>
    addRegion(memory.image, `${name}.${column}`, bytes).buffer;
  const columns: Columns = {
    capacity,
    dma: new Float64Array(region("dma", capacity * 8)),
    size: new Float64Array(region("size", capacity * 8)),
    physical: new Float64Array(region("physical", capacity * 8)),
    serial: new Float64Array(region("serial", capacity * 8)),
    meta: new Int32Array(region("meta", capacity * 4)),
    next: new Int32Array(region("next", capacity * 4)),
    entries: new Int32Array(region("entries", capacity * 4)),
    heads: new Int32Array(region("heads", capacity * 4)),
    words: new Float64Array(region("words", 5 * 8)),
  };
  return { ...columns, ...bindAdd(columns), ...bindFind(columns), ...bindWalks(columns) };
}

function bucketOf(device: number, address: number, mask: number): number {
  const page = (address * PER_PAGE) | 0;
  return ((page ^ (page >>> 12)) + Math.imul(device, HASH)) & mask;
}

/** Entering and striking out. */
function bindAdd(columns: Columns): Pick<Books, "add" | "remove" | "count"> {
  const { capacity, dma, size, physical, serial, meta, next, entries, heads, words } = columns;
  const mask = capacity - 1;

  function add(
    device: number,
    address: number,
    bytes: number,
    from: number,
    direction: number,
    type: number,
    flags: number,
  ): number {
    let entry = words[1] - 1;
    if (entry >= 0) words[1] = next[entry];
    else {
      entry = words[0];
      if (entry >= capacity) return -1;
      words[0] = entry + 1;
    }
    const bucket = bucketOf(device, address, mask);
    dma[entry] = address;
    size[entry] = bytes;
    physical[entry] = from;
    meta[entry] =
      (device << META_DEVICE_SHIFT) |
      ((flags | F_LIVE) << META_FLAG_SHIFT) |
      (type << META_TYPE_SHIFT) |
      direction;
    entries[entry] = 0;
    serial[entry] = words[2]++;
    words[3]++;
    if (bytes > words[4]) words[4] = bytes;
    next[entry] = heads[bucket];
    heads[bucket] = entry + 1;
    return entry;
  }

  function remove(entry: number): void {
    const bucket = bucketOf(meta[entry] >>> META_DEVICE_SHIFT, dma[entry], mask);
    const tail = next[entry];
    let at = heads[bucket] - 1;
    if (at === entry) heads[bucket] = tail;
    else {
      while (next[at] !== entry + 1) at = next[at] - 1;
      next[at] = tail;
    }
    meta[entry] &= ~(F_LIVE << META_FLAG_SHIFT);
    next[entry] = words[1];
    words[1] = entry + 1;
    words[3]--;
  }

  const count = (): number => words[3];
  return { add, remove, count };
}

/** By address. */
function bindFind(columns: Columns): Pick<Books, "find" | "covering" | "each"> {
  const { capacity, dma, size, meta, next, heads, words } = columns;
  const mask = capacity - 1;

  function find(
    device: number,
    address: number,
    bytes: number,
    type: number,
    direction: number,
  ): number {
    let best = -1;
    let bestFit = -1;
    const own = (device << META_DEVICE_SHIFT) | (type << META_TYPE_SHIFT) | direction;
    for (let at = heads[bucketOf(device, address, mask)]; at !== 0; at = next[at - 1]) {
      const entry = at - 1;
      if (dma[entry] !== address) continue;
      const differs = meta[entry] ^ own;
      if (differs >>> META_DEVICE_SHIFT !== 0) continue;
      const same = size[entry] === bytes ? 1 : 0;
      if (same === 1 && (differs & 0xff) === 0) return entry;
      const fit = same + ((differs & 0xf0) === 0 ? 1 : 0) + ((differs & 0xf) === 0 ? 1 : 0);
      if (fit > bestFit) {
        bestFit = fit;
        best = entry;
      }
    }
    return best;
  }

  function covering(
    device: number,
    address: number,
    bytes: number,
    directions = ANY_DIRECTION,
  ): number {
    const pages = Math.ceil(words[4] * PER_PAGE) + 1;
    const page = Math.floor(address * PER_PAGE);
    for (let back = 0; back <= pages && back <= page; back++) {
      const start = (page - back) * 4096;
      for (let at = heads[bucketOf(device, start, mask)]; at !== 0; at = next[at - 1]) {
        const entry = at - 1;
        if (meta[entry] >>> META_DEVICE_SHIFT !== device) continue;
        if (((directions >> (meta[entry] & META_DIRECTION)) & 1) === 0) continue;
        if (dma[entry] <= address && address + bytes <= dma[entry] + size[entry]) return entry;
      }
    }
    return -1;
  }

  function each(device: number, address: number, see: (entry: number) => void): void {
    for (let at = heads[bucketOf(device, address, mask)]; at !== 0; ) {
      const entry = at - 1;
      at = next[entry];
      if (dma[entry] === address && meta[entry] >>> META_DEVICE_SHIFT === device) see(entry);
    }
  }

  return { find, covering, each };
}

/** Over all entries: when something went wrong, or somebody counts. */
function bindWalks(columns: Columns): Pick<Books, "freed" | "live"> {
  const { dma, size, serial, meta, words } = columns;

  function isLive(entry: number): boolean {
    return (meta[entry] & (F_LIVE << META_FLAG_SHIFT)) !== 0;
  }

  function freed(device: number, address: number): number {
    let newest = -1;
    for (let entry = 0; entry < words[0]; entry++) {
      if (isLive(entry) || meta[entry] >>> META_DEVICE_SHIFT !== device) continue;
      if (address < dma[entry] || address >= dma[entry] + size[entry]) continue;
      if (newest < 0 || serial[entry] > serial[newest]) newest = entry;
    }
    return newest;
  }

  function live(device?: number): number[] {
    const found: number[] = [];
    for (let entry = 0; entry < words[0]; entry++) {
      if (!isLive(entry)) continue;
      if (device === undefined || meta[entry] >>> META_DEVICE_SHIFT === device) found.push(entry);
    }
    return found.sort((a, b) => serial[a] - serial[b]);
  }

  return { freed, live };
}

/** What an entry was mapped as. */
export function typeOf(books: Books, entry: number): number {
  return (books.meta[entry] >> META_TYPE_SHIFT) & 0xf;
}

/** The direction an entry was mapped with. */
export function directionOf(books: Books, entry: number): 0 | 1 | 2 | 3 {
  const direction = books.meta[entry] & META_DIRECTION;
  return direction === 0 ? 0 : direction === 1 ? 1 : direction === 2 ? 2 : 3;
}

export function hasFlag(books: Books, entry: number, flag: number): boolean {
  return (books.meta[entry] & (flag << META_FLAG_SHIFT)) !== 0;
}
