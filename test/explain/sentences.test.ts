// Goal: every form of every sentence that kernels from 2.6 to 6.18 print of the DMA layer is known,
// whole or broken as mail clients and terminals break it, and what only looks like one is not. Method:
// a sample of each form; a list of neighbours that are other people's business.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import { SENTENCE_WORDS } from "../../src/formats/failure-sentence-reader.ts";
import { explain, explainOne } from "./explain.ts";

/** Line, cause; several lines are joined by "\n". */
const FORMS: readonly (readonly [line: string, cause: string])[] = [
  // bounce buffers
  ["DMA: Out of SW-IOMMU space for 65536 bytes at device 0000:00:1f.2", "pool-full"],
  ["ata1: DMA: Out of SW-IOMMU space for 65536 bytes", "pool-full"],
  ["PCI-DMA: Out of SW-IOMMU space for 512 bytes at device 02:05.0", "pool-full"],
  ["PCI-DMA: Out of IOMMU space for 65536 bytes at device 0000:00:1f.2", "aperture-full"],
  ["ehci 0000:00:1a.0: swiotlb buffer is full (sz: 65536 bytes)", "pool-full"],
  [
    "ehci 0000:00:1a.0: swiotlb buffer is full (sz: 8 bytes), total 0 (slots), used 0 (slots)",
    "pool-absent",
  ],
  [
    "virtio-pci 0000:00:01.0: swiotlb buffer is full (sz: 294912 bytes), total 1024 (slots), used 725 (slots)",
    "request-too-large",
  ],
  [
    "ehci 0000:00:1a.0: swiotlb: coherent allocation failed for device 0000:00:1a.0 size=2097152",
    "request-too-large",
  ],
  ["e1000 0000:00:19.0: swiotlb: coherent allocation failed, size=524288", "request-too-large"],
  ["Kernel panic - not syncing: DMA: Random memory could be DMA written", "pool-full"],
  ["e 0: Buffer overflow detected. Allocation size: 4096. Mapping size: 2048.", "size-mismatch"],
  [
    "e 0: Access before mapping start detected. orig offset 512, requested offset 64.",
    "size-mismatch",
  ],
  ["software IO TLB: Cannot allocate buffer", "pool-not-reserved"],
  ["software IO TLB: No low mem", "pool-not-reserved"],
  [
    "software IO TLB: swiotlb_init_remap: Failed to allocate 67108864 bytes align=0x1000",
    "pool-not-reserved",
  ],
  [
    "software IO TLB: swiotlb_init_remap: Failed to allocate 6815744 bytes tlb structure",
    "pool-not-reserved",
  ],
  ["Cannot allocate SWIOTLB buffer", "pool-not-reserved"],
  ["Warning: only able to allocate 32 MB for software IO TLB", "pool-not-reserved"],
  ["Failed to get contiguous memory for DMA from Xen!", "pool-not-reserved"],
  [
    "software IO TLB: SWIOTLB bounce buffer size adjusted 32768 -> 16384 slabs",
    "pool-not-reserved",
  ],
  ["software IO TLB: SWIOTLB bounce buffer size roundup to 8MB", "pool-rounded"],
  ["software IO TLB: Failed to allocate new pool", "pool-full"],
  ["x 0: DMAR: Device bounce map: 16ea@1411c0000 dir 1 --- failed", "pool-unexplained"],
  // masks
  ["e 0: overflow 0x000000067430b000+1003520 of DMA mask ffffffff bus mask 0", "mask-too-small"],
  ["e 0: overflow 0x0000000a1c8f9a60+8 of DMA mask ffffffff bus limit 0", "mask-too-small"],
  [
    "e 0: DMA addr 0x00000001f0000000+1514 overflow (mask ffffffff, bus limit 0).",
    "mask-too-small",
  ],
  [
    "e 0: swiotlb addr 0x00000001f0000000+1514 overflow (mask ffffffff, bus limit 0).",
    "bounce-slot-too-high",
  ],
  ["e 0: nommu_map_single: overflow 1c3a0a000+2048 of device mask ffffffff", "mask-too-small"],
  ["e 0: coherent DMA mask is unset", "mask-too-small"],
  [
    "e 0: coherent DMA mask 0xffffff covers a smaller range of PFNs than DMA_ZONE",
    "mask-too-small",
  ],
  [
    "e 0: coherent DMA mask 0xfffffff is smaller than system GFP_DMA mask 0xffffffff",
    "mask-too-small",
  ],
  ["e 0: Unable to set DMA mask", "mask-too-small"],
  // CMA
  ["cma: cma_alloc: alloc failed, req-size: 1024 pages, ret: -12", "cma-full"],
  ["cma: cma_alloc: reserved: alloc failed, req-size: 148 pages, ret: -16", "cma-pinned"],
  [
    "cma: __cma_alloc: reserved: alloc failed, req-size: 257 pages, ret: -16\ncma: number of available pages: 1@3+300@512=> 301 free of 32768 total pages",
    "cma-pinned",
  ],
  [
    "cma: __cma_alloc_frozen: reserved: alloc failed, req-size: 8 pages, ret: -4",
    "cma-interrupted",
  ],
  ["alloc_contig_range: [11cf00, 11cf08) PFNs busy", "cma-pinned"],
  ["alloc_contig_range test_pages_isolated(3b000, 3b400) failed", "cma-pinned"],
  ["CMA: failed to reserve 16 MiB", "cma-not-reserved"],
  ["cma: Failed to reserve 512 MiB", "cma-not-reserved"],
  [
    "OF: reserved mem: failed to allocate memory for node 'linux,cma': size 512 MiB",
    "cma-not-reserved",
  ],
  [
    "Reserved memory: failed to reserve memory for node 'linux,cma@40000000': base 0x40000000, size 64 MiB",
    "cma-not-reserved",
  ],
  ["hugetlb_cma: reservation failed: err -12, node 0", "cma-not-reserved"],
  ["cma: CMA area reserved could not be activated", "cma-not-reserved"],
  ["fadump: Failed to init cma area for firmware-assisted dump,-22", "cma-not-reserved"],
  // pools for atomic context, kdump, addresses
  ["DMA: failed to allocate 256 KiB pool for atomic coherent allocation", "not-in-report"],
  [
    "DMA: failed to allocate 128 KiB GFP_KERNEL|GFP_DMA32 pool for atomic allocation",
    "zone-missing",
  ],
  ["ERROR: 2048 KiB atomic DMA coherent pool is too small!", "not-in-report"],
  ["Failed to get suitable pool for 0000:00:1f.2", "pool-absent"],
  ["DMA pool exhausted for 0000:00:1f.2", "pool-full"],
  ["cannot allocate crashkernel (size:0x10000000)", "pool-not-reserved"],
  ["crashkernel reservation failed - No suitable area found.", "pool-not-reserved"],
  [
    "vmap allocation for size 8392704 failed: use vmalloc=<size> to increase size",
    "address-space-full",
  ],
  // DMA API debugging
  [
    "DMA-API: e 0: device driver tries to free DMA memory it has not allocated [device address=0x1] [size=64 bytes]",
    "double-or-foreign-free",
  ],
  [
    "DMA-API: e 0: device driver tries to free an invalid DMA memory address",
    "double-or-foreign-free",
  ],
  [
    "DMA-API: e 0: device driver tries to sync DMA memory it has not allocated [device address=0x1] [size=64 bytes]",
    "api-mismatch",
  ],
  [
    "e 0: DMA-API: device driver frees DMA memory with different size [device address=0x1] [map size=64 bytes] [unmap size=60 bytes]",
    "size-mismatch",
  ],
  [
    "DMA-API: e 0: device driver frees DMA memory with wrong function [device address=0x1] [size=64 bytes] [mapped as single] [unmapped as page]",
    "api-mismatch",
  ],
  [
    "DMA-API: e 0: device driver frees DMA memory with different CPU address [device address=0x1]",
    "api-mismatch",
  ],
  [
    "DMA-API: e 0: device driver frees DMA sg list with different entry count [map count=4] [unmap count=3]",
    "api-mismatch",
  ],
  [
    "DMA-API: e 0: device driver syncs DMA sg list with different entry count [map count=4] [sync count=3]",
    "api-mismatch",
  ],
  [
    "DMA-API: e 0: device driver frees DMA memory with different direction [device address=0x1]",
    "wrong-direction",
  ],
  [
    "DMA-API: e 0: device driver syncs DMA memory with different direction [device address=0x1]",
    "wrong-direction",
  ],
  [
    "DMA-API: e 0: device driver syncs device read-only DMA memory for cpu [device address=0x1]",
    "wrong-direction",
  ],
  [
    "DMA-API: e 0: device driver syncs device write-only DMA memory to device [device address=0x1]",
    "wrong-direction",
  ],
  [
    "DMA-API: e 0: device driver syncs DMA memory outside allocated range [device address=0x1]",
    "size-mismatch",
  ],
  [
    "DMA-API: e 0: device driver has pending DMA allocations while released from device [count=240]",
    "leak",
  ],
  [
    "DMA-API: e 0: device driver failed to check map error[device address=0x1] [size=64 bytes] [mapped as single]",
    "unchecked-error",
  ],
  ["DMA-API: e 0: device driver maps memory from stack [addr=0x1]", "unmappable-memory"],
  [
    "DMA-API: e 0: device driver maps memory from kernel text or rodata [addr=0x1] [len=64]",
    "unmappable-memory",
  ],
  [
    "DMA-API: e 0: device driver maps memory from invalid area [addr=0x1] [len=64]",
    "unmappable-memory",
  ],
  [
    "DMA-API: e 0: device driver maps memory from vmalloc area [addr=0x1] [len=64]",
    "unmappable-memory",
  ],
  [
    "DMA-API: e 0: mapping sg segment longer than device claims to support [len=1048576] [max=65536]",
    "size-mismatch",
  ],
  [
    "DMA-API: e 0: mapping sg segment across boundary [start=0x1] [end=0x2] [boundary=0xffff]",
    "size-mismatch",
  ],
  ["DMA-API: exceeded 7 overlapping mappings of cacheline 0x0000000001", "leak"],
  ["DMA-API: e 0: cacheline tracking EEXIST, overlapping mappings aren't supported", "overlap"],
  ["DMA-API: cacheline tracking ENOMEM, dma-debug disabled", "tracker-off"],
  ["DMA-API: e 0: device driver does what nobody knew of", "not-in-report"],
  // IOMMUs
  [
    "AMD-Vi: Event logged [IO_PAGE_FAULT device=06:00.0 domain=0x000d address=0xce210880 flags=0x0000]",
    "not-mapped",
  ],
  [
    "x 0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0021 address=0xfff9b200 flags=0x0050]",
    "wrong-direction",
  ],
  [
    "x 0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000f address=0xff00ffffffefe000 flags=0x0000]",
    "not-mapped",
  ],
  [
    "x 0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x000f address=0xfffffffdf8030000 flags=0x0008]",
    "interrupt-remapping",
  ],
  [
    "iommu ivhd0: AMD-Vi: Event logged [INVALID_DEVICE_REQUEST device=00:00.1 pasid=0x00000 address=0xfffffffdf8140200 flags=0x0a00]",
    "interrupt-remapping",
  ],
  [
    "iommu ivhd0: AMD-Vi: Event logged [ILLEGAL_DEV_TABLE_ENTRY device=0000:00:00.0 pasid=0x00000 address=0xfffe address flags=0x0180]",
    "unknown-requester",
  ],
  [
    "iommu ivhd0: AMD-Vi: Event logged [PAGE_TAB_HARDWARE_ERROR device=0000:00:00.0 pasid=0x0000 address=0x1000 flags=0x0010]",
    "not-in-report",
  ],
  [
    "iommu ivhd0: AMD-Vi: Event logged [DEV_TAB_HARDWARE_ERROR device=0000:00:00.0 address=0x1000 flags=0x0010]",
    "not-in-report",
  ],
  [
    "iommu ivhd0: AMD-Vi: Event logged [IOTLB_INV_TIMEOUT device=0000:03:00.0 address=0x1000]",
    "not-in-report",
  ],
  [
    "iommu ivhd0: AMD-Vi: Event logged [COMMAND_HARDWARE_ERROR address=0x1000 flags=0x0010]",
    "not-in-report",
  ],
  ["iommu ivhd0: AMD-Vi: Event logged [ILLEGAL_COMMAND_ERROR address=0x1000]", "not-in-report"],
  [
    "iommu ivhd0: AMD-Vi: Event logged [INVALID_PPR_REQUEST device=0000:03:00.0 pasid=0x00000 address=0x1000 flags=0x0a00 tag=0x001]",
    "not-in-report",
  ],
  [
    "AMD-Vi: Event logged [RMP_PAGE_FAULT device=0000:03:00.0, vmg_tag=0x0000, gpa=0x1000, flags_rmp=0x0000, flags=0x0020]",
    "not-in-report",
  ],
  [
    "AMD-Vi: Event logged [RMP_HW_ERROR device=0000:03:00.0, vmg_tag=0x0000, spa=0x1000, flags=0x0020]",
    "not-in-report",
  ],
  ["x 0: AMD-Vi: IOMMU mapping error in map_sg (io-pages: 16, reason: -12)", "not-in-report"],
  [
    "DMAR: [DMA Read] Request device [00:16.7] PASID ffffffff fault addr 9cdff000 [fault reason 02] Present bit in context entry is clear",
    "unknown-requester",
  ],
  [
    "DMAR: [DMA Write NO_PASID] Request device [0b:00.0] fault addr 0xffffe000 [fault reason 0x05] PTE Write access is not set",
    "not-mapped",
  ],
  [
    "DMAR: [DMA Read] Request device [0b:00.0] fault addr ffffffe000 [fault reason 04] Access beyond MGAW",
    "not-mapped",
  ],
  [
    "DMAR: [DMA Read NO_PASID] Request device [56:00.0] fault addr 0xffffb000 [fault reason 0x0c] non-zero reserved fields in PTE",
    "not-in-report",
  ],
  [
    "DMAR: INTR-REMAP: Request device [f0:1f.7] fault index 0x0 [fault reason 0x22] Present field in the IRTE entry is clear",
    "interrupt-remapping",
  ],
  ["DMAR: ERROR: DMA PTE for vPFN 0xfe000 already set (to 1000 not 2000)", "overlap"],
  ["DMAR: Allocating 512-page iova for 0000:03:00.0 failed", "iova-exhausted"],
  ["e 0: Allocating 1-page iova failed", "iova-exhausted"],
  [
    "e 0: iommu_alloc failed, tbl (____ptrval____) vaddr (____ptrval____) npages 16",
    "iova-exhausted",
  ],
  ["SBA: I/O MMU @ 0xfed00000 is out of mapping resources", "iova-exhausted"],
  ["Calgary: iommu full.", "iova-exhausted"],
  [
    "arm-smmu a: Unhandled context fault: fsr=0x80000402, iova=0x8010003f6000, fsynr=0x70091, cb=7",
    "not-mapped",
  ],
  [
    "arm-smmu a: Unhandled context fault: fsr=0x8, iova=0x1000, fsynr=0x10, cbfrsynra=0x9, cb=1",
    "wrong-direction",
  ],
  [
    "arm-smmu a: Unexpected global fault, this could be serious\narm-smmu a: GFSR 0x80000002, GFSYNR0 0x00000000, GFSYNR1 0x00000400, GFSYNR2 0x00000000",
    "unknown-requester",
  ],
  ["arm-smmu a: Unexpected global fault, this could be serious", "not-in-report"],
  [
    'arm-smmu a: Blocked unknown Stream ID 0x400; boot with "arm-smmu.disable_bypass=0" to allow',
    "unknown-requester",
  ],
  ["arm-smmu-v3 b: event 0x02 received:", "unknown-requester"],
  [
    "arm-smmu-v3 b: event 0x10 received:\narm-smmu-v3 b: 0x0000010000000010\narm-smmu-v3 b: 0x0000020800000000",
    "not-mapped",
  ],
  ["arm-smmu-v3 b: event 0x25 received:", "not-in-report"],
  [
    "arm-smmu-v3 b: event: F_TRANSLATION client: 0000:04:00.0 sid: 0x400 ssid: 0x0 iova: 0xfff0000 ipa: 0x0",
    "not-mapped",
  ],
  [
    "arm-smmu-v3 b: event: C_BAD_STREAMID client: (unassigned sid) sid: 0x400 ssid: 0x0 iova: 0x0 ipa: 0x0",
    "unknown-requester",
  ],
  ["rk_iommu ff373f00.iommu: Page fault at 0x0000000000001000 of type read", "not-mapped"],
  [
    "exynos-sysmmu 14a00000.sysmmu: 14830000.g2d: [READ] PAGE FAULT occurred at 0x20000000",
    "not-mapped",
  ],
  ["14830000.g2d: PAGE FAULT occurred at 0x20000000 (page table base: 0x40000000)", "not-mapped"],
  [
    "mtk-iommu 10205000.iommu: fault type=0x5 iova=0xfe000000 pa=0x0 larb=0 port=2 layer=0 read",
    "not-in-report",
  ],
  ["ipmmu-vmsa e6740000.iommu: Unhandled fault: status 0x00002101 iova 0x8000000", "not-in-report"],
  ["omap-iommu 4a066000.mmu: iommu fault: errs:0x00000002 da:0x00001000", "not-in-report"],
  ["sun50i-iommu 30f0000.iommu: Page fault for 0x00001000 (master 1, dir read)", "not-mapped"],
  ["virtio_iommu virtio0: mapping fault from EP 8 at 0x1000 [R ]", "not-mapped"],
  [
    "tegra-mc 70019000.memory-controller: hda: read @0x0000000001000000: EMEM address decode error (SMMU translation error [--S])",
    "not-mapped",
  ],
  ["Unexpected IOMMU page fault!", "not-mapped"],
  ["apple 0: Cannot accommodate DMA translation for IOMMU page tables", "mask-too-small"],
  // who waits, and who was killed
  [
    "XFS: nginx(2514) possible memory allocation deadlock size 50184 in kmem_alloc (mode:0x250)",
    "not-in-report",
  ],
  ["Memory cgroup out of memory: Killed process 7 (hog) total-vm:1kB", "memcg"],
  ["Memory cgroup out of memory: kill process 7 (hog) score 9 or a child", "memcg"],
  ["Task in /a killed as a result of limit of /a", "memcg"],
  [
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task_memcg=/a,task=hog,pid=7,uid=0",
    "memcg",
  ],
  [
    "oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=(null),cpuset=a,mems_allowed=0,global_oom,task_memcg=/,task=hog,pid=7,uid=0",
    "cpuset",
  ],
  ["Out of memory: Killed process 7 (hog) total-vm:1kB", "not-in-report"],
  ["Out of Memory: Killed process 7 (hog).", "not-in-report"],
  [
    "Out of memory (oom_kill_allocating_task): Kill process 7 (hog) score 9 or sacrifice child",
    "not-in-report",
  ],
  ["No available memory in cpuset: kill process 7 (hog) score 9 or a child", "cpuset"],
  ["SLUB: Unable to allocate memory on node -1 (gfp=0x20)", "not-in-report"],
  ["modprobe: Cannot allocate memory", "not-in-report"],
];

