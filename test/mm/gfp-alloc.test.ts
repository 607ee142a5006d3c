// Goal: each request gets the rights to reserves that its kernel gives it. Method: the table of
// requests and rules, one row a difference between eras; which rule a version has; and, on random
// bits, that rights only ever come from the flags that stand for them.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import * as gfp from "../../src/mm/gfp.ts";

const { allocFlagsFast, allocFlagsSlow, allocRule, allocRuleOf, gfpEra, parseGfp, reserveFlags } =
  gfp;

const NAMES: readonly (readonly [bit: number, old: string, since6_3: string])[] = [
  [gfp.ALLOC_NO_WATERMARKS, "NO_WATERMARKS", "NO_WATERMARKS"],
  [gfp.ALLOC_OOM, "OOM", "OOM"],
  [gfp.ALLOC_HARDER, "HARDER", "NON_BLOCK"],
  [gfp.ALLOC_HIGH, "HIGH", "MIN_RESERVE"],
  [gfp.ALLOC_CPUSET, "CPUSET", "CPUSET"],
  [gfp.ALLOC_CMA, "CMA", "CMA"],
  [gfp.ALLOC_NOFRAGMENT, "NOFRAGMENT", "NOFRAGMENT"],
  [gfp.ALLOC_HIGHATOMIC, "HIGHATOMIC", "HIGHATOMIC"],
  [gfp.ALLOC_KSWAPD, "KSWAPD", "KSWAPD"],
];

const MARKS = ["min", "low", "high"];

/** Flags in the words of their era; nothing may be left over. */
function words(flags: number, old: boolean): string {
  const found = NAMES.filter(([bit]) => (flags & bit) !== 0);
  const left = found.reduce((rest, [bit]) => rest & ~bit, flags) & ~gfp.ALLOC_WMARK_MASK;
  assert.equal(left, 0);
  return [MARKS[flags & gfp.ALLOC_WMARK_MASK], ...found.map((row) => row[old ? 1 : 2])].join(" ");
}

function slow(text: string, version: string, context: gfp.AllocContext = { order: 0 }): string {
  const era = gfpEra(version);
  const rule = allocRuleOf(version);
  assert.ok(rule !== null);
  const { value, issues } = parseGfp(text, era);
  assert.deepEqual(issues, []);
  return words(allocFlagsSlow(value, era, rule, context), rule.realtimeGets === "harder");
}

test("the slow path gives each request the reserves of its era", () => {
  const rows: [text: string, version: string, order: number, flags: string][] = [
    ["GFP_KERNEL", "2.6.11", 0, "min CPUSET"],
    ["GFP_ATOMIC", "2.6.11", 0, "min HARDER HIGH"],
    ["GFP_NOWAIT", "2.6.18", 0, "min HARDER"],
    ["__GFP_NOMEMALLOC", "2.6.18", 0, "min HARDER"],
    ["__GFP_NOMEMALLOC", "2.6.39", 0, "min"], // out of the cpuset all the same
    ["GFP_NOIO|__GFP_HIGH", "2.6.39", 0, "min HIGH CPUSET"],
    ["GFP_ATOMIC", "4.3", 3, "min HARDER HIGH"],
    ["GFP_NOWAIT", "4.4", 0, "min CPUSET KSWAPD"],
    ["GFP_ATOMIC", "4.19", 0, "min HARDER HIGH KSWAPD"],
    ["GFP_KERNEL", "5.10", 0, "min CPUSET KSWAPD"],
    ["GFP_KERNEL", "6.1", 0, "min CPUSET KSWAPD"],
    ["GFP_ATOMIC", "6.1", 2, "min HARDER HIGH KSWAPD"],
    ["GFP_NOWAIT", "6.1", 2, "min CPUSET KSWAPD"],
    ["GFP_ATOMIC|__GFP_NOMEMALLOC", "6.1", 0, "min HIGH KSWAPD"],
    ["__GFP_HIGH", "6.1", 0, "min HIGH CPUSET"],
    ["GFP_DMA", "6.1", 0, "min CPUSET"], // neither sleeps nor wakes kswapd
    ["GFP_ATOMIC", "6.1.176", 0, "min NON_BLOCK MIN_RESERVE KSWAPD"],
    ["GFP_ATOMIC", "6.1.176", 1, "min NON_BLOCK MIN_RESERVE HIGHATOMIC KSWAPD"],
    ["GFP_NOWAIT", "6.1.176", 1, "min NON_BLOCK CPUSET KSWAPD"],
    ["GFP_NOWAIT|__GFP_NOMEMALLOC", "6.1.176", 1, "min CPUSET KSWAPD"],
    ["GFP_ATOMIC|__GFP_NOMEMALLOC", "6.1.176", 1, "min MIN_RESERVE KSWAPD"],
    ["GFP_KERNEL|__GFP_HIGH", "6.1.176", 1, "min MIN_RESERVE CPUSET KSWAPD"],
    ["GFP_KERNEL", "6.1.176", 1, "min CPUSET KSWAPD"],
    ["GFP_DMA", "6.1.176", 0, "min NON_BLOCK CPUSET"],
    ["GFP_NOWAIT", "6.3", 0, "min NON_BLOCK CPUSET KSWAPD"],
    ["GFP_NOWAIT", "6.3", 1, "min NON_BLOCK CPUSET HIGHATOMIC KSWAPD"],
    ["GFP_ATOMIC", "6.18", 1, "min NON_BLOCK MIN_RESERVE HIGHATOMIC KSWAPD"],
    ["GFP_NOWAIT", "6.18", 1, "min NON_BLOCK CPUSET KSWAPD"],
  ];
  for (const [text, version, order, flags] of rows) {
    assert.equal(slow(text, version, { order }), flags, `${text} order ${order} of ${version}`);
  }
});

