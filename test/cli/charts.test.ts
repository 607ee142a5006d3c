// Goal: charts of characters say what the numbers say: what is not 0 is seen, the most is full, colours
// add nothing, ASCII terminals get ASCII, and fewer columns lose no count.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { columnChart, resample, sparkline } from "../../src/cli/render/charts.ts";
import { seconds } from "../../src/cli/render/replay-timeline.ts";

const PLAIN = { width: 80, colour: false, unicode: true };
const ASCII = { ...PLAIN, unicode: false };

test("a row: empty for 0, seen however small, full for the most", () => {
  equal(sparkline(PLAIN, [0, 1, 500, 1000, 1000000], 1000000), " ▁▁▁█");
  equal(sparkline(PLAIN, [0, 4, 8], 8), " ▄█");
  equal(sparkline(PLAIN, [0, 0], 0), "  ");
  match(sparkline(ASCII, [0, 1, 4, 8], 8), /^ [!-~]{3}$/);
});

test("rows stack from the bottom, and colours change no character", () => {
  const chart = columnChart(PLAIN, [0, 1, 50, 100], 100, 4, () => null);
  deepEqual(chart, ["   █", "   █", "  ██", " ▁██"]);
  const inked = columnChart({ ...PLAIN, colour: true }, [0, 1, 50, 100], 100, 4, (column) =>
    column === 1 ? "bad" : "zone1",
  );
  deepEqual(inked.map(stripVTControlCharacters), chart);
  ok(inked[3]?.includes("\u001b["));
});

test("fewer columns: neighbours joined in order, nothing lost", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(9), { maxLength: 300 }),
      fc.integer({ min: 1, max: 150 }),
      (items, columns) => {
        const joined = resample(
          items.map((own) => [own]),
          columns,
          (a, b) => [...a, ...b],
        );
        equal(joined.length, Math.min(columns, items.length));
        deepEqual(joined.flat(), items);
      },
    ),
  );
});

test("times have their unit", () => {
  deepEqual([0, 12, 1500, 48_000, 4_310_000, 75_000_000].map(seconds), [
    "0 µs",
    "12 µs",
    "1.5 ms",
    "48 ms",
    "4.31 s",
    "75.0 s",
  ]);
});
