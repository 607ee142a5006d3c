// Goal: a page under a scan goes, stays or is used again by its kernel's rules. Method: one page in each
// state that the rules tell apart, judged by each era that judges it otherwise; and what marks of use
// are left on it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { addOwner, allocPages, newPage, ownPages, type Pages } from "../../../src/mm/index.ts";
import { rowOf } from "../../../src/mm/memory.ts";
import { ACTIVATE, GO, judge, KEEP, type Means } from "../../../src/mm/pressure/judge.ts";
import {
  PG_ANON,
  PG_DIRTY,
  PG_MLOCKED,
  PG_REFERENCED,
  PG_YOUNG,
} from "../../../src/mm/pressure/pages.ts";
import { small } from "../../support/pressure-pages.ts";

const ALL: Means = { mayIo: true, mayFs: true, mayWrite: true };
const NAMES = ["keep", "activate", "go"];

interface State {
  readonly kind: "anon" | "file";
  readonly flags?: number;
  readonly pinned?: boolean;
  /** Its bytes are in the store. */
  readonly stored?: boolean;
  readonly slots?: number;
  readonly means?: Partial<Means>;
}

function judged(era: string, state: State): { verdict: string; left: number } {
  const { kind, flags = 0, pinned = false, stored = false, slots = 8, means = {} } = state;
  const pages: Pages = small(era, { slots });
  const handle = newPage(pages, pages.gfp, kind);
  const row = pages.place[handle] ?? 0;
  pages.flags[row] = (kind === "anon" ? PG_ANON : 0) | flags;
  if (pinned) pages.pins[row] = 1;
  if (stored) pages.slot[handle] = 1;
  const verdict = judge(pages, row, { ...ALL, ...means });
  return {
    verdict: NAMES[verdict] ?? "",
    left: (pages.flags[row] ?? 0) & (PG_YOUNG | PG_REFERENCED),
  };
}

function expectAll(state: State, expected: Readonly<Record<string, string>>): void {
  for (const [era, verdict] of Object.entries(expected)) {
    assert.equal(judged(era, state).verdict, verdict, `${era} ${JSON.stringify(state)}`);
  }
}

const EVERY = (verdict: string): Record<string, string> =>
  Object.fromEntries(["2.6", "2.6.39", "5.4", "5.10", "6.1"].map((era) => [era, verdict]));

test("a clean page goes, and one that can be written", () => {
  expectAll({ kind: "file" }, EVERY("go"));
  expectAll({ kind: "file", flags: PG_DIRTY }, EVERY("go"));
  expectAll({ kind: "anon" }, EVERY("go"));
  expectAll({ kind: "anon", stored: true }, EVERY("go"));
});

test("the first use of an anonymous page made it active up to 5.8; since then the second one does", () => {
  const once = { kind: "anon", flags: PG_YOUNG } as const;
  expectAll(once, { "2.6": "activate", "2.6.39": "activate", "5.4": "activate" });
  expectAll(once, { "5.10": "keep", "6.1": "keep" });
  expectAll({ kind: "anon", flags: PG_YOUNG | PG_REFERENCED }, EVERY("activate"));
  assert.equal(judged("6.1", once).left, PG_REFERENCED);
  assert.equal(judged("5.4", once).left, 0);
  assert.equal(judged("2.6", { kind: "anon", flags: PG_REFERENCED }).left, 0);
});

test("a use that is not of a mapping: anonymous pages go, as file pages do that need not be written", () => {
  expectAll({ kind: "file", flags: PG_REFERENCED }, EVERY("go"));
  expectAll({ kind: "file", flags: PG_REFERENCED | PG_DIRTY }, EVERY("keep"));
  const anon = { kind: "anon", flags: PG_REFERENCED | PG_DIRTY } as const;
  expectAll(anon, { "2.6": "activate", "2.6.39": "go", "6.1": "go" });
});

test("without room in the store what must be written counts as used", () => {
  for (const kind of ["anon", "file"] as const) {
    expectAll({ kind, flags: PG_DIRTY, slots: 0 }, EVERY("activate"));
    expectAll({ kind, stored: true, slots: 0 }, EVERY("go"));
  }
});

test("who may not enter file systems writes swap only, who may not use devices nothing", () => {
  const anon = { kind: "anon", stored: true, flags: PG_DIRTY } as const;
  const file = { kind: "file", flags: PG_DIRTY } as const;
  expectAll({ ...file, means: { mayFs: false } }, EVERY("keep"));
  expectAll({ ...anon, means: { mayFs: false } }, EVERY("go"));
  expectAll({ ...anon, means: { mayFs: false, mayIo: false } }, EVERY("keep"));
  expectAll({ ...anon, means: { mayWrite: false } }, EVERY("keep"));
  // The slot comes first, and 6.1 asks for the right to it by itself.
  expectAll(
    { kind: "anon", means: { mayIo: false } },
    { "2.6": "go", "2.6.39": "keep", "6.1": "keep" },
  );
  expectAll(
    { kind: "anon", slots: 0, means: { mayIo: false } },
    { "2.6": "activate", "6.1": "keep" },
  );
});

test("a pinned page stays; by 6.1 it is used, where it lacks nothing else to go", () => {
  const pinned = { kind: "file", pinned: true } as const;
  expectAll(pinned, { "2.6": "keep", "5.10": "keep", "5.15": "keep", "6.1": "activate" });
  expectAll({ kind: "anon", pinned: true }, EVERY("keep"));
  expectAll({ kind: "anon", pinned: true, stored: true }, { "5.10": "keep", "6.1": "activate" });
});

test("2.6: a locked page stays active, whatever else", () => {
  for (const kind of ["anon", "file"] as const) {
    expectAll({ kind, flags: PG_MLOCKED }, { "2.6": "activate" });
    expectAll({ kind, flags: PG_MLOCKED | PG_REFERENCED }, { "2.6": "activate" });
    expectAll({ kind, flags: PG_MLOCKED, pinned: true }, { "2.6": "activate" });
  }
});

test("an owner's block is spared once for one use", () => {
  const pages = small("6.1");
  const pfn = allocPages(pages.m, pages.gfp, 0);
  ownPages(pages, pfn, addOwner(pages, { name: "cache", mayFree: () => true }));
  const row = rowOf(pages.m, pfn);
  pages.flags[row] = (pages.flags[row] ?? 0) | PG_REFERENCED;
  assert.deepEqual([judge(pages, row, ALL), judge(pages, row, ALL)], [ACTIVATE, GO]);
  pages.pins[row] = 1;
  assert.equal(judge(pages, row, ALL), KEEP);
});
