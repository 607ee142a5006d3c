// Goal: each rule of memory reports speaks when its condition holds, with the numbers of the report,
// and is silent when one number more or less lifts it. Method: synthetic reports in the kernel's
// form, one condition each, and the reports of the lab's own kernel.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { MEMORY_RULES } from "../../src/explain/index.ts";
import {
  blocksOf,
  failureHeader,
  type ReportSpec,
  reportLines,
  type ZoneSpec,
} from "../support/reports.ts";
import { explain, explainOne } from "./explain.ts";

const KERNEL = "0xcc0(GFP_KERNEL)";
const ATOMIC_6_1_Y = "0xa20(GFP_ATOMIC)";

/** A zone of 8 GiB whose min mark is 16384 pages. */
const NORMAL: ZoneSpec = {
  name: "Normal",
  free: 400_000,
  min: 65_536,
  boost: 0,
  managed: 8_388_608,
  highatomic: 0,
  freeCma: 0,
  reserve: [0, 0, 0, 0, 0],
  blocks: blocksOf({ 0: 40_000, 1: 30_000 }),
};
const DMA32: ZoneSpec = {
  ...NORMAL,
  name: "DMA32",
  free: 60_000,
  min: 12_000,
  managed: 2_000_000,
  reserve: [0, 0, 8192, 8192, 8192],
  blocks: blocksOf({ 0: 15_000 }),
};
const LOW: ZoneSpec = { ...NORMAL, free: 60_000, blocks: blocksOf({ 0: 15_000 }) };

interface Case {
  readonly rule: string;
  readonly cause: string;
  readonly says: RegExp;
  readonly confidence?: string;
  readonly advice?: RegExp;
  readonly spec: ReportSpec | readonly string[];
}

const fail = (order: number, mode: string, ...zones: ZoneSpec[]): ReportSpec => ({
  header: failureHeader(order, mode),
  zones,
});
const oomHeader = (gfp: string, order = 0): string =>
  `hog invoked oom-killer: gfp_mask=${gfp}, order=${order}, oom_score_adj=0`;

/** As 3.8 to 4.x print it. */
function olden({ boost: _, highatomic: __, ...zone }: ZoneSpec): ZoneSpec {
  return { ...zone, reserve: [0, 0, 0, 0] };
}

/** A machine of 2 GiB with nine pages in a zone of their own. */
function tinyState(): string[] {
  const small = { managed: 36, free: 0, min: 4, low: 8, high: 12 };
  const zones = [olden(DMA32), olden({ ...NORMAL, ...small, blocks: blocksOf({}) })];
  return reportLines({ header: "", zones }).slice(5);
}

