/**
 * Atomic pools: memory made coherent beforehand, for those who may not wait
 * while pages are remapped or decrypted. One for kernel requests, one each for
 * GFP_DMA and GFP_DMA32 where those zones exist. They never shrink; they grow when the
 * worker runs that a request woke, and that is `work()`.
 *
 * Linux: dma_atomic_pool_init(), atomic_pool_work_fn(), dma_alloc_from_pool(), kernel/dma/pool.c
 */
import { allocPages, NO_PFN } from "../mm/allocate.ts";
import { Z_MANAGED, ZONE_WORDS } from "../mm/memory.ts";
import { GFP_DMA, GFP_DMA32, type Machine, orderOf } from "./machine.ts";

/** 128 KiB for each GiB, and at least. */
const SHARE = 2 ** 30 / 2 ** 17;
const LEAST = 2 ** 17;

interface Chunk {
  readonly physical: number;
  readonly pages: number;
  readonly used: Uint8Array;
}

interface Pool {
  readonly name: "kernel" | "DMA" | "DMA32";
  readonly gfp: number;
  readonly chunks: Chunk[];
  free: number;
  size: number;
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
  /** Whether a request left less than a pool's first size free, and `work` has not run since. */
  wantsWork = false;

  constructor(machine: Machine, size?: number) {
    this.#machine = machine;
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

  /** Bytes by pool: what debugfs shows as pool_size_*. */
  sizes(): { readonly kernel: number; readonly dma: number; readonly dma32: number } {
    const of = (pool: Pool | null): number => pool?.size ?? 0;
    return { kernel: of(this.#kernel), dma: of(this.#dma), dma32: of(this.#dma32) };
  }

  /** Physical address of `bytes` bytes that pass `ok`, or -1. Asks the zone's pool first. */
  take(bytes: number, gfp: number, ok: (physical: number) => boolean): number {
    for (const pool of this.#inOrder(gfp)) {
      const physical = this.#takeFrom(pool, bytes, ok);
      if (physical < 0) continue;
      if (pool.free < this.size) this.wantsWork = true;
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
    this.wantsWork = false;
    let added = 0;
    for (const pool of [this.#dma, this.#dma32, this.#kernel]) {
      if (pool === null || pool.free >= this.size) continue;
      const before = pool.size;
      this.#expand(pool, pool.size);
      added += pool.size - before;
    }
    return added;
  }

  /** Gives back what `take` gave; false when it is of no pool. */
  give(physical: number, bytes: number): boolean {
    for (const pool of [this.#kernel, this.#dma32, this.#dma]) {
      const chunk = pool?.chunks.find((own) => {
        const at = physical - own.physical;
        return at >= 0 && at + bytes <= own.pages * this.#machine.pageSize;
      });
      if (chunk === undefined || pool === null) continue;
      const at = (physical - chunk.physical) / this.#machine.pageSize;
      chunk.used.fill(0, at, at + bytes / this.#machine.pageSize);
      pool.free += bytes;
      return true;
    }
    return false;
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
    for (const chunk of pool.chunks) {
      for (let at = 0; at + pages <= chunk.pages; at += align) {
        if (chunk.used.subarray(at, at + pages).includes(1)) continue;
        const physical = chunk.physical + at * pageSize;
        // The kernel asks for one place only, and gives up when that lies out of reach.
        if (!ok(physical)) return -1;
        chunk.used.fill(1, at, at + pages);
        pool.free -= bytes;
        return physical;
      }
    }
    return -1;
  }

  #init(name: Pool["name"], gfp: number): Pool | null {
    const pool: Pool = { name, gfp, chunks: [], free: 0, size: 0 };
    const words = name === "kernel" ? "GFP_KERNEL" : `GFP_KERNEL|GFP_${name}`;
    if (!this.#expand(pool, this.size)) {
      const kib = Math.floor(this.size / 1024);
      this.log.push(`DMA: failed to allocate ${kib} KiB ${words} pool for atomic allocation`);
      return null;
    }
    this.log.push(
      `DMA: preallocated ${Math.floor(pool.size / 1024)} KiB ${words} pool for atomic allocations`,
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
      pool.chunks.push({ physical: pfn * pageSize, pages, used: new Uint8Array(pages) });
      pool.size += pages * pageSize;
      pool.free += pages * pageSize;
      return true;
    }
    return false;
  }
}
