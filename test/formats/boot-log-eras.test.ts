// Goal: the messages that no capture here has: kernels 2.6 to 4.x, 6.16 and newer, EFI,
// devicetree pools. Method: lines made up after the kernels' own formats, with small numbers
// whose meaning (inclusive or exclusive end, pfn or byte) is checked one by one.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BootLog } from "../../src/formats/boot-log.ts";
import { bootLogReader } from "../../src/formats/boot-log-reader.ts";
import { readText } from "../../src/formats/reader.ts";

/** Reads lines below a version line; nothing in them may be in doubt. */
function boot(version: string, text: string): BootLog {
  const { value, issues } = readText(bootLogReader(), `Linux version ${version}\n${text}`);
  assert.deepEqual(issues, []);
  return value;
}

/** Issues of lines below a version line. */
function complaints(text: string): string[] {
  const { issues } = readText(bootLogReader(), `Linux version 6.1\n${text}`);
  return issues.map((issue) => `${issue.line}: ${issue.message}`);
}

test("2.6.20, i386: exclusive ends, decimal pfns", () => {
  const value = boot(
    "2.6.20 (gcc version 4.1.2) #1 SMP",
    `BIOS-provided physical RAM map:
 BIOS-e820: 0000000000000000 - 000000000009fc00 (usable)
 BIOS-e820: 00000000000f0000 - 0000000000100000 (reserved)
 BIOS-e820: 0000000000100000 - 000000003fff0000 (usable)
 BIOS-e820: 000000003fff0000 - 000000003fff3000 (ACPI NVS)
user-defined physical RAM map:
 user: 0000000000000000 - 000000000009fc00 (usable)
 user: 0000000000100000 - 0000000020000000 (usable)
127MB HIGHMEM available.
896MB LOWMEM available.
Zone PFN ranges:
  DMA             0 ->     4096
  Normal       4096 ->   229376
  HighMem    229376 ->   262128
early_node_map[1] active PFN ranges
    0:        0 ->   262128
On node 0 totalpages: 262128
  DMA zone: 32 pages used for memmap
  DMA zone: 0 pages reserved
  DMA zone: 4064 pages, LIFO batch:0
  Normal zone: 1760 pages used for memmap
  Normal zone: 223520 pages, LIFO batch:31
Built 1 zonelists.  Total pages: 260081
Kernel command line: ro root=/dev/hda1
Dentry cache hash table entries: 131072 (order: 7, 524288 bytes)
Memory: 1033512k/1048512k available (2177k kernel code, 14336k reserved, 842k data, 260k init, 131008k highmem)
Brought up 2 CPUs
Freeing SMP alternatives: 24k freed
Freeing initrd memory: 1268k freed
Freeing unused kernel memory: 260k freed
`,
  );
  assert.deepEqual(value.e820[0], { start: 0, end: 0x9fc00, type: "usable" });
  assert.equal(value.e820[3]?.type, "ACPI NVS");
  assert.deepEqual(value.userMap[1], { start: 0x100000, end: 0x20000000, type: "usable" });
  assert.equal(value.lowmemMib, 896);
  assert.deepEqual(value.zoneRanges, [
    { name: "DMA", start: 0, end: 4096 * 4096 },
    { name: "Normal", start: 4096 * 4096, end: 229376 * 4096 },
    { name: "HighMem", start: 229376 * 4096, end: 262128 * 4096 },
  ]);
  assert.deepEqual(value.nodeRanges, [{ node: 0, start: 0, end: 262128 * 4096 }]);
  assert.deepEqual(value.zonePages[1], {
    node: 0,
    zone: "Normal",
    pages: 223520,
    memmapPages: 1760,
    reservedPages: 0,
    batch: 31,
  });
  assert.deepEqual(value.zonelists, { count: 1, mobility: false, totalPages: 260081 });
  assert.equal(value.commandLine, "ro root=/dev/hda1");
  assert.equal(value.hashTables[0]?.how, null);
  assert.deepEqual(value.memory, {
    line: 27,
    availableKib: 1033512,
    totalKib: 1048512,
    kernelCodeKib: 2177,
    rwdataKib: 842,
    rodataKib: 0,
    initKib: 260,
    bssKib: 0,
    reservedKib: 14336,
    cmaReservedKib: 0,
    highmemKib: 131008,
    absentKib: 0,
  });
  assert.deepEqual(value.broughtUp, { nodes: 0, cpus: 2 });
  assert.deepEqual(
    value.freed.map(({ what, kib }) => [what, kib]),
    [
      ["SMP alternatives", 24],
      ["initrd", 1268],
      ["unused kernel", 260],
    ],
  );
});

