/**
 * How fast a large log is searched for failure reports, beside `grep` for the same words. The log is
 * a booted machine's dmesg again and again, with an OOM report of the lab in every 16 MiB. A second
 * one is nothing but reports, each with other numbers: how fast those are read and judged.
 *
 * Beside the time on the clock stands the processors' time, which other work on the machine changes
 * less.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import { corpusFiles } from "../test/support/corpus.ts";
import { workerPath } from "./bundle.ts";
import { median } from "./measure.ts";
import type { RunOptions } from "./run.ts";
import { digits, renderTable } from "./table.ts";

const MB = 1e6;
const LOG_BYTES = 1000 * MB;
const BETWEEN_REPORTS = 16 * 2 ** 20;
const ORDINARY = "x86_64-6.1-4G-smp2";
const REPORTS = new URL("../test/explain/fixtures/i-oom-256M.dmesg.gz", import.meta.url);
const WORDS = "page allocation failure|invoked oom-killer|swiotlb|cma_alloc";

const Answer = z.object({
  ms: z.number().positive(),
  cpuMs: z.number().positive(),
  peakBytes: z.number().positive(),
  findings: z.number().positive(),
});

/** Prints each promise with what was measured; false when one is broken. */
export function runExplain({ rounds, quick, say }: RunOptions): boolean {
  const folder = mkdtempSync(join(tmpdir(), "zonewright-bench-"));
  try {
    const log = join(folder, "kern.log");
    const bytes = writeLog(log, quick ? LOG_BYTES / 8 : LOG_BYTES);
    const reportsLog = join(folder, "reports.log");
    const reportsBytes = writeReports(reportsLog, quick ? LOG_BYTES / 64 : LOG_BYTES / 16);
    const rates: number[] = [];
    const cpuRates: number[] = [];
    const reportRates: number[] = [];
    const reportCpuRates: number[] = [];
    const peaks: number[] = [];
    const greps: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      say(`round ${round}/${rounds}: explain`);
      const { ms, cpuMs, peakBytes } = explainOnce(log);
      rates.push(bytes / MB / (ms / 1000));
      cpuRates.push(bytes / MB / (cpuMs / 1000));
      const reports = explainOnce(reportsLog);
      reportRates.push(reportsBytes / MB / (reports.ms / 1000));
      reportCpuRates.push(reportsBytes / MB / (reports.cpuMs / 1000));
      peaks.push(reports.peakBytes / MB);
      peaks.push(peakBytes / MB);
      greps.push(bytes / MB / (grepOnce(log) / 1000));
    }
    const rate = middle(rates);
    const peak = Math.max(...peaks);
    const grep = middle(greps);
    const fast = rate >= 100;
    const small = peak < 200;
    const times = Number.isNaN(grep) ? "no grep here" : digits(grep / rate);
    console.log(
      renderTable("explain", [
        ["", "median", "promise", ""],
        ["MB/s of a log", digits(rate), "at least 100", fast ? "ok" : "NO"],
        ["MB a second of processor", digits(middle(cpuRates)), "", ""],
        ["MB/s of reports only", digits(middle(reportRates)), "", ""],
        ["MB a second of processor", digits(middle(reportCpuRates)), "", ""],
        ["peak MB, the most", digits(peak), "under 200", small ? "ok" : "NO"],
        ["grep -cE, times as fast", times, "", ""],
      ]),
    );
    return fast && small;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function middle(values: readonly number[]): number {
  return median([...values].sort((a, b) => a - b));
}

function writeLog(path: string, wanted: number): number {
  const ordinary = Buffer.from(corpusFiles(ORDINARY).get("dmesg") ?? "");
  const report = gunzipSync(readFileSync(REPORTS));
  const file = openSync(path, "w");
  let bytes = 0;
  let due = 0;
  while (bytes < wanted) {
    if (bytes >= due) {
      bytes += writeSync(file, report);
      due += BETWEEN_REPORTS;
    }
    bytes += writeSync(file, ordinary);
  }
  closeSync(file);
  return bytes;
}

/** Different states of one machine, so that no two neighbours are the same report. */
const STATES = 97;

function writeReports(path: string, wanted: number): number {
  const report = gunzipSync(readFileSync(REPORTS)).toString();
  const states = Array.from({ length: STATES }, (_, state) =>
    Buffer.from(
      report.replace(/\bfree:(\d+)kB/g, (_all, kib: string) => `free:${Number(kib) + state * 4}kB`),
    ),
  );
  const file = openSync(path, "w");
  let bytes = 0;
  for (let i = 0; bytes < wanted; i++)
    bytes += writeSync(file, states[i % STATES] ?? Buffer.from(report));
  closeSync(file);
  return bytes;
}

function explainOnce(log: string): z.infer<typeof Answer> {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [workerPath("explain-worker"), log],
    {
      encoding: "utf8",
    },
  );
  if (status !== 0) throw new Error(`explain ended with ${status}: ${stderr.trim()}`);
  return Answer.parse(JSON.parse(stdout));
}

/** Milliseconds; NaN where there is no grep. */
function grepOnce(log: string): number {
  const from = performance.now();
  const { status } = spawnSync("grep", ["-cE", WORDS, log]);
  return status === null || status > 1 ? Number.NaN : performance.now() - from;
}
