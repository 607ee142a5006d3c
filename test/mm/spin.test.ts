// Goal: a thread that may not sleep (a browser's main thread) waits as long for a lock as others do: its
// holder may not be running just now. Method: a worker keeps a zone's lock while this thread, to whom
// Atomics.wait is forbidden as it is there, asks for pages.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { allocPages } from "../../src/mm/allocate.ts";
import { GFP_KERNEL, NO_PFN, shareMemory } from "../../src/mm/index.ts";
import { lockHolder } from "../../src/mm/lock.ts";
import { machine } from "../support/share-life.ts";

const HOLDER = `
import { workerData } from "node:worker_threads";
const { attachMemory } = await import(workerData.index);
const { lockZone, unlockZone } = await import(workerData.lock);
const m = attachMemory(workerData.shared, 1);
lockZone(m, 1);
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150);
unlockZone(m, 1);
`;

test("a lock that is held for a while", async () => {
  const m = machine("6.1", 2);
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(HOLDER)}`), {
    workerData: {
      shared: shareMemory(m),
      index: new URL("../../src/mm/index.ts", import.meta.url).href,
      lock: new URL("../../src/mm/lock.ts", import.meta.url).href,
    },
  });
  const ended = new Promise((resolve, reject) => {
    worker.on("error", reject);
    worker.on("exit", resolve);
  });
  while (lockHolder(m, 1) < 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const { wait } = Atomics;
  let refused = 0;
  Reflect.set(Atomics, "wait", () => {
    refused++;
    throw new TypeError("Atomics.wait cannot be called in this context");
  });
  try {
    expect.notEqual(allocPages(m, GFP_KERNEL, 9), NO_PFN);
  } finally {
    Reflect.set(Atomics, "wait", wait);
  }
  expect.equal(refused, 1);
  await ended;
});
