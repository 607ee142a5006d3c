// Goal: events are printed as the kernel prints them. Method: lines that 6.12 and 6.1 wrote into real
// traces (Debian 6.12.95 and 6.1.176 under QEMU), made again from records; and what a layer tells.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createDma,
  type DmaEvent,
  formatDmaEvent,
  sgList,
  simpleDevice,
} from "../../src/dma/index.ts";
import { gfpEra } from "../../src/kernels/gfp.ts";
import { allocPages, GFP_KERNEL } from "../../src/mm/index.ts";
import { PlainBounce, small } from "../support/dma.ts";

const NVME = "0000:00:05.0";
const ATA = "0000:00:01.1";

const RECORDED: readonly (readonly [string, DmaEvent])[] = [
  [
    "dma_map_page: 0000:00:05.0 dir=FROM_DEVICE dma_addr=105bbd000 size=4096 phys_addr=105bbd000 attrs=",
    {
      name: "dma_map_page",
      device: NVME,
      direction: 2,
      dma: 0x105bbd000,
      size: 4096,
      physical: 0x105bbd000,
      attrs: 0,
    },
  ],
  [
    "dma_unmap_page: 0000:00:05.0 dir=FROM_DEVICE dma_addr=105bbd000 size=4096 attrs=",
    { name: "dma_unmap_page", device: NVME, direction: 2, dma: 0x105bbd000, size: 4096, attrs: 0 },
  ],
  [
    "dma_alloc: 0000:00:01.1 dir=BIDIRECTIONAL dma_addr=4100000 size=2048 virt_addr=(____ptrval____) flags=GFP_KERNEL attrs=",
    {
      name: "dma_alloc",
      device: ATA,
      direction: 0,
      dma: 0x4100000,
      size: 2048,
      physical: 0x4100000,
      gfp: 0xcc0,
      attrs: 0,
    },
  ],
  [
    "dma_map_sg: 0000:00:01.1 dir=FROM_DEVICE nents=1/1 ents=1/1 dma_addrs={0xbbcb3000} sizes={0x1000} phys_addrs={0x105d05000} attrs=",
    {
      name: "dma_map_sg",
      device: ATA,
      direction: 2,
      dmas: [0xbbcb3000],
      sizes: [4096],
      physicals: [0x105d05000],
      attrs: 0,
    },
  ],
  [
    "dma_unmap_sg: 0000:00:01.1 dir=FROM_DEVICE phys_addrs={0x105d05000} attrs=",
    { name: "dma_unmap_sg", device: ATA, direction: 2, physicals: [0x105d05000], attrs: 0 },
  ],
  [
    "dma_sync_single_for_cpu: 0000:00:04.0 dir=FROM_DEVICE dma_addr=bbcb6000 size=114",
    {
      name: "dma_sync_single_for_cpu",
      device: "0000:00:04.0",
      direction: 2,
      dma: 0xbbcb6000,
      size: 114,
    },
  ],
  [
    "swiotlb_bounced: dev_name: 0000:00:01.1 dma_mask=ffffffff dev_addr=1052bb000 size=4096 NORMAL",
    {
      name: "swiotlb_bounced",
      device: ATA,
      mask: 0xffffffff,
      dma: 0x1052bb000,
      size: 4096,
      force: false,
    },
  ],
];

test("S8 events print as they were recorded", () => {
  for (const [line, event] of RECORDED) {
    assert.equal(formatDmaEvent(event, gfpEra("6.12")), line);
  }
});

test("S8 long lists are cut at 128 entries, as the kernel cuts them", () => {
  const many = Array.from({ length: 200 }, (_, i) => i * 4096);
  const line = formatDmaEvent(
    {
      name: "dma_map_sg",
      device: "d",
      direction: 1,
      dmas: many,
      sizes: many,
      physicals: many,
      attrs: 0x20,
    },
    gfpEra("6.12"),
  );
  assert.match(line, /nents=128\/200 ents=128\/200 \[TRUNCATED\] dma_addrs=\{0x0,0x1000,/);
  assert.ok(line.endsWith("attrs=SKIP_CPU_SYNC"));
  const merged = { name: "dma_map_sg", device: "d", direction: 1, attrs: 0 } as const;
  const few = { ...merged, dmas: [0], sizes: [4096], physicals: many };
  assert.match(formatDmaEvent(few, gfpEra("6.12")), /nents=128\/200 ents=1\/1 \[TRUNCATED\]/);
});

test("S8 what is refused is told too", () => {
  const told: string[] = [];
  const dma = createDma(small(512, 256), {
    era: "6.12",
    mappings: 1024,
    onEvent: (event) => told.push(formatDmaEvent(event, gfpEra("6.12"))),
  });
  const nic = dma.addDevice({ ...simpleDevice("nic", 32), busLimit: 0xffff });
  dma.map(nic, 0x100000, 64, 1);
  dma.mapSg(nic, sgList([{ physical: 0x100000, length: 64 }]), 1);
  assert.equal(dma.allocCoherent(nic, 2 ** 30), null);
  assert.deepEqual(told, [
    "dma_map_page: nic dir=TO_DEVICE dma_addr=ffffffffffffffff size=64 phys_addr=100000 attrs=",
    "dma_map_sg_err: nic dir=TO_DEVICE dma_addrs={0x100000} err=-5 attrs=",
    "dma_alloc: nic dir=BIDIRECTIONAL dma_addr=0 size=1073741824 virt_addr=0000000000000000 flags=GFP_KERNEL attrs=",
  ]);
});

test("S8 a layer tells what it does, in the kernel's order", () => {
  const memory = small(512, 256);
  const told: DmaEvent[] = [];
  const dma = createDma(memory, {
    era: "6.12",
    mappings: 1024,
    bounce: new PlainBounce(memory, 0x40000, 0x20000),
    zoneDmaLimit: 2 ** 20 - 1,
    onEvent: (event) => told.push(event),
  });
  const nic = dma.addDevice(simpleDevice("nic", 20));
  const page = allocPages(memory, GFP_KERNEL, 0) * 4096;
  const buffer = dma.allocCoherent(nic, 64);
  const address = dma.mapPage(nic, page / 4096, 16, 100, 2);
  dma.syncSingleForCpu(nic, address, 10, 2);
  dma.unmapPage(nic, address, 100, 2);
  const list = sgList([{ physical: page, length: 64 }]);
  dma.mapSg(nic, list, 1);
  dma.unmapSg(nic, list, 1);
  if (buffer !== null) dma.freeCoherent(nic, buffer);
  assert.deepEqual(
    told.map(({ name }) => name),
    [
      "dma_alloc",
      "swiotlb_bounced",
      "dma_map_page",
      "dma_sync_single_for_cpu",
      "dma_unmap_page",
      "swiotlb_bounced",
      "dma_map_sg",
      "dma_unmap_sg",
      "dma_free",
    ],
  );
  assert.deepEqual(dma.counts(nic), {
    device: "nic",
    maps: 1,
    unmaps: 1,
    mappedBytes: 164,
    refused: 0,
    bounces: 2,
    bouncedBytes: 164,
    lists: 1,
    listEntries: 1,
    listUsed: 1,
    syncs: 1,
    allocs: 1,
    frees: 1,
    allocatedBytes: 0,
    busBytes: 0,
    busFaults: 0,
  });
});
