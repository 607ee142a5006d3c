// Goal: whatever is reclaimed, swapped, moved and compacted, every page that still has an owner reads
// back what was written to it. Method: random programs on small machines of each era with real bytes,
// beside a table of what each page should say; after every step all invariants of the allocator and
// of the pages are checked.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { Dice } from "../../support/dice.ts";
import { CMA_PAGES, drawStep, machine, Reference, type Step } from "../../support/pressure-life.ts";

const nat = fc.nat();
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      make: fc.constantFrom("anon" as const, "file" as const),
      count: fc.integer({ min: 1, max: 120 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ write: nat }) },
  { weight: 4, arbitrary: fc.record({ read: nat }) },
  { weight: 3, arbitrary: fc.record({ drop: nat }) },
  { weight: 1, arbitrary: fc.record({ pin: nat }) },
  { weight: 1, arbitrary: fc.record({ unpin: nat }) },
  { weight: 1, arbitrary: fc.record({ lock: nat }) },
  { weight: 1, arbitrary: fc.record({ unlock: nat }) },
  {
    weight: 4,
    arbitrary: fc.record({ kernel: fc.integer({ min: 0, max: 5 }), atomic: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ free: nat }) },
  { weight: 2, arbitrary: fc.record({ own: fc.integer({ min: 0, max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ disown: nat }) },
  {
    weight: 2,
    arbitrary: fc.record({
      cma: fc.integer({ min: 1, max: CMA_PAGES }),
      align: fc.integer({ min: 0, max: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ release: nat }) },
  { weight: 1, arbitrary: fc.record({ compact: fc.integer({ min: -1, max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ offline: nat }) },
  { weight: 1, arbitrary: fc.record({ online: nat }) },
  { weight: 5, arbitrary: fc.constant("kswapd" as const) },
  { weight: 2, arbitrary: fc.constant("kcompactd" as const) },
);

/** Random programs of each era. */
const ERAS = [
  ["2.6", 25],
  ["2.6.39", 10],
  ["3.10", 10],
  ["4.9", 10],
  ["4.19", 10],
  ["5.4", 10],
  ["5.10", 25],
  ["6.1", 25],
  ["6.12", 25],
  ["6.18", 10],
] as const;

for (const [era, numRuns] of ERAS) {
  test(`${era}: pages that were swapped, moved or made room for others read back`, () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 100, size: "max" }),
        fc.constantFrom(0, 40, 2000),
        fc.boolean(),
        (steps, slots, migration) => {
          const reference = new Reference(machine(era, slots, migration));
          for (const own of steps) {
            reference.run(own);
            reference.check();
          }
          reference.end();
        },
      ),
      { numRuns },
    );
  });

  test(`${era}: a long life comes to all of it`, () => {
    const reference = new Reference(machine(era, 600, true));
    const dice = new Dice(1);
    for (let i = 1; i <= 8000; i++) {
      reference.run(drawStep(dice));
      if (i % 100 === 0) reference.check();
    }
    reference.end();
    const { counts } = reference.life.pages;
    const wanted = [
      "pgstealKswapd",
      "pgstealDirect",
      "pswpin",
      "pswpout",
      "pgmigrateSuccess",
    ] as const;
    for (const name of wanted) expect.ok(counts[name] > 0, `${name} never happened`);
  });
}
