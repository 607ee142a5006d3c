// Goal: trace text becomes drivers' calls: probes that nest, interrupts in between, lists that are
// cut, addresses that are hidden; and whatever a file says, a replay ends without a throw.
// Method: lines as the kernel writes them, made up; random ones out of true pieces.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { ftraceReader } from "../../../src/formats/ftrace.ts";
import { readText } from "../../../src/formats/reader.ts";
import { swiotlbRule } from "../../../src/kernels/swiotlb.ts";
import {
  type DmaCall,
  DmaCollector,
  type DmaFacts,
  type DmaSources,
  dmaSources,
} from "../../../src/replay/index.ts";
import { runDma } from "./recorded-dma.ts";

function line(text: string, task = "dd-7", cpu = 0): string {
  return `   ${task}   [00${cpu}] ..... 1.000001: ${text}`;
}

function read(lines: readonly string[]): { sources: DmaSources; calls: readonly DmaCall[] } {
  const text = `${lines.join("\n")}\n`;
  const names = new DmaCollector(null, null, null);
  readText(ftraceReader(names.sink), text);
  const sources = dmaSources(names.names);
  const collector = new DmaCollector(sources, null, null);
  readText(ftraceReader(collector.sink), text);
  return { sources, calls: collector.end() };
}

const MAP =
  'p_m: (dma_map_page_attrs+0x0/0x270) dev="d1" page=0xffffea0004000040 off=256 size=1522 dir=2';
const MAPPED = "r_m: (nic_rx+0x1/0x2 <- dma_map_page_attrs) handle=0xbbcd6000";
const BOUNCE =
  'p_s: (swiotlb_tbl_map_single+0x0/0x6c0) dev="d1" orig=0x100001100 mapsize=1522 allocsize=1522 alignmask=0x0 dir=2';
const BOUNCED = "r_s: (swiotlb_map+0x6f/0x260 <- swiotlb_tbl_map_single) tlb=0xbbcd6000";
const UNMAP = 'p_u: (dma_unmap_page_attrs+0x0/0x1c0) dev="d2" handle=0x5000 size=64 dir=1';

test("a bounce within a map is that map's, one outside is a call; an interrupt may come between", () => {
  const { calls, sources } = read([
    line(MAP),
    line(BOUNCE),
    line(UNMAP, "<idle>-0"),
    line(BOUNCED),
    line(MAPPED),
    line(BOUNCE.replace("orig=0x100001100", "orig=0x100009000")),
    line(BOUNCED.replace("bbcd6000", "bbcd7000")),
  ]);
  assert.deepEqual(sources, { any: true, tracepoints: false, slotProbes: true, translated: false });
  assert.deepEqual(
    calls.map(({ line: at, time, cpu, ...call }) => call),
    [
      { kind: "unmap", device: "d2", dma: 0x5000, bytes: 64, direction: 1 },
      {
        kind: "map",
        device: "d1",
        direction: 2,
        physical: 0x100001100,
        bytes: 1522,
        dma: 0xbbcd6000,
      },
      {
        kind: "bounced",
        device: "d1",
        direction: 2,
        physical: 0x100009000,
        bytes: 1522,
        dma: 0xbbcd7000,
      },
    ],
  );
});

test("with tracepoints the probes on the same functions say nothing new", () => {
  const { calls } = read([
    line(MAP),
    line("dma_map_page: d1 dir=FROM_DEVICE dma_addr=5000 size=64 phys_addr=5000 attrs="),
    line(MAPPED),
    line(UNMAP),
    line("dma_unmap_page: d1 dir=FROM_DEVICE dma_addr=5000 size=64 attrs="),
  ]);
  assert.deepEqual(
    calls.map(({ kind }) => kind),
    ["map", "unmap"],
  );
});

test("attempts that no mapping follows were of a list that the kernel refused", () => {
  const bounced = (at: string, device = "d1"): string =>
    `swiotlb_bounced: dev_name: ${device} dma_mask=ffffffff dev_addr=${at} size=4096 NORMAL`;
  const sg = (at: string): string =>
    `dma_map_sg: d1 dir=TO_DEVICE nents=2/2 ents=2/2 dma_addrs={0xb000,0xc000} sizes={0x1000,0x1000} phys_addrs={0x${at},0x5000} attrs=`;
  const { calls } = read([
    line(bounced("100000000")),
    // An interrupt on the same CPU maps in the middle.
    `   dd-7   [000] ..s.. 1.000001: ${bounced("200000000", "d2")}`,
    "   dd-7   [000] ..s.. 1.000001: dma_map_page: d2 dir=TO_DEVICE dma_addr=a000 size=4096 phys_addr=200000000 attrs=",
    line(bounced("100001000")),
    line(bounced("100000000")),
    line(sg("100000000")),
  ]);
  const failed = calls.flatMap((call) => (call.kind === "event" && call.failed ? [call.line] : []));
  assert.deepEqual(failed, [1, 4]);
});

