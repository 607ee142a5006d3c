// Goal: a verdict follows its numbers. Method: for states made at random, one number is moved across
// the failing comparison and the verdict must turn; it is deleted, and the verdict must become "not
// in the report"; any mutation may give any verdict, but no number that is not in the text.
import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import type { Finding, ZoneAnswer } from "../../src/explain/index.ts";
import { blocksOf, failureHeader, reportLines, type ZoneSpec } from "../support/reports.ts";
import { explain, explainOne } from "./explain.ts";
import { flipAll } from "./flip.ts";

const LAB = gunzipSync(
  readFileSync(new URL("fixtures/i-oom-256M.dmesg.gz", import.meta.url)),
).toString();

const pages = fc.integer({ min: 0, max: 100_000 });
const zone = fc.record({ free: pages, min: pages, boost: pages, highatomic: pages, cma: pages });
const mode = fc.constantFrom("0xcc0(GFP_KERNEL)", "0x820(GFP_ATOMIC)", "0x800(GFP_NOWAIT)");

type State = typeof zone extends fc.Arbitrary<infer T> ? T : never;

function specOf({ free, min, boost, highatomic, cma }: State): ZoneSpec {
  return {
    name: "Normal",
    free: free * 4,
    min: (min + boost) * 4,
    boost: boost * 4,
    managed: 2_000_000,
    highatomic: Math.min(highatomic, free) * 4,
    freeCma: Math.min(cma, free) * 4,
    reserve: [0, 0, 0, 0, 0],
    blocks: blocksOf({ 0: free }),
  };
}

function lines(spec: ZoneSpec, gfp: string, order = 0): string[] {
  return reportLines({ header: failureHeader(order, gfp), zones: [spec], release: "6.6.0 #1" });
}

function normal(finding: Finding): ZoneAnswer {
  const [answer] = finding.zones;
  ok(answer !== undefined);
  return answer;
}

describe("a verdict", () => {
  test("turns exactly where free crosses the comparison", () => {
    fc.assert(
      fc.property(zone, mode, (state, gfp) => {
        const spec = specOf(state);
        const before = explainOne(lines(spec, gfp));
        const { short, usable, needs } = normal(before);
        ok(short !== null && usable !== null && needs !== null);
        equal(before.cause === "passes-now", short === 0);
        if (short === 0) return;
        const more = (by: number): Finding =>
          explainOne(lines({ ...spec, free: spec.free + by * 4, blocks: blocksOf({ 0: 1 }) }, gfp));
        equal(more(short).cause, "passes-now");
        if (short > 1) ok(more(short - 1).cause !== "passes-now");
      }),
      { numRuns: 300 },
    );
  });

  test("turns where the mark crosses it", () => {
    fc.assert(
      fc.property(zone, (state) => {
        const spec = specOf({ ...state, boost: 0 });
        const { usable } = normal(explainOne(lines(spec, "0xcc0(GFP_KERNEL)")));
        ok(usable !== null);
        if (usable < 2) return;
        const at = (min: number): string =>
          explainOne(lines({ ...spec, min: min * 4 }, "0xcc0(GFP_KERNEL)")).cause;
        equal(at(usable - 1), "passes-now");
        ok(at(usable) !== "passes-now");
      }),
    );
  });

  test("turns where the list gets its block", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), (order) => {
        const spec = { ...specOf({ free: 90_000, min: 100, boost: 0, highatomic: 0, cma: 0 }) };
        const at = (count: number): string => {
          const blocks = blocksOf({ 0: 4000, [order]: count });
          return explainOne(lines({ ...spec, blocks }, "0xcc0(GFP_KERNEL)", order)).cause;
        };
        equal(at(0), "fragmentation");
        equal(at(1), "passes-now");
      }),
    );
  });

  for (const [name, pattern] of [
    ["min", / min:\d+kB/],
    ["free", / free:\d+kB/],
    ["the free list", /^Node 0 Normal: .*$/],
  ] as const) {
    test(`is not given without ${name}`, () => {
      const spec = specOf({ free: 90_000, min: 100_000, boost: 0, highatomic: 0, cma: 0 });
      const order = name === "the free list" ? 3 : 0;
      const state = name === "the free list" ? { ...spec, min: 400 } : spec;
      const cut = lines(state, "0xcc0(GFP_KERNEL)", order).map((line) => line.replace(pattern, ""));
      equal(explainOne(cut).cause, "not-in-report");
    });
  }
});

