/**
 * One boot in one process:
 *
 *   node bench/boot-worker.ts FRAMES TOUCHED
 *
 * Boots a memory of FRAMES frames, takes a snapshot of it untouched, allocates one frame, then
 * TOUCHED of them one by one. Prints one line of JSON: wall times in ms, growth of resident memory
 * in bytes.
 */
import process from "node:process";
import { allocPages, GFP_KERNEL, snapshot } from "zonewright/mm";
import { bootFor } from "./adapters/zonewright.ts";

const [, , frames = "0", touched = "0"] = process.argv;

function main(): object {
  const residentBefore = process.memoryUsage.rss();
  const booted = timed(() => bootFor(Number(touched), Number(frames)));
  const residentBooted = process.memoryUsage.rss();
  const memory = booted.value;
  const shot = timed(() => snapshot(memory.image));
  const first = timed(() => allocPages(memory, GFP_KERNEL, 0));

  const residentUntouched = process.memoryUsage.rss();
  let refused = first.value < 0 ? 1 : 0;
  const more = Number(touched);
  for (let i = 0; i < more; i++) if (allocPages(memory, GFP_KERNEL, 0) < 0) refused++;
  return {
    bootMs: booted.ms,
    bootBytes: residentBooted - residentBefore,
    firstMs: first.ms,
    snapshotMs: shot.ms,
    touchedBytes: process.memoryUsage.rss() - residentUntouched,
    refused,
  };
}

function timed<T>(work: () => T): { value: T; ms: number } {
  const start = performance.now();
  const value = work();
  return { value, ms: performance.now() - start };
}

console.log(JSON.stringify(main()));
