/**
 * How a bound memory looks at its words and rows, so that V8 has little to check.
 *
 * Typed arrays that a closure holds are constants to V8: their addresses and lengths become part of
 * the code. What is left of an access is the comparison of its index with the length, and that is
 * made once for all accesses that have index and length in common.
 */
import type { Memory } from "./memory.ts";

/** One word of all rows of words, by the place of a row's first word; all words' views are equally long. */
export function wordOf(rows: Int32Array, stride: number, word: number): Int32Array {
  return new Int32Array(rows.buffer, rows.byteOffset + word * 4, rows.length - stride + 1);
}

/** Rows and pfns of a memory without holes between its sections differ by one number. */
export interface Numbering {
  readonly isStraight: boolean;
  /** Row - pfn; 0 where it is not the same for all frames. Both are below 2^31. */
  readonly shift: number;
}

export function numberingOf(m: Memory): Numbering {
  const first = m.firstRow >> m.sectionShift;
  const shift = m.firstRow - m.sectionPfn[first];
  const differs = (pfn: number, i: number): boolean =>
    i >= first && (i << m.sectionShift) - pfn !== shift;
  const isStraight = m.sectionPfn instanceof Int32Array && !m.sectionPfn.some(differs);
  return { isStraight, shift: isStraight ? shift : 0 };
}
