// Goal: dma-debug prints what the kernel of the era prints, as often as it does. Method: its lines as
// kernel/dma/debug.c of 6.1, 4.19 and lib/dma-debug.c of 2.6.39 have them.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createDma,
  type DebugOptions,
  type Device,
  type Dma,
  sgList,
  simpleDevice,
} from "../../src/dma/index.ts";
import {
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
} from "../../src/dma/words.ts";
import { small } from "../support/dma.ts";

interface Bench {
  readonly dma: Dma;
  readonly nic: Device;
  /** Lines since the boot. */
  readonly lines: () => string[];
}

function bench(era: string, debug: DebugOptions = { allErrors: true }): Bench {
  const dma = createDma(small(512, 256), { era, debug, mappings: 1024 });
  const nic = dma.addDevice({ ...simpleDevice("0000:00:04.0", 64), driver: "e1000" });
  const boot = dma.reports.log.length;
  return { dma, nic, lines: () => dma.reports.log.slice(boot) };
}

const WHO = "DMA-API: e1000 0000:00:04.0: ";
const AT = "[device address=0x0000000000100000]";

test("S8 dma-debug's lines of 6.1", () => {
  const { dma, nic, lines } = bench("6.1");
  dma.unmapSingle(nic, 0x100000, 64, DMA_TO_DEVICE);
  dma.unmapSingle(nic, -1, 64, DMA_TO_DEVICE);
  const address = dma.mapSingle(nic, 0x100000, 4096, DMA_TO_DEVICE);
  dma.syncSingleForCpu(nic, address + 8, 64, DMA_FROM_DEVICE);
  dma.unmapSingle(nic, address, 64, DMA_FROM_DEVICE);
  const mappedAt = ["DMA-API: Mapped at:", " mapping 0 as single"];
  assert.deepEqual(lines(), [
    `${WHO}device driver tries to free DMA memory it has not allocated ${AT} [size=64 bytes]`,
    `${WHO}device driver tries to free an invalid DMA memory address`,
    `${WHO}device driver syncs DMA memory with different direction [device address=0x0000000000100008] [size=4096 bytes] [mapped with DMA_TO_DEVICE] [synced with DMA_FROM_DEVICE]`,
    ...mappedAt,
    `${WHO}device driver syncs device read-only DMA memory for cpu [device address=0x0000000000100008] [size=4096 bytes] [mapped with DMA_TO_DEVICE] [synced with DMA_FROM_DEVICE]`,
    ...mappedAt,
    `${WHO}device driver frees DMA memory with different size ${AT} [map size=4096 bytes] [unmap size=64 bytes]`,
    ...mappedAt,
    `${WHO}device driver frees DMA memory with different direction ${AT} [size=64 bytes] [mapped with DMA_TO_DEVICE] [unmapped with DMA_FROM_DEVICE]`,
    ...mappedAt,
    `${WHO}device driver failed to check map error${AT} [size=64 bytes] [mapped as single]`,
    ...mappedAt,
  ]);
});

test("S8 up to 4.19 the words DMA-API come after the device, and 2.6.39 asks for no error check", () => {
  for (const [era, count] of [
    ["4.19", 2],
    ["2.6.39", 1],
  ] as const) {
    const { dma, nic, lines } = bench(era);
    const address = dma.mapSingle(nic, 0x100000, 4096, DMA_TO_DEVICE);
    dma.unmapSingle(nic, address, 64, DMA_TO_DEVICE);
    const errors = lines().filter((line) => line.includes("DMA-API"));
    assert.equal(errors.length, count, era);
    assert.equal(
      errors[0],
      `e1000 0000:00:04.0: DMA-API: device driver frees DMA memory with different size ${AT} [map size=4096 bytes] [unmap size=64 bytes]`,
    );
  }
});

test("S8 only the first error is printed unless all are wanted; a driver filter hides the others'", () => {
  const first = bench("6.1", {});
  for (let i = 0; i < 3; i++) first.dma.unmapSingle(first.nic, 0x100000, 64, DMA_TO_DEVICE);
  assert.equal(first.lines().length, 1);
  assert.equal(first.dma.debug?.errors, 3);
  const other = bench("6.1", { driver: "nvme", allErrors: true });
  other.dma.unmapSingle(other.nic, 0x100000, 64, DMA_TO_DEVICE);
  assert.equal(other.lines().length, 0);
  assert.equal(other.dma.reports.misuses.length, 1);
});

