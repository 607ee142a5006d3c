// Goal: nothing an ftrace text says is lost or changed, at speed. Method: every event of the
// recorded traces is printed back in the kernel's form and compared with its line, and the counts
// with those of an independent search; then header variants of other kernels and tools, by hand.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { Outcome } from "../../src/base/issue.ts";
import { type FtraceOptions, ftraceReader } from "../../src/formats/ftrace.ts";
import type { TraceEvent, TraceSummary } from "../../src/formats/ftrace-event.ts";
import { probeReader } from "../../src/formats/ftrace-probe.ts";
import { LineFeeder, readText } from "../../src/formats/reader.ts";
import { bounded } from "../support/bounded.ts";
import { traceFiles, traceNames, WHOLE_BOOTS } from "../support/corpus.ts";
import { damaged } from "./mutate.ts";

function read(
  text: string,
  options?: FtraceOptions,
): Outcome<TraceSummary> & { events: TraceEvent[] } {
  const events: TraceEvent[] = [];
  const outcome = readText(
    ftraceReader((event) => events.push(event), options),
    text,
  );
  return { ...outcome, events };
}

const fileOf = (name: string, path: string): string => {
  const text = traceFiles(name).get(path);
  expect.ok(text, `${name}/${path}`);
  return text;
};

/** The columns as kernels since 5.18 print them. */
function head(event: Exclude<TraceEvent, { name: "lost" }>): string {
  const left = `${event.task.padStart(16)}-${String(event.pid).padEnd(7)}`;
  const cpu = `[${String(event.cpu).padStart(3, "0")}]`;
  return `${left} ${cpu} ${event.flags?.text} ${(event.time / 1e6).toFixed(6).padStart(12)}: `;
}

/** An event of the page allocator as 6.1 and 6.12 print it, with `page`, which no record keeps. */
function payload(event: TraceEvent, page: string): string | null {
  const { name } = event;
  if (!("pfn" in event) || name.startsWith("cma") || name.startsWith("mm_vmscan")) return null;
  const start = `${name}: page=${page} pfn=0x${event.pfn.toString(16)} `;
  switch (name) {
    case "mm_page_alloc":
      return `${start}order=${event.order} migratetype=${event.migratetype} gfp_flags=${event.gfp}`;
    case "mm_page_alloc_zone_locked":
      return `${start}order=${event.order} migratetype=${event.migratetype} percpu_refill=${Number(event.percpuRefill)}`;
    case "mm_page_free":
      return `${start}order=${event.order}`;
    case "mm_page_free_batched":
      return `${start}order=0`;
    case "mm_page_pcpu_drain":
      return `${start}order=${event.order} migratetype=${event.migratetype}`;
    case "mm_page_alloc_extfrag":
      return `${start}alloc_order=${event.allocOrder} fallback_order=${event.fallbackOrder} pageblock_order=${event.pageblockOrder} alloc_migratetype=${event.allocMigratetype} fallback_migratetype=${event.fallbackMigratetype} fragmenting=${Number(event.fragmenting)} change_ownership=${Number(event.changeOwnership)}`;
    default:
      return null;
  }
}

test("every page event of the recorded traces prints back byte for byte", () => {
  let pages = 0;
  for (const name of traceNames(WHOLE_BOOTS)) {
    const text = fileOf(name, "trace.txt");
    const lines = text.split("\n");
    const { value, issues } = readText(
      ftraceReader((event) => {
        const line = lines[event.line - 1] ?? "";
        if (event.name === "lost") return expect.fail("nothing was lost here");
        expect.ok(line.startsWith(head(event)), `${name}:${event.line}`);
        const page = /: page=(\S+) /.exec(line)?.[1] ?? "";
        const printed = payload(event, page);
        if (printed === null) return;
        pages++;
        expect.equal(head(event) + printed, line, `${name}:${event.line}`);
      }),
      text,
    );
    expect.deepEqual(issues, [], name);
    expect.equal(value.garbled + value.unknown.size + value.backwards, 0, name);
    expect.equal(value.pfnBase, 16, name);
    expect.equal(value.tracer, "nop", name);
  }
  expect.ok(pages > 150000, `only ${pages}`);
});

test("counts are those of the text, and every event reaches the sink", () => {
  for (const name of traceNames(WHOLE_BOOTS)) {
    const text = fileOf(name, "trace.txt");
    const counts = new Map<string, number>();
    for (const [, event = ""] of text.matchAll(/^.{36} +\d+\.\d{6}: (\w+): /gm)) {
      counts.set(event, (counts.get(event) ?? 0) + 1);
    }
    let sunk = 0;
    const { value } = readText(
      ftraceReader(() => sunk++),
      text,
    );
    expect.deepEqual(value.counts, counts, name);
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
    expect.equal(sunk, total, name);
    const comments = text.split("\n").filter((line) => line.startsWith("#")).length;
    expect.equal(value.lines, total + comments, name);
  }
});

