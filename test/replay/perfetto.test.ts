// Goal: the trace file opens (valid JSON, known phases, times that never go back, slices that close),
// says what the snapshots and the recording say, and has a bound whatever comes. Method: a whole
// recorded boot, against free pages counted in the snapshots' lists and events counted in the
// recording; floods of events; the same as a file that is cut short.
import { deepEqual, equal, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { listWriter } from "../../src/host/index.ts";
import { Z_FREE, ZONE_WORDS } from "../../src/mm/memory.ts";
import {
  type ListSnapshot,
  PERFETTO_HEAD,
  PERFETTO_TAIL,
  PerfettoEvents,
  type ReplayEvent,
  recordingOf,
  replay,
  startState,
} from "../../src/replay/index.ts";
import { emptyScore } from "../../src/replay/score.ts";
import { scratch } from "../cli/run.ts";
import { type Recorded, recorded } from "./recorded.ts";

interface Written {
  readonly ph: string;
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly args?: Readonly<Record<string, number | string>>;
}

function parsed(events: readonly string[]): Written[] {
  return JSON.parse(PERFETTO_HEAD + events.join(",\n") + PERFETTO_TAIL).traceEvents;
}

async function eventsOf(trace: Recorded, events = trace.events): Promise<Written[]> {
  const lines: string[] = [];
  const names = trace.facts.zones.map(({ name }) => name);
  let own: PerfettoEvents | null = null;
  await replay({
    ...trace,
    recording: recordingOf(events, null),
    observe: ({ m }) => {
      const made = new PerfettoEvents(m, names, (line) => lines.push(line));
      own = made;
      return (e, score) => {
        made.note(e, score);
        return true;
      };
    },
  });
  ok(own !== null);
  (own as PerfettoEvents).end();
  return parsed(lines);
}

/** Pages on the free lists of a zone; Isolate's are not counted as free. */
function freeIn(snap: ListSnapshot, index: number): number {
  return snap.free
    .filter((list) => list.index === index && list.type < 4)
    .reduce((sum, { order, pfns }) => sum + pfns.length * 2 ** order, 0);
}

function holds(events: readonly Written[]): void {
  let time = 0;
  const open = new Map<number, string[]>();
  for (const { ph, name, tid, ts } of events) {
    ok(["M", "C", "i", "B", "E"].includes(ph));
    if (ph === "M") continue;
    ok(ts !== undefined && ts >= time, `${name} at ${ts}`);
    time = ts;
    const names = open.get(tid) ?? [];
    open.set(tid, names);
    if (ph === "B") names.push(name);
    if (ph === "E") equal(names.pop(), name);
  }
  deepEqual([...open.values()].flat(), []);
}

test("counters begin and end with what the snapshots' lists hold; every event is there", async () => {
  const trace = await recorded("a-boot-512M-smp2");
  const events = await eventsOf(trace);
  holds(events);
  for (const [zone, name] of [
    [0, "DMA"],
    [1, "DMA32"],
  ] as const) {
    const counters = events.filter((e) => e.ph === "C" && e.name === `free ${name}`);
    equal(counters[0]?.args?.["pages"], freeIn(trace.from, zone));
    equal(counters.at(-1)?.args?.["pages"], freeIn(trace.to, zone));
    const orders = events.filter((e) => e.name === `free by order ${name}`).at(-1)?.args ?? {};
    const sum = Object.values(orders).reduce((all: number, pages) => all + Number(pages), 0);
    equal(sum, freeIn(trace.to, zone));
  }
  const fallbacks = trace.events.filter(({ kind }) => kind === "extfrag").length;
  ok(fallbacks > 0);
  equal(events.filter(({ name }) => name === "fallback").length, fallbacks);
  const pcp = events.filter(({ name }) => name === "per-CPU lists DMA32").at(-1)?.args;
  const counts = trace.to.counters.filter(({ index }) => index === 1).map(({ count }) => count);
  deepEqual(Object.values(pcp ?? {}), counts);
});

test("under pressure: a slice for each direct reclaim and each wake of kswapd, refusals at their lines", async () => {
  const trace = await recorded("c-pressure-256M");
  const events = await eventsOf(trace);
  holds(events);
  const inTrace = (kind: string): number => trace.events.filter((e) => e.kind === kind).length;
  const began = (name: string): number =>
    events.filter((e) => e.ph === "B" && e.name === name).length;
  equal(inTrace("kswapd"), 65);
  equal(began("kswapd pass"), 65);
  equal(events.filter(({ name }) => name === "kswapd wakes").length, 65);
  equal(began("direct reclaim"), inTrace("reclaim"));
  const refused = events.filter(({ name }) => name === "refused").map(({ args }) => args?.["line"]);
  deepEqual(
    refused,
    trace.events.filter((e) => e.kind === "alloc" && e.pfn < 0).map(({ line }) => line),
  );
  equal(events.filter(({ name }) => name === "difference from the recording").length, 0);
  const end = events.findLast(({ name }) => name === "free DMA32");
  equal(end?.args?.["pages"], freeIn(trace.to, 1));
});

test("reclaim and kswapd are slices that close; refusals and differences are marked", async () => {
  const trace = await recorded("a-boot-512M");
  const at = trace.events.findIndex((e, i) => i > 1000 && e.kind === "alloc" && !e.interrupt);
  const alloc = trace.events[at];
  ok(alloc !== undefined);
  const like = (fields: Partial<ReplayEvent>): ReplayEvent => ({ ...alloc, ...fields });
  const kswapd = { kswapd: true, reclaimer: true, pid: 31 };
  const made = [
    like({ kind: "reclaim", pid: 7 }),
    like({ kind: "kswapd", ...kswapd }),
    like({ kind: "reclaim-end", pid: 7 }),
    like({ kind: "reclaim-end", pid: 8 }),
    like({ pfn: -1, pid: 7, order: 10 }),
    like({ kind: "kswapd", ...kswapd, time: alloc.time - 5000 }),
    like({ kind: "reclaim", pid: 9 }),
  ];
  const events = await eventsOf(trace, trace.events.toSpliced(at, 0, ...made));
  holds(events);
  const slices = events.filter(({ ph }) => ph === "B").map(({ name, tid }) => `${name} ${tid}`);
  deepEqual(slices, ["direct reclaim 7", "kswapd pass 31", "kswapd pass 31", "direct reclaim 9"]);
  equal(events.filter(({ name }) => name === "kswapd wakes").length, 2);
  const [refused] = events.filter(({ name }) => name === "refused");
  deepEqual([refused?.tid, refused?.args?.["order"]], [7, 10]);
  // The engine serves what was made up as refused, so it and the recording part there.
  ok(events.some(({ name }) => name === "difference from the recording"));
  const threads = events
    .filter(({ name }) => name === "thread_name")
    .map(({ args }) => args?.["name"]);
  ok(threads.includes("kswapd 31") && threads.includes("task 7"));
});

test("whatever comes, the number of events has a bound, and what was left out is counted", async () => {
  const trace = await recorded("a-boot-512M");
  const { value: state } = startState(trace.from, trace.facts);
  const some = trace.events.find(({ kind }) => kind === "alloc");
  ok(state !== null && some !== undefined);
  const lines: string[] = [];
  const own = new PerfettoEvents(state.m, ["DMA", "DMA32"], (line) => lines.push(line));
  const score = emptyScore();
  const fallback: ReplayEvent = { ...some, kind: "extfrag", passEnd: false };
  const free = ZONE_WORDS + Z_FREE;
  for (let i = 0; i < 400_000; i++) {
    state.m.zone[free] = (state.m.zone[free] ?? 0) + (i % 2 === 0 ? 1 : -1) * (1 + (i % 7));
    own.note(i % 2 === 0 ? fallback : some, score);
  }
  own.end();
  const events = parsed(lines);
  const counted = events.filter(({ ph }) => ph === "C").length;
  // 1 024 samples of one counter at each of five rates, and the last one.
  ok(counted > 3000 && counted < 6000, String(counted));
  equal(events.filter(({ name }) => name === "fallback").length, 10_000);
  equal(events.at(-1)?.name, "190000 more of: fallback");
});

test("the file is whole after every flush", async (t) => {
  const path = join(scratch(t), "trace.json");
  const file = await listWriter(path, PERFETTO_HEAD, PERFETTO_TAIL);
  const names = (): unknown[] =>
    JSON.parse(readFileSync(path, "utf8")).traceEvents.map((e: { name: unknown }) => e.name);
  deepEqual(names(), []);
  file.write('{"name":"ä"}');
  deepEqual(names(), []);
  await file.flush();
  deepEqual(names(), ["ä"]);
  file.write('{"name":1}');
  file.write('{"name":2}');
  await file.flush();
  await file.flush();
  deepEqual(names(), ["ä", 1, 2]);
  file.write('{"name":3}');
  await file.close();
  deepEqual(names(), ["ä", 1, 2, 3]);
});
