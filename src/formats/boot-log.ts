/**
 * What a kernel's boot log says about memory: plain records, in the order of
 * the log, each with its 1-based line number. `boot-log-reader.ts` fills them;
 * `src/boot/` reasons about them.
 *
 * All addresses are bytes, all ranges half-open (the kernel prints most of them
 * with an inclusive end). Nothing here is computed from anything else.
 */
import type { Range } from "../base/range.ts";

/**
 * A range of the firmware's memory map with the type word of the log ("usable",
 * "reserved", "ACPI data" …; "System RAM" of the newest kernels is "usable" here).
 */
export interface FirmwareRange extends Range {
  readonly type: string;
}

/** `e820: update … usable ==> reserved` and `e820: remove … usable`. */
export interface FirmwareEdit extends Range {
  readonly line: number;
  readonly from: string;
  /** The new type; null when the range was removed. `from` is "" where none is printed. */
  readonly to: string | null;
}

export interface NodeRange extends Range {
  readonly node: number;
}

/** `ACPI: SRAT: Node 0 PXM 0 [mem …] hotplug`. */
export interface SratRange extends NodeRange {
  readonly hotplug: boolean;
}

export interface MemblockRegion extends Range {
  /** null where the dump names no node. */
  readonly node: number | null;
  /** Raw flags: 1 hotplug, 2 mirror, 4 NOMAP. */
  readonly flags: number;
}

/**
 * One `memblock=debug` line. "alloc" lines are requests: the reservation they
 * led to has a "reserve" line of its own.
 */
export type MemblockEvent =
  | {
      readonly kind: "add" | "remove" | "reserve" | "free";
      readonly line: number;
      /**
       * May be empty: the kernel prints those with an end just before the start.
       * An end further below the start overflowed: the range runs to the top of
       * what a number holds.
       */
      readonly start: number;
      readonly end: number;
      /** Symbol of the caller without offset, e.g. `setup_arch`. */
      readonly caller: string;
    }
  | {
      readonly kind: "alloc";
      readonly line: number;
      readonly bytes: number;
      readonly align: number;
      readonly node: number | null;
      readonly from: number;
      /**
       * As printed: 0 stands for the limit in force at that moment (MEMBLOCK_ALLOC_ACCESSIBLE),
       * 1 for the same limit and no kmemleak record (MEMBLOCK_ALLOC_NOLEAKTRACE).
       */
      readonly maxAddress: number;
      readonly caller: string;
    }
  | {
      /** A whole `MEMBLOCK configuration:` dump; `line` is that of its heading. */
      readonly kind: "dump";
      readonly line: number;
      readonly memory: readonly MemblockRegion[];
      readonly reserved: readonly MemblockRegion[];
      /** False when regions are missing: their numbers do not run from 0 to cnt - 1. */
      readonly complete: boolean;
    };

/** A line of `Zone ranges:`; `start === end` for "empty". */
export interface ZoneRange extends Range {
  readonly name: string;
}

/** The `Memory: 1373748K/4193772K available (…)` line, in KiB as printed; fields that it lacks are 0. */
export interface MemoryLine {
  readonly line: number;
  readonly availableKib: number;
  readonly totalKib: number;
  readonly kernelCodeKib: number;
  readonly rwdataKib: number;
  readonly rodataKib: number;
  readonly initKib: number;
  readonly bssKib: number;
  readonly reservedKib: number;
  readonly cmaReservedKib: number;
  readonly highmemKib: number;
  /** x86-64 before 3.10: holes, which `totalKib` includes there. */
  readonly absentKib: number;
}

/** A `Freeing … memory: nK` line. */
export interface FreedMemory {
  readonly line: number;
  /** The words between "Freeing" and "memory", e.g. `SMP alternatives`, `unused kernel image (initmem)`. */
  readonly what: string;
  readonly kib: number;
  /**
   * Some kernels print the virtual or physical range; null otherwise, and null
   * for 64-bit virtual addresses, which no number holds exactly.
   */
  readonly range: Range | null;
}

/** Pages that memblock gave to the buddy allocator after it was up (`memblock_free_late`). */
export interface LateFree extends Range {
  readonly line: number;
  readonly caller: string;
}

