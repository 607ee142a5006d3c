/** `zonewright explain LOG --all --json` in a process of its own; prints its times and peak memory. */
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
const peakBytes = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ ms, cpuMs, peakBytes, findings: findings.length }));