test("2.6.32, x86-64 with NUMA: hexadecimal pfns, edits, old node lines", () => {
  const value = boot(
    "2.6.32-5-amd64",
    `Command line: ro quiet
 BIOS-e820: 0000000000000000 - 000000000009f800 (usable)
e820 update range: 0000000000000000 - 0000000000001000 (usable) ==> (reserved)
e820 remove range: 00000000000a0000 - 0000000000100000 (usable)
last_pfn = 0x440000 max_arch_pfn = 0x400000000
modified physical RAM map:
 modified: 0000000000000000 - 0000000000001000 (reserved)
RAMDISK: 37d3a000 - 37fef72d
SRAT: PXM 0 -> APIC 0 -> Node 0
SRAT: PXM 1 -> APIC 16 -> Node 1
SRAT: Node 0 PXM 0 0-a0000
SRAT: Node 1 PXM 1 240000000-440000000
Bootmem setup node 0 0000000000000000-0000000240000000
  NODE_DATA [0000000000012000 - 0000000000026fff]
Zone PFN ranges:
  DMA      0x00000001 -> 0x00001000
  DMA32    0x00001000 -> 0x00100000
  Normal   0x00100000 -> 0x00440000
Movable zone start PFN for each node
    Node 1: 3145728
early_node_map[3] active PFN ranges
    0: 0x00000001 -> 0x0000009f
    0: 0x00000100 -> 0x00240000
    1: 0x00240000 -> 0x00440000
Built 2 zonelists in Node order, mobility grouping on.  Total pages: 4131072
PERCPU: Embedded 30 pages/cpu @ffff880028200000 s90328 r8192 d24360 u131072
Placing 64MB software IO TLB between ffff880020000000 - ffff880024000000
software IO TLB at phys 0x20000000 - 0x24000000
Memory: 16466620k/17825792k available (3075k kernel code, 1058072k absent, 301100k reserved, 1879k data, 600k init)
Policy zone: Normal
Reserving 128MB of memory at 32MB for crashkernel (System RAM: 17408MB)
SMP: Allowing 32 CPUs, 16 hotplug CPUs
Allocated new RAMDISK: 00100000 - 003b572d
Move RAMDISK from 0000000037d3a000 - 0000000037fef72c to 00100000 - 003b572c
`,
  );
  assert.deepEqual(
    value.e820Edits.map(({ start, end, to }) => [start, end, to]),
    [
      [0, 0x1000, "reserved"],
      [0xa0000, 0x100000, null],
    ],
  );
  assert.equal(value.modifiedMap.length, 1);
  assert.equal(value.lastPfn, 0x440000);
  assert.deepEqual(value.ramdisk, { start: 0x37d3a000, end: 0x37fef72d });
  assert.deepEqual(value.ramdiskMoved, { start: 0x100000, end: 0x3b572d });
  assert.deepEqual(value.sratCpus[1], { apic: 16, node: 1 });
  assert.deepEqual(value.sratRanges[0], { node: 0, start: 0, end: 0xa0000, hotplug: false });
  assert.deepEqual(value.nodeSpans, [{ node: 0, start: 0, end: 0x240000000 }]);
  assert.deepEqual(value.nodeData, [{ node: 0, start: 0x12000, end: 0x27000 }]);
  assert.deepEqual(value.zoneRanges?.[2], { name: "Normal", start: 0x100000000, end: 0x440000000 });
  assert.deepEqual(value.movableStarts, [{ node: 1, address: 0x300000000 }]);
  assert.deepEqual(value.nodeRanges[2], { node: 1, start: 0x240000000, end: 0x440000000 });
  assert.equal(value.zonelists?.totalPages, 4131072);
  assert.equal(value.percpuPages, 30);
  assert.deepEqual(value.swiotlb.mapped, { start: 0x20000000, end: 0x24000000 });
  assert.equal(value.memory?.absentKib, 1058072);
  assert.deepEqual(value.crashkernel[0], {
    line: 32,
    start: 0x2000000,
    end: 0xa000000,
    low: false,
  });
  assert.equal(value.possibleCpus, 32);
});

