/**
 * Atomic pools: memory made coherent beforehand, for those who may not wait
 * while pages are remapped or decrypted. One for kernel requests, one each for
 * GFP_DMA and GFP_DMA32 where those zones exist. They never shrink; they grow when the
 * worker runs that a request woke, and that is `work()`.
 *
 * State, in the image: whether the worker is wanted, then of each pool its first and last
 * chunk, bytes free and bytes in all. A chunk is a record of the heap: physical address, pages,
 * next chunk, then a bit a page in use.
 *
 * Linux: dma_atomic_pool_init(), atomic_pool_work_fn(), dma_alloc_from_pool(), kernel/dma/pool.c
 */
import { allocPages, freePages, NO_PFN } from "../mm/allocate.ts";
import { addRegion } from "../mm/image.ts";
import { Z_MANAGED, ZONE_WORDS } from "../mm/memory.ts";
import { bitCells, type Heap, lastSet, setBits } from "./heap.ts";
import { GFP_DMA, GFP_DMA32, type Machine, orderOf } from "./machine.ts";

/** 128 KiB for each GiB, and at least. */
const SHARE = 2 ** 30 / 2 ** 17;
const LEAST = 2 ** 17;

const C_PHYSICAL = 0;
const C_PAGES = 1;
const C_NEXT = 2;
const C_USED = 3;

const P_FIRST = 0;
const P_LAST = 1;
const P_FREE = 2;
const P_SIZE = 3;
const POOL_WORDS = 4;

const NAMES = ["kernel", "DMA", "DMA32"] as const;

interface Pool {
  readonly name: (typeof NAMES)[number];
  readonly gfp: number;
  /** First of its words. */
  readonly at: number;
}

export class AtomicPools {
  /** Bytes of a pool as it is set up: coherent_pool=, or by the size of RAM. */
  readonly size: number;
  readonly #machine: Machine;
  readonly #kernel: Pool | null;
  readonly #dma: Pool | null;
  readonly #dma32: Pool | null;
  /** Lines of the boot. */
  readonly log: string[] = [];
  readonly #heap: Heap;
  readonly #words: Float64Array;

  constructor(machine: Machine, name: string, heap: Heap, size?: number) {
    this.#machine = machine;
    this.#heap = heap;
    const words = 1 + NAMES.length * POOL_WORDS;
    const region = addRegion(machine.memory.image, `${name}.atomic`, words * 8);
    this.#words = new Float64Array(region.buffer, region.byteOffset, words);
    const { memory } = machine;
    let managed = 0;
    let managedDma = 0;
    memory.names.forEach((name, z) => {
      const pages = memory.zone[z * ZONE_WORDS + Z_MANAGED];
      managed += pages;
      if (name === "DMA") managedDma += pages;
    });
    const pages = Math.min(Math.floor(managed / SHARE), 2 ** memory.maxOrder);
    this.size = size ?? Math.max(pages * machine.pageSize, LEAST);
    this.#kernel = this.#init("kernel", machine.gfpKernel);
    this.#dma = managedDma > 0 ? this.#init("DMA", machine.gfpKernel | GFP_DMA) : null;
    this.#dma32 = machine.hasDma32 ? this.#init("DMA32", machine.gfpKernel | GFP_DMA32) : null;
  }

  /** Whether a request left less than a pool's first size free, and `work` has not run since. */
  get wantsWork(): boolean {
    return this.#words[0] === 1;
  }

