// Goal: pages with owners in a memory of several workers: anybody may use, move and reclaim what has a
// handle, an owner that is asked is asked in its worker only, and a worker that dies at any write takes
// what was its and nothing else. Method: several CPUs in one thread for what must be so; a CPU that dies
// before each single write of random programs, with what the survivors' pages say beside it.
import { strict as expect } from "node:assert";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { allocPages, freePages } from "../../../src/mm/allocate.ts";
import {
  addOwner,
  attachMemory,
  attachPages,
  cmaAlloc,
  cmaNamed,
  cmaRelease,
  compactZone,
  detach,
  disownPages,
  dropPage,
  ELSEWHERE,
  GFP_KERNEL,
  LOST,
  lockFrame,
  lockPage,
  MemoryStore,
  NO_HANDLE,
  NO_PFN,
  newPage,
  offlinePages,
  onlinePages,
  ownPages,
  type Pages,
  passHandle,
  pinPage,
  recover,
  recoverPages,
  runKswapd,
  shareMemory,
  sharePages,
  totalCounts,
  touchPage,
  unlockFrame,
  unlockPage,
  unpinPage,
  usePressure,
} from "../../../src/mm/index.ts";
import { rowOf } from "../../../src/mm/memory.ts";
import { tryToFreePages } from "../../../src/mm/pressure/direct.ts";
import { isolatePage, migratePage, putBack } from "../../../src/mm/pressure/migrate.ts";
import { N_KSWAPD_LOCK, N_KSWAPD_WOKEN } from "../../../src/mm/pressure/pages.ts";
import { countAtomics, mortal, until } from "../../support/crashing.ts";
import {
  BLOCK,
  expectNothingLeft,
  expectWhole,
  type Life,
  machine,
  read,
  type StoreKind,
  write,
} from "../../support/share-pages-life.ts";

const ERAS = ["2.6", "5.10", "6.1", "6.12"];

function attach(life: Life, cpu: number): Pages {
  const pages = attachPages(sharePages(life.pages), cpu);
  usePressure(pages);
  return pages;
}

function make(pages: Pages, value: number, kind: "anon" | "file" = "anon"): number {
  const handle = newPage(pages, pages.gfp, kind);
  expect.notEqual(handle, NO_HANDLE);
  write(pages, handle, value);
  return handle;
}

/** What a request for a page would reclaim. */
function reclaim(pages: Pages): number {
  return tryToFreePages(pages, pages.gfp, 0, 15, (pages.m.requests[1] ?? 0) >> 8);
}

function moveTo(pages: Pages, from: number, to: number): boolean {
  if (!isolatePage(pages, from)) return false;
  if (migratePage(pages, from, to)) return true;
  putBack(pages, from);
  return false;
}

/** Moves a handle's page elsewhere. Returns whether it did. */
function move(pages: Pages, handle: number): boolean {
  const { m } = pages;
  const to = allocPages(m, pages.gfp, 0);
  if (to === NO_PFN) return false;
  const from = pages.place[handle] ?? 0;
  if (from !== 0 && moveTo(pages, from, rowOf(m, to))) return true;
  freePages(m, to, 0);
  return false;
}

for (const era of ERAS) {
  test(`${era}: what one worker makes another reads, writes, moves, and drops`, () => {
    const life = machine(era, 3, "shared");
    const [a, b] = [attach(life, 1), attach(life, 2)];
    const handle = make(a, 7);
    const before = touchPage(a, handle, false);
    expect.equal(move(b, handle), true);
    expect.notEqual(touchPage(a, handle, false), before);
    expect.equal(read(a, handle), 7);
    write(b, handle, 8);
    expect.equal(read(a, handle), 8);
    expectWhole(life);
    const other = make(b, 9, "file");
    expect.notEqual(other, handle);
    dropPage(a, other);
    expect.throws(() => touchPage(b, other, false), /no page has this handle/);
    expect.deepEqual([totalCounts(a).pgmigrateSuccess, a.counts.pgmigrateSuccess], [1, 0]);
    for (const pages of [a, b]) detach(pages.m);
    expectNothingLeft(life, [handle]);
  });
}

