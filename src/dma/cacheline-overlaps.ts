/**
 * How many mappings have a cache line, as dma-debug counts them: the first line of
 * each mapping only, and up to seven overlaps, because three tags of a tree hold
 * no more. What is beyond is lost, so that later ends let go too early.
 *
 * Linux: active_cacheline_insert(), active_cacheline_remove(), kernel/dma/debug.c
 */

/** ACTIVE_CACHELINE_MAX_OVERLAP: three tags of a radix tree. */
export const MAX_OVERLAP = 7;

export class CachelineOverlaps {
  /** Overlaps by line: 0 while one mapping has it. */
  readonly #lines = new Map<number, number>();

  /** Whether nobody had the line, somebody had, or more than can be counted. */
  take(line: number): "first" | "overlap" | "exceeded" {
    const overlap = this.#lines.get(line);
    if (overlap === undefined) {
      this.#lines.set(line, 0);
      return "first";
    }
    if (overlap >= MAX_OVERLAP) return "exceeded";
    this.#lines.set(line, overlap + 1);
    return "overlap";
  }

  give(line: number): void {
    const overlap = this.#lines.get(line);
    if (overlap === undefined) return;
    if (overlap > 0) this.#lines.set(line, overlap - 1);
    else this.#lines.delete(line);
  }
}
