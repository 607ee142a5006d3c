// Goal: a capture is read whole, each file at most once, and nothing is opened that must not be.
// Method: read every capture of the corpus through files that count their openings, then made-up
// ones with absent, empty, failing and doubled files.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import { type CaptureFiles, readCapture, readVariant } from "../../src/formats/capture.ts";
import { corpusFiles, corpusNames } from "../support/corpus.ts";

interface Counting extends CaptureFiles {
  readonly opened: string[];
}

/** Files in memory, handed out in two chunks, that remember what was opened. */
function counting(name: string, files: ReadonlyMap<string, string>): Counting {
  const opened: string[] = [];
  return {
    name,
    paths: [...files.keys()],
    opened,
    async *open(path: string): AsyncIterable<string> {
      opened.push(path);
      const text = files.get(path);
      if (text === undefined) throw new Error("no such file");
      const half = text.length >> 1;
      yield text.slice(0, half);
      yield text.slice(half);
    },
  };
}

const made = (files: Record<string, string>): Counting =>
  counting("made", new Map(Object.entries(files)));

test("every capture of the corpus is read without an error, each file once", async () => {
  for (const name of corpusNames()) {
    const texts = corpusFiles(name);
    const files = counting(name, texts);
    const { value, issues } = await readCapture(files);
    expect.deepEqual(
      issues.filter((issue) => issue.source !== "dmesg"),
      [],
      name,
    );
    expect.equal(new Set(files.opened).size, files.opened.length, name);
    expect.ok(
      files.opened.every((path) => !path.startsWith("sysctl/")),
      name,
    );
    expect.ok(value.version && value.bootLog && value.zoneinfo && value.buddyinfo, name);
    expect.ok(value.meminfo && value.vmstat && value.iomem && value.cpuinfo && value.config, name);
    expect.equal(value.commandLine, texts.get("cmdline")?.trim(), name);
    expect.equal(
      value.sysctls.get("min_free_kbytes")?.[0],
      Number(texts.get("vm/min_free_kbytes")),
    );
    expect.equal(value.nodes !== null, texts.has("node/online"), name);
    expect.equal(value.firmwareMemmap !== null, texts.has("firmware_memmap"), name);
    expect.equal(value.thpEnabled !== null, texts.has("thp_enabled"), name);
    expect.equal(value.variants.includes("min1M"), texts.has("sysctl/min1M/set"), name);
  }
});

test("a variant has what was written and what came of it", async () => {
  let variants = 0;
  for (const name of corpusNames(/6\.12|numa/)) {
    const files = counting(name, corpusFiles(name));
    for (const variant of (await readCapture(files, { skip: () => true })).value.variants) {
      const { value, issues } = await readVariant(files, variant);
      expect.deepEqual(issues, [], `${name}/${variant}`);
      expect.ok(value.zoneinfo && value.buddyinfo && value.sysctls.size > 3, `${name}/${variant}`);
      const [, kib] = /^min_free_kbytes=(\d+)$/.exec(value.set) ?? [];
      if (kib !== undefined) expect.deepEqual(value.sysctls.get("min_free_kbytes"), [Number(kib)]);
      variants++;
    }
    expect.equal(new Set(files.opened).size, files.opened.length, name);
  }
  expect.ok(variants > 100, `only ${variants} variants`);
});

test("skipped files are never opened, and read as absent", async () => {
  const files = counting("x", corpusFiles("x86_64-6.1-512M"));
  const skip = (path: string): boolean => /zoneinfo|buddyinfo|pagetypeinfo/.test(path);
  const { value } = await readCapture(files, { skip });
  expect.ok(!files.opened.some(skip));
  expect.deepEqual([value.zoneinfo, value.buddyinfo, value.pagetypeinfo], [null, null, null]);
  expect.ok(value.meminfo);
});

test("the topology of a machine with a node that has no memory", async () => {
  const name = "x86_64-5.10-numa2-memoryless1";
  const { nodes } = (await readCapture(counting(name, corpusFiles(name)))).value;
  expect.ok(nodes);
  expect.deepEqual([nodes.online, nodes.hasMemory, nodes.memoryless], [[0, 1], [0], [1]]);
  expect.deepEqual(
    [...nodes.cpus],
    [
      [0, [0]],
      [1, [1]],
    ],
  );
  expect.deepEqual(
    [...nodes.distances],
    [
      [0, [10, 20]],
      [1, [20, 10]],
    ],
  );
  expect.equal(nodes.meminfo.get(1)?.get("MemTotal"), 0);
});

