/**
 * Runs the benchmarks:
 *
 *   node scripts/bench.ts [NAME…] [OPTION…]    all without a NAME: frames, boot, off, balance,
 *                                              shared, replay, explain, dma, swiotlb, iova, mask-pool
 *
 *   --quick            3 rounds, a quarter of the operations: under a minute, and kept nowhere
 *   --rounds N         7 without it
 *   --peers A,B        only these
 *   --workloads W1,W4  only these
 *   --json FILE        everything measured
 *
 * Tables go to standard output, progress to standard error. Exits with 1 when a line of the budget
 * that must hold does not, with 2 for a wrong option. How to read it: docs/bench.md.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { runBalance } from "../bench/balance.ts";
import { runBoot } from "../bench/boot.ts";
import { bundleWorkers } from "../bench/bundle.ts";
import { runDma } from "../bench/dma.ts";
import { runExplain } from "../bench/explain.ts";
import { runIova } from "../bench/iova.ts";
import { runMaskPool } from "../bench/mask-pool.ts";
import { runOff } from "../bench/off.ts";
import { runReplay } from "../bench/replay.ts";
import { FULL_ROUNDS, runFrames } from "../bench/run.ts";
import { runShared } from "../bench/shared.ts";
import { runSwiotlb } from "../bench/swiotlb.ts";
import { WORKLOADS } from "../bench/workloads.ts";

/** What runs, and the workers that it needs bundled. */
const BENCHMARKS = {
  frames: { run: runFrames, workers: ["worker"] },
  boot: { run: runBoot, workers: ["boot-worker", "worker"] },
  off: { run: runOff, workers: ["worker-whole", "worker-bare"] },
  balance: { run: runBalance, workers: [] },
  shared: { run: runShared, workers: ["shared-worker", "worker"] },
  replay: { run: runReplay, workers: ["replay-worker"] },
  explain: { run: runExplain, workers: ["explain-worker"] },
  dma: { run: runDma, workers: ["dma-worker"] },
  swiotlb: { run: runSwiotlb, workers: ["swiotlb-worker"] },
  iova: { run: runIova, workers: ["iova-worker"] },
  "mask-pool": { run: runMaskPool, workers: [] },
} as const;
const QUICK_ROUNDS = 3;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      peers: { type: "string", default: "" },
      workloads: { type: "string", default: "" },
      json: { type: "string" },
    },
  });
  const quick = values.quick;
  const rounds = Number(values.rounds ?? (quick ? QUICK_ROUNDS : FULL_ROUNDS));
  if (!Number.isInteger(rounds) || rounds < 1) return refuse("--rounds takes a number from 1 up");
  const names = listOf(values.workloads);
  const workloads = WORKLOADS.filter((name) => names.includes(name));
  if (workloads.length !== names.length) return refuse(`workloads are ${WORKLOADS.join(" ")}`);
  const wanted = Object.entries(BENCHMARKS).filter(
    ([name]) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
  );
  if (wanted.length === 0) return refuse(`benchmarks are ${Object.keys(BENCHMARKS).join(" ")}`);
  const options = {
    rounds,
    quick,
    peers: listOf(values.peers),
    workloads,
    json: values.json ?? null,
    say: progress,
  };
  await bundleWorkers([...new Set(wanted.flatMap(([, { workers }]) => workers))]);
  const passed = wanted.map(([name, { run }]) => {
    console.log(`# ${name}`);
    return run(options);
  });
  return passed.every(Boolean) ? 0 : 1;
}

function listOf(text: string): string[] {
  return text.split(",").filter((name) => name !== "");
}

/** On a terminal one line that changes; a text that ends its line stays. */
function progress(text: string): void {
  if (text.endsWith("\n") || !text.startsWith("round"))
    process.stderr.write(`\r\x1b[K${text.trimEnd()}\n`);
  else if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

function refuse(text: string): number {
  console.error(text);
  return 2;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof TypeError) || !("code" in error)) throw error;
  process.exitCode = refuse(error.message);
}
