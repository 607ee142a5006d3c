// Goal: nothing that --redact takes out comes back, in whatever part of a finding it stood, and what
// tells why memory was refused stays. Method: logs made of reports and sentences with made-up names of
// tasks, devices, groups, hosts, builds and addresses; no name may be in what is printed.
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { redact } from "../../src/explain/index.ts";
import { blocksOf, failureHeader, reportLines } from "../support/reports.ts";
import { explain } from "./explain.ts";

const ZONE = {
  name: "Normal",
  free: 60_000,
  min: 65_536,
  boost: 0,
  managed: 8_388_608,
  highatomic: 0,
  freeCma: 0,
  reserve: [0, 0, 0, 0, 0],
  blocks: blocksOf({ 0: 15_000 }),
};

/** Made up, and in no word of ours. */
const nameOf = (kind: string): fc.Arbitrary<string> =>
  fc.stringMatching(/^[a-z]{5,9}$/).map((word) => `zq${kind}${word}`);
const hex = fc.stringMatching(/^[0-9a-f]{10}$/).map((digits) => `7b${digits}`);
const pci = fc
  .tuple(fc.integer({ min: 16, max: 255 }), fc.integer({ min: 16, max: 31 }), fc.nat(7))
  .map(([bus, slot, fn]) => `${bus.toString(16)}:${slot.toString(16)}.${fn}`);
const secrets = fc.record({
  task: nameOf("t"),
  killed: nameOf("k"),
  group: nameOf("g"),
  device: nameOf("d"),
  host: nameOf("h"),
  build: nameOf("b"),
  address: hex,
  pci,
});
type Secrets = typeof secrets extends fc.Arbitrary<infer T> ? T : never;

const SENTENCES: readonly ((s: Secrets) => string)[] = [
  ({ device }) =>
    `${device} 2490000.${device}: swiotlb buffer is full (sz: 8192 bytes), total 32768 (slots), used 32767 (slots)`,
  ({ device, address }) =>
    `${device} 0: DMA addr 0x${address}+1514 overflow (mask ffffffff, bus limit 0).`,
  ({ device, address }) =>
    `${device} 0: overflow 0x${address}+1514 of DMA mask ffffffff bus limit 0`,
  ({ device, pci: id, address }) =>
    `${device} 0000:${id}: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0021 address=0x${address} flags=0x0050]`,
  ({ pci: id, address }) =>
    `DMAR: [DMA Read] Request device [${id}] fault addr ${address} [fault reason 06] PTE Read access is not set`,
  ({ device, address }) =>
    `DMA-API: ${device} 0: device driver frees DMA memory with different size [device address=0x${address}] [map size=64 bytes] [unmap size=60 bytes]`,
  ({ device, address }) =>
    `arm-smmu ${device}: Unhandled context fault: fsr=0x402, iova=0x${address}, fsynr=0x70091, cb=7`,
  ({ task, group }) =>
    `oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=${group},mems_allowed=0,oom_memcg=/${group},task_memcg=/${group}/a,task=${task},pid=7,uid=0`,
  ({ task }) =>
    `Memory cgroup out of memory: Killed process 7 (${task}) total-vm:1kB, anon-rss:1kB`,
  ({ group }) => `Task in /${group} killed as a result of limit of /${group}`,
  ({ task }) =>
    `XFS: ${task}(2514) possible memory allocation deadlock size 50184 in kmem_alloc (mode:0x250)`,
  ({ device }) => `cma: cma_alloc: ${device}: alloc failed, req-size: 148 pages, ret: -16`,
  ({ task }) => `${task}: Cannot allocate memory`,
  ({ device }) => `DMA pool exhausted for ${device}`,
];

function logOf(s: Secrets): string[] {
  const report = reportLines({
    header: failureHeader(0, "0xcc0(GFP_KERNEL)", s.task).replace("cpuset=/", `cpuset=${s.group}`),
    comm: s.task,
    zones: [ZONE],
    release: `6.1.0-${s.build} #1`,
  });
  const killer = [
    `${s.killed} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0`,
    `${s.killed} cpuset=${s.group} mems_allowed=0`,
    ...reportLines({
      header: "x",
      comm: s.killed,
      zones: [ZONE],
      release: `6.1.0-${s.build} #1`,
    }).slice(1),
    `Out of memory: Killed process 9 (${s.task}) total-vm:1kB`,
  ];
  const lines = [...report, ...SENTENCES.map((sentence) => sentence(s)), ...killer];
  return lines.map((line) => `Nov  3 10:00:00 ${s.host} kernel: [   12.345678] ${line}`);
}

test("no name comes back", () => {
  fc.assert(
    fc.property(secrets, (own) => {
      const findings = explain(logOf(own));
      ok(findings.length >= 10, `${findings.length} findings`);
      const { findings: clean, removed } = redact(findings);
      const text = JSON.stringify(clean);
      for (const [kind, word] of Object.entries(own)) {
        const at = text.indexOf(word);
        ok(at === -1, `${kind}: ${text.slice(Math.max(0, at - 80), at + 40)}`);
      }
      for (const kind of ["tasks", "devices", "groups", "build names", "addresses"]) {
        ok((removed.get(kind) ?? 0) > 0, kind);
      }
    }),
    { numRuns: 200 },
  );
});

test("the verdicts and their numbers stay, and redacting twice changes nothing more", () => {
  fc.assert(
    fc.property(secrets, (own) => {
      const findings = explain(logOf(own));
      const { findings: clean } = redact(findings);
      deepEqual(
        clean.map(({ cause, zones, line, order, gfp }) => [cause, zones, line, order, gfp]),
        findings.map(({ cause, zones, line, order, gfp }) => [cause, zones, line, order, gfp]),
      );
      const again = redact(clean).findings.map(({ evidence, advice }) => [evidence, advice]);
      equal(
        JSON.stringify(again).replaceAll(/\d/g, ""),
        JSON.stringify(clean.map(({ evidence, advice }) => [evidence, advice])).replaceAll(
          /\d/g,
          "",
        ),
      );
    }),
    { numRuns: 50 },
  );
});

test("one name is one alias everywhere", () => {
  const findings = explain([
    failureHeader(0, "0xcc0(GFP_KERNEL)", "secret"),
    "CPU: 0 PID: 7 Comm: secret Not tainted 6.1.0 #1",
    "XFS: secret(7) possible memory allocation deadlock in kmem_alloc (mode:0x250)",
  ]);
  const { findings: clean, removed } = redact(findings);
  equal(removed.get("tasks"), 1);
  deepEqual(
    clean.map(({ comm }) => comm),
    ["<task 1>", "<task 1>"],
  );
});