test("without has_memory a node's meminfo tells whether it has any", async () => {
  const meminfo = (node: number, kib: number): string => `Node ${node} MemTotal:  ${kib} kB\n`;
  const { value } = await readCapture(
    made({ "node/node0/meminfo": meminfo(0, 0), "node/node2/meminfo": meminfo(2, 1024) }),
  );
  expect.deepEqual([value.nodes?.online, value.nodes?.memoryless], [[0, 2], [0]]);
});

test("nothing at all is a capture without anything", async () => {
  const { value, issues } = await readCapture(made({}));
  expect.deepEqual(issues, []);
  for (const [key, field] of Object.entries(value)) {
    if (key === "name") continue;
    const size = field instanceof Map ? field.size : (field?.length ?? 0);
    expect.equal(size, 0, key);
  }
});

test("empty files are absent, with a warning that names them", async () => {
  const paths = ["zoneinfo", "buddyinfo", "pagetypeinfo", "iomem", "vmstat", "meminfo", "cpuinfo"];
  const { value, issues } = await readCapture(made(Object.fromEntries(paths.map((p) => [p, ""]))));
  expect.deepEqual([value.zoneinfo, value.iomem, value.vmstat], [null, null, null]);
  expect.deepEqual(
    issues.map(({ severity, source }) => [severity, source]),
    paths.map((p) => ["warning", p]),
  );
});

test("a file that cannot be read is an error, the others are read", async () => {
  const files: CaptureFiles = {
    name: "failing",
    paths: ["zoneinfo", "vm/min_free_kbytes", "vm/swappiness"],
    async *open(path: string): AsyncIterable<string> {
      yield path === "zoneinfo" ? "Node 0, zone      DMA\n" : "60\n";
      if (path !== "vm/swappiness") throw new Error("input/output error");
    },
  };
  const { value, issues } = await readCapture(files);
  expect.deepEqual(value.sysctls.get("swappiness"), [60]);
  expect.equal(value.zoneinfo, null);
  const failed = issues.filter((issue) => issue.message.includes("input/output error"));
  expect.deepEqual(
    failed.map((issue) => [issue.severity, issue.source]),
    [
      ["error", "zoneinfo"],
      ["error", "vm/min_free_kbytes"],
    ],
  );
});

test("names as in the machine's own file system, and one file under two names", async () => {
  const { value, issues } = await readCapture(
    made({
      "proc/sys/vm/min_free_kbytes": "1024\n",
      "vm/min_free_kbytes": "2048\n",
      "./sys/devices/system/node/online": "0\n",
      "sys/firmware/memmap/10/start": "0x1000\n",
      "sys/firmware/memmap/10/end": "0x1fff\n",
      "sys/firmware/memmap/10/type": "Reserved\n",
      "sys/firmware/memmap/2/start": "0x0\n",
      "sys/firmware/memmap/2/end": "0xfff\n",
      "sys/firmware/memmap/2/type": "System RAM\n",
      "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
      "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "64\n",
      "sys/kernel/debug/swiotlb/io_tlb_nslabs": "32768\n",
      "proc/devices": "Character devices:\n",
      notes: "not ours\n",
    }),
  );
  expect.deepEqual(value.sysctls.get("min_free_kbytes"), [1024]);
  expect.deepEqual(
    issues.map(({ source }) => source),
    ["vm/min_free_kbytes"],
  );
  expect.deepEqual(value.nodes?.online, [0]);
  expect.deepEqual(value.firmwareMemmap, [
    { start: 0, end: 0x1000, type: "System RAM" },
    { start: 0x1000, end: 0x2000, type: "Reserved" },
  ]);
  expect.equal(value.thpEnabled, "madvise");
  expect.equal(value.hugepages.get(2 ** 21)?.get("nr_hugepages"), 64);
  expect.deepEqual(value.swiotlb, { slots: 32768, used: 0, highWater: null });
});

test("what only the boot log says fills in for files", async () => {
  const dmesg = corpusFiles("x86_64-6.1-512M").get("dmesg") ?? "";
  const { value } = await readCapture(made({ dmesg }));
  expect.deepEqual(value.version?.numbers, [6, 1, 176]);
  expect.match(value.commandLine ?? "", /console=/);
});