const CASES: readonly Case[] = [
  {
    rule: "forced",
    cause: "forced",
    says: /by hand/,
    spec: { header: oomHeader(KERNEL, -1), zones: [NORMAL] },
  },
  {
    rule: "memcg",
    cause: "memcg",
    says: /10 MiB used of 10 MiB/,
    spec: [
      oomHeader(KERNEL),
      "CPU: 0 PID: 1 Comm: hog Not tainted 6.1.0 #1",
      "memory: usage 10240kB, limit 10240kB, failcnt 5",
      "Tasks state (memory values in pages):",
      "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task=hog",
      "Memory cgroup out of memory: Killed process 7 (hog) total-vm:10kB",
    ],
  },
  {
    rule: "oom-without-request",
    cause: "oom-without-request",
    says: /page fault/,
    spec: { header: oomHeader("0x0()"), zones: [NORMAL] },
  },
  {
    rule: "corrupt-accounting",
    cause: "corrupt-accounting",
    says: /cannot be true/,
    spec: fail(0, KERNEL, { ...NORMAL, min: 9_000_000 }),
  },
  {
    rule: "allocator-not-fed",
    cause: "allocator-not-fed",
    says: /before|asked/,
    spec: [
      failureHeader(0, KERNEL),
      "Mem-Info:",
      "active_anon:0 inactive_anon:0 isolated_anon:0",
      " active_file:0 inactive_file:0 isolated_file:0",
      " slab_reclaimable:0 slab_unreclaimable:0",
      " free:0 free_pcp:0 free_cma:0",
      "Node 0 Normal free:0kB min:0kB low:0kB high:0kB present:1000000kB managed:1000000kB",
      "lowmem_reserve[]: 0 0 0 0",
    ],
  },
  {
    rule: "vmalloc",
    cause: "address-space-full",
    says: /64 KiB of vmalloc/,
    confidence: "consistent",
    spec: [
      "swapper/0: vmalloc error: size 65536, vm_struct allocation failed, mode:0xcc0(GFP_KERNEL), nodemask=(null)",
      "CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.6.0 #1",
    ],
  },
  {
    rule: "first-line",
    cause: "not-in-report",
    says: /gives up early/,
    spec: [failureHeader(5, KERNEL), "CPU: 0 PID: 1 Comm: dd Not tainted 6.1.0 #1"],
  },
  {
    rule: "zone-missing",
    cause: "zone-missing",
    says: /no zone above DMA/,
    advice: /without GFP_DMA/,
    spec: fail(
      0,
      "0xcc1(GFP_KERNEL|GFP_DMA)",
      { ...NORMAL, name: "DMA", free: 0, min: 0, managed: 0, reserve: [0, 500, 3000, 3000, 3000] },
      NORMAL,
    ),
  },
  {
    rule: "request-too-large",
    cause: "request-too-large",
    says: /cannot exist/,
    spec: fail(12, KERNEL, NORMAL),
  },
  {
    rule: "tiny-zone",
    cause: "tiny-zone",
    says: /Normal has only 9 pages/,
    confidence: "hint",
    spec: ["Linux version 4.4.0-21-generic (a@b) (gcc) #37", ...tinyState()],
  },
  {
    rule: "cpuset",
    cause: "cpuset",
    says: /node 1 would have served/,
    advice: /node 1/,
    spec: {
      header: failureHeader(0, KERNEL),
      zones: [LOW, { ...NORMAL, node: 1 }],
    },
  },
  {
    rule: "passes-now",
    cause: "passes-now",
    says: /would be served from Normal by 83616 pages/,
    confidence: "unconfirmed",
    spec: fail(0, KERNEL, NORMAL),
  },
  {
    rule: "not-enough-in-zone",
    cause: "not-enough-in-zone",
    says: /1024 pages, and fewer/,
    spec: fail(10, KERNEL, { ...NORMAL, free: 160, min: 100, blocks: blocksOf({ 0: 40 }) }),
  },
  {
    rule: "only-types",
    cause: "cma-only",
    says: /only in CMA areas/,
    spec: fail(3, KERNEL, {
      ...NORMAL,
      freeCma: 4096,
      blocks: blocksOf({ 0: 98_976 }).map(([count, types], order) =>
        order === 10 ? [1, "C"] : [count, types],
      ),
    }),
  },
  {
    rule: "order-watermark",
    cause: "order-watermark",
    says: /a share of the mark/,
    spec: {
      ...fail(4, "0xd0", {
        name: "Normal",
        free: 84_000,
        min: 75_000,
        managed: 4_000_000,
        reserve: [0, 0, 0, 0],
        blocks: blocksOf({ 0: 20_600, 4: 25 }),
      }),
      release: "2.6.32-5-amd64 #1",
    },
  },
  {
    rule: "fragmentation",
    cause: "fragmentation",
    says: /in pieces: the largest is an order-1 block/,
    advice: /an order-1 block/,
    spec: fail(4, KERNEL, NORMAL),
  },
  {
    rule: "undecided",
    cause: "not-in-report",
    says: /cannot be computed/,
    spec: fail(4, KERNEL, without(NORMAL, "blocks")),
  },
  {
    rule: "one-factor",
    cause: "boost-only",
    says: /boosted by 10000 pages/,
    advice: /watermark_boost_factor=0/,
    spec: fail(0, KERNEL, { ...NORMAL, free: 90_000, min: 105_536, boost: 40_000 }),
  },
  {
    rule: "lowmem-exhausted",
    cause: "lowmem-exhausted",
    says: /HighMem has 250000 free pages, which it cannot use/,
    spec: {
      ...fail(
        0,
        KERNEL,
        { ...LOW, reserve: [0, 0, 8000, 8000] },
        {
          ...NORMAL,
          name: "HighMem",
          free: 1_000_000,
          min: 512,
          high: 3000,
          reserve: [0, 0, 0, 0],
          blocks: blocksOf({ 10: 244 }),
        },
      ),
      flat: true,
    },
  },
  {
    rule: "below-watermark",
    cause: "below-watermark",
    says: /Normal refuses one page with GFP_KERNEL: 1385 pages short \(15000 <= 16384\)\. DMA32 holds 15000/,
    spec: fail(0, KERNEL, { ...DMA32, reserve: [0, 0, 20_000, 20_000, 20_000] }, LOW),
  },
];

function without(zone: ZoneSpec, name: keyof ZoneSpec): ZoneSpec {
  const { [name]: _, ...rest } = zone;
  return rest as ZoneSpec;
}