test("a realtime task that may block gets what its era calls a little more", () => {
  const context = { order: 0, realtime: true };
  assert.equal(slow("GFP_KERNEL", "2.6.18", context), "min HARDER CPUSET");
  assert.equal(slow("GFP_KERNEL", "6.1", context), "min HARDER CPUSET KSWAPD");
  assert.equal(slow("GFP_KERNEL", "6.1.176", context), "min MIN_RESERVE CPUSET KSWAPD");
  assert.equal(slow("GFP_NOWAIT", "6.1.176", context), "min NON_BLOCK CPUSET KSWAPD");
  // Up to 6.2 a task that may not block is not asked: only the atomic bit is.
  assert.equal(slow("GFP_NOWAIT", "6.1", context), "min HARDER CPUSET KSWAPD");
});

test("only movable requests may use CMA areas", () => {
  const cma = { order: 0, cma: true };
  assert.equal(slow("GFP_HIGHUSER_MOVABLE", "6.1", cma), "min CPUSET CMA KSWAPD");
  assert.equal(slow("GFP_HIGHUSER_MOVABLE", "3.10", cma), "min CPUSET CMA");
  assert.equal(slow("GFP_KERNEL|__GFP_MOVABLE|__GFP_RECLAIMABLE", "6.1", cma), "min CPUSET KSWAPD");
  assert.equal(slow("GFP_KERNEL|__GFP_RECLAIMABLE", "6.1", cma), "min CPUSET KSWAPD");
  assert.equal(slow("GFP_KERNEL", "2.6.18", cma), "min CPUSET");
  assert.equal(slow("GFP_HIGHUSER_MOVABLE", "6.1", { order: 0 }), "min CPUSET KSWAPD");
});

test("the first pass asks for the low mark and no reserve", () => {
  const fast = (text: string, context: gfp.AllocContext): string =>
    words(allocFlagsFast(parseGfp(text, gfpEra("6.1")).value, gfpEra("6.1"), context), true);
  assert.equal(fast("GFP_ATOMIC", { order: 1 }), "low KSWAPD");
  assert.equal(fast("GFP_DMA", { order: 0 }), "low");
  assert.equal(fast("GFP_KERNEL", { order: 0, noFragment: true }), "low NOFRAGMENT KSWAPD");
  assert.equal(
    fast("GFP_HIGHUSER_MOVABLE", { order: 0, cma: true, cpuset: true }),
    "low CPUSET CMA KSWAPD",
  );
});

test("the numbers are those of 6.1", () => {
  assert.deepEqual(
    NAMES.map(([bit]) => bit),
    [4, 8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200, 0x800],
  );
  assert.equal(gfp.ALLOC_RESERVES, 0x238);
  assert.equal(gfp.ALLOC_NON_BLOCK, gfp.ALLOC_HARDER);
  assert.equal(gfp.ALLOC_MIN_RESERVE, gfp.ALLOC_HIGH);
});