test("2.6.16 and 3.4, arm: no parenthesis, CMA and HighMem of their time", () => {
  const old = boot(
    "2.6.16",
    `Memory policy: ECC disabled, Data cache writeback
Built 1 zonelists
Memory: 32MB = 32MB total
Memory: 29056KB available (2560K code, 512K data, 112K init)
Memory: 254848k/262144k available, 7296k reserved, 0K highmem
RAMDISK driver initialized: 16 RAM disks of 4096K size 1024 blocksize
RAMDISK: ext2 filesystem found at block 0
`,
  );
  assert.deepEqual([old.memory?.availableKib, old.memory?.totalKib], [254848, 262144]);
  assert.equal(old.memory?.reservedKib, 7296);
  assert.equal(old.zonelists?.totalPages, 0);
  assert.equal(old.ramdisk, null);
  const cma = boot(
    "3.4.0",
    "CMA: reserved 16 MiB at 6f000000\ncma: CMA: reserved 8 MiB at 5f000000\n",
  );
  assert.deepEqual(
    cma.cma.map(({ start, end }) => [start, end]),
    [
      [0x6f000000, 0x70000000],
      [0x5f000000, 0x5f800000],
    ],
  );
});

test("EFI: version, mirrored memory, and what boot services gave back since 2026", () => {
  const value = boot(
    "6.1.0",
    `efi: EFI v2.70 by EDK II
efi: SMBIOS=0x7f518000 ACPI=0x7f77e000
efi: Memory: 1024M/4096M mirrored memory
Freeing SMP alternatives memory: 36K
efi: Freeing EFI boot services memory: 44372K
`,
  );
  assert.deepEqual([value.efi, value.mirroredMib], ["2.70 by EDK II", 1024]);
  assert.deepEqual(
    value.freed.map(({ what, kib }) => [what, kib]),
    [
      ["SMP alternatives", 36],
      ["EFI boot services", 44372],
    ],
  );
});

test("3.10 to 4.14: inclusive swiotlb, freed ranges, virtual allocations", () => {
  const value = boot(
    "4.4.0",
    `e820: last_pfn = 0x240000 max_arch_pfn = 0x400000000
memblock_reserve: [0x00000000001000-0x00000000001fff] flags 0x0 setup_arch+0x10/0xcd1
memblock_add: [0x00000000100000-0x000000bffdffff] flags 0x0 memblock_x86_fill+0x1/0x2
memblock_virt_alloc_try_nid: 1048576 bytes align=0x0 nid=1 from=0x0 max_addr=0x0 alloc_large_system_hash+0x16a/0x278
__memblock_free_early: [0x00000000001000-0x00000000001fff] free_bootmem+0x8/0xa
__memblock_free_late: [0x00000000200000-0x00000000200fff] efi_free_boot_services+0x8/0xa
software IO TLB [mem 0xbbfe0000-0xbffdffff] (64MB) mapped at [ffff8800bbfe0000-ffff8800bffdffff]
Freeing SMP alternatives memory: 32K (ffffffff81e9f000 - ffffffff81ea7000)
Freeing unused kernel memory: 1024K (c0900000 - c0a00000)
Freeing unused kernel memory: 100K (____ptrval____ - ____ptrval____)
Freeing unused kernel image memory: 2672K
x86: Booted up 1 node, 4 CPUs
node 0 initialised, 1234567 pages in 120ms
HugeTLB registered 1 GB page size, pre-allocated 4 pages
HugeTLB registered 2 MB page size, pre-allocated 0 pages
SLUB: HWalign=64, Order=0-3, MinObjects=0, CPUs=4, Nodes=1
log_buf_len: 1048576
`,
  );
  assert.equal(value.lastPfn, 0x240000);
  assert.deepEqual(
    value.memblock.map(({ kind }) => kind),
    ["reserve", "add", "alloc", "free"],
  );
  assert.deepEqual(value.memblock[0], {
    kind: "reserve",
    line: 3,
    start: 0x1000,
    end: 0x2000,
    caller: "setup_arch",
  });
  const request = value.memblock[2];
  assert.ok(request?.kind === "alloc");
  assert.deepEqual([request.bytes, request.node], [1048576, 1]);
  assert.deepEqual(value.lateFrees, [
    { line: 7, start: 0x200000, end: 0x201000, caller: "efi_free_boot_services" },
  ]);
  assert.deepEqual(value.swiotlb.mapped, { start: 0xbbfe0000, end: 0xbffe0000 });
  assert.deepEqual(
    value.freed.map(({ range }) => range),
    [null, { start: 0xc0900000, end: 0xc0a00000 }, null, null],
  );
  assert.deepEqual(value.broughtUp, { nodes: 1, cpus: 4 });
  assert.deepEqual(value.deferredInit, [{ node: 0, milliseconds: 120 }]);
  assert.deepEqual(
    value.hugePages.map(({ pageBytes, count }) => [pageBytes, count]),
    [
      [1073741824, 4],
      [2097152, 0],
    ],
  );
  assert.deepEqual([value.cpuIds, value.nodeIds, value.logBufBytes], [4, 1, 1048576]);
});