describe("the rule", () => {
  for (const { rule, cause, says, confidence, advice, spec } of CASES) {
    test(rule, () => {
      const finding = explainOne("header" in spec ? reportLines(spec) : spec);
      equal(finding.rule, rule, finding.sentence);
      equal(finding.cause, cause);
      match(finding.sentence, says);
      if (confidence !== undefined) equal(finding.confidence, confidence);
      if (advice === undefined) return;
      const computed = finding.advice.filter(({ basis }) => basis === "computed");
      ok(
        computed.some(({ change }) => advice.test(change)),
        JSON.stringify(finding.advice),
      );
    });
  }

  test("has a case, whichever it is", () => {
    deepEqual(
      CASES.map(({ rule }) => rule),
      MEMORY_RULES.map(({ name }) => name),
    );
  });
});

describe("the deciding factor", () => {
  const factor = (zone: Partial<ZoneSpec>, mode = KERNEL): string => {
    const { cause, also } = explainOne(reportLines(fail(0, mode, { ...NORMAL, ...zone })));
    return [cause, ...also].join(" ");
  };

  test("is CMA, where CMA pages make the difference", () => {
    equal(factor({ free: 70_000, freeCma: 20_000 }), "cma-only");
  });

  test("is the highatomic reserve", () => {
    equal(factor({ free: 70_000, highatomic: 20_000 }), "highatomic-only");
  });

  test("is either of two, and says so", () => {
    const both = { free: 110_000, min: 105_536, boost: 40_000, freeCma: 10_000 };
    equal(factor(both), "cma-only boost-only");
  });

  test("is the reserve, only where no higher zone decides", () => {
    const lines = reportLines(
      fail(
        0,
        KERNEL,
        { ...DMA32, free: 40_000 },
        { ...LOW, free: 400, min: 2000, managed: 4_000, blocks: blocksOf({ 0: 100 }) },
      ),
    );
    equal(explainOne(lines).cause, "reserve");
  });

  test("is not the boost for an atomic page since 5.9", () => {
    const boosted = { free: 45_000, min: 105_536, boost: 40_000 };
    equal(factor(boosted, ATOMIC_6_1_Y), "passes-now below-watermark boost-only");
  });
});

describe("rights", () => {
  const answer = (mode: string, release: string, free: number): string => {
    const zone = { ...NORMAL, free };
    return explainOne(reportLines({ ...fail(0, mode, zone), release })).cause;
  };
  // min is 16384 pages; half of it and a quarter less are 6144.
  const cases: readonly (readonly [string, string, number])[] = [
    ["0xcc0(GFP_KERNEL)", "6.1.0-50-amd64 #1 Debian 6.1.176-1", 16_384],
    ["0x820(GFP_ATOMIC)", "6.6.0 #1", 6144],
    ["0xa20(GFP_ATOMIC)", "5.10.0 #1", 6144],
    ["0x800(GFP_NOWAIT)", "5.10.0 #1", 16_384],
    ["0x480020(GFP_ATOMIC)", "4.19.0 #1", 6144],
    ["0x2080020(GFP_ATOMIC)", "4.9.0 #1", 6144],
    ["0x20", "2.6.36 #1", 6144],
  ];
  for (const [mode, release, mark] of cases) {
    test(`of ${mode} in ${release}: refused at ${mark} pages, served at one more`, () => {
      ok(["below-watermark", "not-in-report"].includes(answer(mode, release, mark * 4)));
      equal(answer(mode, release, mark * 4), "below-watermark");
      equal(answer(mode, release, (mark + 1) * 4), "passes-now");
    });
  }

  test("of a task that frees memory: every page, but not in its soft interrupts", () => {
    const spec = { ...fail(0, KERNEL, { ...NORMAL, free: 400 }), comm: "kswapd0" };
    const frames = ["warn_alloc", "shrink_node", "balance_pgdat", "kswapd"];
    const header = failureHeader(0, KERNEL, "kswapd0");
    equal(explainOne(reportLines({ ...spec, header, frames })).cause, "passes-now");
    const soft = ["warn_alloc", "net_rx_action", "__do_softirq", ...frames];
    equal(explainOne(reportLines({ ...spec, header, frames: soft })).cause, "below-watermark");
  });
});

test("a fallback makes it harmless, and that is said", () => {
  const header =
    "kworker/0:1: vmemmap alloc failure: order:9, mode:0x4cc0(GFP_KERNEL|__GFP_RETRY_MAYFAIL), nodemask=(null),cpuset=/,mems_allowed=0";
  const finding = explainOne(reportLines({ header, zones: [NORMAL] }));
  equal(finding.cause, "fragmentation");
  match(finding.harmless ?? "", /falls back to single pages/);
});