/** Context: known words that are no failure. */
const CONTEXT = [
  "software IO TLB: mapped [mem 0x00000000b5a00000-0x00000000b9a00000] (64MB)",
  "Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP",
  "AMD Secure Encrypted Virtualization (SEV) active",
  "Memory encryption is active and system is using DMA bounce buffers",
  "tdx: Guest detected",
  "Memory: 16249368K/16776756K available (14336K kernel code)",
  "Kernel command line: root=/dev/vda swiotlb=262144",
  "Node 0, zone   Normal",
];

describe("a sentence is known:", () => {
  for (const [line, cause] of FORMS) {
    test(line.slice(0, 110), () => {
      equal(explainOne(line).cause, cause);
    });
  }

  test("each fixed word has a sample", () => {
    const all = [...FORMS.map(([line]) => line), ...CONTEXT].join("\n");
    deepEqual(
      SENTENCE_WORDS.filter((words) => !all.includes(words)),
      [],
    );
  });

  test("among thousands of other lines, at any place of a chunk", () => {
    const other = Array.from({ length: 40 }, (_, i) => `eth${i}: link is up, 1000 Mbps`);
    for (const [line, cause] of FORMS) {
      const found = explain([...other, ...line.split("\n"), ...other]);
      deepEqual([found.map((finding) => finding.cause), line], [[cause], line]);
    }
  });
});

