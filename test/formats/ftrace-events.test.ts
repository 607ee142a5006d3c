// Goal: the events of reclaim, compaction, migration, CMA, DMA, IOMMU and OOM have the fields that
// the kernel printed. Method: a line of each kind as kernels print it, mostly recorded, next to the
// record it stands for; then probes with the file that describes them.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import { type FtraceOptions, ftraceReader } from "../../src/formats/ftrace.ts";
import type { TraceEvent } from "../../src/formats/ftrace-event.ts";
import { EVENT_FIELDS, SAME_FIELDS } from "../../src/formats/ftrace-fields.ts";
import { probeReader } from "../../src/formats/ftrace-probe.ts";
import { readText } from "../../src/formats/reader.ts";
import { traceFiles } from "../support/corpus.ts";

const LINE = "            bash-812     [003] .....    12.000001: ";

function readOne(payload: string, options?: FtraceOptions): TraceEvent {
  const events: TraceEvent[] = [];
  const reader = ftraceReader((event) => events.push(event), options);
  const { issues } = readText(reader, `${LINE}${payload}\n`);
  expect.deepEqual(issues, [], payload);
  const [event] = events;
  expect.ok(event, payload);
  return event;
}

const SAMPLES: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ["mm_vmscan_kswapd_sleep: nid=1", { nid: 1 }],
  ["mm_vmscan_kswapd_wake: nid=0 order=3", { nid: 0, zid: null, order: 3 }],
  ["mm_vmscan_kswapd_wake: nid=0 zid=2 order=3", { zid: 2 }],
  ["mm_vmscan_wakeup_kswapd: nid=0 order=0 gfp_flags=none", { nid: 0, order: 0, gfp: "none" }],
  ["mm_vmscan_wakeup_kswapd: nid=0 zid=1 order=0", { zid: 1, gfp: null }],
  [
    "mm_vmscan_direct_reclaim_begin: order=0 gfp_flags=GFP_HIGHUSER_MOVABLE|__GFP_COMP",
    { order: 0, gfp: "GFP_HIGHUSER_MOVABLE|__GFP_COMP" },
  ],
  ["mm_vmscan_direct_reclaim_end: nr_reclaimed=34", { reclaimed: 34 }],
  [
    "mm_vmscan_lru_isolate: isolate_mode=0 classzone=2 order=9 nr_requested=32 nr_scanned=31 nr_skipped=0 nr_taken=30 lru=inactive_file",
    { highestZone: 2, order: 9, requested: 32, scanned: 31, taken: 30, lru: "inactive_file" },
  ],
  [
    "mm_shrink_slab_start: super_cache_scan+0x0/0x190 0000000012345678: nid: 1 objects to shrink 5 gfp_flags GFP_KERNEL cache items 100 delta 12 total_scan 17 priority 12",
    { nid: 1, objects: 5, gfp: "GFP_KERNEL", items: 100 },
  ],
  [
    "mm_compaction_isolate_freepages: range=(0xcc00 ~ 0xce00) nr_scanned=512 nr_taken=277",
    { start: 0xcc00, end: 0xce00, scanned: 512, taken: 277 },
  ],
  ["mm_compaction_migratepages: nr_migrated=32 nr_failed=1", { migrated: 32, failed: 1 }],
  [
    "mm_compaction_begin: zone_start=0x1000 migrate_pfn=0x1200 free_pfn=0xfe00 zone_end=0xffd9, mode=sync",
    { zoneStart: 0x1000, migratePfn: 0x1200, freePfn: 0xfe00, zoneEnd: 0xffd9, mode: "sync" },
  ],
  [
    "mm_compaction_end: zone_start=0x1000 migrate_pfn=0x2a00 free_pfn=0x2a00 zone_end=0xffd9, mode=sync status=partial_skipped",
    { mode: "sync", status: "partial_skipped" },
  ],
  [
    "mm_compaction_finished: node=0 zone=DMA32    order=9 ret=no_suitable_page",
    { node: 0, zone: "DMA32", order: 9, result: "no_suitable_page" },
  ],
  [
    "mm_compaction_defer_compaction: node=0 zone=DMA32    order=9 order_failed=0 consider=0 limit=2",
    { zone: "DMA32", order: 9, orderFailed: 0, considered: 0, limit: 2 },
  ],
  [
    "mm_compaction_wakeup_kcompactd: nid=0 order=9 classzone_idx=DMA32   ",
    { nid: 0, order: 9, highestZone: "DMA32" },
  ],
  [
    "mm_compaction_kcompactd_wake: nid=0 order=9 highest_zoneidx=Normal  ",
    { highestZone: "Normal" },
  ],
  [
    "mm_compaction_try_to_compact_pages: order=9 gfp_mask=GFP_KERNEL priority=2",
    { order: 9, gfp: "GFP_KERNEL", priority: 2 },
  ],
  ["mm_compaction_try_to_compact_pages: order=9 gfp_mask=GFP_KERNEL mode=1", { priority: 1 }],
  [
    "mm_migrate_pages: nr_succeeded=21 nr_failed=2 nr_thp_succeeded=0 nr_thp_failed=0 nr_thp_split=0 mode=MIGRATE_SYNC_LIGHT reason=compaction",
    { succeeded: 21, failed: 2, mode: "MIGRATE_SYNC_LIGHT", reason: "compaction" },
  ],
  ["cma_alloc_start: name=reserved count=32 align=5", { area: "reserved", count: 32, total: null }],
  [
    "cma_alloc_start: name=reserved request_count=32 available_count=100 total_count=200 align=5",
    { count: 32, available: 100, total: 200, alignOrder: 5 },
  ],
  [
    "cma_alloc_finish: name=reserved pfn=0x76c00 page=00000000f29d8f1d count=32 align=5 errorno=-12",
    { area: "reserved", pfn: 0x76c00, count: 32, alignOrder: 5, error: -12 },
  ],
  ["cma_release: pfn=76c00 page=00000000f29d8f1d count=32", { area: null, pfn: 0x76c00 }],
  [
    "swiotlb_bounced: dev_name: 0000:00:01.1 dma_mask=ffffffff dev_addr=105d05000 size=4096 NORMAL",
    {
      device: "0000:00:01.1",
      dmaMask: 0xffffffff,
      address: 0x105d05000,
      bytes: 4096,
      force: "NORMAL",
    },
  ],
  [
    "swiotlb_bounced: dev_name: eth0 dma_mask=ffffffffffffffff dev_addr=0 size=1 swiotlb_force=NORMAL",
    { dmaMask: Number.MAX_SAFE_INTEGER, force: "NORMAL" },
  ],
  [
    "dma_map_page: 0000:00:05.0 dir=FROM_DEVICE dma_addr=105bbd000 size=4096 phys_addr=105bbd000 attrs=",
    {
      device: "0000:00:05.0",
      direction: "FROM_DEVICE",
      dmaAddress: 0x105bbd000,
      address: 0x105bbd000,
      attributes: "",
    },
  ],
  [
    "dma_map_sg: 0000:00:01.1 dir=FROM_DEVICE nents=2/3 ents=1/1 dma_addrs={0xbbcb3000,0xbbcb4000} sizes={0x1000,0x200} phys_addrs={0x105d05000} attrs=SKIP_CPU_SYNC",
    {
      entries: 2,
      mappedEntries: 1,
      dmaAddresses: [0xbbcb3000, 0xbbcb4000],
      bytes: [0x1000, 0x200],
      addresses: [0x105d05000],
      attributes: "SKIP_CPU_SYNC",
    },
  ],
  [
    "dma_unmap_sg: 0000:00:01.1 dir=FROM_DEVICE phys_addrs={0x105d05000} attrs=",
    { addresses: [0x105d05000] },
  ],
  [
    "dma_alloc: 0000:00:01.1 dir=BIDIRECTIONAL dma_addr=4100000 size=2048 virt_addr=(____ptrval____) flags=GFP_KERNEL attrs=",
    { dmaAddress: 0x4100000, bytes: 2048, gfp: "GFP_KERNEL" },
  ],
  [
    "dma_sync_single_for_cpu: 0000:00:04.0 dir=FROM_DEVICE dma_addr=bbcb6000 size=114",
    { dmaAddress: 0xbbcb6000, bytes: 114 },
  ],
  [
    "map: IOMMU: iova=0x00000000fff3f000 - 0x00000000fff40000 paddr=0x0000000000001000 size=4096",
    { start: 0xfff3f000, end: 0xfff40000, address: 0x1000, bytes: 4096 },
  ],
  [
    "unmap: IOMMU: iova=0x00000000fff3f000 - 0x00000000fff40000 size=4096 unmapped_size=4096",
    { start: 0xfff3f000, unmappedBytes: 4096 },
  ],
  ["map: IOMMU: iova=0x1000 paddr=0x2000 size=4096", { start: 0x1000, end: null }],
  [
    "add_device_to_group: IOMMU: groupID=3 device=0000:00:00.0",
    { group: 3, device: "0000:00:00.0" },
  ],
  ["attach_device_to_domain: IOMMU: device=0000:00:00.0", { device: "0000:00:00.0" }],
  [
    "io_page_fault: IOMMU:e1000 0000:00:04.0 iova=0x00000000fff3f000 flags=0x0001",
    { device: "e1000 0000:00:04.0", address: 0xfff3f000, flags: 1 },
  ],
  [
    "oom_score_adj_update: pid=246 comm=Web Content oom_score_adj=-17",
    { pid: 246, task: "Web Content", scoreAdj: -17 },
  ],
  [
    "reclaim_retry_zone: node=0 zone=DMA32    order=0 reclaimable=7415 available=8110 min_wmark=921 no_progress_loops=0 wmark_check=1",
    { zone: "DMA32", reclaimable: 7415, available: 8110, minWatermark: 921, loops: 0, retry: 1 },
  ],
  ["mark_victim: pid=246", { pid: 246 }],
  ["mark_victim: pid=246 comm=hog total-vm=4099052kB uid=0", { pid: 246 }],
  [
    "compact_retry: order=9 priority=COMPACT_PRIO_SYNC_LIGHT compaction_result=withdrawn retries=0 max_retries=16 should_retry=0",
    { priority: "COMPACT_PRIO_SYNC_LIGHT", result: "withdrawn", maxRetries: 16, retry: 0 },
  ],
  [
    "kmalloc: call_site=do_it+0x1/0x20 ptr=000000001234abcd bytes_req=100 bytes_alloc=128 gfp_flags=GFP_KERNEL|__GFP_ZERO node=-1 accounted=false",
    { cache: null, bytesRequested: 100, bytesAllocated: 128, node: -1, accounted: "false" },
  ],
  ["kfree: call_site=ffffffff81000000 ptr=          (null)", { pointer: "(null)" }],
  [
    "mm_setup_per_zone_wmarks: node_id=0 zone name=DMA32 watermark min=5632 low=7040 high=8448 promo=9856",
    { node: 0, zone: "DMA32", min: 5632, low: 7040, high: 8448, promo: 9856 },
  ],
  [
    "mm_setup_per_zone_lowmem_reserve: node_id=0 zone name=DMA upper_zone name=DMA32 lowmem_reserve_pages=2991",
    { zone: "DMA", upperZone: "DMA32", pages: 2991 },
  ],
  [
    "mm_page_free_batched: page=ffffea0000000001 pfn=77 order=0 cold=1",
    { name: "mm_page_free_batched", pfn: 77, cold: true },
  ],
  [
    "mm_pagevec_free: page=ffffea0000000001 pfn=77 order=0 cold=0",
    { name: "mm_page_free_batched", cold: false },
  ],
];