test("a list of more than 128 entries is known by those that both of its events print", () => {
  const pages = Array.from({ length: 130 }, (_, i) => `0x${(0x10000 + i * 4096).toString(16)}`);
  const listed = pages.slice(0, 128);
  const sizes = listed.map(() => "0x1000");
  const { calls, sources } = read([
    line(
      `dma_map_sg: d1 dir=TO_DEVICE nents=128/130 ents=128/130 [TRUNCATED] dma_addrs={${listed}} sizes={${sizes}} phys_addrs={${listed}} attrs=`,
    ),
    line(`dma_unmap_sg: d1 dir=TO_DEVICE phys_addrs={${pages}} attrs=`),
  ]);
  const [map] = calls;
  assert.ok(map?.kind === "map-sg");
  assert.deepEqual([map.parts.length, map.missing], [128, 2]);
  return runDma({ sources, calls, facts: FACTS }).then(({ score }) => {
    assert.deepEqual([score.open, score.unknownEnds, score.missing], [0, 0, 2]);
  });
});

test("at one moment of the clock, another CPU's end may be printed before its beginning", async () => {
  const map = line("dma_map_page: d1 dir=TO_DEVICE dma_addr=5000 size=64 phys_addr=5000 attrs=");
  const end = "dma_unmap_page: d1 dir=TO_DEVICE dma_addr=5000 size=64 attrs=";
  const run = async (lines: readonly string[]) => {
    const { score } = await runDma({ ...read(lines), facts: FACTS });
    return [score.open, score.unknownEnds];
  };
  assert.deepEqual(await run([line(end, "dd-8", 1), map]), [0, 0]);
  assert.deepEqual(await run([line(end, "dd-8", 0), map]), [1, 1]);
  assert.deepEqual(await run([line(end, "dd-8", 1).replace("1.000001", "1.0"), map]), [1, 1]);
});

test("pages whose addresses are hidden are left out and counted", async () => {
  const { calls, sources } = read([line(MAP.replace("ffffea00", "ffffd123")), line(MAPPED)]);
  const { score } = await runDma({ calls, sources, facts: FACTS });
  assert.equal(score.unplaced, 1);
  assert.equal(score.devices.size, 0);
});

const RULE = swiotlbRule("6.1");
assert.ok(RULE !== null);
const FACTS: DmaFacts = {
  upstream: "6.1.0",
  rule: RULE,
  pool: { start: 0xbbcc0000, slots: 512, areas: 1 },
  force: false,
  usedBefore: 0,
  usedAfter: null,
  highWater: null,
  devices: new Map(),
  zones: [{ name: "Normal", startPfn: 0x100000, spanned: 4096 }],
};

const number = fc.oneof(
  fc.integer({ min: -5, max: 300000 }).map(String),
  fc.constantFrom("ffffffffffffffff", "0x0", "bbcc0000", "100001000", "9007199254740993", "x"),
);
const list = fc.array(number, { maxLength: 4 }).map((own) => `{${own.join()}}`);
const event = fc.oneof(
  fc
    .tuple(number, number, number)
    .map(
      ([a, b, c]) => `dma_map_page: d1 dir=TO_DEVICE dma_addr=${a} size=${b} phys_addr=${c} attrs=`,
    ),
  fc
    .tuple(number, number)
    .map(([a, b]) => `dma_unmap_page: d1 dir=TO_DEVICE dma_addr=${a} size=${b} attrs=`),
  fc
    .tuple(list, list, list)
    .map(
      ([a, b, c]) =>
        `dma_map_sg: d1 dir=NONE nents=2/9 ents=1 dma_addrs=${a} sizes=${b} phys_addrs=${c} attrs=`,
    ),
  fc
    .tuple(list, number)
    .map(([a, b]) => `dma_map_sg_err: d1 dir=X phys_addrs=${a} err=${b} attrs=`),
  list.map((a) => `dma_unmap_sg: d1 dir=TO_DEVICE phys_addrs=${a} attrs=`),
  fc
    .tuple(number, number)
    .map(
      ([a, b]) =>
        `dma_alloc: d1 dir=BIDIRECTIONAL dma_addr=${a} size=${b} virt_addr=1 flags=GFP_KERNEL attrs=`,
    ),
  fc
    .tuple(number, number)
    .map(([a, b]) => `swiotlb_bounced: dev_name: d1 dma_mask=${a} dev_addr=${b} size=${a} NORMAL`),
  fc.constantFrom(MAP, MAPPED, BOUNCE, BOUNCED, UNMAP, "tracing_mark_write: PHASE x"),
);

test("whatever the lines say, a replay and every what-if come to an end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { maxLength: 30 }),
      fc.constantFrom("force", "slots", "noforce"),
      async (lines, asked) => {
        const own = read(lines.map((text) => line(text)));
        const whatIf = {
          text: asked,
          slots: asked === "slots" ? 128 : null,
          areas: null,
          force: asked === "force",
          noforce: asked === "noforce",
        };
        const first: DmaCall = { kind: "phase", name: "x", line: 1, time: 0, cpu: 0 };
        const map: DmaCall = {
          kind: "mask",
          device: "d1",
          limit: 0xffffffff,
          coherent: false,
          line: 1,
          time: 0,
          cpu: 0,
        };
        const sources = { ...own.sources, any: true };
        await runDma({ sources, calls: [first, map, ...own.calls], facts: FACTS }, whatIf);
      },
    ),
    { numRuns: 300 },
  );
});