test("S8 the origin of a mapping is printed, and what is pending when the driver goes", () => {
  let line = 40;
  const { dma, nic, lines } = bench("6.1", {
    allErrors: true,
    origin: () => `e1000_main.c:${line++}`,
  });
  dma.mapSingle(nic, 0x100000, 1500, DMA_TO_DEVICE);
  dma.mapSingle(nic, 0x102010, 1500, DMA_FROM_DEVICE);
  dma.unbindDriver(nic);
  assert.deepEqual(lines(), [
    `${WHO}device driver has pending DMA allocations while released from device [count=2]`,
    "One of leaked entries details: [device address=0x0000000000102010] [size=1500 bytes] [mapped with DMA_FROM_DEVICE] [mapped as single]",
    "DMA-API: Mapped at:",
    " e1000_main.c:41",
  ]);
  assert.deepEqual(dma.debug?.dump(dma.devices), [
    "e1000 0000:00:04.0 single idx 128 P=100000 N=100 D=100000 L=5dc DMA_TO_DEVICE dma map error not checked",
    "e1000 0000:00:04.0 single idx 129 P=102010 N=102 D=102010 L=5dc DMA_FROM_DEVICE dma map error not checked",
  ]);
});

test("S8 only the first cache line is tracked, not to the device, and overlaps count to seven", () => {
  const { dma, nic, lines } = bench("6.1");
  const overlap = (physical: number, direction: 0 | 1 | 2, attrs = 0): number => {
    const before = dma.reports.misuses.length;
    dma.map(nic, physical, 256, direction, attrs);
    return dma.reports.misuses.length - before;
  };
  assert.equal(overlap(0x100000, DMA_FROM_DEVICE), 0);
  assert.equal(overlap(0x100040, DMA_FROM_DEVICE), 0, "the second line of a mapping is nobody's");
  assert.equal(overlap(0x100000, DMA_TO_DEVICE), 0);
  assert.equal(overlap(0x100020, DMA_BIDIRECTIONAL, DMA_ATTR_SKIP_CPU_SYNC), 0);
  assert.equal(overlap(0x100020, DMA_BIDIRECTIONAL), 1);
  for (let i = 0; i < 6; i++) overlap(0x100000, DMA_FROM_DEVICE);
  const exceeded = lines().filter((own) => own.includes("exceeded 7 overlapping"));
  assert.deepEqual(exceeded, [
    "DMA-API: exceeded 7 overlapping mappings of cacheline 0x0000000000004000",
  ]);
});

test("S8 stacks, kernel text and vmalloc must not be mapped; segments keep to their limits", () => {
  const areas = [
    { kind: "stack", start: 0x100000, end: 0x102000 },
    { kind: "text", start: 0x110000, end: 0x111000 },
    { kind: "vmalloc", start: 2 ** 40, end: 2 ** 41 },
  ] as const;
  const { dma, nic, lines } = bench("6.1", { allErrors: true, areas });
  dma.mapSingle(nic, 0x100010, 64, DMA_TO_DEVICE);
  dma.mapSingle(nic, 0x10fff0, 64, DMA_TO_DEVICE);
  assert.equal(dma.mapSingle(nic, 2 ** 40, 64, DMA_TO_DEVICE), -1);
  const narrow = dma.addDevice({
    ...simpleDevice("ata", 64),
    maxSegmentSize: 4096,
    segmentBoundary: 0xffff,
  });
  const list = sgList([
    { physical: 0x120000, length: 8192 },
    { physical: 0x12f800, length: 4096 },
  ]);
  dma.mapSg(narrow, list, DMA_TO_DEVICE);
  assert.deepEqual(lines(), [
    `${WHO}device driver maps memory from stack [addr=100010]`,
    `${WHO}device driver maps memory from kernel text or rodata [addr=10fff0] [len=64]`,
    `${WHO}device driver maps memory from invalid area [addr=10000000000] [len=64]`,
    `${WHO}device driver maps memory from vmalloc area [addr=10000000000] [len=64]`,
    "DMA-API:  ata: mapping sg segment longer than device claims to support [len=8192] [max=4096]",
    "DMA-API:  ata: mapping sg segment across boundary [start=0x000000000012f800] [end=0x00000000001307ff] [boundary=0x000000000000ffff]",
  ]);
});

