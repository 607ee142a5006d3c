// Goal: the replay of memblock lines is the early allocator's own state at any line. Method: every later
// dump of every capture must follow from the dump before it; made-up events are compared with a model
// that keeps one cell for each byte of a tiny memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { rangeList } from "../../src/base/range.ts";
import { freeRanges, grantsOf, replayMemblock } from "../../src/boot/memblock.ts";
import type { MemblockEvent, MemblockRegion } from "../../src/formats/boot-log.ts";
import { bounded } from "../support/bounded.ts";
import { allBoots } from "./managed-boots.ts";

const SIZE = 64;

test("each dump of the captures follows from the one before it", () => {
  let compared = 0;
  for (const { name, log } of allBoots()) {
    const dumps = log.memblock.filter((event) => event.kind === "dump");
    for (const dump of dumps.slice(1)) {
      const state = replayMemblock(log.memblock, { untilLine: dump.line }).value;
      assert.deepEqual(state?.reserved, rangeList(dump.reserved), `${name}, line ${dump.line}`);
      const joined = rangeList(state?.memory ?? []);
      assert.deepEqual(joined, rangeList(dump.memory), `${name}, line ${dump.line}`);
      compared++;
    }
  }
  assert.ok(compared > 50);
});

const piece = fc
  .tuple(fc.integer({ min: 0, max: SIZE }), fc.integer({ min: 0, max: SIZE }))
  .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }));
const region = fc
  .tuple(piece, fc.constantFrom(0, 0, 4))
  .map(([range, flags]): MemblockRegion => ({ ...range, node: 0, flags }));
const change = fc
  .tuple(fc.constantFrom("add", "remove", "reserve", "free"), piece)
  .map(([kind, range]) => ({ kind, ...range, caller: "somewhere" }) as const);
const dumped = fc
  .tuple(fc.array(region, { maxLength: 4 }), fc.array(region, { maxLength: 4 }))
  .map(([memory, reserved]) => ({ kind: "dump", memory, reserved, complete: true }) as const);
const history = fc
  .array(fc.oneof({ weight: 8, arbitrary: change }, { weight: 1, arbitrary: dumped }), {
    maxLength: 30,
  })
  .map((events): MemblockEvent[] => events.map((event, i) => ({ ...event, line: 2 * i + 2 })));

/** One cell a byte; null before the first dump. Of overlapping regions the first one counts. */
function model(events: readonly MemblockEvent[], untilLine: number) {
  let known = false;
  const memory = new Array<number | null>(SIZE).fill(null);
  const reserved = new Array<boolean>(SIZE).fill(false);
  for (const event of events) {
    if (event.line >= untilLine) break;
    if (event.kind === "dump") {
      known = true;
      memory.fill(null);
      reserved.fill(false);
      const sorted = event.memory.filter((r) => r.end > r.start).sort((a, b) => a.start - b.start);
      for (const { start, end, flags } of sorted) {
        for (let i = start; i < end; i++) memory[i] ??= flags;
      }
      for (const { start, end } of event.reserved) reserved.fill(true, start, end);
    } else if (event.kind === "add") {
      for (let i = event.start; i < event.end; i++) memory[i] ??= 0;
    } else if (event.kind === "remove") memory.fill(null, event.start, event.end);
    else if (event.kind !== "alloc") {
      reserved.fill(event.kind === "reserve", event.start, event.end);
    }
  }
  return known ? { memory, reserved } : null;
}

test("the replay equals a model of single bytes, at any line", () => {
  fc.assert(
    fc.property(history, fc.integer({ min: 0, max: 70 }), (events, untilLine) => {
      const { value } = replayMemblock(events, { untilLine });
      const expected = model(events, untilLine);
      assert.equal(value === null, expected === null);
      if (value === null || expected === null) return;
      const inside = (ranges: readonly { start: number; end: number }[], i: number): boolean =>
        ranges.some((range) => range.start <= i && i < range.end);
      const free = freeRanges(value);
      for (let i = 0; i < SIZE; i++) {
        const flags: number | null =
          value.memory.find((one) => one.start <= i && i < one.end)?.flags ?? null;
        assert.equal(flags, expected.memory[i] ?? null);
        assert.equal(inside(value.reserved, i), expected.reserved[i]);
        assert.equal(inside(free, i), expected.memory[i] === 0 && !expected.reserved[i]);
      }
      assert.deepEqual(value.reserved, rangeList(value.reserved));
    }),
    { numRuns: 300 },
  );
});

test("a torn dump is passed over and named, and without a whole one there is no state", () => {
  const whole = { kind: "dump", complete: true, memory: [], reserved: [] } as const;
  const events: MemblockEvent[] = [
    { ...whole, line: 1 },
    { kind: "reserve", line: 2, start: 0, end: 8, caller: "a" },
    { ...whole, line: 3, complete: false },
  ];
  const { value, issues } = replayMemblock(events, { untilLine: 9 });
  assert.deepEqual(value?.reserved, [{ start: 0, end: 8 }]);
  assert.equal(issues[0]?.line, 3);
  assert.equal(replayMemblock(events.slice(1), { untilLine: 9 }).value, null);
});

test("a request is granted by the reservation that follows it, and a failed one is not", () => {
  const request = {
    kind: "alloc",
    bytes: 8,
    align: 8,
    node: null,
    from: 0,
    maxAddress: 0,
  } as const;
  const events: MemblockEvent[] = [
    { ...request, line: 1, caller: "pool_init" },
    { ...request, line: 2, caller: "pool_init" },
    { kind: "reserve", line: 3, start: 16, end: 24, caller: "memblock_alloc_range_nid" },
    { ...request, line: 4, caller: "other" },
    { kind: "reserve", line: 5, start: 32, end: 40, caller: "memblock_alloc_range_nid" },
  ];
  const grants = grantsOf(events, /^pool/);
  assert.deepEqual(grants, [{ bytes: 8, range: { start: 16, end: 24 }, line: 2, reserveLine: 3 }]);
});

test("twenty thousand scattered events are replayed", () => {
  const events: MemblockEvent[] = [
    { kind: "dump", line: 0, complete: true, memory: [], reserved: [] },
  ];
  for (let i = 1; i <= 20000; i++) {
    const start = ((i * 7919) % 20011) * 16;
    const kind = i % 2 === 0 ? "reserve" : "add";
    events.push({ kind, line: i, start, end: start + 8, caller: "a" });
  }
  bounded(() => {
    const state = replayMemblock(events, { untilLine: Number.POSITIVE_INFINITY }).value;
    assert.equal(state?.reserved.length, 10000);
    assert.equal(state?.memory.length, 10000);
  });
});
