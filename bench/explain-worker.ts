/** `zonewright explain LOG --all --json` in a process of its own; prints its times and peak memory. */
import { readFileSync } from "node:fs";
import process from "node:process";
import { main } from "../src/cli/program.ts";

const [log = ""] = process.argv.slice(2);
const from = performance.now();
const cpuFrom = process.cpuUsage();
let out = "";
await main(
  ["explain", log, "--all", "--json"],
  {
    out: (text) => {
      out += text;
    },
    err: () => undefined,
    columns: null,
    env: {},
    async *stdin() {},
  },
  "bench",
);
const ms = performance.now() - from;
const { user, system } = process.cpuUsage(cpuFrom);
const cpuMs = (user + system) / 1000;
const { findings } = JSON.parse(out);
const peakBytes = peakKib() * 1024;
console.log(JSON.stringify({ ms, cpuMs, peakBytes, findings: findings.length }));

/**
 * The most that was resident since this program began. A process's maxRSS counts what its parent had
 * when it was forked, too: here the benchmark with its made-up logs.
 */
function peakKib(): number {
  const { maxRSS } = process.resourceUsage();
  if (process.platform !== "linux") return maxRSS;
  const told = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
  return told === null ? maxRSS : Number(told[1]);
}
