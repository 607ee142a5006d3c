/**
 * The changed machine of a what-if at its start, and what came of it: numbers
 * of both machines side by side.
 */
import type { Outcome } from "../base/issue.ts";
import type { AllocatorRule } from "../mm/rule.ts";
import { Z_HIGH, Z_LOW, Z_MANAGED, Z_MIN, ZONE_WORDS } from "../mm/words.ts";
import { type Change, policyOf, type Setting } from "./change.ts";
import { writeChange } from "./change-marks.ts";
import { changedSnapshot } from "./change-zones.ts";
import type { RefusedGroup } from "./refusals.ts";
import type { ListSnapshot, MachineFacts } from "./snapshot.ts";
import { type StartState, startState } from "./start-state.ts";
import { freeOf, type RunTimeline } from "./timeline.ts";
import type { WhatIfRun } from "./what-if.ts";

/** A number of the recorded machine, and of the changed one. */
export interface Both {
  readonly recorded: number;
  readonly changed: number;
}

export interface WhatIfZone {
  readonly node: number;
  readonly name: string;
  /** Pages, as are all the others. */
  readonly managed: Both;
  readonly min: Both;
  readonly low: Both;
  readonly high: Both;
  /** Fewest free pages at any event, and free pages at the end. */
  readonly lowestFree: Both;
  readonly freeAtEnd: Both;
}

export interface WhatIf {
  readonly set: readonly Setting[];
  readonly allocations: {
    /** Requests that the recording served, and those that the changed machine serves. */
    readonly recorded: number;
    readonly served: number;
    /** Served with the very same page. */
    readonly samePage: number;
  };
  readonly refused: {
    readonly requests: number;
    /** Of those the ones that may wait: a kernel would reclaim for them. */
    readonly mayWait: number;
    /** Pages that those ask for: what reclaim must find in time, beyond the recording's. */
    readonly mayWaitPages: number;
    /** By zone, order and flags; requests of further groups are in `further`. */
    readonly groups: readonly RefusedGroup[];
    readonly further: number;
  };
  /** Refused in the recording, and of those served here. */
  readonly recordedRefusals: { readonly requests: number; readonly served: number };
  readonly fallbacks: Both;
  /** Requests that another zone serves. */
  readonly zoneShift: readonly {
    readonly from: string;
    readonly to: string;
    readonly requests: number;
    readonly pages: number;
  }[];
  readonly kswapd: {
    /** Wakes that the trace tells. */
    readonly traced: number;
    /** By one rule for both machines; see kswapd-guess.ts. */
    readonly wakes: Both;
    /** Microseconds. */
    readonly awake: Both;
    /** Requests that found no zone above its low mark. */
    readonly belowLow: Both;
  };
  /** Requests that enter direct reclaim on the changed machine only. */
  readonly extraReclaims: number;
  readonly frees: {
    readonly done: number;
    /** Of pages that were never given. */
    readonly lost: number;
    /** Of pages that nobody was seen to take, while somebody has them here. */
    readonly unseen: number;
  };
  readonly zones: readonly WhatIfZone[];
  /** The changed machine over time, parts as those of the recorded one. */
  readonly timeline: RunTimeline;
}

/** The memory of `task` as `change` would have it. Null, with errors, where it cannot be laid out. */
export function changedState(
  task: {
    readonly from: ListSnapshot;
    readonly facts: MachineFacts;
    readonly change?: Partial<AllocatorRule>;
  },
  change: Change,
): Outcome<StartState | null> {
  const { from, facts } = task;
  const snap = changedSnapshot(from, facts, change);
  if (snap.value === null) return { value: null, issues: snap.issues };
  const { boostFactor } = change;
  const rules = { ...task.change, ...(boostFactor === null ? {} : { boostFactor }) };
  const state = startState(snap.value, facts, rules);
  const policy = policyOf(facts);
  if (state.value !== null && policy !== null) writeChange(state.value, change, policy);
  return state;
}

export function whatIfOf(run: WhatIfRun, set: readonly Setting[]): WhatIf {
  run.end();
  const { recorded, ours, refusals, kswapd } = run;
  const names = recorded.m.names.map((name, zone) => {
    const many = recorded.m.nodes.length > 1;
    return many ? `N${recorded.zones[zone].node}/${name}` : name;
  });
  return {
    set,
    allocations: { recorded: run.allocations, served: run.served, samePage: run.samePage },
    refused: {
      requests: refusals.count,
      mayWait: refusals.waiting,
      mayWaitPages: refusals.waitingPages,
      groups: refusals.groups.toSorted((a, b) => b.count - a.count),
      further: refusals.further,
    },
    recordedRefusals: { requests: run.recordedRefusals, served: run.rescued },
    fallbacks: { recorded: run.recordedFallbacks, changed: run.fallbacks },
    zoneShift: [...run.shifts.values()]
      .toSorted((a, b) => b.requests - a.requests)
      .map(({ from, to, requests, pages }) => ({
        from: names[from],
        to: names[to],
        requests,
        pages,
      })),
    kswapd: {
      traced: run.recordedWakes,
      wakes: both(kswapd, (guess) => guess.wakes),
      awake: both(kswapd, (guess) => Math.round(guess.awake)),
      belowLow: both(kswapd, (guess) => guess.belowLow),
    },
    extraReclaims: run.extraReclaims,
    frees: { done: run.frees, lost: run.lostFrees, unseen: run.unseenFrees },
    zones: zonesOf(run, [recorded, ours]),
    timeline: run.timeline.run(),
  };
}

function both<T>([recorded, changed]: readonly [T, T], of: (one: T) => number): Both {
  return { recorded: of(recorded), changed: of(changed) };
}

/** Zones that have memory on one of the machines. */
function zonesOf(run: WhatIfRun, states: readonly [StartState, StartState]): WhatIfZone[] {
  return states[0].zones.flatMap(({ node, name }, zone) => {
    const word = (at: number): Both => both(states, ({ m }) => m.zone[zone * ZONE_WORDS + at]);
    const managed = word(Z_MANAGED);
    if (managed.recorded === 0 && managed.changed === 0) return [];
    const [recorded, changed] = run.lowestOf(zone);
    return {
      node,
      name,
      managed,
      min: word(Z_MIN),
      low: word(Z_LOW),
      high: word(Z_HIGH),
      lowestFree: { recorded, changed },
      freeAtEnd: both(states, ({ m }) => freeOf(m, zone)),
    };
  });
}