test("each kind of event has the fields that were printed", () => {
  for (const [payload, expected] of SAMPLES) {
    expect.partialDeepStrictEqual({ ...readOne(payload) }, expected, payload);
  }
});

test("every field of the table has a value or is allowed to be missing", () => {
  const events = new Map(Object.entries(EVENT_FIELDS));
  for (const [payload] of SAMPLES) {
    const event = readOne(payload);
    const fields = events.get(event.name as keyof typeof EVENT_FIELDS);
    for (const field of Object.keys(fields ?? {}))
      expect.ok(field in event, `${payload}: ${field}`);
  }
  for (const other of Object.values(SAME_FIELDS)) expect.ok(events.has(other), other);
});

test("probes are read by their description, and without it", () => {
  const text = traceFiles("a-boot-512M-smp2").get("kprobe_events") ?? "";
  const { value: probes, issues } = readText(probeReader(), text);
  expect.deepEqual(issues, []);
  expect.deepEqual(
    [...probes.keys()],
    [
      "p_bulk",
      "r_bulk",
      "p_vmap",
      "p_vmap128",
      "p_vmap256",
      "r_compaction_alloc",
      "p_compaction_free",
    ],
  );
  expect.deepEqual(probes.get("r_bulk"), {
    name: "r_bulk",
    group: "kprobes",
    kind: "return",
    symbol: "__alloc_pages_bulk",
    args: [{ name: "n", fetch: "$retval", type: "u64" }],
  });
  const bulk =
    "p_bulk: (__alloc_pages_bulk+0x0/0x6b0) gfp=0x2dc2 nid=-1 nr=4 array=0xffff888008adfb20";
  const values = new Map([
    ["gfp", 0x2dc2n],
    ["nid", -1n],
    ["nr", 4n],
    ["array", 0xffff888008adfb20n],
  ]);
  for (const options of [{ probes }, {}]) {
    expect.partialDeepStrictEqual(readOne(bulk, options), {
      name: "probe",
      probe: "p_bulk",
      symbol: "__alloc_pages_bulk",
      caller: null,
      values,
    });
    expect.partialDeepStrictEqual(
      readOne("r_bulk: (nvme_x.part.0+0x264/0x880 [nvme] <- __alloc_pages_bulk) n=4", options),
      { probe: "r_bulk", symbol: "__alloc_pages_bulk", caller: "nvme_x.part.0" },
    );
  }
  const map =
    'p_x: (f+0x0/0x1) dev="0000:00:04.0" pages={0xffffea0000240000,0xffffea0000240040} e={} c=(fault)';
  expect.partialDeepStrictEqual(readOne(map), {
    values: new Map<string, unknown>([
      ["dev", "0000:00:04.0"],
      ["pages", [0xffffea0000240000n, 0xffffea0000240040n]],
      ["e", []],
      ["c", "(fault)"],
    ]),
  });
});

