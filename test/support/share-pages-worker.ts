// A worker under pressure: it makes, writes, reads, pins, passes on and drops pages that others use as
// well, takes memory for itself, owns pages that it is asked for, compacts, runs the daemons, claims a CMA
// area. Every page that it reads must say what its entry says.
import { strict as expect } from "node:assert";
import { parentPort, workerData } from "node:worker_threads";
import {
  addOwner,
  allocPages,
  attachPages,
  bytesOf,
  cmaAlloc,
  cmaNamed,
  cmaRelease,
  compactZone,
  detach,
  disownPages,
  dropPage,
  freePages,
  lockFrame,
  lockPage,
  NO_HANDLE,
  NO_PFN,
  newPage,
  ownPages,
  passHandle,
  pinPage,
  runKcompactd,
  runKswapd,
  unlockFrame,
  unlockPage,
  unpinPage,
  usePages,
  usePressure,
} from "../../src/mm/index.ts";
import { Dice } from "./dice.ts";
import { fillWith, read, saidBy, write } from "./share-pages-life.ts";
import {
  E_CHANGING,
  E_HANDLE,
  E_LOCK,
  E_VALUE,
  ENTRY_WORDS,
  meet,
  type Plan,
} from "./share-pages-table.ts";

const MOST_BLOCKS = 20;
const MOST_PINNED = 6;

const plan = workerData as Plan;
const { cpu, cpus, entries } = plan;
const pages = attachPages(plan.ticket, cpu);
usePressure(pages);
const { m } = pages;
const words = new Int32Array(plan.table);
const dice = new Dice(plan.seed);
const kernel: { pfn: number; order: number }[] = [];
const owned: { pfn: number; order: number; value: number }[] = [];
/** Entries that it keeps, with their pages pinned. */
const pinned: { at: number; pfn: number }[] = [];
const ranges: { pfn: number; count: number }[] = [];
const seen = plan.common.map(() => 0);
const area = cmaNamed(pages, "test");
let next = cpu << 20;

const owner = addOwner(pages, {
  name: `worker ${cpu}`,
  moved(from, to) {
    const own = owned.find(({ pfn }) => pfn === from);
    expect.ok(own, "a block that it does not have was moved");
    own.pfn = to;
    return true;
  },
  mayFree(pfn) {
    const at = owned.findIndex((own) => own.pfn === pfn);
    expect.ok(at >= 0, "a block that it does not have was asked for");
    owned.splice(at, 1);
    return true;
  },
});

/** First word of an entry that nobody is at, which is its now; -1 for none. */
function tryEntry(): number {
  const at = dice.roll(entries) * ENTRY_WORDS;
  return Atomics.compareExchange(words, at + E_LOCK, 0, cpu + 1) === 0 ? at : -1;
}

function leave(at: number): void {
  Atomics.store(words, at + E_LOCK, 0);
}

function useEntry(): void {
  const at = tryEntry();
  if (at < 0) return;
  const handle = words[at + E_HANDLE] ?? 0;
  if (handle === 0) make(at);
  else if (use(at, handle)) return;
  leave(at);
}

function make(at: number): void {
  const handle = newPage(pages, pages.gfp, dice.roll(3) === 0 ? "file" : "anon");
  if (handle === NO_HANDLE) return;
  words[at + E_CHANGING] = 1;
  words[at + E_HANDLE] = handle;
  words[at + E_VALUE] = 0;
  const value = next++;
  if (write(pages, handle, value) >= 0) words[at + E_VALUE] = value;
  words[at + E_CHANGING] = 0;
}

/** Whether it keeps the entry. */
function use(at: number, handle: number): boolean {
  switch (dice.roll(12)) {
    case 0:
      return drop(at, handle);
    case 1:
    case 2:
      return change(at, handle);
    case 3:
      return pin(at, handle);
    case 4:
      passHandle(pages, handle, 1 + dice.roll(cpus - 1));
      return false;
    case 5:
      if (lockPage(pages, handle) >= 0) unlockPage(pages, handle);
      return false;
    default:
      check(at, handle);
      return false;
  }
}

function check(at: number, handle: number): void {
  const value = read(pages, handle);
  if (value === NO_PFN) return;
  expect.equal(value, words[at + E_VALUE], `handle ${handle}`);
}

function change(at: number, handle: number): boolean {
  const value = next++;
  words[at + E_CHANGING] = 1;
  if (write(pages, handle, value) >= 0) words[at + E_VALUE] = value;
  words[at + E_CHANGING] = 0;
  return false;
}

