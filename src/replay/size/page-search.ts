/** A ladder of changed machines, searched: from who goes without to a sizing. */
import type { Issue } from "../../base/issue.ts";
import { formatCount } from "../../base/units.ts";
import { answersOf, type Ladder, type Tried } from "./ladder.ts";
import type { PageChange, PageTrials, Unserved } from "./page-trials.ts";
import {
  emptySizing,
  type SizeAlternative,
  type SizePeak,
  type SizeStatus,
  type Sizing,
} from "./result.ts";
import { type Found, searchSmallest } from "./search.ts";

/** Changed memories beside one run: more of them would not fit a processor's cache. */
const WIDTH = 4;

export interface PageQuestion {
  readonly asked: Pick<Sizing, "name" | "unit" | "where" | "criterion">;
  readonly ladder: Ladder;
  /** Amount of the recorded machine; null where it is not told. */
  readonly recorded: number | null;
  readonly changeOf: (amount: number) => PageChange;
  /** Requests that the parameter is for. */
  readonly isOwn: (gfp: number) => boolean;
  readonly carries: (unserved: Unserved) => boolean;
  /** Of those that the recorded machine refused, too, how many the parameter is for. */
  readonly still: (unserved: Unserved) => number;
  /** Whether nobody has to reclaim either who was served at once in the recording. */
  readonly carriesAll: (unserved: Unserved) => boolean;
  readonly peak: SizePeak | null;
  readonly notes: readonly string[];
  /** Why 0 is enough. */
  readonly zero: string;
  readonly margin: number | null;
}

export async function sizePages(
  trials: PageTrials,
  question: PageQuestion,
  tried: (count: number) => void,
): Promise<Sizing> {
  const { asked, ladder, recorded, margin, peak, notes } = question;
  const known = new Map<number, Unserved>();
  const search = (carries: PageQuestion["carries"]): Promise<Found<Tried>> =>
    searchRungs(trials, question, known, carries, tried);
  const found = await search(question.carries);
  const answers = answersOf(ladder, found, margin);
  const broken = brokenAt(found, known);
  if (broken !== null) return { ...emptySizing({ ...asked, because: broken.message }), notes };
  const status = statusOf(found, answers.answer?.bytes ?? null);
  const own = recorded === null ? -1 : ladder.amounts.indexOf(recorded);
  const at = found.tried.findIndex(({ rung }) => rung === own);
  const alternatives: SizeAlternative[] = [];
  if (answers.answer !== null && !found.stopped && trialOfRung(found)?.mayWait !== 0) {
    const all = await search(question.carriesAll);
    const value = all.rung < 0 ? null : ladder.show(ladder.amounts[all.rung]);
    if (value !== null && value.set !== answers.answer.set) {
      alternatives.push({
        ...value,
        why: "so that nobody has to reclaim more than in the recording",
      });
    }
  }
  return {
    ...asked,
    ...answers,
    status,
    because: status === "zero" ? question.zero : status === "none" ? NONE : null,
    alternatives,
    peak,
    recorded: at < 0 ? null : answers.trials[at],
    notes: [...notes, ...noiseOf(known.get(own))],
  };
}

/** The recorded value is the recording, so who goes without there does by an error of the replay. */
function noiseOf(own: Unserved | undefined): string[] {
  if (own === undefined || own.lost === 0) return [];
  return [
    `with the recorded value itself ${formatCount(own.lost)} requests go without that were served: the recording does not tell all that decided (marks that were written, the limit of dirty pages), so as many may be noise elsewhere`,
  ];
}

/** Why the values that the answer would stand on could not be tried. */
function brokenAt(
  { rung, tried, stopped }: Found<Tried>,
  known: ReadonlyMap<number, Unserved>,
): Issue | null {
  if (stopped) return null;
  const under = rung < 0 ? tried.map((own) => own.rung) : [rung - 1];
  const all = under.flatMap((own) => known.get(own) ?? []);
  return all.every((own) => own.broken !== null) ? (all[0]?.broken ?? null) : null;
}

function trialOfRung({ tried, rung }: Found<Tried>): Tried | null {
  return tried.find((own) => own.rung === rung)?.result ?? null;
}

const NONE = "some go without whatever its value: what they ask for is not there, or in pieces";

async function searchRungs(
  trials: PageTrials,
  { ladder, recorded, changeOf, isOwn, still }: PageQuestion,
  known: Map<number, Unserved>,
  carries: PageQuestion["carries"],
  tried: (count: number) => void,
): Promise<Found<Tried>> {
  const { amounts } = ladder;
  return searchSmallest<Tried>({
    rungs: amounts.length,
    first: recorded === null ? [] : [amounts.indexOf(recorded)],
    width: WIDTH,
    tryAll: async (rungs) => {
      const open = rungs.filter((rung) => !known.has(rung));
      const changes = open.map((rung) =>
        amounts[rung] === recorded ? { set: [] } : changeOf(amounts[rung]),
      );
      const results = open.length === 0 ? [] : await trials.tryAll(changes, isOwn);
      if (results === null) return null;
      for (const [i, result] of results.entries()) known.set(open[i], result);
      tried(known.size);
      return rungs.map((rung) => triedOf(known.get(rung), carries, still));
    },
    carries: (own) => own.carries,
  });
}

function triedOf(
  unserved: Unserved | undefined,
  carries: PageQuestion["carries"],
  still: PageQuestion["still"],
): Tried {
  if (unserved === undefined || unserved.broken !== null) {
    const because = unserved?.broken?.message ?? "";
    const first = { line: 0, time: 0, by: "", bytes: 0, because: [because], never: true };
    return { carries: false, refused: 0, mayWait: 0, first, peak: null };
  }
  const { lost, lostAtOnce, firstAtOnce, firstLost, firstOwn } = unserved;
  const isCarried = carries(unserved);
  return {
    carries: isCarried,
    refused: lost + still(unserved),
    mayWait: lost - lostAtOnce,
    first: isCarried ? null : (firstOwn ?? firstAtOnce ?? firstLost),
    peak: null,
  };
}

function statusOf(found: Found<Tried>, bytes: number | null): SizeStatus {
  if (found.stopped) return "stopped";
  if (bytes === null) return "none";
  return bytes === 0 ? "zero" : "sized";
}
