// Goal: workers under pressure on one memory lose no byte of any page, whoever makes, moves, puts away,
// pins or drops it, and one that is terminated in the middle of it takes what was its and nothing else.
// Method: four real threads where memory is short and half of what they use was made by others.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import { endOf, herd, killRound, settle, start } from "../../support/share-pages-life.ts";

for (const era of ["2.6", "5.10", "6.1", "6.12"]) {
  test(`${era}: four workers, every page reads back what was written last`, async () => {
    const own = herd(era, 5, 8_000, 17, false);
    const counts = await Promise.all(own.plans.map((plan) => endOf(start(plan))));
    const sum = (name: "pswpout" | "pgmigrateSuccess"): number =>
      counts.reduce((all, one) => all + (one?.[name] ?? 0), 0);
    expect.ok(sum("pswpout") > 100 && sum("pgmigrateSuccess") > 100);
    settle(own);
  });
}

test("workers that are terminated in the middle of it", async () => {
  for (let round = 0; round < 6; round++) {
    await killRound(["2.6", "5.10", "6.1", "6.12"][round % 4] ?? "6.1", round);
  }
});
