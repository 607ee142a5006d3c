/**
 * Numbers as people write them: ranges in the style of /proc/iomem
 * (`0x0-0x9fbff`, the end belongs to it), counts, lists of CPUs (`0-3,8`).
 * Everything returns null for what it cannot read exactly.
 */
import type { Range } from "../base/range.ts";
import { parseSize } from "../base/units.ts";

/** Bytes, half-open, from `START-LAST` with an inclusive last byte. */
export function parseInclusiveRange(text: string): Range | null {
  const parts = /^\s*(\S+?)\s*-\s*(\S+)\s*$/.exec(text);
  if (parts === null) return null;
  const start = parseSize(parts[1] ?? "");
  const last = parseSize(parts[2] ?? "");
  if (start === null || last === null || last + 1 > Number.MAX_SAFE_INTEGER) return null;
  return { start, end: last + 1 };
}

/** A count: digits only, at most `max`. */
export function parseCount(text: string, max: number): number | null {
  if (!/^\d{1,16}$/.test(text.trim())) return null;
  const value = Number(text);
  return value <= max ? value : null;
}

/** CPU numbers ascending, from `0-3,8`; none above `max`. */
export function parseCpuList(text: string, max = 8191): number[] | null {
  const cpus = new Set<number>();
  for (const piece of text.split(",")) {
    const bounds = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(piece);
    if (bounds === null) return null;
    const first = Number(bounds[1]);
    const last = bounds[2] === undefined ? first : Number(bounds[2]);
    if (last < first || last > max) return null;
    for (let cpu = first; cpu <= last; cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

/** The candidate that `word` was probably meant to be; null when none is near. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein; words longer than 64 letters are cut, nobody mistypes those. */
function editDistance(from: string, to: string): number {
  const a = from.slice(0, 64);
  const b = to.slice(0, 64);
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 0; i < a.length; i++) {
    const row = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const change = (previous[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      row.push(Math.min(change, (previous[j + 1] ?? 0) + 1, (row[j] ?? 0) + 1));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}
