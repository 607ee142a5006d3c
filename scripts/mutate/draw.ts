/**
 * Which faults are tried: drawn by a seed, first the kind, then the place, so that the many
 * constants of a table do not crowd out the few conditions. Faults that change nothing (by rules.ts,
 * or in equivalent.json, with its reason) are passed over; entering one there moves no other draw.
 */
import { type Mutation, mutated, OPERATORS } from "./operators.ts";

/** A fault that no test can see, by what its line looks like before and after. */
export interface Equivalent {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

/** `count` of `all`, or all of them where there are fewer. Same seed, same sources: same faults. */
export function draw(
  all: readonly Mutation[],
  seed: number,
  count: number,
  isEquivalent: (mutation: Mutation) => boolean,
): Mutation[] {
  const random = generator(seed);
  const kinds = OPERATORS.map((kind) => all.filter(({ operator }) => operator === kind));
  const drawn: Mutation[] = [];
  while (drawn.length < count) {
    const left = kinds.filter((kind) => kind.length > 0);
    const kind = left[Math.floor(random() * left.length)];
    if (kind === undefined) break;
    const [mutation] = kind.splice(Math.floor(random() * kind.length), 1);
    if (mutation !== undefined && !isEquivalent(mutation)) drawn.push(mutation);
  }
  return drawn;
}

/** The line of a fault without its indentation, before and after. */
export function linesOf(source: string, mutation: Mutation): { from: string; to: string } {
  const lineOf = (text: string): string => (text.split("\n")[mutation.line - 1] ?? "").trim();
  return { from: lineOf(source), to: lineOf(mutated(source, mutation)) };
}

/** Numbers in [0, 1): mulberry32, by Tommy Ettinger, in the public domain. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
