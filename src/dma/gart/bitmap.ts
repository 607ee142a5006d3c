/**
 * Which pages of the aperture are taken: a bit each, searched for runs of zeros.
 *
 * Linux: find_next_zero_string(), arch/x86_64/lib/bitstr.c; iommu_area_alloc(), lib/iommu-helper.c
 */

export function isTaken(bits: Uint32Array, at: number): boolean {
  return ((bits[at >>> 5] >>> (at & 31)) & 1) !== 0;
}

/** First bit of the lowest run of `count` zeros in [from, to), or -1. */
export function zeroRun(bits: Uint32Array, from: number, to: number, count: number): number {
  let start = from;
  while (start + count <= to) {
    const taken = nextTaken(bits, start, start + count);
    if (taken < 0) return start;
    start = nextFree(bits, taken + 1, to);
  }
  return -1;
}

/** The same, in no run across a multiple of `period`, counted from `offset`. */
export function zeroRunWithin(
  bits: Uint32Array,
  from: number,
  to: number,
  count: number,
  offset: number,
  period: number,
): number {
  let start = zeroRun(bits, from, to, count);
  while (start >= 0) {
    const into = (start + offset) % period;
    if (into + count <= period) return start;
    start = zeroRun(bits, start + period - into, to, count);
  }
  return -1;
}

function nextTaken(bits: Uint32Array, from: number, to: number): number {
  let at = from;
  while (at < to) {
    const rest = bits[at >>> 5] >>> (at & 31);
    if (rest !== 0) {
      const found = at + 31 - Math.clz32(rest & -rest);
      return found < to ? found : -1;
    }
    at = (at | 31) + 1;
  }
  return -1;
}

function nextFree(bits: Uint32Array, from: number, to: number): number {
  let at = from;
  while (at < to) {
    const rest = ~bits[at >>> 5] >>> (at & 31);
    if (rest !== 0) return at + 31 - Math.clz32(rest & -rest);
    at = (at | 31) + 1;
  }
  return to;
}

export function setBits(bits: Uint32Array, from: number, count: number): void {
  for (let at = from; at < from + count; at++) bits[at >>> 5] |= 1 << (at & 31);
}

export function clearBits(bits: Uint32Array, from: number, count: number): void {
  for (let at = from; at < from + count; at++) bits[at >>> 5] &= ~(1 << (at & 31));
}

export function takenBits(bits: Uint32Array, from: number, to: number): number {
  let sum = 0;
  for (let at = from; at < to; at++) if (isTaken(bits, at)) sum++;
  return sum;
}