test("a pinned page stays, whoever pinned it, and is let go by whom it was pinned by", () => {
  const life = machine("6.1", 3, "shared");
  const [a, b] = [attach(life, 1), attach(life, 2)];
  const handle = make(a, 1);
  const pfn = pinPage(b, handle, false);
  expect.equal(move(a, handle), false);
  expect.throws(() => unpinPage(a, handle), /not pinned/);
  expect.throws(() => dropPage(a, handle), /dropped while it is pinned/);
  expectWhole(life);
  expect.equal(pinPage(a, handle), pfn);
  unpinPage(b, handle);
  expect.equal(move(b, handle), false);
  unpinPage(a, handle);
  expect.equal(move(b, handle), true);
  for (const pages of [a, b]) detach(pages.m);
  expectNothingLeft(life, [handle]);
});

test("a page that is locked as a frame neither moves nor goes; a locked-in page moves", () => {
  const life = machine("6.1", 3, "shared");
  const [a, b] = [attach(life, 1), attach(life, 2)];
  const handle = make(a, 5);
  const pfn = pinPage(a, handle);
  expect.equal(lockFrame(a.m, pfn), true);
  unpinPage(a, handle);
  expect.equal(move(b, handle), false);
  for (let i = 0; i < 6; i++) reclaim(b);
  expect.equal(touchPage(a, handle, false), pfn);
  unlockFrame(a.m, pfn);
  lockPage(a, handle);
  expect.equal(move(b, handle), true);
  unlockPage(b, handle);
  for (const pages of [a, b]) detach(pages.m);
  expectNothingLeft(life, [handle]);
});

test("another worker puts pages away and brings them back, where the store is everybody's", () => {
  const life = machine("6.1", 3, "shared");
  const [a, b] = [attach(life, 1), attach(life, 2)];
  const handles = Array.from({ length: 900 }, (_, i) => make(i % 2 === 0 ? a : b, i));
  expect.ok(totalCounts(a).pswpout > 200);
  for (const [i, handle] of handles.entries()) expect.equal(read(i % 2 === 0 ? b : a, handle), i);
  expectWhole(life);
  for (const pages of [a, b]) detach(pages.m);
  expectNothingLeft(life, handles);
});

test("a store that one worker has: others move pages, and say that bytes are elsewhere", () => {
  const life = machine("6.1", 3, "own");
  const other = attach(life, 1);
  expect.equal(other.store, null);
  expect.throws(
    () => attachPages(sharePages(life.pages), 2, new MemoryStore(1, 256)),
    /the pages have a store already/,
  );
  // It has not become that CPU.
  detach(attach(life, 2).m);
  const handles = Array.from({ length: 900 }, (_, i) => make(life.pages, i));
  const out = handles.filter((handle) => life.pages.place[handle] === 0);
  const [first, second] = out;
  expect.ok(first !== undefined && second !== undefined && out.length > 200);
  expect.equal(read(other, first), ELSEWHERE);
  const here = handles.find((handle) => life.pages.place[handle] !== 0) ?? 0;
  expect.equal(read(other, here), handles.indexOf(here));
  expect.equal(move(other, here), true);
  // Its slot waits for the worker with the store.
  dropPage(other, second);
  const free = life.pages.store?.free ?? 0;
  dropPage(life.pages, make(life.pages, 0));
  expect.equal(life.pages.store?.free, free + 1);
  expectWhole(life);
  detach(other.m);
  handles.splice(handles.indexOf(second), 1);
  for (const handle of handles) expect.ok(read(life.pages, handle) >= 0);
  expectNothingLeft(life, handles);
});

test("a store that died with its worker: what was only there is lost, the rest is not", () => {
  const life = machine("6.1", 3, "none");
  const own = new MemoryStore(1000, 256);
  const a = attachPages(sharePages(life.pages), 1, own);
  usePressure(a);
  const b = attach(life, 2);
  const handles = Array.from({ length: 900 }, (_, i) => make(a, i));
  for (const handle of handles) passHandle(a, handle, 2);
  // Some are in memory as well as in the store.
  for (const handle of handles.slice(0, 50)) read(a, handle);
  const lost = new Set(handles.filter((handle) => a.place[handle] === 0));
  expect.ok(lost.size > 100);
  expect.deepEqual(recoverPages(life.pages, [1]).handles, []);
  for (const [i, handle] of handles.entries())
    expect.equal(read(b, handle), lost.has(handle) ? LOST : i);
  // The next one may bring a store of its own.
  const next = attachPages(sharePages(life.pages), 1, new MemoryStore(1000, 256));
  usePressure(next);
  for (let i = 0; i < 8; i++) reclaim(next);
  expect.ok(next.counts.pswpout > 0);
  for (const [i, handle] of handles.entries())
    expect.equal(read(next, handle), lost.has(handle) ? LOST : i);
  expectWhole(life);
});

