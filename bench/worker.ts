/**
 * One workload on one allocator in one process:
 *
 *   node bench/worker.ts PEER WORKLOAD FRAMES SCALE [TOTAL]
 *
 * Prints one line of JSON: the result, or why there is none. Time is the lesser of wall clock and
 * CPU time of the process: the first counts other programs, the second the compiler's threads.
 * TOTAL is how many frames the memory has in all, where an allocator can have more than are used.
 */
import process from "node:process";
import { makeAdapter as nullAdapter } from "./adapters/js-null.ts";
import { type Adapter, type Clock, runWorkload, WORKLOADS } from "./workloads.ts";

const [, , peer = "", workloadName = "", frames = "", scale = "", total = "0"] = process.argv;

async function load(name: string, count: number): Promise<Adapter | string> {
  switch (name) {
    case "js-null":
      return nullAdapter(count);
    case "zonewright":
    case "zonewright-shared": {
      const { makeAdapter } = await import("./adapters/zonewright.ts");
      return makeAdapter(count, Number(total), name !== "zonewright");
    }
    default: {
      const { makeAdapter, PACKAGES } = await import("./adapters/packages.ts");
      const known = PACKAGES.find((known) => known === name);
      return known === undefined ? `no adapter is called ${name}` : makeAdapter(known, count);
    }
  }
}

function cpuClock(): Clock {
  let wall = 0n;
  let cpu = process.cpuUsage();
  return {
    start() {
      cpu = process.cpuUsage();
      wall = process.hrtime.bigint();
    },
    stop() {
      const wallNs = Number(process.hrtime.bigint() - wall);
      const { user, system } = process.cpuUsage(cpu);
      return Math.min(wallNs, (user + system) * 1000);
    },
  };
}

const workload = WORKLOADS.find((name) => name === workloadName);
const adapter = await load(peer, Number(frames));
if (workload === undefined || typeof adapter === "string") {
  const skipped = typeof adapter === "string" ? adapter : `no workload is called ${workloadName}`;
  console.log(JSON.stringify({ skipped }));
} else {
  const result = runWorkload(workload, adapter, Number(frames), Number(scale), cpuClock());
  console.log(JSON.stringify(result));
}