describe("a sentence with a time is the same when broken", () => {
  const soft = (line: string, width: number): string[] => {
    const parts = [""];
    for (const word of line.split(" ")) {
      const last = parts.at(-1) ?? "";
      if (last !== "" && last.length + word.length >= width) parts.push(word);
      else parts[parts.length - 1] = last === "" ? word : `${last} ${word}`;
    }
    return parts;
  };
  const hard = (line: string, width: number): string[] =>
    line.match(new RegExp(`.{1,${width}}`, "g")) ?? [line];
  for (const [name, cut] of [
    ["by a mail client", soft],
    ["by a terminal", hard],
  ] as const) {
    for (const width of [66, 72, 80]) {
      test(`${name} at ${width} columns`, () => {
        for (const [line, cause] of FORMS) {
          const lines = line.split("\n").flatMap((own) => cut(`[   12.345678] ${own}`, width));
          const causes = explain([...lines, "[   12.400000] eth0: link up"]).map((f) => f.cause);
          deepEqual([line, causes], [line, [cause]]);
        }
      });
    }
  }
});

describe("what is not a refusal of memory is not claimed:", () => {
  const NEIGHBOURS = [
    "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [kswapd0:71]",
    "INFO: task kswapd0:71 blocked for more than 120 seconds.",
    "kmemleak: 17 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "BUG kmalloc-64 (Not tainted): Objects remaining in kmalloc-64 on __kmem_cache_shutdown()",
    "slab_out_of_memory: cache kmalloc-64",
    "BUG: unable to handle page fault for address: ffffc90000000000",
    "segfault at 0 ip 00007f error 4 in libc.so.6",
    "BUG: Bad page state in process bash  pfn:12345",
    "DMA: preallocated 256 KiB GFP_KERNEL pool for atomic allocations",
    "DMA-API: preallocated 65536 debug entries",
    "DMA-API: debugging enabled by kernel config",
    "software IO TLB: SWIOTLB bounce buffer size adjusted to 0MB",
    "cma: Reserved 64 MiB at 0x00000000b8000000",
    "AMD-Vi: Interrupt remapping enabled",
    "DMAR: DRHD: handling fault status reg 2",
    "iommu: Default domain type: Translated",
    "Issues with kernel oom-killer:",
    "it logs a page allocation failure.",
    'pr_warn("swiotlb buffer is full (sz: %zd bytes), total %lu (slots)\\n", size);',
    'printk(KERN_ERR "Unable to allocate memory\\n");',
    'pr_warn("cannot allocate crashkernel (size:0x%llx)\\n", size);',
    'dev_err(dev, "Failed to get suitable pool for %s\\n", dev_name(dev));',
    "zswap: loaded using pool lzo/zbud",
    "oom_reaper: reaped process 454 (dbus-daemon), now anon-rss:0kB",
    "systemd[1]: foo.service: A process of this unit has been killed by the OOM killer.",
  ];
  for (const line of NEIGHBOURS) {
    test(line.slice(0, 90), () => deepEqual(explain([line, "eth0: link up"]), []));
  }
});