test("S8 a stack is told by a buffer's first byte, kernel text by any", () => {
  for (const [kind, count] of [
    ["stack", 0],
    ["rodata", 1],
  ] as const) {
    const areas = [{ kind, start: 0x100000, end: 0x102000 }];
    const { dma, nic, lines } = bench("6.1", { allErrors: true, areas });
    dma.mapSingle(nic, 0x100000 - 32, 64, DMA_TO_DEVICE);
    assert.equal(lines().length, count, kind);
    dma.mapSingle(nic, 0x102000, 64, DMA_TO_DEVICE);
    dma.mapSingle(nic, 0x100000 - 64, 64, DMA_TO_DEVICE);
    assert.equal(lines().length, count, kind);
  }
});

test("S8 a sync is compared with how it was mapped; both ways excuse everything", () => {
  const [both, to, from] = [DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE] as const;
  const wrong = "sync direction";
  const [reads, writes] = ["sync of read-only", "sync of write-only"];
  // Mapped, then what each direction of a sync for the CPU, and for the device, comes to.
  const table = [
    [both, [[], [], []], [[], [], []]],
    [to, [[wrong, reads], [], [wrong, reads]], [[wrong], [], [wrong]]],
    [from, [[wrong], [wrong], []], [[wrong, writes], [wrong, writes], []]],
  ] as const;
  for (const [mapped, forCpu, forDevice] of table) {
    for (const synced of [both, to, from]) {
      const { dma, nic } = bench("6.1");
      const address = dma.mapSingle(nic, 0x100000, 64, mapped);
      const kinds = (): string[] => dma.reports.misuses.map(({ kind }) => kind);
      dma.syncSingleForCpu(nic, address, 64, synced);
      assert.deepEqual(kinds(), forCpu[synced], `for cpu: ${mapped} ${synced}`);
      dma.syncSingleForDevice(nic, address, 64, synced);
      assert.deepEqual(
        kinds().slice(forCpu[synced]?.length),
        forDevice[synced],
        `${mapped} ${synced}`,
      );
    }
  }
});

test("S8 debugging that runs out of entries grows, or gives up before 5.0", () => {
  for (const [era, last] of [
    ["6.1", "DMA-API: dma_debug_entry pool grown to 8 (200%)"],
    ["4.19", "DMA-API: debugging out of memory - disabling"],
  ]) {
    const { dma, nic, lines } = bench(era ?? "", { entries: 4 });
    for (let i = 0; i < 5; i++) dma.map(nic, 0x100000 + i * 4096, 64, DMA_TO_DEVICE);
    assert.deepEqual(lines(), [last]);
    assert.equal(dma.debug?.disabled, era === "4.19");
  }
});

test("S8 several mappings of an address, none of which fits: the kernel takes none", () => {
  const { dma, nic, lines } = bench("6.1");
  for (const size of [64, 128]) dma.mappingError(nic, dma.map(nic, 0x100000, size, DMA_TO_DEVICE));
  dma.unmap(nic, 0x100000, 256, DMA_TO_DEVICE);
  assert.deepEqual(lines(), [
    `${WHO}device driver tries to free DMA memory it has not allocated ${AT} [size=256 bytes]`,
    ...lines().slice(1),
  ]);
  assert.equal(dma.reports.misuses.length, 1);
});

test("S8 memory may be mapped twice, to be read and to be written", () => {
  const { dma, nic } = bench("6.1");
  for (const direction of [DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_TO_DEVICE] as const) {
    dma.mappingError(nic, dma.map(nic, 0x100000, 64, direction));
  }
  assert.equal(nic.write(0x100000, Uint8Array.of(1)), null);
  assert.deepEqual(nic.read(0x100000, 1), Uint8Array.of(1));
  for (const direction of [DMA_FROM_DEVICE, DMA_TO_DEVICE, DMA_TO_DEVICE] as const) {
    dma.unmap(nic, 0x100000, 64, direction);
  }
  assert.deepEqual(dma.reports.misuses, []);
});

test("S8 a list is synced with as many entries as it was mapped with", () => {
  const { dma, nic, lines } = bench("6.1");
  const list = sgList([
    { physical: 0x100000, length: 64 },
    { physical: 0x102000, length: 64 },
  ]);
  dma.mapSg(nic, list, DMA_FROM_DEVICE);
  dma.syncSgForCpu(nic, list, DMA_FROM_DEVICE);
  assert.deepEqual(lines(), []);
  dma.syncSgForCpu(nic, list.slice(0, 1), DMA_FROM_DEVICE);
  const words = "device driver syncs DMA sg list with different entry count";
  assert.equal(lines()[0], `${WHO}${words} [map count=2] [sync count=1]`);
});