test("computed numbers come from numbers of the text", () => {
  const edit = fc.tuple(fc.nat(LAB.length), fc.nat(200), fc.string({ maxLength: 30 }));
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 8 }), (edits) => {
      let mutant = LAB;
      for (const [at, length, put] of edits) {
        mutant = mutant.slice(0, at) + put + mutant.slice(at + length);
      }
      const text = mutant.split("\n");
      for (const { zones } of explain(mutant)) {
        for (const { free, line, reserve } of zones) {
          // Rows may be joined from two lines; a number that no line has is invented.
          if (free !== null)
            ok(
              text
                .slice(line - 1, line + 2)
                .join(" ")
                .includes(`${free * 4}kB`),
            );
          if (reserve !== null) ok(mutant.includes(String(reserve)));
        }
      }
    }),
    { numRuns: 200 },
  );
});

describe("a number of the deciding comparison that is deleted from the lab's report", () => {
  const text = LAB.split("\n");
  const at = text.findIndex((line) => line.includes("Node 0 DMA32 free:932kB"));
  const cases: readonly (readonly [string, RegExp, number])[] = [
    ["free", /free:932kB/, 0],
    ["the digits of free", /(?<=free:)932/, 0],
    ["min", /min:948kB/, 0],
    ["the row", /Node 0 DMA32 .*$/, 0],
  ];
  for (const [name, pattern, offset] of cases) {
    test(`leaves no verdict: ${name}`, () => {
      const cut = text.map((line, i) => (i === at + offset ? line.replace(pattern, "") : line));
      const [finding] = explain(cut);
      equal(finding?.cause, "not-in-report");
    });
  }

  test("changes nothing where the comparison does without it", () => {
    const cut = text.map((line, i) => (i === at ? line.replace(/ high:\d+kB/, "") : line));
    equal(explain(cut)[0]?.cause, "below-watermark");
  });
});

describe("every Mem-Info report: a number moved across its comparison turns the verdict, one that is taken away leaves none", () => {
  test("of the lab's kernel", () => {
    deepEqual(flipAll(LAB), { turned: 4, deleted: 2, faults: [] });
  });

  /** Release, mode, and the fields that its kernels print. */
  const ERAS = [
    ["2.6.32-5-amd64 #1", "0xd0", 4, "plain"],
    ["3.2.0-4-amd64 #1", "0xd0", 4, "plain"],
    ["3.16.0-4-amd64 #1", "0xd0", 4, "cma"],
    ["4.9.0-8-amd64 #1", "0x14000c0(GFP_KERNEL)", 5, "cma"],
    ["4.19.0-6-amd64 #1", "0x6000c0(GFP_KERNEL)", 5, "cma"],
    ["5.4.0-97-generic #1", "0xcc0(GFP_KERNEL)", 5, "cma"],
    ["5.10.0-8-amd64 #1", "0xcc0(GFP_KERNEL)", 5, "highatomic"],
    ["6.1.0-50-amd64 #1", "0xcc0(GFP_KERNEL)", 5, "boost"],
    ["6.12.0 #1", "0xcc0(GFP_KERNEL)", 5, "boost"],
    ["6.18.0 #1", "0xcc0(GFP_KERNEL)", 5, "boost"],
  ] as const;

  for (const [release, mode, columns, fields] of ERAS) {
    test(`of ${release}`, () => {
      let turned = 0;
      const row = fc.record({
        free: pages,
        min: pages,
        reserve: fc.integer({ min: 0, max: 20_000 }),
      });
      const order = fc.constantFrom(0, 0, 3, 9);
      fc.assert(
        fc.property(row, row, order, fc.boolean(), (dma32, normal, wanted, flat) => {
          const specOf = (name: string, state: typeof dma32, held: number): ZoneSpec => ({
            name,
            free: state.free * 4,
            min: state.min * 4,
            managed: 2_000_000,
            ...(fields === "plain" ? {} : { freeCma: 0 }),
            ...(fields === "highatomic" || fields === "boost" ? { highatomic: 0 } : {}),
            ...(fields === "boost" ? { boost: 0 } : {}),
            reserve: Array.from({ length: columns }, (_, i) => (i > held ? state.reserve : 0)),
            blocks: blocksOf(
              { 0: state.free % 2, 1: Math.floor(state.free / 2) },
              fields === "plain" ? "" : "UM",
            ),
          });
          const zones = [specOf("DMA32", dma32, 1), specOf("Normal", normal, 4)];
          const text = reportLines({ header: failureHeader(wanted, mode), zones, release, flat })
            .join("\n")
            .replaceAll(" ()", "");
          const found = flipAll(text);
          turned += found.turned;
          deepEqual(found.faults, []);
        }),
        { numRuns: 100 },
      );
      ok(turned > 50, `${turned} turned`);
    });
  }
});