test("the trace says what its meta file says: nothing of the whole recording was lost before", () => {
  for (const name of traceNames(WHOLE_BOOTS)) {
    const meta: unknown = JSON.parse(fileOf(name, "meta.json"));
    expect.ok(typeof meta === "object" && meta !== null && "events" in meta);
    const { events } = meta;
    expect.ok(typeof events === "object" && events !== null);
    const { value } = read(fileOf(name, "trace.txt"));
    const recorded = new Map<string, unknown>(Object.entries(events));
    for (const [event, count] of value.counts) {
      // The recording goes on after the snapshot that ends the packed text.
      expect.ok(count <= Number(recorded.get(event)), `${name} ${event}`);
    }
    const free = (value.counts.get("mm_page_free") ?? 0) / Number(recorded.get("mm_page_free"));
    expect.ok(free > 0.8, `${name}: ${free}`);
  }
});

test("flags, CPUs and markers of a trace of two CPUs", () => {
  const { events, value } = read(fileOf("a-boot-512M-smp2", "trace.txt"));
  expect.equal(value.cpus, 2);
  const [first] = events;
  expect.deepEqual(first, {
    line: 13,
    task: "<idle>",
    pid: 0,
    tgid: null,
    cpu: 0,
    flags: { text: "d..4.", irqsOff: true, context: "task", preemptDepth: 4 },
    time: 212218,
    name: "mm_page_alloc_zone_locked",
    pfn: 0x55f0,
    order: 0,
    migratetype: 0,
    percpuRefill: true,
  });
  const cpus = new Set(events.map((event) => event.cpu));
  expect.deepEqual([...cpus].sort(), [0, 1]);
  const marks = events.flatMap((event) =>
    event.name === "tracing_mark_write" ? [event.text] : [],
  );
  expect.deepEqual(marks, [
    "SNAP BEGIN before",
    "SNAP END before",
    "WORK BEGIN",
    "WORK END",
    "SNAP BEGIN after",
  ]);
});

const FREE = "mm_page_free: page=0000000000000001 pfn=";
/** One event each, in the columns of other kernels and tools. */
const COLUMNS: readonly (readonly [string, string, Partial<TraceEvent>])[] = [
  [
    "before 3.0: no flags, decimal",
    `           <...>-1234  [001]  4154.504455: mm_page_free_direct: page=ffffea0000000000 pfn=1048576 order=3`,
    { task: "<...>", pid: 1234, cpu: 1, flags: null, time: 4154504455, pfn: 1048576 },
  ],
  [
    "4 flags",
    `            bash-812   [003] d.h2    12.000001: ${FREE}77 order=0`,
    {
      cpu: 3,
      time: 12000001,
      flags: { text: "d.h2", irqsOff: true, context: "hardirq", preemptDepth: 2 },
    },
  ],
  [
    "thread group, recorded",
    `            bash-812   (    812) [003] ..s1    12.000001: ${FREE}77 order=0`,
    { tgid: 812, flags: { text: "..s1", irqsOff: false, context: "softirq", preemptDepth: 1 } },
  ],
  [
    "thread group, not recorded",
    `            bash-812   (-------) [003] D.Z.    12.000001: ${FREE}77 order=0`,
    { tgid: null, flags: { text: "D.Z.", irqsOff: true, context: "nmi", preemptDepth: 0 } },
  ],
  [
    "names of blanks, dashes and brackets",
    `  a-1 [002] b: c-812     [003] .....    12.000001: ${FREE}0x4d order=0`,
    { task: "a-1 [002] b: c", pid: 812, cpu: 3, pfn: 77 },
  ],
  [
    "a name that is not ASCII, so narrower in characters than in bytes",
    `         über-812     [003] .....    12.000001: ${FREE}0x4d order=0`,
    { task: "über", pid: 812, pfn: 77 },
  ],
  ["blanks cut off", `bash-812 [003] ..... 12.000001: ${FREE}0x4d order=0`, { task: "bash" }],
  [
    "a counting clock",
    `            bash-812     [003] .....    123456: ${FREE}0x4d order=0`,
    { time: 123456 },
  ],
  [
    "trace-cmd report",
    `            bash-812   [003]    12.000001: mm_page_free:         page=0x1 pfn=77 order=0`,
    { pid: 812, cpu: 3, pfn: 77 },
  ],
  [
    "perf script",
    `bash   812 [003]    12.000001: kmem:mm_page_free: page=0x1 pfn=0x4d order=0`,
    { task: "bash", pid: 812, pfn: 77 },
  ],
];

