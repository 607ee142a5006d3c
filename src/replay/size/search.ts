/**
 * The smallest rung of a ladder that carries, where one try costs a whole replay.
 * Rungs are numbers from 0 up; which value each stands for is the caller's.
 *
 *   S1  what is found carries, and so does every tried rung from it to `holdsTo`
 *   S2  the rung right below it was tried and does not carry, or there is none
 *   S3  a ladder of at most WHOLE rungs is tried whole; of others the neighbours, at
 *       distances of 1, 2, 4 …, on both sides
 *
 * Nothing takes for granted that more is better: where something above fails, the
 * search goes on above it, and says so.
 */

/** Ladders of as many rungs are tried whole. */
const WHOLE = 16;

export interface Rung<T> {
  readonly rung: number;
  readonly result: T;
}

export interface Found<T> {
  /** The rung; -1 where none that was tried carries. */
  readonly rung: number;
  /** The highest that was tried and carries with all tried ones from `rung` on; -1 for none. */
  readonly holdsTo: number;
  /** Of all that was tried, nothing carries below something that does not. */
  readonly monotonic: boolean;
  /** In the order of rungs. */
  readonly tried: readonly Rung<T>[];
  /** The caller stopped it: S2 and S3 may not hold. */
  readonly stopped: boolean;
}

export interface SearchTask<T> {
  readonly rungs: number;
  /** Tried at first, whatever comes of it: the recorded machine's own. */
  readonly first: readonly number[];
  /** How many are tried in one go. */
  readonly width: number;
  /** Results in the order asked; null: stop. */
  readonly tryAll: (rungs: readonly number[]) => Promise<readonly T[] | null>;
  readonly carries: (result: T) => boolean;
}

export async function searchSmallest<T>(task: SearchTask<T>): Promise<Found<T>> {
  const results = new Map<number, T>();
  let wanted = firstOf(task);
  while (wanted.length > 0) {
    const some = wanted.slice(0, Math.max(1, task.width));
    const found = await task.tryAll(some);
    if (found === null) return verdict(task, results, true);
    for (const [i, result] of found.entries()) results.set(some[i], result);
    const rest = wanted.slice(some.length).filter((rung) => !results.has(rung));
    wanted = rest.length > 0 ? rest : nextOf(task, results);
  }
  return verdict(task, results, false);
}

function firstOf<T>({ rungs, first }: SearchTask<T>): number[] {
  if (rungs <= WHOLE) return Array.from({ length: rungs }, (_, rung) => rung);
  const asked = [rungs - 1, 0, ...first].filter((rung) => rung >= 0 && rung < rungs);
  return [...new Set(asked)];
}

/** What is to be tried next; nothing once S1 to S3 hold. */
function nextOf<T>(task: SearchTask<T>, results: ReadonlyMap<number, T>): number[] {
  if (task.rungs <= WHOLE) return [];
  const { rung, below } = bracket(task, results);
  if (rung < 0) return doublings(0, task.rungs, results);
  const gap = rung - below;
  if (gap > 1) {
    const width = Math.min(Math.max(1, task.width), gap - 1);
    const between = Array.from({ length: width }, (_, i) =>
      Math.floor(below + (gap * (i + 1)) / (width + 1)),
    );
    return [...new Set(between)].filter((own) => own > below && own < rung);
  }
  return doublings(rung, task.rungs, results);
}

/** Rungs at distances of powers of two from `rung` that were not tried, nearest first. */
function doublings<T>(rung: number, rungs: number, results: ReadonlyMap<number, T>): number[] {
  const wanted: number[] = [];
  for (let step = 1; step < rungs; step *= 2) {
    for (const own of [rung + step, rung - step]) {
      if (own >= 0 && own < rungs && !results.has(own)) wanted.push(own);
    }
  }
  return wanted;
}

interface Bracket {
  /** The lowest of the highest run of tried rungs that carry; -1 for none. */
  readonly rung: number;
  readonly holdsTo: number;
  /** The highest tried one under it: it fails. -1 for none. */
  readonly below: number;
}

function bracket<T>({ carries }: SearchTask<T>, results: ReadonlyMap<number, T>): Bracket {
  const tried = [...results].sort(([a], [b]) => b - a);
  let rung = -1;
  let holdsTo = -1;
  for (const [own, result] of tried) {
    if (carries(result)) {
      if (holdsTo < 0) holdsTo = own;
      rung = own;
    } else if (holdsTo >= 0) return { rung, holdsTo, below: own };
  }
  return { rung, holdsTo, below: -1 };
}

function verdict<T>(
  task: SearchTask<T>,
  results: ReadonlyMap<number, T>,
  stopped: boolean,
): Found<T> {
  const { rung, holdsTo } = bracket(task, results);
  const tried = [...results]
    .sort(([a], [b]) => a - b)
    .map(([own, result]) => ({ rung: own, result }));
  const first = tried.findIndex(({ result }) => task.carries(result));
  const monotonic = first < 0 || tried.slice(first).every(({ result }) => task.carries(result));
  return { rung, holdsTo, monotonic, tried, stopped };
}