test("6.16 and newer: nodes and flags of reservations, gaps, several CMA ranges", () => {
  const value = boot(
    "6.18.0",
    `BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff]   639   KB System RAM
BIOS-e820: [gap 0x00000000000a0000-0x00000000000effff]
BIOS-e820: [mem 0x00000000000f0000-0x00000000000fffff]   64   KB device reserved
__memblock_reserve: [0x0000000000001000-0x0000000000001fff] nid=-1 flags=20 reserve_initrd+0x1/0x2
memblock_add_node: [0x0000000040000000-0x000000007fffffff] nid=1 flags=0 numa_add+0x1/0x2
crashkernel reserved: 0x00000000c4000000 - 0x00000000e4000000 (512 MB)
crashkernel low memory reserved: 0xd8000000 - 0xe8000000 (256 MB)
`,
  );
  assert.deepEqual(value.e820, [
    { start: 0, end: 0x9fc00, type: "usable" },
    { start: 0xf0000, end: 0x100000, type: "reserved" },
  ]);
  assert.deepEqual(
    value.memblock.map(({ kind }) => kind),
    ["reserve", "add"],
  );
  assert.deepEqual(value.crashkernel, [
    { line: 7, start: 0xc4000000, end: 0xe4000000, low: false },
    { line: 8, start: 0xd8000000, end: 0xe8000000, low: true },
  ]);
  assert.deepEqual(complaints("cma: Reserved 64 MiB in 2 ranges\n"), [
    "2: the kernel does not print where this CMA area lies: not used",
  ]);
});

test("EFI's maps, three generations", () => {
  const value = boot(
    "6.1.0",
    `efi: EFI v2.7 by EDK II
efi: mem00: [Conventional Memory|   |  |  |  |  |  |  |   |WB|WT|WC|UC] range=[0x0000000000000000-0x000000000009ffff] (0MB)
efi: mem01: type=7, attr=0xf, range=[0x0000000000100000-0x0000000000800000) (7MB)
efi:   0x000040000000-0x00005fffffff [Loader Code        |   |  |  |  |  |  |  |   |WB|WT|WC|UC]
`,
  );
  assert.deepEqual(value.efiMap, [
    { start: 0, end: 0xa0000, type: "Conventional Memory" },
    { start: 0x100000, end: 0x800000, type: "type 7" },
    { start: 0x40000000, end: 0x60000000, type: "Loader Code" },
  ]);
});

