/**
 * One run over a recording, and what belongs to every run: progress, a watch
 * beside it, what there is to compare with at the end.
 */
import { Assumptions, type FreeAtEnd } from "./assumptions.ts";
import type { ToldKinds } from "./checks.ts";
import { type Comparison, compareWith, isSame } from "./compare.ts";
import { Driver } from "./drive.ts";
import { InputScan } from "./inputs.ts";
import { CALL_WINDOW, LookAhead, USE_WINDOW } from "./look-ahead.ts";
import { WrittenMarks } from "./marks.ts";
import type { Recording } from "./recording.ts";
import type { Score } from "./score.ts";
import type { ListSnapshot } from "./snapshot.ts";
import type { StartState } from "./start-state.ts";
import type { Watch } from "./watch.ts";

export interface Run {
  readonly score: Score;
  /** null without a snapshot to compare with, or when the run was stopped. */
  readonly comparison: Comparison | null;
}

/** After each block: events done over all runs, and of how many once that is known. False stops. */
export type Pause = (done: number, all: number | null) => Promise<boolean>;

export class Progress {
  readonly #pause: Pause | undefined;
  #done = 0;
  #all: number | null = null;

  constructor(pause: Pause | undefined) {
    this.#pause = pause;
  }

  expect(all: number): void {
    this.#all = all;
  }

  /** `events` more were read. False: the caller wants no more. */
  async step(events: number): Promise<boolean> {
    this.#done += events;
    return this.#pause === undefined || (await this.#pause(this.#done, this.#all));
  }
}

/** Drives through the recording, or until `before` ends the run. Returns false when the caller stopped it. */
export async function drive(
  driver: Driver,
  recording: Recording,
  progress: Progress,
  assumptions: Assumptions | null = null,
): Promise<boolean> {
  const scan = new InputScan();
  const window =
    assumptions === null
      ? new LookAhead([scan], CALL_WINDOW)
      : new LookAhead([scan, assumptions], USE_WINDOW);
  let wanted = true;
  for await (const block of recording.blocks()) {
    if (!driver.feed(window.push(block))) return true;
    wanted = await progress.step(block.length);
    if (!wanted) break;
  }
  // What was read is replayed, also where the caller stopped it.
  driver.feed(window.end());
  return wanted;
}

export function runOf(
  driver: Driver,
  state: StartState,
  exact: boolean,
  to: ListSnapshot | null,
  done: boolean,
): Run {
  if (!done) return { score: driver.score, comparison: null };
  const score = driver.end();
  return { score, comparison: to === null ? null : compareWith(state, to, exact) };
}

/** Nothing is left to repair or to assume. */
export function isWhole({ score, comparison }: Run): boolean {
  if (score.firstMiss !== null) return false;
  if (comparison === null) return true;
  return isSame(comparison);
}

export function freeAtEnd(to: ListSnapshot | null): FreeAtEnd | null {
  if (to === null || !to.exact) return null;
  const { free, pcp } = to;
  const buddy = new Set<number>();
  for (const { pfns, order } of free) {
    for (const pfn of pfns) for (let i = 0; i < 1 << order; i++) buddy.add(pfn + i);
  }
  const any = new Set(buddy);
  for (const { pfns } of pcp) for (const pfn of pfns) any.add(pfn);
  return { buddy, any };
}

/** What a repaired run needs to know beforehand. */
export interface Mended {
  /** No probe told bulk calls. */
  readonly hiddenBulks: boolean;
  readonly to: ListSnapshot | null;
}

/**
 * With `watch` beside the run that is the recording's in every page, so that each owner is known: the blind one
 * where `mended` is null, else the repaired one.
 */
export async function driveBeside(
  state: StartState,
  watch: Watch,
  mended: Mended | null,
  seen: Score,
  recording: Recording,
  progress: Progress,
): Promise<boolean> {
  const told = toldKinds(seen);
  if (mended === null) {
    return drive(new Driver(state, { assumptions: null, watch, told }), recording, progress);
  }
  const { hiddenBulks, to } = mended;
  const assumptions = new Assumptions({ hiddenBulks, end: freeAtEnd(to) });
  const marks = new WrittenMarks(state, to);
  const driver = new Driver(state, { assumptions, watch, told, marks });
  return drive(driver, recording, progress, assumptions);
}

export function toldKinds({ refills, drains, extfrags }: Score): ToldKinds {
  return {
    refills: refills.recorded > 0,
    drains: drains.recorded > 0,
    extfrags: extfrags.recorded > 0,
  };
}
