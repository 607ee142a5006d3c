// Goal: a timeline of any recording has a bounded number of parts of one length, loses no event, and
// never shows more free than the fewest there were. Method: random times, also ones that go back and
// ones a day later, on a small memory whose free pages change with each event.
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Z_FREE } from "../../src/mm/memory.ts";
import { joined, type ReplayEvent, type StartState, startState } from "../../src/replay/index.ts";
import { Timeline } from "../../src/replay/timeline.ts";
import { type Recorded, recorded } from "./recorded.ts";

const KINDS = ["alloc", "free", "kswapd", "reclaim", "extfrag"] as const;

async function begun(): Promise<{ trace: Recorded; state: StartState; some: ReplayEvent }> {
  const trace = await recorded("a-boot-512M");
  const { value: state } = startState(trace.from, trace.facts);
  const some = trace.events.find(({ kind }) => kind === "alloc");
  ok(state !== null && some !== undefined);
  return { trace, state, some };
}

test("parts of one length, no event lost, the fewest free pages kept", async () => {
  const { state, some } = await begun();
  const event = fc.record({
    step: fc.oneof(fc.nat(100), fc.nat(1e6), fc.integer({ min: -500, max: 0 }), fc.constant(9e10)),
    kind: fc.constantFrom(...KINDS),
    refused: fc.boolean(),
    free: fc.nat(5000),
  });
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 400, size: "max" }), (made) => {
      state.m.zone[Z_FREE] = 5000;
      const timeline = new Timeline(state.m);
      const fewest = [5000];
      let time = 1e9;
      let asked = true;
      for (const { step, kind, refused, free } of made) {
        time += step;
        // Only a request makes less.
        const now: number = asked ? free : Math.max(free, state.m.zone[Z_FREE] ?? 0);
        state.m.zone[Z_FREE] = now;
        fewest.push(now);
        asked = kind === "alloc";
        timeline.note({ ...some, kind, time, pfn: refused ? -1 : some.pfn });
      }
      timeline.close();
      const { start, parts } = timeline.run();
      equal(start, 1e9 + (made[0]?.step ?? 0));
      ok(parts.length >= 1 && parts.length <= 257);
      const count = (kind: string): number => made.filter((own) => own.kind === kind).length;
      const sum = (of: (part: (typeof parts)[number]) => number): number =>
        parts.reduce((all, part) => all + of(part), 0);
      equal(
        sum((part) => part.allocations),
        count("alloc"),
      );
      equal(
        sum((part) => part.refusals),
        made.filter((own) => own.kind === "alloc" && own.refused).length,
      );
      equal(
        sum((part) => part.kswapdWakes),
        count("kswapd"),
      );
      equal(
        sum((part) => part.reclaims),
        count("reclaim"),
      );
      equal(
        sum((part) => part.fallbacks),
        count("extfrag"),
      );
      equal(Math.min(...parts.map((part) => part.lowest[0] ?? 0)), Math.min(...fewest));
      ok(
        parts.every(({ lowest, free }) =>
          lowest.every((pages, zone) => pages <= (free[zone] ?? 0)),
        ),
      );
      const lengths = parts
        .slice(0, -1)
        .map((part, i) => part.time - (parts[i - 1]?.time ?? start));
      ok(lengths.every((length) => length === lengths[0]));
    }),
    { numRuns: 60, endOnFailure: true },
  );
});

test("orders add up to what is free, and two joined parts are one of both", async () => {
  const { state, some } = await begun();
  const timeline = new Timeline(state.m);
  timeline.note(some);
  timeline.note({ ...some, kind: "kswapd", time: some.time + 20 });
  timeline.close();
  const [a, b] = timeline.parts;
  ok(a !== undefined && b !== undefined);
  const all = (pages: readonly number[]): number => pages.reduce((sum, own) => sum + own, 0);
  equal(all(b.orders), all(b.free));
  const both = joined(a, { ...b, lowest: a.lowest.map((pages) => pages - 1) });
  deepEqual([both.time, both.allocations, both.kswapdWakes], [b.time, 1, 1]);
  deepEqual(
    both.lowest,
    a.lowest.map((pages) => pages - 1),
  );
});