  /** Bytes by pool: what debugfs shows as pool_size_*. */
  sizes(): { readonly kernel: number; readonly dma: number; readonly dma32: number } {
    const of = (pool: Pool | null): number => (pool === null ? 0 : this.#words[pool.at + P_SIZE]);
    return { kernel: of(this.#kernel), dma: of(this.#dma), dma32: of(this.#dma32) };
  }

  /** Physical address of `bytes` bytes that pass `ok`, or -1. Asks the zone's pool first. */
  take(bytes: number, gfp: number, ok: (physical: number) => boolean): number {
    for (const pool of this.#inOrder(gfp)) {
      const physical = this.#takeFrom(pool, bytes, ok);
      if (physical < 0) continue;
      if (this.#words[pool.at + P_FREE] < this.size) this.#words[0] = 1;
      return physical;
    }
    return -1;
  }

  /**
   * The worker that requests wake: doubles each pool that has less than its first size free.
   * Returns the bytes that were added; 0 where nobody woke it.
   *
   * Linux: atomic_pool_work_fn(), atomic_pool_resize(), kernel/dma/pool.c
   */
  work(): number {
    if (!this.wantsWork) return 0;
    this.#words[0] = 0;
    let added = 0;
    for (const pool of [this.#dma, this.#dma32, this.#kernel]) {
      if (pool === null || this.#words[pool.at + P_FREE] >= this.size) continue;
      const before = this.#words[pool.at + P_SIZE];
      this.#expand(pool, before);
      added += this.#words[pool.at + P_SIZE] - before;
    }
    return added;
  }

  /** Gives back what `take` gave; false when it is of no pool. */
  give(physical: number, bytes: number): boolean {
    for (const pool of [this.#kernel, this.#dma32, this.#dma]) {
      const chunk = pool === null ? 0 : this.#chunkOf(pool, physical, bytes);
      if (chunk === 0 || pool === null) continue;
      const { pageSize } = this.#machine;
      const at = (physical - this.#heap.cells[chunk + C_PHYSICAL]) / pageSize;
      setBits(this.#heap, chunk + C_USED, at, bytes / pageSize, 0);
      this.#words[pool.at + P_FREE] += bytes;
      return true;
    }
    return false;
  }

  /** The chunk that holds all of these bytes; 0 for none. */
  #chunkOf(pool: Pool, physical: number, bytes: number): number {
    const { cells } = this.#heap;
    for (let at = this.#words[pool.at + P_FIRST]; at !== 0; at = cells[at + C_NEXT]) {
      const offset = physical - cells[at + C_PHYSICAL];
      if (offset >= 0 && offset + bytes <= cells[at + C_PAGES] * this.#machine.pageSize) return at;
    }
    return 0;
  }

  /** Linux: dma_guess_pool() */
  #inOrder(gfp: number): Pool[] {
    const first =
      (gfp & GFP_DMA32) !== 0 && this.#dma32 !== null
        ? this.#dma32
        : (gfp & GFP_DMA) !== 0 && this.#dma !== null
          ? this.#dma
          : this.#kernel;
    const order = [this.#kernel, this.#dma32, this.#dma];
    return order.slice(order.indexOf(first)).filter((pool) => pool !== null);
  }

  /** First fit, aligned to the request's order. Linux: gen_pool_first_fit_order_align() */
  #takeFrom(pool: Pool, bytes: number, ok: (physical: number) => boolean): number {
    const { pageSize } = this.#machine;
    const pages = bytes / pageSize;
    const align = 2 ** orderOf(this.#machine, bytes);
    const { cells } = this.#heap;
    for (let chunk = this.#words[pool.at + P_FIRST]; chunk !== 0; chunk = cells[chunk + C_NEXT]) {
      for (let at = 0; at + pages <= cells[chunk + C_PAGES]; at += align) {
        if (lastSet(this.#heap, chunk + C_USED, at, pages) >= 0) continue;
        const physical = cells[chunk + C_PHYSICAL] + at * pageSize;
        // The kernel asks for one place only, and gives up when that lies out of reach.
        if (!ok(physical)) return -1;
        setBits(this.#heap, chunk + C_USED, at, pages, 1);
        this.#words[pool.at + P_FREE] -= bytes;
        return physical;
      }
    }
    return -1;
  }

  #init(name: Pool["name"], gfp: number): Pool | null {
    const pool: Pool = { name, gfp, at: 1 + NAMES.indexOf(name) * POOL_WORDS };
    const words = name === "kernel" ? "GFP_KERNEL" : `GFP_KERNEL|GFP_${name}`;
    if (!this.#expand(pool, this.size)) {
      const kib = Math.floor(this.size / 1024);
      this.log.push(`DMA: failed to allocate ${kib} KiB ${words} pool for atomic allocation`);
      return null;
    }
    this.log.push(
      `DMA: preallocated ${Math.floor(this.#words[pool.at + P_SIZE] / 1024)} KiB ${words} pool for atomic allocations`,
    );
    return pool;
  }

  /** Adds about `bytes`, less where the memory has no such block. Linux: atomic_pool_expand() */
  #expand(pool: Pool, bytes: number): boolean {
    const { memory, pageSize } = this.#machine;
    let order = Math.min(orderOf(this.#machine, bytes), memory.maxOrder);
    for (; order >= 0; order--) {
      const pfn = allocPages(memory, pool.gfp | this.#machine.gfpNowarn, order);
      if (pfn === NO_PFN) continue;
      const pages = 2 ** order;
      const chunk = this.#heap.alloc(C_USED + bitCells(pages));
      if (chunk === 0) {
        freePages(memory, pfn, order);
        return false;
      }
      this.#heap.cells.set([pfn * pageSize, pages], chunk);
      const words = this.#words;
      const last = words[pool.at + P_LAST];
      if (last === 0) words[pool.at + P_FIRST] = chunk;
      else this.#heap.cells[last + C_NEXT] = chunk;
      words[pool.at + P_LAST] = chunk;
      words[pool.at + P_SIZE] += pages * pageSize;
      words[pool.at + P_FREE] += pages * pageSize;
      return true;
    }
    return false;
  }
}
