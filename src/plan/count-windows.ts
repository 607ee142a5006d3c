/**
 * How many pages zones held when their reserves and marks were computed, told by these themselves. A
 * reserve is a sum divided by a ratio, a gap a share of one zone: each leaves a window for a count.
 *
 * Counts of zones only grow after the boot, so a zone's window ends with what it holds now.
 */

/** The sum of the counts `terms` lies in `lo`..`hi`. */
export interface SumWindow {
  readonly terms: readonly number[];
  readonly lo: number;
  readonly hi: number;
}

export interface CountWindows {
  readonly lo: readonly number[];
  readonly hi: readonly number[];
}

/** More rounds than there are zones change nothing. */
const ROUNDS = 8;

/** The windows that `sums` leave below `now`; null where they contradict each other. */
export function countWindows(
  now: readonly number[],
  sums: readonly SumWindow[],
): CountWindows | null {
  const lo = now.map(() => 0);
  const hi = [...now];
  for (let round = 0; round < ROUNDS; round++) {
    for (const sum of sums) tighten(lo, hi, sum);
  }
  return lo.some((low, i) => low > (hi[i] ?? 0)) ? null : { lo, hi };
}

function tighten(lo: number[], hi: number[], sum: SumWindow): void {
  for (const term of sum.terms) {
    let others = 0;
    let most = 0;
    for (const other of sum.terms) {
      if (other === term) continue;
      others += lo[other] ?? 0;
      most += hi[other] ?? 0;
    }
    hi[term] = Math.min(hi[term] ?? 0, sum.hi - others);
    lo[term] = Math.max(lo[term] ?? 0, sum.lo - most);
  }
}

/** How many counts of a window are tried. */
const STEPS = 16;
/** Zones whose windows are tried against each other; the others keep their highest count. */
const VARIED = 2;

/** Counts inside `windows` that keep to `sums`, the highest first, some dozens in all. */
export function* countsWithin(
  windows: CountWindows,
  sums: readonly SumWindow[],
): Generator<number[]> {
  const widths = windows.hi.map((high, i) => ({ i, width: high - (windows.lo[i] ?? 0) }));
  const varied = widths
    .filter(({ width }) => width > 0)
    .sort((a, b) => b.width - a.width)
    .slice(0, VARIED);
  const tried = [...windows.hi];
  yield* vary(tried, varied, windows, sums);
}

function* vary(
  counts: number[],
  varied: readonly { readonly i: number; readonly width: number }[],
  windows: CountWindows,
  sums: readonly SumWindow[],
): Generator<number[]> {
  const [first, ...rest] = varied;
  if (first === undefined) {
    if (sums.every((sum) => keeps(counts, sum))) yield [...counts];
    return;
  }
  const high = windows.hi[first.i] ?? 0;
  const steps = Math.min(STEPS, first.width);
  for (let step = 0; step <= steps; step++) {
    counts[first.i] = high - Math.round((first.width * step) / Math.max(1, steps));
    yield* vary(counts, rest, windows, sums);
  }
  counts[first.i] = high;
}

function keeps(counts: readonly number[], { terms, lo, hi }: SumWindow): boolean {
  const sum = terms.reduce((total, term) => total + (counts[term] ?? 0), 0);
  return sum >= lo && sum <= hi;
}
