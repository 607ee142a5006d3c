/**
 * What a range tree consists of: views of one region, and the words of its nodes.
 */

/** Words of a node. */
export const N_LOW = 0;
export const N_HIGH = 1;
export const N_MAX = 2;
export const NODE_WORDS = 4;
/** Pages of a word of the bitmap. */
export const WORD_PAGES = 32;

/** Views of the region, and where its first page lies. */
export interface RangeTree {
  /** pfn of bit 0, a multiple of 32. */
  readonly base: number;
  /** Leaves, a power of two. */
  readonly leaves: number;
  readonly own: Int32Array;
  readonly bits: Int32Array;
  readonly nodes: Int32Array;
  /** One word: pages that are free. */
  readonly count: Int32Array;
}
