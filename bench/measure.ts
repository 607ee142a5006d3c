/**
 * Rounds of (peer, workload) pairs, each in a process of its own, in a new random order each round:
 * what else the machine does then falls on all alike.
 */
import { spawnSync } from "node:child_process";
import { z } from "zod";
import { type Peer, scaleOf } from "./peers.ts";
import type { Workload } from "./workloads.ts";

/** One pair over all rounds; nanoseconds an operation. */
export interface Measured {
  readonly peer: string;
  readonly workload: Workload;
  readonly rounds: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** State at the end, the same each round; of W4 equal for all that refuse nothing. */
  readonly held: number;
  readonly used: number;
  readonly fails: number;
}

export interface Plan {
  readonly peers: readonly Peer[];
  readonly workloads: readonly Workload[];
  readonly rounds: number;
  readonly quick: boolean;
  /** Progress, and why a peer is left out. */
  readonly say: (text: string) => void;
}

const Answer = z.union([
  z.object({ skipped: z.string() }),
  z.object({
    ops: z.number().positive(),
    ns: z.number().nonnegative(),
    held: z.number(),
    used: z.number(),
    fails: z.number(),
  }),
]);
type Answer = z.infer<typeof Answer>;

const TIMEOUT_MS = 120_000; // one process; the slowest takes seconds

interface Pair {
  readonly peer: Peer;
  readonly workload: Workload;
}

export function measure(plan: Plan): Measured[] {
  const { peers, workloads, rounds, quick, say } = plan;
  const pairs = peers.flatMap((peer) => workloads.map((workload) => ({ peer, workload })));
  const answers = new Map<Pair, Exclude<Answer, { skipped: string }>[]>();
  const left = new Set<string>();
  for (let round = 1; round <= rounds; round++) {
    for (const [index, pair] of shuffled(pairs).entries()) {
      const { peer, workload } = pair;
      if (left.has(peer.name)) continue;
      say(`round ${round}/${rounds}, ${index + 1}/${pairs.length}: ${peer.name} ${workload}`);
      const answer = runOnce(peer, workload, quick);
      if ("skipped" in answer) {
        left.add(peer.name);
        say(`${peer.name} is left out: ${answer.skipped}\n`);
      } else answers.set(pair, [...(answers.get(pair) ?? []), answer]);
    }
  }
  return pairs.flatMap((pair) => {
    const runs = answers.get(pair) ?? [];
    const [first] = runs;
    if (first === undefined || left.has(pair.peer.name)) return [];
    const times = runs.map(({ ns, ops }) => ns / ops).sort((a, b) => a - b);
    const { held, used, fails } = first;
    const spread = { median: median(times), min: times[0] ?? 0, max: times.at(-1) ?? 0 };
    const { peer, workload } = pair;
    return [{ peer: peer.name, workload, rounds: runs.length, ...spread, held, used, fails }];
  });
}

/** Runs one pair once. A process that fails is left out, with what it said. */
function runOnce(peer: Peer, workload: Workload, quick: boolean): Answer {
  const scale = scaleOf(peer, workload, quick);
  const args = [...peer.args, workload, String(peer.frames), String(scale), ...peer.more];
  const { stdout, stderr, signal, status } = spawnSync(peer.program, args, {
    encoding: "utf8",
    timeout: TIMEOUT_MS,
  });
  if (status !== 0) {
    const why =
      stderr
        .trim()
        .split("\n")
        .find((line) => /error|:/i.test(line)) ?? "";
    return { skipped: `${workload} ended with ${signal ?? status} ${why}` };
  }
  return Answer.parse(JSON.parse(stdout));
}

/** The middle one of sorted numbers, or the mean of the middle two. */
export function median(sorted: readonly number[]): number {
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? 0;
  const high = sorted[Math.floor(middle)] ?? 0;
  return (low + high) / 2;
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, key: Math.random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
