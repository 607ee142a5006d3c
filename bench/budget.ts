/**
 * What the engine promises: at most so many times the time of a twin, at least so many times faster
 * than the best npm package, once V8 has compiled that and before. A line holds when the ratio of
 * medians and that of minima both hold.
 */

import type { Measured } from "./measure.ts";
import { COLD_PEERS, ENGINE, NPM_PEERS, PLAIN_TWIN, SAME_TWIN } from "./peers.ts";
import { WORKLOADS, type Workload } from "./workloads.ts";

type Limits = Readonly<Record<Workload, number>>;

interface Rule {
  readonly text: string;
  readonly level: "must" | "goal";
  readonly against: readonly string[];
  /** "at most": engine / peer; "at least": best peer / engine. */
  readonly kind: "at most" | "at least";
  readonly limits: Limits;
}

const all = (limit: number): Limits => {
  return { W1: limit, W2: limit, W2b: limit, W3: limit, W4: limit, W5: limit };
};

const NPM_LIMITS: Limits = { W1: 2.5, W2: 15, W2b: 20, W3: 30, W4: 15, W5: 30 };

const RULES: readonly Rule[] = [
  {
    text: "of the plain C twin",
    level: "must",
    against: [PLAIN_TWIN],
    kind: "at most",
    limits: { W1: 5, W2: 16, W2b: 6, W3: 4, W4: 3.5, W5: 7 },
  },
  {
    text: "of the plain C twin",
    level: "goal",
    against: [PLAIN_TWIN],
    kind: "at most",
    limits: { W1: 3, W2: 8, W2b: 3.5, W3: 2, W4: 2, W5: 3 },
  },
  {
    text: "of the C twin with the same semantics",
    level: "must",
    against: [SAME_TWIN],
    kind: "at most",
    limits: all(3),
  },
  {
    text: "of the C twin with the same semantics",
    level: "goal",
    against: [SAME_TWIN],
    kind: "at most",
    limits: all(1.7),
  },
  {
    text: "faster than the best npm package, warm",
    level: "must",
    against: NPM_PEERS,
    kind: "at least",
    limits: NPM_LIMITS,
  },
  {
    text: "faster than the best npm package, cold",
    level: "must",
    against: COLD_PEERS,
    kind: "at least",
    limits: NPM_LIMITS,
  },
];

export interface Verdict {
  readonly workload: Workload;
  readonly limit: number;
  /** Ratio of medians and of minima; null where one side was not measured. */
  readonly median: number | null;
  readonly min: number | null;
  readonly holds: boolean | null;
}

export interface Line {
  readonly text: string;
  readonly level: "must" | "goal";
  readonly kind: "at most" | "at least";
  readonly verdicts: readonly Verdict[];
}

/** Each line of the budget against what was measured. */
export function judge(measured: readonly Measured[]): Line[] {
  return RULES.map(({ text, level, kind, against, limits }) => ({
    text,
    level,
    kind,
    verdicts: WORKLOADS.map((workload) => {
      const of = (name: string): Measured | undefined =>
        measured.find((entry) => entry.peer === name && entry.workload === workload);
      const engine = of(ENGINE);
      const peers = against.map(of).filter((peer) => peer !== undefined);
      const limit = limits[workload];
      if (engine === undefined || peers.length === 0)
        return { workload, limit, median: null, min: null, holds: null };
      const ratio = (pick: (entry: Measured) => number): number => {
        const best = Math.min(...peers.map(pick));
        return kind === "at most" ? pick(engine) / best : best / pick(engine);
      };
      const median = ratio((entry) => entry.median);
      const min = ratio((entry) => entry.min);
      const holds =
        kind === "at most" ? Math.max(median, min) <= limit : Math.min(median, min) >= limit;
      return { workload, limit, median, min, holds };
    }),
  }));
}

/** Whether a line that must hold does not. */
export function isBroken(lines: readonly Line[]): boolean {
  return lines.some(
    ({ level, verdicts }) => level === "must" && verdicts.some(({ holds }) => holds === false),
  );
}
