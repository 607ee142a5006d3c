/**
 * A whole replay: a blind run; where that did not go through, a repaired one
 * too, and the first difference with what was around it.
 *
 * Each run reads the recording anew, a block at a time, so that the caller can
 * show progress and stop, and memory does not grow with the recording.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { AllocatorRule } from "../mm/rule.ts";
import { Assumptions } from "./assumptions.ts";
import type { BootStart } from "./boot-start.ts";
import type { Change } from "./change.ts";
import { type Divergence, divergenceOf } from "./divergence.ts";
import { Driver } from "./drive.ts";
import type { DriveOptions } from "./drive-options.ts";
import { WrittenMarks } from "./marks.ts";
import type { Recording } from "./recording.ts";
import {
  drive,
  driveBeside,
  freeAtEnd,
  isWhole,
  type Pause,
  Progress,
  type Run,
  runOf,
  toldKinds,
} from "./run.ts";
import type { Miss, Score } from "./score.ts";
import type { ListSnapshot, MachineFacts } from "./snapshot.ts";
import { type StartState, startState } from "./start-state.ts";
import { FirstUses } from "./taken-before.ts";
import { type RunTimeline, Timeline } from "./timeline.ts";
import { WhatIfRun } from "./what-if.ts";
import { changedState, type WhatIf, whatIfOf } from "./what-if-result.ts";

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
  /** A changed machine, for the same demand. */
  readonly whatIf?: Change;
  /** Sees each event of the blind run before it is replayed; called once, with the memory at its start. */
  readonly observe?: (state: StartState) => NonNullable<DriveOptions["before"]>;
  readonly pause?: Pause;
}

/** What the memory started from. */
export type StartKind = "exact lists" | "flags and counts" | "boot";

export interface ZoneMarks {
  readonly min: number;
  readonly low: number;
  readonly high: number;
}

export interface Replay {
  readonly facts: MachineFacts;
  readonly start: StartKind;
  readonly zoneNames: readonly string[];
  readonly blind: Run;
  /** The blind run itself where nothing was to be repaired. */
  readonly repaired: Run;
  readonly divergence: Divergence | null;
  readonly pageSize: number;
  /** Marks at the start by zone number, pages. */
  readonly marks: readonly ZoneMarks[];
  /** Of the blind run. */
  readonly timeline: RunTimeline;
  /** null where nothing was changed, or when it was stopped. */
  readonly whatIf: WhatIf | null;
  /** The caller stopped it: scores are of what was done. */
  readonly stopped: boolean;
}

/** Replays `again`, a fresh start, up to the first miss of the blind run. */
async function divergenceIn(
  { boot, recording }: ReplayTask,
  again: StartState | null,
  options: DriveOptions,
  firstMiss: Miss | null,
  progress: Progress,
): Promise<Divergence | null> {
  if (again === null || firstMiss === null) return null;
  boot?.takeBuffer(again.m);
  const before: DriveOptions["before"] = (_, score) => score.events < firstMiss.events;
  await drive(new Driver(again, { ...options, before }), recording, progress);
  return divergenceOf(again, firstMiss);
}

function stateOf({
  from,
  facts,
  boot,
  whatIf,
  change = {},
}: ReplayTask): Outcome<StartState | null> {
  if (whatIf !== undefined && !from.exact) return { value: null, issues: [NO_LISTS] };
  return boot === undefined ? startState(from, facts, change) : boot.state(change);
}

function kindOf({ from, boot }: ReplayTask): StartKind {
  if (boot !== undefined) return "boot";
  return from.exact ? "exact lists" : "flags and counts";
}

const NO_LISTS: Issue = {
  severity: "error",
  message: "a changed machine starts from the kernel's own lists, and this one was not told them",
  mend: "leave --set out, or replay from a capture with snap/freelists",
};

/** Null, with errors, when the snapshot is no memory's. */
export async function replay(task: ReplayTask): Promise<Outcome<Replay | null>> {
  const { from, facts, recording, boot } = task;
  const state = (): Outcome<StartState | null> => stateOf(task);
  const steps = ({ m }: StartState): Pick<DriveOptions, "steps"> => {
    return boot === undefined ? {} : { steps: boot.steps(m) };
  };
  const fresh = state();
  if (fresh.value === null) return { value: null, issues: fresh.issues };
  const start = fresh.value;
  boot?.takeBuffer(start.m);
  const changed = task.whatIf === undefined ? null : changedState(task, task.whatIf);
  if (changed !== null && changed.value === null) return { value: null, issues: changed.issues };
  const observe = task.observe?.(start);
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
    before: (e, score) => {
      if (e.kind === "bulk") hiddenBulks = false;
      uses?.note(e);
      timeline.note(e);
      return observe?.(e, score) ?? true;
    },
  });
  let done = await drive(first, recording, progress);
  timeline.close();
  const to = done ? await recording.lists() : null;
  const blind = runOf(first, start, listed, to, done);
  const whole = isWhole(blind);
  const { firstMiss, events } = blind.score;
  const runs = (whole ? 1 : 2) + (changed === null ? 0 : 1);
  progress.expect(runs * events + (firstMiss?.events ?? 0));
  const again = firstMiss === null || !done ? null : state().value;
  const options = again === null ? blindly : { ...blindly, ...steps(again) };
  const divergence = await divergenceIn(task, again, options, firstMiss, progress);
  let repaired = blind;
  const second = whole || !done ? null : state().value;
  if (second !== null) {
    const end = exact ? freeAtEnd(to) : null;
    const assumptions = exact ? new Assumptions({ hiddenBulks, end }) : null;
    const told = toldKinds(blind.score);
    const mended = exact ? { marks: new WrittenMarks(second, to) } : { follow: true };
    const driver = new Driver(second, { assumptions, told, ...mended, ...steps(second) });
    driver.score.assumptions.takenBefore = uses?.takeFrom(second.m, to) ?? 0;
    done = await drive(driver, recording, progress, assumptions);
    repaired = runOf(driver, second, listed, to, done);
  }
  let whatIf: WhatIf | null = null;
  const third = changed === null || !done ? null : state().value;
  if (third !== null && changed?.value != null) {
    const watch = new WhatIfRun(third, changed.value);
    const end = whole ? null : { hiddenBulks, to };
    done = await driveBeside(third, watch, end, blind.score, recording, progress);
    if (done) whatIf = whatIfOf(watch, task.whatIf?.settings ?? []);
  }
  const { names: zoneNames, pageSize } = start.m;
  const machine = { facts, start: kindOf(task), zoneNames, pageSize, marks: marksOf(from, start) };
  const outcome = { blind, repaired, divergence, whatIf, timeline: timeline.run(), stopped: !done };
  return { value: { ...machine, ...outcome }, issues: strangeIssues(repaired.score) };
}

function marksOf({ zones }: ListSnapshot, start: StartState): ZoneMarks[] {
  return start.zones.map(({ node, index }) => {
    const own = zones.find((z) => z.node === node && z.index === index);
    return { min: own?.min ?? 0, low: own?.low ?? 0, high: own?.high ?? 0 };
  });
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
