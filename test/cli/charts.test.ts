// Goal: charts of characters say what the numbers say: what is not 0 is seen, the most is full, colours
// add nothing, ASCII terminals get ASCII, and fewer columns lose no count.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { columnChart, resample, sparkline } from "../../src/cli/render/charts.ts";
import { seconds, timelineSections } from "../../src/cli/render/replay-timeline.ts";
import type { TimelinePart } from "../../src/replay/index.ts";

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

test("a zone's chart: its lowest in each column, its marks, and where it was under them", () => {
  const part = (i: number, lowest: number): TimelinePart => ({
    time: 1e6 + (i + 1) * 1000,
    free: [3840, lowest + 9],
    lowest: [3840, lowest],
    orders: [lowest, 0],
    allocations: i,
    refusals: 0,
    kswapdWakes: i === 3 ? 2 : 0,
    reclaims: 0,
    fallbacks: 0,
  });
  const parts = [8192, 4096, 512, 100, 2048].map((pages, i) => part(i, pages));
  const lines = timelineSections(PLAIN, {
    timeline: { start: 1e6, parts },
    zoneNames: ["DMA", "DMA32", "Normal"],
    marks: [
      { min: 22, low: 27, high: 32 },
      { min: 400, low: 512, high: 600 },
      { min: 0, low: 0, high: 0 },
    ],
    pageSize: 4096,
  }).flat();
  deepEqual(lines.slice(0, 7), [
    "Free memory over 5.0 ms, a column is 1.0 ms, at its lowest",
    "  free DMA        15 MiB all the time (low 108 KiB, min 88 KiB)",
    "  free DMA32         32 MiB │█    ",
    "    low 2 MiB               │█    ",
    "    min 1.6 MiB             │██   ",
    "                        0 B │██▂▁█",
    "    ▽ low ▼ min             │  ▽▼ ",
  ]);
  deepEqual(
    lines.filter((line) => /kswapd|^ {3}\d/.test(line)),
    [
      "   1  8 KiB            none │     ",
      "   0  4 KiB          32 MiB │█▄▁▁▂",
      "  kswapd wakes            2 │   █ ",
    ],
  );
});