test("a devicetree's pools, with the names that follow them", () => {
  const value = boot(
    "6.1.0",
    `OF: fdt: Machine model: Some Board
Reserved memory: created CMA memory pool at 0x0000000058000000, size 640 MiB
OF: reserved mem: initialized node linux,cma, compatible id shared-dma-pool
OF: reserved mem: 0x0000000058000000..0x000000007fffffff (655360 KiB) map reusable linux,cma
OF: reserved mem: 0x0000000043c00000..0x0000000043cfffff (1024 KiB) nomap non-reusable tee@43c00000
`,
  );
  assert.equal(value.machine, "Some Board");
  const [pool, , secure] = value.reservedMemory;
  assert.deepEqual(pool, {
    line: 3,
    kind: "CMA",
    name: "linux,cma",
    start: 0x58000000,
    end: 0x80000000,
    nomap: false,
    reusable: true,
  });
  assert.deepEqual(
    [secure?.name, secure?.nomap, secure?.reusable, secure?.end],
    ["tee@43c00000", true, false, 0x43d00000],
  );
});

test("ends that mean something else: nothing, everything above, hotplug", () => {
  const value = boot(
    "6.1.0",
    `memblock_phys_free: [0x0000000000001000-0x0000000000000fff] a+0x1/0x2
memblock_remove: [0x0001000000000000-0x0000fffffffffffe] b+0x1/0x2
memblock_reserve: [0x0000000000000000-0xffffffffffffffff] 0xffffffff81000000
ACPI: SRAT: Node 1 PXM 1 [mem 0x100000000-0x1ffffffff] hotplug
pcpu-alloc: [0] 0 1 [0] 2 3 [1] 4 5 - -
pcpu-alloc: [1] 6 7
CPU topo: Allowing 2 present CPUs plus 6 hotplug CPUs
.... node  #0, CPUs:        #1  #2
.... node  #1, CPUs:    #3
`,
  );
  const ranges = value.memblock.map((event) =>
    event.kind === "free" || event.kind === "remove" || event.kind === "reserve"
      ? [event.start, event.end]
      : [],
  );
  assert.deepEqual(ranges, [
    [0x1000, 0x1000],
    [0x1000000000000, Number.MAX_SAFE_INTEGER],
    [0, 0],
  ]);
  assert.equal(value.sratRanges[0]?.hotplug, true);
  assert.deepEqual(value.percpuGroups, [
    { group: 0, cpus: [0, 1, 2, 3] },
    { group: 1, cpus: [4, 5, 6, 7] },
  ]);
  assert.equal(value.possibleCpus, 8);
  assert.deepEqual(value.startedCpus, [
    { node: 0, cpus: [1, 2] },
    { node: 1, cpus: [3] },
  ]);
});

test("of two boots in a journal the last counts, even when it lost its beginning", () => {
  const first = "Linux version 6.1\nRAMDISK: [mem 0x1000-0x1fff]\nFreeing initrd\n";
  const { value, issues } = readText(
    bootLogReader(),
    `-- Boot 1111 --\n${first}-- Boot 2222 --\nRAMDISK: [mem 0x3000-0x3fff]\n`,
  );
  assert.equal(value.version, null);
  assert.equal(value.headless, true);
  assert.deepEqual(value.ramdisk, { start: 0x3000, end: 0x4000 });
  assert.deepEqual(
    issues.map((issue) => issue.severity),
    ["note", "warning"],
  );
});

test("within a boot the first match counts, and a range that runs backwards is garbled", () => {
  const value = boot("6.1", "RAMDISK: [mem 0x1000-0x1fff]\nRAMDISK: [mem 0x5000-0x5fff]\n");
  assert.deepEqual(value.ramdisk, { start: 0x1000, end: 0x2000 });
  assert.deepEqual(
    complaints("RAMDISK: [mem 0x5000-0x1fff]\nBIOS-e820: [mem 0x5000-0x1fff] usable\n"),
    ["2: cannot read this line: initrd", "3: cannot read this line: e820 map"],
  );
  assert.deepEqual(
    complaints("BIOS-e820: [mem 0x5000-0x5fff] usab\ncma: Reserved 16 MiB at 0x00f\n"),
    ["2: cannot read this line: e820 map", "3: cannot read this line: CMA reservation"],
  );
});