test("an owner is asked in its worker; elsewhere its pages are locked, and age in nobody's hands", () => {
  const life = machine("6.1", 3, "none");
  const [a, b] = [attach(life, 1), attach(life, 2)];
  const moved: number[] = [];
  let given = 0;
  const owner = addOwner(a, {
    name: "mine",
    moved: (_, to) => moved.push(to) > 0,
    mayFree: () => {
      given++;
      return true;
    },
  });
  // Numbers of owners are a worker's own.
  addOwner(b, { name: "theirs", moved: () => expect.fail("it has no such page") });
  const pfn = allocPages(a.m, a.gfp, 1);
  expect.throws(() => ownPages(b, pfn, 1), /belongs to another CPU/);
  ownPages(a, pfn, owner);
  expect.throws(() => disownPages(b, pfn), /its owner is in another worker/);
  const place = allocPages(b.m, b.gfp, 1);
  expect.equal(moveTo(b, rowOf(b.m, pfn), rowOf(b.m, place)), false);
  for (let i = 0; i < 20; i++) reclaim(b);
  expect.deepEqual([moved, given], [[], 0]);
  expectWhole(life);
  const own = allocPages(a.m, a.gfp, 1);
  expect.equal(moveTo(a, rowOf(a.m, pfn), rowOf(a.m, own)), true);
  expect.deepEqual(moved, [own]);
  for (let i = 0; i < 20 && given === 0; i++) reclaim(a);
  expect.equal(given, 1);
  freePages(b.m, place, 1);
  for (const pages of [a, b]) detach(pages.m);
  expectNothingLeft(life, []);
});

test("who is asked does not use handles of a shared memory", () => {
  const life = machine("6.1", 2, "none");
  const a = attach(life, 1);
  const handle = make(a, 3);
  let refused = "";
  const owner = addOwner(a, {
    name: "curious",
    moved: () => {
      try {
        touchPage(a, handle, false);
      } catch (error) {
        refused = String(error);
      }
      return true;
    },
  });
  const pfn = allocPages(a.m, a.gfp, 0);
  ownPages(a, pfn, owner);
  const to = allocPages(a.m, a.gfp, 0);
  moveTo(a, rowOf(a.m, pfn), rowOf(a.m, to));
  expect.match(refused, /does not use handles/);
});

test("CMA: a worker claims what another's pages have borrowed; of one that died it is lent again", () => {
  const life = machine("6.1", 3, "shared");
  const [a, b] = [attach(life, 1), attach(life, 2)];
  const handles = Array.from({ length: 560 }, (_, i) => make(a, i));
  const area = cmaNamed(b, "test");
  expect.ok(area);
  const { pfn } = cmaAlloc(area, 2 * BLOCK, 0);
  expect.equal(pfn, area.basePfn);
  expect.ok(b.counts.pgmigrateSuccess > 0);
  expect.equal(cmaAlloc(life.area, 1, 0).pfn, -1);
  for (const [i, handle] of handles.entries()) expect.equal(read(a, handle), i);
  expectWhole(life);
  const found = recoverPages(life.pages, [2]);
  expect.equal(found.held.length, 2 * BLOCK);
  const again = cmaAlloc(life.area, 5, 0);
  expect.equal(again.pfn, area.basePfn);
  cmaRelease(life.area, again.pfn, 5);
  detach(a.m);
  expectNothingLeft(life, handles);
});