test("those who free memory need no mark, unless the request says otherwise", () => {
  const era = gfpEra("6.1");
  const { ALLOC_NO_WATERMARKS: all, ALLOC_OOM: oom, __GFP_MEMALLOC, __GFP_NOMEMALLOC } = gfp;
  assert.equal(reserveFlags(gfp.GFP_KERNEL, era, {}), 0);
  assert.equal(reserveFlags(gfp.GFP_KERNEL, era, { memalloc: true }), all);
  assert.equal(reserveFlags(gfp.GFP_KERNEL, era, { memalloc: true, interrupt: true }), 0);
  const softirq = { interrupt: true, servingSoftirq: true };
  assert.equal(reserveFlags(gfp.GFP_KERNEL, era, { ...softirq, memalloc: true }), all);
  assert.equal(reserveFlags(gfp.GFP_KERNEL, era, softirq), 0);
  assert.equal(reserveFlags(gfp.GFP_KERNEL, era, { oomVictim: true }), oom);
  assert.equal(reserveFlags(gfp.GFP_KERNEL, era, { oomVictim: true, memalloc: true }), all);
  assert.equal(reserveFlags(gfp.GFP_KERNEL, era, { oomVictim: true, interrupt: true }), 0);
  assert.equal(reserveFlags(__GFP_MEMALLOC, era, {}), all);
  assert.equal(reserveFlags(__GFP_MEMALLOC | __GFP_NOMEMALLOC, era, { memalloc: true }), 0);
  assert.equal(reserveFlags(__GFP_NOMEMALLOC, era, { oomVictim: true }), 0);
});

test("versions find their rule", () => {
  const rows: [version: string, rule: string | null][] = [
    ["2.6.8", null],
    ["nothing", null],
    ["2.6.9", "2.6.9"],
    ["2.6.37", "2.6.9"],
    ["2.6.38", "2.6.38"],
    ["4.3.9", "2.6.38"],
    ["4.4", "6.1.0"],
    ["5.10.250", "6.1.0"],
    ["6.1", "6.1.0"],
    ["6.1.156", "6.1.0"],
    ["6.1.157", "6.1.y"],
    ["6.1.176", "6.1.y"],
    ["6.2.16", "6.1.0"],
    ["6.3", "6.3"],
    ["6.6.112", "6.3"],
    ["6.6.113", "6.1.y"],
    ["6.8", "6.3"],
    ["6.12", "6.3"],
    ["6.12.95", "6.1.y"],
    ["6.14", "6.3"],
    ["6.17.4", "6.1.y"],
    ["6.18", "6.1.y"],
  ];
  for (const [version, rule] of rows) {
    assert.equal(allocRuleOf(version)?.name ?? null, rule, version);
    if (rule !== null) assert.equal(allocRule(allocRuleOf(version)?.name ?? "6.3").name, rule);
  }
});

test("rights come from the flags that stand for them, whatever else is set", () => {
  const versions = ["2.6.11", "2.6.20", "3.2", "4.4", "4.19", "5.10", "6.1.176", "6.3", "6.18"];
  const args = [fc.nat({ max: 0xffffff }), fc.nat({ max: 10 }), fc.boolean()] as const;
  fc.assert(
    fc.property(fc.constantFrom(...versions), ...args, (version, bits, order, cma) => {
      const era = gfpEra(version);
      const rule = allocRuleOf(version) ?? allocRule("6.1.0");
      const flags = allocFlagsSlow(bits, era, rule, { order, cma });
      const has = (bit: number): boolean => (flags & bit) !== 0;
      assert.equal(flags & gfp.ALLOC_WMARK_MASK, gfp.ALLOC_WMARK_MIN);
      assert.equal(has(gfp.ALLOC_HIGH), (bits & gfp.__GFP_HIGH) !== 0);
      assert.ok(!has(gfp.ALLOC_HIGHATOMIC) || (order > 0 && has(gfp.ALLOC_NON_BLOCK)));
      assert.ok(!has(gfp.ALLOC_CMA) || cma);
      assert.ok(!has(gfp.ALLOC_NO_WATERMARKS | gfp.ALLOC_OOM));
      const may = (era.bits.get("__GFP_WAIT") ?? 0) | (era.bits.get("__GFP_DIRECT_RECLAIM") ?? 0);
      if ((bits & may) !== 0 && rule.harderBy !== "atomic-bit") {
        assert.ok(has(gfp.ALLOC_CPUSET) && !has(gfp.ALLOC_NON_BLOCK));
      }
    }),
  );
});