/** `On node 0, zone DMA: 97 pages in unavailable ranges`. */
export interface UnavailablePages {
  readonly node: number;
  readonly zone: string;
  readonly pages: number;
}

/** The `DMA zone: …` lines below `On node n totalpages: …`, pages; captures of 5.10 have them, of 6.1 not. */
export interface ZonePages {
  readonly node: number;
  readonly zone: string;
  /** Present pages; before 3.8 less those of the memmap. */
  readonly pages: number;
  readonly memmapPages: number;
  readonly reservedPages: number;
  readonly batch: number;
}

/** `Dentry cache hash table entries: 131072 (order: 8, 1048576 bytes, linear)`. */
export interface HashTable {
  readonly name: string;
  readonly entries: number;
  readonly bytes: number;
  /** "linear", "vmalloc", "vmalloc hugepage"; null on kernels that do not say. */
  readonly how: string | null;
}

/** Sizes of the first percpu chunk, bytes: `percpu: Embedded 66 pages/cpu s233472 r8192 d28672 u2097152`. */
export interface PercpuUnit {
  readonly staticBytes: number;
  readonly reservedBytes: number;
  readonly dynamicBytes: number;
  readonly unitBytes: number;
}

/** A pool or region of the devicetree's /reserved-memory. */
export interface ReservedMemory extends Range {
  readonly line: number;
  /** "CMA", "DMA", "restricted DMA" for pools, "region" for the rest. */
  readonly kind: string;
  /** The devicetree's node, e.g. `linux,cma@58000000`; null when the log did not say. */
  readonly name: string | null;
  readonly nomap: boolean;
  readonly reusable: boolean;
}

/** `cma: Reserved 64 MiB at 0x…`. */
export interface CmaReservation extends Range {
  readonly line: number;
  /** The node, where one is printed and is not -1. */
  readonly node: number | null;
}

/** `Reserving 64MB of memory at 64MB for crashkernel (System RAM: 1023MB)` and its modern forms. */
export interface CrashkernelReservation extends Range {
  readonly line: number;
  readonly low: boolean;
}

export interface HugePages {
  readonly pageBytes: number;
  readonly count: number;
  readonly line: number;
}