test("columns of other kernels and tools", () => {
  for (const [what, line, expected] of COLUMNS) {
    const { events, issues } = read(`${line}\n`);
    expect.deepEqual(issues, [], what);
    expect.equal(events[0]?.name, "mm_page_free", what);
    expect.partialDeepStrictEqual(events[0], expected, what);
  }
});

test("lines of different columns in one file do not disturb each other", () => {
  const one = COLUMNS.map(([, line]) => line);
  const lines = fc.array(fc.nat({ max: one.length - 1 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(lines, (picked) => {
      const { events } = read(`${picked.map((at) => one[at]).join("\n")}\n`);
      const alone = picked.map((at) => read(`${one[at]}\n`).events[0]);
      expect.deepEqual(
        events.map((event) => ({ ...event, line: 1 })),
        alone,
      );
    }),
    { numRuns: 200 },
  );
});

test("the header names the flags: PREEMPT_RT has two more", () => {
  const header = `# tracer: nop
#
# entries-in-buffer/entries-written: 10/2512   #P:8
#
#                                _-------=> irqs-off
#                               / _------=> need-resched
#                              | / _-----=> need-resched-lazy
#                              || / _----=> hardirq/softirq
#                              ||| / _---=> preempt-depth
#                              |||| / _--=> preempt-lazy-depth
#                              ||||| / _-=> migrate-disable
#                              |||||| /     delay
#           TASK-PID     CPU#  |||||||  TIMESTAMP  FUNCTION
#              | |         |   |||||||     |         |
`;
  const { value, events, issues } = read(
    `${header}            bash-812     [003] d..h3..    12.000001: ${FREE}0x4d order=0\n`,
  );
  expect.deepEqual(issues, []);
  expect.deepEqual(value.entries, { buffered: 10, written: 2512 });
  expect.equal(value.cpus, 8);
  const flags = { text: "d..h3..", irqsOff: true, context: "hardirq", preemptDepth: 3 };
  expect.deepEqual(events[0]?.name === "mm_page_free" && events[0].flags, flags);
});

const LINE = "            bash-812     [003] .....    12.000001: ";

test("lost events are counted and reach the sink at their place", () => {
  const text = `CPU:2 [LOST 2512 EVENTS]
${LINE}${FREE}0x4d order=0
CPU:0 [LOST EVENTS]
CPU:1 [5 EVENTS DROPPED]
##### CPU 1 buffer started ####
`;
  const { value, events, issues } = read(text);
  expect.deepEqual(value.lost, { marks: 3, events: 2517 });
  expect.deepEqual(
    events.filter((event) => event.name === "lost"),
    [
      { name: "lost", line: 1, cpu: 2, events: 2512 },
      { name: "lost", line: 3, cpu: 0, events: null },
      { name: "lost", line: 4, cpu: 1, events: 5 },
    ],
  );
  expect.deepEqual(
    issues.map(({ severity, line }) => [severity, line]),
    [
      ["warning", 1],
      ["warning", 3],
      ["warning", 4],
    ],
  );
});

test("unknown events are counted by name, other lines reported with their number", () => {
  const text = `${LINE}sched_switch: prev_comm=a ==> next_comm=b
${LINE}sched_switch: prev_comm=b ==> next_comm=a
what is this
${LINE}mm_page_free: page=0000000000000001 pfn=0x4d ord
${LINE}mm_vmscan_kswapd_wake: nid=0 order=
            bash-812     [003] .....    11.000001: ${FREE}0x4d order=0
# latency: 0 us, #27/27, CPU#0 | (M:server VP:0, KP:0, SP:0 HP:0 #P:4)
`;
  const { value, events, issues } = read(text);
  expect.deepEqual([...value.unknown], [["sched_switch", 2]]);
  expect.equal(events.length, 1);
  expect.equal(value.garbled, 3);
  expect.equal(value.backwards, 1);
  expect.deepEqual(
    issues.map(({ line }) => line),
    [3, 4, 5, 7, undefined],
  );
});

test("a failed request has no page, whatever the kernel prints for it", () => {
  const rest = "order=9 migratetype=1 gfp_flags=GFP_HIGHUSER_MOVABLE|__GFP_NOWARN";
  for (const page of ["0000000000000000", "          (null)", "(null)", "0x0", "(nil)"]) {
    for (const zero of ["0x0", "0"]) {
      const { events } = read(`${LINE}mm_page_alloc: page=${page} pfn=${zero} ${rest}\n`);
      expect.equal(events[0]?.name === "mm_page_alloc" && events[0].pfn, -1, page);
    }
  }
});

test("a line cut anywhere is reported or reads as far as its numbers go, never as another event", () => {
  const text = fileOf("a-boot-512M", "trace.txt");
  const lines = text.split("\n").filter((line) => /page=/.test(line));
  const where = fc.tuple(fc.nat({ max: lines.length - 1 }), fc.nat({ max: 200 }));
  fc.assert(
    fc.property(where, ([at, cut]) => {
      const line = lines[at] ?? "";
      const short = line.slice(0, Math.max(1, line.length - 1 - cut));
      const { value, events, issues } = read(`${short}\n`);
      expect.equal(events.length + issues.length + value.unknown.size, short.trim() === "" ? 0 : 1);
      const last = /[=|](\w*)$/.exec(short)?.[1] ?? "";
      // Only within its last word can a cut go unseen.
      if (events.length === 1) expect.ok(line.startsWith(short) && last !== "", short);
    }),
    { numRuns: 500 },
  );
});

test("CRLF and any cutting into chunks make no difference", () => {
  const text = fileOf("a-boot-512M-smp2", "trace.txt").slice(0, 40000);
  const whole = read(text);
  expect.deepEqual(read(text.replaceAll("\n", "\r\n")), whole);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1 }), (sizes) => {
      const events: TraceEvent[] = [];
      const reader = ftraceReader((event) => events.push(event));
      const feeder = new LineFeeder((line) => reader.line(line));
      for (let at = 0, i = 0; at < text.length; i++) {
        const size = sizes[i % sizes.length] ?? 1;
        feeder.push(text.slice(at, at + size));
        at += size;
      }
      if (feeder.end()) reader.unterminated?.();
      reader.end();
      expect.deepEqual(events, whole.events);
    }),
    { numRuns: 20 },
  );
});

