/**
 * A whole replay: a blind run; where that did not go through, a repaired one
 * too, and the first difference with what was around it.
 *
 * Each run reads the recording anew, a block at a time, so that the caller can
 * show progress and stop, and memory does not grow with the recording.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { AllocatorRule } from "../mm/rule.ts";
import { Assumptions, type FreeAtEnd } from "./assumptions.ts";
import type { BootStart } from "./boot-start.ts";
import { type Comparison, compareWith, isSame } from "./compare.ts";
import { type Divergence, divergenceOf } from "./divergence.ts";
import { type DriveOptions, Driver } from "./drive.ts";
import { InputScan } from "./inputs.ts";
import { CALL_WINDOW, LookAhead, USE_WINDOW } from "./look-ahead.ts";
import type { Recording } from "./recording.ts";
import type { Score } from "./score.ts";
import type { ListSnapshot, MachineFacts } from "./snapshot.ts";
import { type StartState, startState } from "./start-state.ts";
import { FirstUses } from "./taken-before.ts";
import { Timeline, type TimelinePart } from "./timeline.ts";

export interface ReplayTask {
  readonly from: ListSnapshot;
  readonly facts: MachineFacts;
  readonly recording: Recording;
  /** From the first event of a boot on; `from` and `facts` are its own. */
  readonly boot?: BootStart;
  /** Rules of the era the other way, for tests. */
  readonly change?: Partial<AllocatorRule>;
  /** Each answer of the blind run, before it is compared; -1 for no page, no zone. */
  readonly decide?: DriveOptions["decide"];
  /** After each block: events done over all runs, and of how many once that is known. False stops. */
  readonly pause?: (done: number, all: number | null) => Promise<boolean>;
}

/** What the memory started from. */
export type StartKind = "exact lists" | "flags and counts" | "boot";

export interface Run {
  readonly score: Score;
  /** null without a snapshot to compare with, or when the run was stopped. */
  readonly comparison: Comparison | null;
}

export interface Replay {
  readonly facts: MachineFacts;
  readonly start: StartKind;
  readonly zoneNames: readonly string[];
  readonly blind: Run;
  /** The blind run itself where nothing was to be repaired. */
  readonly repaired: Run;
  readonly divergence: Divergence | null;
  readonly timeline: readonly TimelinePart[];
  /** The caller stopped it: scores are of what was done. */
  readonly stopped: boolean;
}

/** Null, with errors, when the snapshot is no memory's. */
export async function replay(task: ReplayTask): Promise<Outcome<Replay | null>> {
  const { from, facts, recording, boot, change = {} } = task;
  const state = (): Outcome<StartState | null> =>
    boot === undefined ? startState(from, facts, change) : boot.state(change);
  const steps = ({ m }: StartState): Pick<DriveOptions, "steps"> => {
    return boot === undefined ? {} : { steps: boot.steps(m) };
  };
  const fresh = state();
  if (fresh.value === null) return { value: null, issues: fresh.issues };
  const start = fresh.value;
  boot?.takeBuffer(start.m);
  const timeline = new Timeline(start.m);
  const progress = new Progress(task.pause);
  let hiddenBulks = true;
  const uses = boot === undefined ? null : new FirstUses(start.m);
  const { exact } = from;
  // Lists that a boot made are known, if they are the kernel's.
  const listed = exact || boot !== undefined;
  const blindly = { assumptions: null, substitute: !exact };
  const first = new Driver(start, {
    ...blindly,
    ...steps(start),
    ...(task.decide === undefined ? {} : { decide: task.decide }),
    before: (e) => {
      if (e.kind === "bulk") hiddenBulks = false;
      uses?.note(e);
      timeline.note(e);
      return true;
    },
  });
  let done = await drive(first, recording, progress);
  timeline.close();
  const to = done ? await recording.lists() : null;
  const blind = runOf(first, start, listed, to, done);
  const whole = isWhole(blind);
  const { firstMiss, events } = blind.score;
  progress.expect(whole ? events : 2 * events + (firstMiss?.events ?? 0));
  let divergence: Divergence | null = null;
  const again = firstMiss === null || !done ? null : state().value;
  if (firstMiss !== null && again !== null) {
    boot?.takeBuffer(again.m);
    const before: DriveOptions["before"] = (_, score) => score.events < firstMiss.events;
    await drive(new Driver(again, { ...blindly, ...steps(again), before }), recording, progress);
    divergence = divergenceOf(again, firstMiss);
  }
  let repaired = blind;
  const second = whole || !done ? null : state().value;
  if (second !== null) {
    const end = exact && to?.exact === true ? freeAtEnd(to) : null;
    const assumptions = exact ? new Assumptions({ hiddenBulks, end }) : null;
    const driver = new Driver(second, { assumptions, follow: !exact, ...steps(second) });
    driver.score.assumptions.takenBefore = uses?.takeFrom(second.m, to) ?? 0;
    done = await drive(driver, recording, progress, assumptions);
    repaired = runOf(driver, second, listed, to, done);
  }
  const kind: StartKind = boot !== undefined ? "boot" : exact ? "exact lists" : "flags and counts";
  const value = { facts, start: kind, zoneNames: start.m.names, blind, repaired, divergence };
  return {
    value: { ...value, timeline: timeline.parts, stopped: !done },
    issues: strangeIssues(repaired.score),
  };
}

class Progress {
  readonly #pause: ReplayTask["pause"];
  #done = 0;
  #all: number | null = null;

  constructor(pause: ReplayTask["pause"]) {
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
async function drive(
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

function runOf(
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
function isWhole({ score, comparison }: Run): boolean {
  if (score.firstMiss !== null) return false;
  if (comparison === null) return true;
  return isSame(comparison);
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

/** What the recording has that cannot be, with the line of the first. */
function strangeIssues({ strange, strangeLine, inputs, unseenLine }: Score): Issue[] {
  const issues: Issue[] = [];
  if (strange > 0) {
    const message = `${strange} events name pages or CPUs that this machine does not have`;
    const mend = "give the capture that the trace was recorded with";
    issues.push({ severity: "warning", line: strangeLine, message, mend });
  }
  if (inputs.unseenTakers > 0) {
    const message = `${inputs.unseenTakers} frees are of pages that nobody was seen to take: by a call that tells nothing, or freed twice`;
    const mend = "record alloc_pages_bulk with a probe, see scripts/lab";
    issues.push({ severity: "warning", line: unseenLine, message, mend });
  }
  return issues;
}