test("kswapd of a node runs in one worker at a time, and again after one that died at it", () => {
  const life = machine("6.1", 3, "shared");
  const [a, b] = [attach(life, 1), attach(life, 2)];
  const handles = Array.from({ length: 700 }, (_, i) => make(a, i));
  a.node[N_KSWAPD_WOKEN] = 1;
  a.node[N_KSWAPD_LOCK] = a.m.cpu + 1;
  expect.deepEqual(runKswapd(b), []);
  recoverPages(life.pages, [1]);
  expect.equal(runKswapd(b).length, 1);
  expect.equal(handles.length, 700);
  detach(b.m);
  expectNothingLeft(life, []);
});

test("a dead worker's handles go, but those it passed on and those that are pinned", () => {
  const life = machine("6.1", 3, "shared");
  const [a, b] = [attach(life, 1), attach(life, 2)];
  const [own, passed, pinned] = [make(a, 1), make(a, 2), make(a, 3)];
  const theirs = make(b, 4);
  pinPage(a, theirs);
  passHandle(a, passed, 2);
  pinPage(b, pinned);
  expect.throws(() => recover(life.m, [1]), /recoverPages/);
  const found = recoverPages(life.pages, [1]);
  expect.deepEqual(found.handles, [own]);
  expect.equal(found.held.length, 1);
  expectWhole(life);
  expect.equal(move(b, theirs), true);
  unpinPage(b, pinned);
  expect.deepEqual(
    recoverPages(life.pages, [2]).handles,
    [passed, pinned, theirs].sort((x, y) => x - y),
  );
  expectNothingLeft(life, []);
});

test("a memory is shared whole: its maker manages it, and pages come with the ticket", () => {
  const life = machine("6.1", 3, "none");
  const m = attachMemory(shareMemory(life.m), 1);
  expect.throws(() => attachPages(sharePages(life.pages), 1), /another worker/);
  detach(m);
  attach(life, 1);
});

describe("a CPU that dies before a write", () => {
  let undo: () => void;
  before(() => {
    undo = countAtomics();
  });
  after(() => undo());

  const nat = fc.nat();
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ make: nat, file: fc.boolean() }) },
    { weight: 4, arbitrary: fc.record({ write: nat }) },
    { weight: 4, arbitrary: fc.record({ read: nat }) },
    { weight: 4, arbitrary: fc.record({ move: nat }) },
    { weight: 2, arbitrary: fc.record({ drop: nat }) },
    { weight: 2, arbitrary: fc.record({ pin: nat }) },
    { weight: 2, arbitrary: fc.record({ mlock: nat }) },
    { weight: 1, arbitrary: fc.record({ pass: nat }) },
    { weight: 2, arbitrary: fc.record({ own: fc.integer({ min: 0, max: 2 }) }) },
    { weight: 2, arbitrary: fc.record({ cma: fc.integer({ min: 1, max: 40 }) }) },
    { weight: 2, arbitrary: fc.record({ block: fc.nat({ max: 8 }) }) },
    { weight: 2, arbitrary: fc.record({ take: fc.integer({ min: 0, max: 4 }) }) },
    { weight: 4, arbitrary: fc.constantFrom("reclaim", "kswapd", "compact", "release") },
  );

  for (const era of ERAS) {
    for (const slots of ["shared", "own"] as const) {
      test(`${era}, store: ${slots}: the others' pages are whole, and what was its is free`, () => {
        fc.assert(
          fc.property(
            fc.array(step, { minLength: 1, maxLength: 40 }),
            fc.nat({ max: 9999 }),
            (steps, at) => {
              const writes = crashAt(era, slots, steps, Number.MAX_SAFE_INTEGER);
              crashAt(era, slots, steps, Math.floor((writes * at) / 10_000));
            },
          ),
          { numRuns: 60 },
        );
      });
    }
  }

  // One after the other, so that no point is left to chance; of long work every so many.
  type Work = (pages: Pages, handle: number, out: number) => unknown;
  const works: readonly (readonly [string, number, Work])[] = [
    ["makes a page", 1, (pages) => newPage(pages, pages.gfp, "anon")],
    ["drops another's page", 1, (pages, handle) => dropPage(pages, handle)],
    ["drops one that is out", 1, (pages, _, out) => dropPage(pages, out)],
    ["brings one back", 1, (pages, _, out) => touchPage(pages, out, false)],
    ["brings one back to write", 1, (pages, _, out) => touchPage(pages, out, true)],
    ["moves one", 1, (pages, handle) => move(pages, handle)],
    ["pins one, and lets it go", 1, pinOnce],
    ["locks one in", 1, lockOnce],
    ["reclaims", 23, (pages) => reclaim(pages)],
    ["claims and releases a range", 7, (pages) => claimOnce(pages)],
    ["takes a pageblock out, and back", 11, (pages) => plugOnce(pages)],
  ];
  for (const [what, step, act] of works) {
    test(`at each write while it ${what}`, () => {
      for (let writes = 0, done = false; !done; writes += step) done = crashIn(act, writes);
    });
  }
});

