/**
 * One recording on many machines: the blind run once, to know whether it must be
 * repaired; then for each set of changes one run beside which several changed
 * memories take the same requests and frees (what-if.ts).
 */
import type { Issue } from "../../base/issue.ts";
import type { Memory } from "../../mm/memory.ts";
import { type Change, pageChange, parseChange } from "../change.ts";
import { Driver } from "../drive.ts";
import type { ReplayEvent } from "../event.ts";
import type { Recording } from "../recording.ts";
import { wordsOf } from "../refusals.ts";
import { drive, driveBeside, isWhole, type Mended, type Pause, Progress, runOf } from "../run.ts";
import type { Score } from "../score.ts";
import type { ListSnapshot, MachineFacts } from "../snapshot.ts";
import { type StartState, startState } from "../start-state.ts";
import { watchAll } from "../watches.ts";
import { WhatIfRun } from "../what-if.ts";
import { changedState } from "../what-if-result.ts";
import type { SizeRefusal } from "./result.ts";

export interface PageTask {
  readonly from: ListSnapshot;
  readonly facts: MachineFacts;
  /** Read once for each run: keep it in memory where there is room. */
  readonly recording: Recording;
  readonly pause: Pause;
}

/** Who goes without on a changed machine. */
export interface Unserved {
  /**
   * Requests that the recorded machine served: all, and those that must not wait. Who asks
   * with __GFP_NOWARN minds neither: it has another way.
   */
  readonly lost: number;
  readonly lostAtOnce: number;
  /** Of those the ones that `isOwn` says. */
  readonly lostOwn: number;
  /** Of those that both machines refuse the ones that must not wait, and those that `isOwn` says. */
  readonly stillAtOnce: number;
  readonly stillOwn: number;
  readonly firstLost: SizeRefusal | null;
  readonly firstAtOnce: SizeRefusal | null;
  readonly firstOwn: SizeRefusal | null;
  /** Why the machine cannot be laid out; the other members are empty then. */
  readonly broken: Issue | null;
}

/** A changed machine. */
export interface PageChange {
  /** As `replay --set` takes them; none for the recorded machine. */
  readonly set: readonly string[];
  /** What is done to its memory before the first event. */
  readonly prepare?: (state: StartState) => void;
}

export class PageTrials {
  readonly #task: PageTask;
  readonly #seen: Score;
  readonly #mended: Mended | null;
  readonly #progress: Progress;

  private constructor(task: PageTask, seen: Score, mended: Mended | null, progress: Progress) {
    this.#task = task;
    this.#seen = seen;
    this.#mended = mended;
    this.#progress = progress;
  }

  /** `look` gives, for the memory at its start, what sees each event. Null when the caller stopped it; an issue where there is no start. */
  static async begin(
    task: PageTask,
    look: (state: StartState) => (e: ReplayEvent) => void,
  ): Promise<PageTrials | Issue | null> {
    const { from, facts, recording, pause } = task;
    const start = startState(from, facts);
    if (start.value === null) return start.issues[0] ?? null;
    const progress = new Progress(pause);
    const note = look(start.value);
    let hiddenBulks = true;
    const before = (e: ReplayEvent): boolean => {
      if (e.kind === "bulk") hiddenBulks = false;
      note(e);
      return true;
    };
    const driver = new Driver(start.value, { assumptions: null, before });
    if (!(await drive(driver, recording, progress))) return null;
    const to = await recording.lists();
    const blind = runOf(driver, start.value, from.exact, to, true);
    const mended = isWhole(blind) ? null : { hiddenBulks, to };
    return new PageTrials(task, blind.score, mended, progress);
  }

  /** What each machine says, in order; null when the caller stopped it. */
  async tryAll(
    changes: readonly PageChange[],
    isOwn: (gfp: number) => boolean,
  ): Promise<readonly Unserved[] | null> {
    const recorded = startState(this.#task.from, this.#task.facts).value;
    if (recorded === null) return null;
    const tries = changes.map((change) => this.#begin(recorded, change, isOwn));
    const runs = tries.flatMap(({ run }) => run ?? []);
    if (runs.length > 0) {
      const { recording } = this.#task;
      const watch = watchAll(runs);
      const done = await driveBeside(
        recorded,
        watch,
        this.#mended,
        this.#seen,
        recording,
        this.#progress,
      );
      if (!done) return null;
    }
    return tries.map(({ unserved }) => unserved());
  }

  #begin(
    recorded: StartState,
    { set, prepare }: PageChange,
    isOwn: (gfp: number) => boolean,
  ): { readonly run: WhatIfRun | null; readonly unserved: () => Unserved } {
    const ours = this.#changed(set);
    if ("severity" in ours) return { run: null, unserved: () => ({ ...NOBODY, broken: ours }) };
    prepare?.(ours);
    const run = new WhatIfRun(recorded, ours);
    const counts = { ...NOBODY };
    const minds = urgency(ours.m);
    run.unserved = (e, gfp, there) => {
      const atOnce = minds(gfp);
      if (there) {
        if (atOnce) counts.stillAtOnce++;
        if (isOwn(gfp)) {
          counts.stillOwn++;
          counts.firstOwn ??= refusalOf(ours, e, gfp);
        }
      } else {
        counts.lost++;
        if (atOnce) counts.lostAtOnce++;
        counts.firstLost ??= refusalOf(ours, e, gfp);
        if (isOwn(gfp)) {
          counts.lostOwn++;
          counts.firstOwn ??= refusalOf(ours, e, gfp);
        }
      }
      if (atOnce) counts.firstAtOnce ??= refusalOf(ours, e, gfp);
    };
    return { run, unserved: () => counts };
  }

  #changed(set: readonly string[]): StartState | Issue {
    const { from, facts } = this.#task;
    if (set.length === 0) return startState(from, facts).value ?? UNKNOWN;
    const { value, issues } = parseChange(set, facts);
    const change: Change | null = value === null ? null : pageChange(value);
    if (change === null) return issues[0] ?? UNKNOWN;
    const state = changedState({ from, facts }, change);
    return state.value ?? state.issues[0] ?? UNKNOWN;
  }
}

/** Whether a request must not wait, and its owner minds going without. */
export function urgency({ gfp }: Memory): (bits: number) => boolean {
  const nowarn = gfp.era.bits.get("__GFP_NOWARN") ?? 0;
  return (bits) => (bits & (gfp.direct | nowarn)) === 0;
}

const UNKNOWN: Issue = { severity: "error", message: "the memory cannot be laid out" };

const NOBODY: { -readonly [K in keyof Unserved]: Unserved[K] } = {
  lost: 0,
  lostAtOnce: 0,
  lostOwn: 0,
  stillAtOnce: 0,
  stillOwn: 0,
  firstLost: null,
  firstAtOnce: null,
  firstOwn: null,
  broken: null,
};

function refusalOf({ m }: StartState, e: ReplayEvent, gfp: number): SizeRefusal {
  return {
    line: e.line,
    time: e.time,
    by: `task ${e.pid}`,
    bytes: 2 ** e.order * m.pageSize,
    because: [e.gfp, ...wordsOf(m, gfp, e.order)],
    never: false,
  };
}
