// Goal: the search finds what a look at every rung would find, with few tries; where more is not
// always better it says so, and what it names still holds for all that it tried.
// Method: random ladders with one step, with islands and with gaps, in every width; brute force
// beside it.
import { deepEqual, equal, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Found, searchSmallest } from "../../../src/replay/size/search.ts";

interface Searched extends Found<boolean> {
  readonly tries: number;
}

async function search(
  ladder: readonly boolean[],
  { width = 1, first = [] }: { width?: number; first?: readonly number[] } = {},
): Promise<Searched> {
  let tries = 0;
  const found = await searchSmallest<boolean>({
    rungs: ladder.length,
    first,
    width,
    tryAll: async (rungs) => {
      tries += rungs.length;
      ok(rungs.length <= width);
      return rungs.map((rung) => ladder[rung] ?? false);
    },
    carries: (result) => result,
  });
  equal(found.tried.length, tries, "no rung is tried twice");
  return { ...found, tries };
}

const widths = fc.integer({ min: 1, max: 5 });

describe("a ladder with one step", () => {
  test("is what brute force finds, whatever the width and wherever one begins", async () => {
    const task = fc.record({
      rungs: fc.integer({ min: 1, max: 400 }),
      step: fc.integer({ min: 0, max: 400 }),
      width: widths,
      first: fc.array(fc.integer({ min: -2, max: 400 }), { maxLength: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(task, async ({ rungs, step, width, first }) => {
        const ladder = Array.from({ length: rungs }, (_, rung) => rung >= step);
        const found = await search(ladder, { width, first });
        equal(found.rung, ladder.indexOf(true));
        equal(found.monotonic, true);
        equal(found.holdsTo, found.rung < 0 ? -1 : rungs - 1);
        equal(found.stopped, false);
      }),
    );
  });

  test("takes a number of tries like the logarithm of its length", async () => {
    for (const width of [1, 3]) {
      const ladder = Array.from({ length: 2 ** 20 }, (_, rung) => rung >= 777_777);
      const { rung, tries } = await search(ladder, { width });
      equal(rung, 777_777);
      ok(tries <= 80, `${tries} tries`);
    }
  });
});

describe("where more is not always better", () => {
  test("what is named carries, all tried above it carry, and the one below fails", async () => {
    const task = fc.record({
      ladder: fc.array(fc.boolean(), { minLength: 1, maxLength: 120 }),
      width: widths,
    });
    await fc.assert(
      fc.asyncProperty(task, async ({ ladder, width }) => {
        const { rung, holdsTo, tried, monotonic } = await search(ladder, { width });
        const results = new Map(tried.map((own) => [own.rung, own.result]));
        const carrying = tried.filter(({ result }) => result).map((own) => own.rung);
        equal(rung >= 0, carrying.length > 0);
        if (rung >= 0) {
          equal(ladder[rung], true);
          equal(holdsTo, Math.max(...carrying));
          for (const own of tried) if (own.rung >= rung && own.rung <= holdsTo) ok(own.result);
          if (rung > 0) equal(results.get(rung - 1), false);
        }
        const lowest = carrying[0] ?? Number.POSITIVE_INFINITY;
        equal(
          monotonic,
          tried.every((own) => own.result || own.rung < lowest),
        );
      }),
    );
  });

  test("a short ladder is tried whole: the highest run that carries, exactly", async () => {
    const short = fc.array(fc.boolean(), { minLength: 1, maxLength: 16 });
    await fc.assert(
      fc.asyncProperty(short, widths, async (ladder, width) => {
        const { rung, tried, monotonic } = await search(ladder, { width });
        equal(tried.length, ladder.length);
        const last = ladder.lastIndexOf(true);
        equal(rung, last < 0 ? -1 : ladder.slice(0, last).lastIndexOf(false) + 1);
        const step = ladder.indexOf(true);
        equal(monotonic, step < 0 || !ladder.slice(step).includes(false));
      }),
    );
  });

  test("a gap right above what a plain bisection would name is found", async () => {
    const at = 300;
    for (const gap of [1, 2, 4, 8, 16, 32, 64]) {
      // Bisection ends at 300: what it asks on its way, 256 and above, carries.
      const ladder = Array.from({ length: 512 }, (_, rung) => rung >= at && rung !== at + gap);
      const { rung, monotonic } = await search(ladder);
      deepEqual([gap, rung, monotonic], [gap, at + gap + 1, false]);
    }
  });
});

test("where the largest fails and a run below it carries, the run is found, and that it ends", async () => {
  const ladder = Array.from({ length: 512 }, (_, rung) => rung >= 100 && rung < 300);
  const { rung, holdsTo, monotonic } = await search(ladder);
  deepEqual([rung, monotonic], [100, false]);
  ok(holdsTo >= 256 && holdsTo < 300);
});

test("stopped, it says what is known so far", async () => {
  let left = 4;
  const found = await searchSmallest<boolean>({
    rungs: 1000,
    first: [],
    width: 1,
    tryAll: async ([rung]) => {
      left--;
      return left < 0 ? null : [(rung ?? 0) >= 600];
    },
    carries: (result) => result,
  });
  deepEqual([found.stopped, found.rung, found.tried.length], [true, 749, 4]);
});
