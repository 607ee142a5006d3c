/**
 * Runs of slots in a bitmap, 1 for a used slot. A segment is 128 slots, four
 * words; runs end at a segment's end, as the kernel's `list` counts them.
 *
 * Linux: struct io_tlb_slot.list, kernel/dma/swiotlb.c
 */

/** log2 of bytes a slot. Linux: IO_TLB_SHIFT */
export const SLOT_SHIFT = 11;
export const SLOT_BYTES: number = 1 << SLOT_SHIFT;
/** Slots a segment, and thus in the largest mapping. Linux: IO_TLB_SEGSIZE */
export const SEGMENT = 128;

/** Zeros below the lowest one of a word that is not 0. */
function low(word: number): number {
  return 31 - Math.clz32(word & -word);
}

/** Free slots from `slot` up to the segment's end; 0 when it is used. */
export function freeRun(used: Uint32Array, slot: number): number {
  let at = slot >>> 5;
  const word = used[at] >>> (slot & 31);
  if (word !== 0) return low(word);
  let run = 32 - (slot & 31);
  for (at++; (at & 3) !== 0; at++) {
    if (used[at] !== 0) return run + low(used[at]);
    run += 32;
  }
  return run;
}

/** Free slots right below `slot`, down to the segment's start. */
export function freeBelow(used: Uint32Array, slot: number): number {
  if ((slot & (SEGMENT - 1)) === 0) return 0;
  let at = (slot - 1) >>> 5;
  const top = (slot - 1) & 31;
  const word = used[at] << (31 - top);
  if (word !== 0) return Math.clz32(word);
  let run = top + 1;
  while ((at & 3) !== 0) {
    at--;
    if (used[at] !== 0) return run + Math.clz32(used[at]);
    run += 32;
  }
  return run;
}

/** The first free slot at or above `slot`; the segment's end where all are used. */
export function nextFree(used: Uint32Array, slot: number): number {
  let at = slot >>> 5;
  const word = ~used[at] >>> (slot & 31);
  if (word !== 0) return slot + low(word);
  for (at++; (at & 3) !== 0; at++) {
    if (used[at] !== 0xffffffff) return (at << 5) + low(~used[at]);
  }
  return at << 5;
}

/** The highest set bit at or below `slot`; -1 for none in the segment. */
export function setBelow(bits: Uint32Array, slot: number): number {
  let at = slot >>> 5;
  const word = bits[at] << (31 - (slot & 31));
  if (word !== 0) return slot - Math.clz32(word);
  while ((at & 3) !== 0) {
    at--;
    if (bits[at] !== 0) return (at << 5) + 31 - Math.clz32(bits[at]);
  }
  return -1;
}

/** Sets `count` bits from `slot` on; they lie in one segment. */
export function setRun(bits: Uint32Array, slot: number, count: number): void {
  const end = slot + count;
  for (let at = slot; at < end; ) {
    const next = Math.min(end, (at | 31) + 1);
    bits[at >>> 5] |= mask(at, next);
    at = next;
  }
}

export function clearRun(bits: Uint32Array, slot: number, count: number): void {
  const end = slot + count;
  for (let at = slot; at < end; ) {
    const next = Math.min(end, (at | 31) + 1);
    bits[at >>> 5] &= ~mask(at, next);
    at = next;
  }
}

/** Bits of one word from `from` up to `to`, which is above it and at most the word's end. */
function mask(from: number, to: number): number {
  return (0xffffffff >>> (32 - (to - from))) << (from & 31);
}
