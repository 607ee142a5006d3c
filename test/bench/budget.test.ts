// Goal: the budget says "holds" when both ratios do, and nothing where nothing was measured.
// Method: times made up so that each of the two ratios breaks a line alone.
import { deepEqual, equal, match } from "node:assert/strict";
import { test } from "node:test";
import { isBroken, judge } from "../../bench/budget.ts";
import { type Measured, median } from "../../bench/measure.ts";
import { COLD_PEERS, ENGINE, NPM_PEERS, PLAIN_TWIN, SAME_TWIN } from "../../bench/peers.ts";
import { budgetTable, renderTable } from "../../bench/table.ts";

function measured(peer: string, median: number, min: number): Measured {
  const rest = { rounds: 7, max: median, held: 0, used: 0, fails: 0 };
  return { peer, workload: "W4", median, min, ...rest };
}

function verdictsOf(entries: readonly Measured[]): (boolean | null | undefined)[] {
  return judge(entries).map(
    ({ verdicts }) => verdicts.find(({ workload }) => workload === "W4")?.holds,
  );
}

test("a line needs the ratio of medians and that of minima", () => {
  const twin = measured(SAME_TWIN, 10, 8);
  deepEqual(verdictsOf([measured(ENGINE, 30, 24), twin]), [null, null, true, false, null, null]);
  deepEqual(verdictsOf([measured(ENGINE, 31, 24), twin]), [null, null, false, false, null, null]);
  deepEqual(verdictsOf([measured(ENGINE, 30, 25), twin]), [null, null, false, false, null, null]);
  deepEqual(verdictsOf([measured(ENGINE, 17, 13), twin]), [null, null, true, true, null, null]);
});

test("the best package of each figure counts", () => {
  const [first = "", second = ""] = NPM_PEERS;
  const engine = measured(ENGINE, 10, 10);
  const slow = measured(first, 150, 160);
  equal(verdictsOf([engine, slow]).at(-2), true);
  equal(verdictsOf([engine, slow, measured(second, 400, 149)]).at(-2), false);
});

test("packages before and after V8 compiled them are lines of their own", () => {
  const [cold = ""] = COLD_PEERS;
  const engine = measured(ENGINE, 10, 10);
  deepEqual(verdictsOf([engine, measured(cold, 150, 150)]).slice(-2), [null, true]);
  deepEqual(verdictsOf([engine, measured(cold, 149, 150)]).slice(-2), [null, false]);
});

test("what must hold and does not breaks the budget; a goal and a gap do not", () => {
  const plain = measured(PLAIN_TWIN, 10, 10);
  equal(isBroken(judge([measured(ENGINE, 36, 36), plain])), true);
  equal(isBroken(judge([measured(ENGINE, 34, 34), plain])), false);
  equal(isBroken(judge([measured(ENGINE, 34, 34)])), false);
  equal(isBroken(judge([])), false);
});

test("the table shows the ratio that decides", () => {
  const lines = judge([measured(ENGINE, 30, 20), measured(PLAIN_TWIN, 10, 5)]);
  const [, , must = ""] = budgetTable(lines, ["W4"]).split("\n");
  match(must, /must at most × of the plain C twin +4\.00\/3\.5 NO$/);
});

test("the middle of an even number of rounds lies between two", () => {
  equal(median([1, 2, 9]), 2);
  equal(median([1, 2, 4, 9]), 3);
  equal(median([5]), 5);
  equal(
    renderTable("t", [
      ["a", "b"],
      ["long", "1"],
    ]),
    "t\n  a     b\n  long  1\n",
  );
});