function pinOnce(pages: Pages, handle: number): void {
  pinPage(pages, handle);
  unpinPage(pages, handle);
}

function lockOnce(pages: Pages, handle: number): void {
  lockPage(pages, handle);
  unlockPage(pages, handle);
}

function claimOnce(pages: Pages): void {
  const area = cmaNamed(pages, "test");
  if (area === undefined) return;
  const { pfn } = cmaAlloc(area, 3, 0);
  if (pfn >= 0) cmaRelease(area, pfn, 3);
}

function plugOnce(pages: Pages): void {
  if (offlinePages(pages, 128, BLOCK).done) onlinePages(pages, 128, BLOCK);
}

/** Whether a CPU came to the end of one piece of work; it died before its write number `writes` otherwise. */
function crashIn(
  act: (pages: Pages, handle: number, out: number) => unknown,
  writes: number,
): boolean {
  const life = machine("6.1", 3, "shared");
  const handles = Array.from({ length: 560 }, (_, i) => make(life.pages, i));
  for (let i = 0; i < 3; i++) reclaim(life.pages);
  const out = handles.find((handle) => life.pages.place[handle] === 0) ?? 0;
  const here = handles.find((handle) => life.pages.place[handle] !== 0) ?? 0;
  // In memory as well as in the store.
  const both = handles.findLast((handle) => life.pages.place[handle] === 0) ?? 0;
  read(life.pages, both);
  const dying = mortal(() => attach(life, 1));
  const { isDone } = until(writes, () => {
    touchPage(dying, both, true);
    act(dying, here, out);
  });
  recoverPages(life.pages, [1]);
  expectWhole(life);
  const left = handles.filter((handle) => life.pages.kind[handle] !== 0);
  expect.ok(left.length >= handles.length - 1);
  for (const handle of left) expect.equal(read(life.pages, handle), handles.indexOf(handle));
  expectNothingLeft(life, left);
  return isDone;
}

type Step = Record<string, unknown> | string;

/** A program of a CPU that dies after so many writes, or at its end. Returns how many it came to. */
function crashAt(era: string, slots: StoreKind, steps: readonly Step[], writes: number): number {
  const life = machine(era, 3, slots);
  const other = attach(life, 2);
  const said = new Map<number, Set<number>>();
  for (let i = 0; i < 420; i++) said.set(make(i % 3 === 0 ? other : life.pages, i), new Set([i]));
  const dying = mortal(() => attach(life, 1));
  const program = new Program(dying, said);
  const { used } = until(writes, () => {
    for (const own of steps) program.run(own);
  });
  recoverPages(life.pages, [1]);
  expectWhole(life);
  for (const [handle, values] of said) {
    if (values.size === 0) continue;
    const now = read(life.pages, handle);
    expect.ok(values.has(now), `handle ${handle} says ${now}, not ${[...values].join()}`);
  }
  detach(other.m);
  const left = [...said.keys()].filter((handle) => life.pages.kind[handle] !== 0);
  expectNothingLeft(life, left);
  return used;
}

/** What the mortal one does to everybody's pages. A page that it was dropping or passing may be anything. */
class Program {
  readonly #pages: Pages;
  readonly #said: Map<number, Set<number>>;
  readonly #own: number[] = [];
  readonly #blocks: { pfn: number; order: number }[] = [];
  readonly #offline: number[] = [];
  readonly #owner: number;
  #range: number | null = null;
  #next = 1000;