test("every probe hit of a recorded trace has its values, a cut one is reported", () => {
  const files = traceFiles("a-boot-512M-smp2");
  const { value: probes } = readText(probeReader(), files.get("kprobe_events") ?? "");
  const text = files.get("trace.txt") ?? "";
  const lines = text.split("\n").filter((line) => /: [pr]_\w+: /.test(line));
  let hits = 0;
  for (const line of lines) {
    const events: TraceEvent[] = [];
    const reader = ftraceReader((event) => events.push(event), { probes });
    const { issues } = readText(reader, `${line}\n${line.slice(0, -20)}\n`);
    expect.equal(events.length, 1, line);
    expect.equal(issues.length, 1, line);
    hits++;
  }
  expect.ok(hits > 100, `only ${hits}`);
});

test("odd lines of kprobe_events are reported, defaults are the kernel's", () => {
  const { value, issues } = readText(
    probeReader(),
    "p do_sys_open+4 %di\nnonsense\n\nr5:g/x f:y\n",
  );
  expect.deepEqual(
    issues.map(({ line }) => line),
    [2],
  );
  expect.deepEqual(
    [...value.values()].map(({ name, group, kind }) => [name, group, kind]),
    [
      ["p_do_sys_open_4", "kprobes", "entry"],
      ["x", "g", "return"],
    ],
  );
});