export interface BootLog {
  /** The `Linux version …` line without prefix, or null. */
  readonly version: string | null;
  readonly commandLine: string | null;
  readonly e820: readonly FirmwareRange[];
  readonly e820Edits: readonly FirmwareEdit[];
  /** `user: [mem …]` lines: the map after mem= and memmap=. */
  readonly userMap: readonly FirmwareRange[];
  /** `modified: [mem …]` lines: the map after the kernel trimmed it (MTRRs, bad BIOSes). */
  readonly modifiedMap: readonly FirmwareRange[];
  /** `efi: mem00: [Conventional Memory| … ] range=[…]` and arm64's form; the type is EFI's name. */
  readonly efiMap: readonly FirmwareRange[];
  /** `efi: EFI v2.70 by EDK II`: version and vendor; null for a boot without EFI. */
  readonly efi: string | null;
  /** `efi: Memory: 1024M/4096M mirrored memory` in MiB; null when no such line stands there: none is. */
  readonly mirroredMib: number | null;
  /** First `last_pfn = 0x140000 …` of x86: end of RAM in pfn, before `highmem=` trims it. */
  readonly lastPfn: number | null;
  /** `DMI: …` or the devicetree's `Machine model: …`. */
  readonly machine: string | null;
  readonly sratRanges: readonly SratRange[];
  readonly sratCpus: readonly { readonly apic: number; readonly node: number }[];
  /** `Faking node i at [mem …]`. */
  readonly fakeNodes: readonly NodeRange[];
  /** `Faking a node at [mem …]`: no NUMA information, one node. */
  readonly singleNode: Range | null;
  /** `NODE_DATA(0) allocated [mem …]`; arm64 prints no number before 6.12, lines are counted there. */
  readonly nodeData: readonly NodeRange[];
  readonly memblock: readonly MemblockEvent[];
  readonly lateFrees: readonly LateFree[];
  /** null when the log has no `Zone ranges:`. */
  readonly zoneRanges: readonly ZoneRange[] | null;
  readonly movableStarts: readonly { readonly node: number; readonly address: number }[];
  readonly nodeRanges: readonly NodeRange[];
  /** `Initmem setup node n [mem …]`, also of nodes without memory (empty range). */
  readonly nodeSpans: readonly NodeRange[];
  readonly unavailable: readonly UnavailablePages[];
  readonly zonePages: readonly ZonePages[];
  /** x86-32: `879MB LOWMEM available.` and HIGHMEM, MiB as printed. */
  readonly lowmemMib: number | null;
  readonly highmemMib: number | null;
  /** x86-32: `low ram: 0 - 36ffe000`, end of low memory in bytes. */
  readonly lowRamEnd: number | null;
  /** arm: `Memory policy: …`. */
  readonly memoryPolicy: string | null;
  readonly hashTables: readonly HashTable[];
  /** `log_buf_len: n bytes`: the log buffer asked for on the command line or for many CPUs. */
  readonly logBufBytes: number | null;
  readonly memory: MemoryLine | null;
  readonly freed: readonly FreedMemory[];
  /** `RAMDISK: [mem …]` and, where it was moved, `Allocated new RAMDISK: [mem …]`. */
  readonly ramdisk: Range | null;
  readonly ramdiskMoved: Range | null;
  readonly swiotlb: {
    /** `software IO TLB: mapped [mem …] (64MB)`; 4.20+ print the end exclusive, earlier ones inclusive. */
    readonly mapped: Range | null;
    /** `software IO TLB: area num N.` */
    readonly areas: number | null;
    /** `SWIOTLB bounce buffer size adjusted to nMB`, in bytes; whole MiB, rounded down by the kernel. */
    readonly adjustedBytes: number | null;
    /** `PCI-DMA: Using software bounce buffering …`; also printed with swiotlb=noforce. */
    readonly announced: boolean;
    /** `software IO TLB: No low mem` and other failures, as printed. */
    readonly failure: string | null;
  };
  readonly cma: readonly CmaReservation[];
  readonly reservedMemory: readonly ReservedMemory[];
  /** `DMA: preallocated 128 KiB GFP_KERNEL|GFP_DMA pool …`; gfp is "" on arm. */
  readonly atomicPools: readonly { readonly kib: number; readonly gfp: string }[];
  readonly crashkernel: readonly CrashkernelReservation[];
  readonly hugePages: readonly HugePages[];
  /** `percpu: Embedded N pages/cpu`. */
  readonly percpuPages: number | null;
  readonly percpuUnit: PercpuUnit | null;
  /** `pcpu-alloc: [g] cpu cpu …`: CPUs of each group. */
  readonly percpuGroups: readonly { readonly group: number; readonly cpus: readonly number[] }[];
  /** `smpboot: Allowing N CPUs` and its newer form: how many CPUs are possible. */
  readonly possibleCpus: number | null;
  /** nr_cpu_ids, nr_node_ids: highest possible CPU and node + 1 (setup_percpu, SLUB). */
  readonly cpuIds: number | null;
  readonly nodeIds: number | null;
  /** x86: `.... node  #1, CPUs:   #2 #3`, secondary CPUs as they are started; the boot CPU is in none. */
  readonly startedCpus: readonly { readonly node: number; readonly cpus: readonly number[] }[];
  /** `node 0 deferred pages initialised in 12ms`. */
  readonly deferredInit: readonly { readonly node: number; readonly milliseconds: number }[];
  /** `smp: Brought up N nodes, M CPUs`; nodes is 0 on kernels that do not print them. */
  readonly broughtUp: { readonly nodes: number; readonly cpus: number } | null;
  /** `Fallback order for Node n: a b c`. */
  readonly fallbackOrders: readonly { readonly node: number; readonly order: readonly number[] }[];
  /** `Built N zonelists, mobility grouping on.  Total pages: M`; 0 pages where not printed. */
  readonly zonelists: {
    readonly count: number;
    readonly mobility: boolean;
    readonly totalPages: number;
  } | null;
  /** `Policy zone: Normal`: NUMA policies apply to it and the zones above. */
  readonly policyZone: string | null;
  /** Lines read, of all kinds and boots. */
  readonly lines: number;
  /** Lines that went into this record. */
  readonly recognised: number;
  /** True when the log does not start at the kernel's first line: the ring buffer wrapped. */
  readonly headless: boolean;
}