  constructor(pages: Pages, said: Map<number, Set<number>>) {
    this.#pages = pages;
    this.#said = said;
    this.#owner = addOwner(pages, {
      name: "mortal",
      moved: (from, to) => {
        const block = this.#blocks.find((own) => own.pfn === from);
        if (block !== undefined) block.pfn = to;
        return block !== undefined;
      },
      mayFree: (pfn) => {
        const at = this.#blocks.findIndex((own) => own.pfn === pfn);
        if (at >= 0) this.#blocks.splice(at, 1);
        return at >= 0;
      },
    });
  }

  run(own: Step): void {
    const pages = this.#pages;
    if (typeof own === "string") this.#work(own);
    else if ("make" in own) {
      const handle = newPage(pages, pages.gfp, own["file"] === true ? "file" : "anon");
      if (handle !== NO_HANDLE) this.#own.push(handle);
    } else if ("write" in own) {
      const handle = this.#pick(own["write"]);
      const value = this.#next++;
      this.#said.get(handle)?.add(value);
      const at = pinPage(pages, handle);
      if (at < 0) this.#said.get(handle)?.delete(value);
      else {
        unpinPage(pages, handle);
        if (write(pages, handle, value) >= 0 && this.#said.has(handle))
          this.#said.set(handle, new Set([value]));
      }
    } else if ("read" in own) touchPage(pages, this.#pick(own["read"]), false);
    else if ("move" in own) move(pages, this.#pick(own["move"]));
    else if ("drop" in own) this.#drop(this.#pick(own["drop"]));
    else if ("pin" in own) {
      const handle = this.#pick(own["pin"]);
      if (pinPage(pages, handle, false) >= 0 && handle % 2 === 0) unpinPage(pages, handle);
    } else if ("mlock" in own) {
      const handle = this.#pick(own["mlock"]);
      if (lockPage(pages, handle) >= 0) unlockPage(pages, handle);
    } else if ("pass" in own) {
      const handle = this.#own.shift();
      if (handle === undefined) return;
      this.#said.set(handle, new Set());
      passHandle(pages, handle, 2);
    } else if ("own" in own) this.#take(Number(own["own"]));
    else if ("cma" in own) this.#claim(Number(own["cma"]));
    else if ("block" in own) this.#plug(Number(own["block"]));
    else allocPages(pages.m, GFP_KERNEL, Number(own["take"]));
  }

  #work(name: string): void {
    const pages = this.#pages;
    if (name === "reclaim") reclaim(pages);
    else if (name === "compact") compactZone(pages, 1, -1);
    else if (name === "release") {
      if (this.#range !== null) this.#release();
    } else {
      pages.node[N_KSWAPD_WOKEN] = 1;
      runKswapd(pages);
    }
  }

  #pick(at: unknown): number {
    const all = [...this.#said].flatMap(([handle, values]) => (values.size > 0 ? [handle] : []));
    all.push(...this.#own);
    return all[Number(at) % all.length] ?? 0;
  }

  #drop(handle: number): void {
    // Its own pins keep it.
    const { shared } = this.#pages;
    if ((shared?.held[this.#pages.m.cpu * shared.lock.length + handle] ?? 0) > 0) return;
    this.#said.set(handle, new Set());
    const at = this.#own.indexOf(handle);
    if (at >= 0) this.#own.splice(at, 1);
    dropPage(this.#pages, handle);
    this.#said.delete(handle);
  }

  #take(order: number): void {
    const { m } = this.#pages;
    const pfn = allocPages(m, this.#pages.gfp, order);
    if (pfn === NO_PFN) return;
    this.#blocks.push({ pfn, order });
    ownPages(this.#pages, pfn, this.#owner);
  }

  #claim(count: number): void {
    const area = cmaNamed(this.#pages, "test");
    if (area === undefined || this.#range !== null) return;
    if (cmaAlloc(area, count, 0).pfn >= 0) this.#range = count;
  }

  #release(): void {
    const area = cmaNamed(this.#pages, "test");
    if (area === undefined || this.#range === null) return;
    cmaRelease(area, area.basePfn, this.#range);
    this.#range = null;
  }

  #plug(at: number): void {
    const pfn = 128 + BLOCK * at;
    const known = this.#offline.indexOf(pfn);
    if (known >= 0) {
      this.#offline.splice(known, 1);
      onlinePages(this.#pages, pfn, BLOCK);
    } else if (offlinePages(this.#pages, pfn, BLOCK).done) this.#offline.push(pfn);
  }
}
