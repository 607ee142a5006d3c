/**
 * A whole replay: a blind run; where that did not go through, a repaired one
 * too, and the first difference with what was around it.
 *
 * Work is done in slices, so that the caller can show progress and stop.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { AllocatorRule } from "../mm/rule.ts";
import { Assumptions, type FreeAtEnd } from "./assumptions.ts";
import { type Comparison, compareWith } from "./compare.ts";
import { type Divergence, divergenceOf } from "./divergence.ts";
import { type DriveOptions, Driver } from "./drive.ts";
import type { ReplayEvent } from "./event.ts";
import { inputsOf } from "./inputs.ts";
import type { Score } from "./score.ts";
import type { ListSnapshot, MachineFacts } from "./snapshot.ts";
import { type StartState, startState } from "./start-state.ts";
import { Timeline, type TimelinePart } from "./timeline.ts";

export interface ReplayTask {
  readonly from: ListSnapshot;
  /** What the lists are compared with at the end; null for nothing. */
  readonly to: ListSnapshot | null;
  readonly facts: MachineFacts;
  readonly events: readonly ReplayEvent[];
  /** Rules of the era the other way, for tests. */
  readonly change?: Partial<AllocatorRule>;
  /** Each answer of the blind run, before it is compared; -1 for no page, no zone. */
  readonly decide?: DriveOptions["decide"];
  /** Between slices: events done of all, over both runs. False stops. */
  readonly pause?: (done: number, all: number) => Promise<boolean>;
}

export interface Run {
  readonly score: Score;
  /** null without a snapshot to compare with, or when the run was stopped. */
  readonly comparison: Comparison | null;
}

export interface Replay {
  readonly facts: MachineFacts;
  readonly zoneNames: readonly string[];
  readonly blind: Run;
  /** The blind run itself where nothing was to be repaired. */
  readonly repaired: Run;
  readonly divergence: Divergence | null;
  readonly timeline: readonly TimelinePart[];
  /** The caller stopped it: scores are of what was done. */
  readonly stopped: boolean;
}

const SLICE = 20_000;
const PARTS = 60;

/** Null, with errors, when the snapshot is no memory's. */
export async function replay(task: ReplayTask): Promise<Outcome<Replay | null>> {
  const { from, to, facts, events, change = {} } = task;
  const fresh = startState(from, facts, change);
  if (fresh.value === null) return { value: null, issues: fresh.issues };
  const start = fresh.value;
  const inputs = inputsOf(events);
  const timeline = new Timeline(start.m, events.length, PARTS);
  const first = new Driver(start, {
    inputs,
    assumptions: null,
    ...(task.decide === undefined ? {} : { decide: task.decide }),
    before: (e) => {
      timeline.note(e);
      return true;
    },
  });
  let done = await slices(first, events, task, 0);
  timeline.close();
  const blind = runOf(first, start, to, done);
  const { firstMiss } = blind.score;
  let repaired = blind;
  let divergence: Divergence | null = null;
  if (firstMiss !== null) {
    const again = startState(from, facts, change).value;
    if (again !== null) divergence = divergenceOf(again, events, inputs, firstMiss);
  }
  if (done && !isWhole(blind)) {
    const again = startState(from, facts, change).value;
    if (again !== null) {
      const assumptions = new Assumptions(events, inputs, to === null ? null : freeAtEnd(to));
      const second = new Driver(again, { inputs, assumptions });
      done = await slices(second, events, task, events.length);
      repaired = runOf(second, again, to, done);
    }
  }
  const zoneNames = start.m.names;
  const value = { facts, zoneNames, blind, repaired, divergence, timeline: timeline.parts };
  return { value: { ...value, stopped: !done }, issues: strangeIssues(blind.score) };
}

/** Feeds the events in slices. Returns false when the caller stopped it. */
async function slices(
  driver: Driver,
  events: readonly ReplayEvent[],
  { pause }: ReplayTask,
  before: number,
): Promise<boolean> {
  for (let at = 0; at < events.length; at += SLICE) {
    driver.feed(events.slice(at, at + SLICE));
    if (pause === undefined) continue;
    const done = Math.min(at + SLICE, events.length);
    if (!(await pause(before + done, before + events.length))) return false;
  }
  return true;
}

function runOf(driver: Driver, state: StartState, to: ListSnapshot | null, done: boolean): Run {
  if (!done) return { score: driver.score, comparison: null };
  const score = driver.end();
  return { score, comparison: to === null ? null : compareWith(state, to) };
}

/** Nothing is left to repair or to assume. */
function isWhole({ score, comparison }: Run): boolean {
  if (score.firstMiss !== null) return false;
  if (comparison === null) return true;
  const { free, pcp } = comparison;
  return free.equal === free.lists && pcp.equal === pcp.lists;
}

function freeAtEnd({ free, pcp }: ListSnapshot): FreeAtEnd {
  const buddy = new Set<number>();
  for (const { pfns, order } of free) {
    for (const pfn of pfns) for (let i = 0; i < 1 << order; i++) buddy.add(pfn + i);
  }
  const any = new Set(buddy);
  for (const { pfns } of pcp) for (const pfn of pfns) any.add(pfn);
  return { buddy, any };
}

function strangeIssues({ strange }: Score): Issue[] {
  if (strange === 0) return [];
  const message = `${strange} events name pages or CPUs that this machine does not have`;
  const mend = "give the capture that the trace was recorded with";
  return [{ severity: "warning", message, mend }];
}