test("the lab's kernel: what it stopped at, to the page", () => {
  const file = new URL("fixtures/i-oom-256M.dmesg.gz", import.meta.url);
  const findings = explain(gunzipSync(readFileSync(file)).toString());
  deepEqual(
    findings.map(({ kind, cause, confidence, kernel }) => [kind, cause, confidence, kernel]),
    [
      ["oom", "below-watermark", "proven", "6.1.176"],
      ["oom", "boost-only", "proven", "6.1.176"],
      ["memory-state", "passes-now", "unconfirmed", "6.1.176"],
      ["oom", "forced", "proven", "6.1.176"],
    ],
  );
  const zones = findings.map(({ zones: all }) =>
    all.map(({ name, usable, needs, short }) => [name, usable, needs, short]),
  );
  deepEqual(zones.slice(0, 2), [
    [
      ["DMA32", 233, 237, 5],
      ["DMA", 206, 206, 1],
    ],
    [
      ["DMA32", 749, 749, 1],
      ["DMA", 606, 718, 113],
    ],
  ]);
});

test("memory that no counter names is told, and most of it makes a leak one reading", () => {
  const zone = { ...LOW, managed: 8_388_608 };
  const lines = reportLines(fail(0, KERNEL, zone)).map((line) =>
    line.startsWith(" free:")
      ? " active_file:0 slab_unreclaimable:100000 free:15000 free_pcp:49 free_cma:0"
      : line,
  );
  const finding = explainOne(lines);
  equal(finding.cause, "below-watermark");
  match(finding.missing.join(), /7\.4 GiB\), 93 % of memory, that no counter names/);
  ok(finding.also.includes("leak"));
});

test("since 4.12 a tiny zone keeps nobody awake", () => {
  const findings = explain(["Linux version 4.12.0 (a@b) (gcc) #1", ...tinyState()]);
  deepEqual(
    findings.map(({ cause }) => cause),
    ["passes-now"],
  );
});

test("rows without their head are tried, and said to be headless", () => {
  const rows = reportLines(fail(0, KERNEL, LOW)).filter((line) =>
    /^Node 0 Normal|lowmem/.test(line),
  );
  const finding = explainOne(rows);
  equal(finding.kind, "memory-state");
  match(finding.sentence, /head of this report is not in the log.*Normal refuses/);
});

test("a zone that refuses whatever was cut off is given with bounds", () => {
  const cut = reportLines(fail(0, KERNEL, { ...LOW, free: 40_000 })).filter(
    (line) => !line.startsWith("lowmem_reserve"),
  );
  const finding = explainOne(cut);
  equal(finding.cause, "below-watermark");
  match(finding.sentence, /6385 pages short \(10000 <= 16384\)/);
});

describe("vmalloc's words", () => {
  const say = (words: string, tail: readonly string[] = []): string => {
    const finding = explainOne([words, ...tail]);
    return `${finding.rule} ${finding.cause} ${finding.order}`;
  };
  test("of sizes beyond RAM, of addresses, and of pages", () => {
    const tail = reportLines({ header: "x", zones: [NORMAL] }).slice(1);
    const head = "a: vmalloc error: size";
    match(
      say("a: vmalloc: allocation failure: 0 bytes, mode:0xcc0(GFP_KERNEL)"),
      /^vmalloc not-in/,
    );
    const rest = "mode:0xcc0(GFP_KERNEL), nodemask=(null),cpuset=/,mems_allowed=0";
    equal(
      say(`${head} 9000000000000, exceeds total pages, ${rest}`),
      "vmalloc request-too-large null",
    );
    equal(
      say(`${head} 9000000000, page order 9, failed to allocate pages, ${rest}`, tail),
      "vmalloc request-too-large 9",
    );
    equal(say(`${head} 4096, failed to map pages, ${rest}`), "vmalloc address-space-full null");
    equal(
      say(`${head} 8388608, page order 9, failed to allocate pages, ${rest}`, tail),
      "fragmentation fragmentation 9",
    );
  });
  test("up to 4.9 stand on a line of their own, and are one report with the next", () => {
    equal(
      say("vmalloc: allocation failure: 8388608 bytes", [
        "modprobe: page allocation failure: order:0, mode:0xd2",
        "CPU: 0 PID: 1 Comm: modprobe Not tainted 3.10.0 #1",
      ]),
      "vmalloc address-space-full 0",
    );
  });
});