function drop(at: number, handle: number): boolean {
  words[at + E_HANDLE] = 0;
  dropPage(pages, handle);
  return false;
}

function pin(at: number, handle: number): boolean {
  if (pinned.length >= MOST_PINNED) return false;
  const pfn = pinPage(pages, handle, false);
  if (pfn < 0) return false;
  pinned.push({ at, pfn });
  return true;
}

/** A pinned page is where it was, and says what it did. */
function unpin(): void {
  const own = pinned.splice(dice.roll(Math.max(pinned.length, 1)), 1)[0];
  if (own === undefined) return;
  const handle = words[own.at + E_HANDLE] ?? 0;
  expect.equal(saidBy(bytesOf(m, own.pfn, 0), own.pfn), words[own.at + E_VALUE]);
  unpinPage(pages, handle);
  leave(own.at);
}

/** All workers at once: what a page says only grows. */
function useCommon(): void {
  const i = dice.roll(plan.common.length);
  const handle = plan.common[i] ?? 0;
  const pfn = pinPage(pages, handle, plan.writesCommon);
  if (pfn < 0) return;
  expect.ok(lockFrame(m, pfn, 20_000), "a frame's lock is not given back");
  const bytes = bytesOf(m, pfn, 0);
  const value = saidBy(bytes, pfn);
  expect.ok(value >= (seen[i] ?? 0), `common page ${i} says ${value}, it said ${seen[i]}`);
  if (plan.writesCommon) fillWith(bytes, value + 1);
  seen[i] = plan.writesCommon ? value + 1 : value;
  unlockFrame(m, pfn);
  unpinPage(pages, handle);
}

function takeKernel(): void {
  const order = dice.roll(3) === 0 ? dice.roll(5) : 0;
  if (kernel.length >= MOST_BLOCKS) {
    const own = kernel.splice(dice.roll(kernel.length), 1)[0];
    if (own !== undefined) freePages(m, own.pfn, own.order);
    return;
  }
  const pfn = allocPages(m, pages.gfp & ~(m.gfp.era.bits.get("__GFP_MOVABLE") ?? 0), order);
  if (pfn !== NO_PFN) kernel.push({ pfn, order });
}

function useOwned(): void {
  const at = dice.roll(MOST_BLOCKS);
  const own = owned[at];
  if (own === undefined) {
    const order = dice.roll(3);
    const pfn = allocPages(m, pages.gfp, order);
    if (pfn === NO_PFN) return;
    const value = next++;
    fillWith(bytesOf(m, pfn, order), value);
    ownPages(pages, pfn, owner);
    owned.push({ pfn, order, value });
    return;
  }
  expect.equal(saidBy(bytesOf(m, own.pfn, own.order), own.pfn), own.value);
  if (dice.roll(3) > 0) usePages(pages, own.pfn);
  else giveOwned(own);
}

function giveOwned(own: { pfn: number; order: number }): void {
  disownPages(pages, own.pfn);
  freePages(m, own.pfn, own.order);
  owned.splice(
    owned.findIndex(({ pfn }) => pfn === own.pfn),
    1,
  );
}

function useArea(): void {
  if (area === undefined) return;
  const own = ranges.pop();
  if (own === undefined) {
    const count = 1 + dice.roll(area.count / 2);
    const { pfn } = cmaAlloc(area, count, dice.roll(4));
    if (pfn < 0) return;
    for (let i = 0; i < count; i++) fillWith(bytesOf(m, pfn + i, 0), cpu);
    ranges.push({ pfn, count });
    return;
  }
  for (let i = 0; i < own.count; i++) {
    expect.equal(saidBy(bytesOf(m, own.pfn + i, 0), own.pfn + i), cpu);
  }
  cmaRelease(area, own.pfn, own.count);
}

function step(): void {
  const choice = dice.roll(100);
  if (choice < 60) useEntry();
  else if (choice < 66) unpin();
  else if (choice < 74) useCommon();
  else if (choice < 84) takeKernel();
  else if (choice < 92) useOwned();
  else if (choice < 94) runKswapd(pages);
  else if (choice < 95) runKcompactd(pages);
  else if (choice < 96) compactZone(pages, dice.roll(m.zoneCount), dice.roll(7) - 1);
  else if (choice < 97) useArea();
}

meet(plan.table, cpus - 1);
for (let i = 0; i < plan.steps; i++) step();
while (pinned.length > 0) unpin();
for (const { pfn, order } of kernel) freePages(m, pfn, order);
for (const own of [...owned]) giveOwned(own);
while (ranges.length > 0) useArea();
detach(m);
parentPort?.postMessage(pages.counts);