test("damaged traces and random lines are read without harm, and every line is accounted for", () => {
  const probes = readText(probeReader(), fileOf("a-boot-512M-smp2", "kprobe_events")).value;
  const base = [
    fileOf("a-boot-512M-smp2", "trace.txt").slice(0, 6000),
    COLUMNS.map(([, line]) => line).join("\n"),
  ];
  const event = fc.constantFrom(
    ..."mm_page_alloc mm_vmscan_lru_isolate dma_map_sg swiotlb_bounced p_vmap map oom".split(" "),
  );
  const junk = fc
    .tuple(event, fc.string({ unit: fc.constantFrom(...' =0x1fpage:{},()"-~|'), maxLength: 80 }))
    .map(([name, rest]) => `${LINE}${name}: ${rest}\n`);
  const any = fc.oneof(
    fc.constantFrom(...base).chain(damaged),
    junk,
    fc.string({ unit: "binary", maxLength: 300 }),
  );
  fc.assert(
    fc.property(any, (text) => {
      const { value, events, issues } = read(text, { probes });
      const unknown = [...value.unknown.values()].reduce((sum, count) => sum + count, 0);
      const said = events.length + unknown + value.garbled;
      expect.ok(said <= value.lines && (value.garbled === 0 || issues.length > 0));
      for (const found of events) expect.ok(found.line >= 1 && found.line <= value.lines);
      for (const issue of issues) expect.ok(issue.message.length < 300);
    }),
    { numRuns: 1500 },
  );
});

test("memory stays flat: names and texts that never come back are not kept for ever", () => {
  const reader = ftraceReader(() => {});
  for (let i = 0; i < 30000; i++) {
    reader.line(`${`t${i}`.padStart(16)}-${i}     [003] .....    12.000001: event_${i}: x`);
  }
  reader.line(`${LINE}${FREE}0x4d order=0`);
  const { value } = reader.end();
  expect.ok(value.counts.size < 5000, `${value.counts.size} names`);
  expect.equal(value.counts.get("mm_page_free"), 1);
  const total = [...value.counts.values()].reduce((sum, count) => sum + count, 0);
  expect.equal(total, 30001);
});

test("long lines that nearly match take no longer than others", () => {
  const many = 60000;
  const long = [
    " ".repeat(many),
    `${" ".repeat(many)}x`,
    `${"a-1 ".repeat(many / 4)}[`,
    `bash-812 [003] ..... 12.000001: ${"a:".repeat(many / 2)}`,
    `${LINE}mm_page_free: page=${" ".repeat(many)}`,
    `${LINE}mm_vmscan_lru_isolate: ${"order=".repeat(many / 6)}`,
    `${LINE}dma_map_sg: a dir=x dma_addrs={${"0,".repeat(many / 2)}`,
    `${LINE}p_x: (a+0x0/0x1)${" a=1".repeat(many / 4)} !`,
    `${LINE}p_x: (a+0x0/0x1) a=${"9".repeat(many)}`,
  ];
  for (const line of long) {
    bounded(() => read(`${line}\n`.repeat(5)), line.slice(0, 60));
  }
});