describe("the limit of a memory cgroup is known by the words of", () => {
  const header = "hog invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0";
  const cases: Readonly<Record<string, readonly string[]>> = {
    "2.6.25": [
      "hog invoked oom-killer: gfp_mask=0xd0, order=0, oomkilladj=0",
      "Memory cgroup out of memory: kill process 7 (hog) score 100 or a child",
    ],
    "2.6.29": [
      header,
      "hog cpuset=/ mems_allowed=0",
      "Task in /a/b killed as a result of limit of /a",
      "memory: usage 51200kB, limit 51200kB, failcnt 17",
      "memory+swap: usage 51200kB, limit 9007199254740991kB, failcnt 0",
      "Memory cgroup out of memory: Kill process 7 (hog) score 1000 or sacrifice child",
      "Killed process 7 (hog) total-vm:102400kB, anon-rss:51200kB, file-rss:0kB",
    ],
    "3.10": [
      header,
      "Task in /a killed as a result of limit of /a",
      "memory: usage 51200kB, limit 51200kB, failcnt 17",
      "Memory cgroup stats for /a: cache:0KB rss:51200KB",
      "[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name",
      "[    7]     0     7    25600    12800      50        0             0 hog",
      "Memory cgroup out of memory: Kill process 7 (hog) score 1000 or sacrifice child",
    ],
    "5.0": [
      "hog invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
      "memory: usage 51200kB, limit 51200kB, failcnt 17",
      "Memory cgroup stats for /a:",
      "anon 52428800",
      "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task_memcg=/a,task=hog,pid=7,uid=0",
      "Memory cgroup out of memory: Killed process 7 (hog) total-vm:102400kB, anon-rss:51200kB",
    ],
    "any era, from the stack alone": [
      "hog invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
      "CPU: 0 PID: 7 Comm: hog Not tainted 6.12.0 #1",
      " out_of_memory+0x10/0x20",
      " mem_cgroup_out_of_memory+0x10/0x20",
      " try_charge_memcg+0x10/0x20",
    ],
  };
  for (const [era, lines] of Object.entries(cases)) {
    test(era, () => {
      const finding = explainOne(lines);
      deepEqual([finding.kind, finding.rule, finding.cause], ["oom", "memcg", "memcg"]);
      if (lines.some((line) => line.includes("usage 51200kB"))) {
        match(finding.sentence, /50 MiB used of 50 MiB/);
      }
    });
  }
});

describe("nodes held back by a cpuset or a policy are known by the words of", () => {
  const zones = [LOW, { ...NORMAL, node: 1 }];
  const old = zones.map(olden);
  const header = "a invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0";
  const cases: Readonly<Record<string, readonly [readonly string[], string]>> = {
    "2.6.18, a policy": [
      [
        ...reportLines({
          header: "a invoked oom-killer: gfp_mask=0xd0, order=0, oomkilladj=0",
          zones: old,
          release: "2.6.32 #1",
        }),
        "No available memory (MPOL_BIND): kill process 7 (a) score 100 or a child",
      ],
      "consistent",
    ],
    "2.6.18, a cpuset": [
      [
        ...reportLines({
          header: "a invoked oom-killer: gfp_mask=0xd0, order=0, oomkilladj=0",
          zones: old,
          release: "2.6.32 #1",
        }),
        "No available memory in cpuset: kill process 7 (a) score 100 or a child",
      ],
      "consistent",
    ],
    "3.x, on the second line": [
      [
        header,
        "a cpuset=b mems_allowed=0",
        ...reportLines({ header, zones: old, release: "3.16.0 #1" }).slice(1),
      ],
      "proven",
    ],
    "4.9, a nodemask in the first": [
      reportLines({
        header:
          "a invoked oom-killer: gfp_mask=0x24000c0(GFP_KERNEL), nodemask=0, order=0, oom_score_adj=0",
        zones: old,
        release: "4.9.0 #1",
      }),
      "proven",
    ],
    "5.0, a constraint": [
      [
        ...reportLines({
          header: "a invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
          zones,
          release: "6.1.0 #1",
        }),
        "oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=(null),cpuset=b,mems_allowed=0,global_oom,task_memcg=/,task=a,pid=7,uid=0",
        "Out of memory: Killed process 7 (a) total-vm:1kB",
      ],
      "proven",
    ],
  };
  for (const [era, [lines, confidence]] of Object.entries(cases)) {
    test(era, () => {
      const finding = explainOne(lines);
      deepEqual(
        [finding.rule, finding.cause, finding.confidence],
        ["cpuset", "cpuset", confidence],
      );
    });
  }
});
