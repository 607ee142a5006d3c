/** The values that can be asked for, ascending in what they take of memory, and what a search over them found. */
import type { SizeMargin, SizePeak, SizeRefusal, SizeTrial, SizeValue, Sizing } from "./result.ts";
import type { Found } from "./search.ts";

export interface Ladder {
  /** What each takes of memory, in any unit. */
  readonly amounts: readonly number[];
  readonly show: (amount: number) => SizeValue;
}

/** What a try says of itself. */
export interface Tried {
  readonly carries: boolean;
  readonly refused: number;
  readonly mayWait: number;
  readonly first: SizeRefusal | null;
  readonly peak: SizePeak | null;
}

export function trialOf(value: SizeValue, tried: Tried): SizeTrial {
  const { carries, refused, mayWait, first, peak } = tried;
  return { ...value, carries, refused, mayWait, first, peak };
}

type Answers = Pick<Sizing, "answer" | "margin" | "holdsTo" | "monotonic" | "below" | "trials">;

/** `margin` in per cent; null for none. */
export function answersOf(ladder: Ladder, found: Found<Tried>, margin: number | null): Answers {
  const { amounts, show } = ladder;
  const { rung, holdsTo, monotonic, tried } = found;
  const trials = tried.map((own) => trialOf(show(amounts[own.rung]), own.result));
  const under = tried.findIndex((own) => own.rung === rung - 1);
  return {
    answer: rung < 0 ? null : show(amounts[rung]),
    margin: rung < 0 || margin === null ? null : withMargin(ladder, amounts[rung], margin),
    holdsTo: holdsTo < 0 ? null : show(amounts[holdsTo]).value,
    monotonic,
    below: rung <= 0 || under < 0 ? null : trials[under],
    trials,
  };
}

/** The smallest value that takes so much more; null where none does. */
function withMargin({ amounts, show }: Ladder, amount: number, percent: number): SizeMargin | null {
  const wanted = amount * (1 + percent / 100);
  const enough = amounts.find((own) => own >= wanted);
  return enough === undefined ? null : { percent, ...show(enough) };
}