test("a report that no rule knows is said to be unknown, in one line", () => {
  const finding = explainOne("SLUB: Unable to allocate memory on node -1 (gfp=0x20)");
  deepEqual([finding.kind, finding.advice, finding.zones], ["unknown", [], []]);
  ok(!finding.sentence.includes("\n"));
});

describe("a guest whose memory is encrypted", () => {
  const SEV = "Memory Encryption Features active: AMD SEV";
  const full = (total: number): string =>
    `virtio_blk virtio1: swiotlb buffer is full (sz: 65536 bytes), total ${total} (slots), used ${total - 2} (slots)`;
  const memory = (kib: number): string =>
    `Memory: ${kib - 500_000}K/${kib}K available (1K kernel code)`;
  const say = (lines: readonly string[]): string => explainOne(lines).sentence;

  test("has 6 % of RAM as its pool, at least 64 MiB and at most 1 GiB", () => {
    match(
      say([SEV, memory(16_776_756), full(524_288)]),
      /pool of 1 GiB is the most that such a guest gets by itself/,
    );
    // 6 % of 8 GiB in segments of 256 KiB: 1965 of them.
    match(say([SEV, memory(8_388_608), full(1966 * 128)]), /is 6 % of RAM \(8 GiB\)/);
    match(say([SEV, memory(524_288), full(32_768)]), /pool of 64 MiB is 6 % of RAM/);
    match(
      say([SEV, memory(8_388_608), full(32_768)]),
      /gets 491\.8 MiB by itself since 5\.11; this pool has 64 MiB/,
    );
    match(
      say([SEV, "Kernel command line: swiotlb=65536", memory(8_388_608), full(65_536)]),
      /is what swiotlb=65536 asked for/,
    );
  });

  test("is not told to use an IOMMU or a wider mask", () => {
    const finding = explainOne([SEV, memory(8_388_608), full(1966 * 128)]);
    ok(!finding.advice.some(({ change }) => /IOMMU|64-bit/.test(change)));
    match(
      finding.advice.map(({ why }) => why).join(),
      /every DMA bounces.*the default of this guest is \d+ slots/,
    );
  });

  test("and one whose memory is not is told nothing of it", () => {
    ok(!/guest/.test(say([memory(8_388_608), full(524_288)])));
  });
});
