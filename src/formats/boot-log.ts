/**
 * What a kernel's boot log says about memory: plain records, in the order of
 * the log, each with its 1-based line number. `boot-log-reader.ts` fills them;
 * `src/boot/` reasons about them.
 *
 * All addresses are bytes, all ranges half-open (the kernel prints most of them
 * with an inclusive end). Nothing here is computed from anything else.
 */
import type { Range } from "../base/range.ts";

/** A range of the firmware's memory map with the type word of the log ("usable", "reserved", "ACPI data" …). */
export interface FirmwareRange extends Range {
  readonly type: string;
}

/** `e820: update … usable ==> reserved` and `e820: remove … usable`. */
export interface FirmwareEdit extends Range {
  readonly line: number;
  readonly from: string;
  /** The new type; null when the range was removed. */
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
      /** May be empty: the kernel prints those with an end before the start. */
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
}

/** A `Freeing … memory: nK` line. */
export interface FreedMemory {
  readonly line: number;
  /** The words between "Freeing" and "memory", e.g. `SMP alternatives`, `unused kernel image (initmem)`. */
  readonly what: string;
  readonly kib: number;
  /** Some kernels print the virtual or physical range; null otherwise. */
  readonly range: Range | null;
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
  readonly sratRanges: readonly SratRange[];
  readonly sratCpus: readonly { readonly apic: number; readonly node: number }[];
  /** `Faking node i at [mem …]`. */
  readonly fakeNodes: readonly NodeRange[];
  /** `NODE_DATA(0) allocated [mem …]`. */
  readonly nodeData: readonly NodeRange[];
  readonly memblock: readonly MemblockEvent[];
  /** null when the log has no `Zone ranges:`. */
  readonly zoneRanges: readonly ZoneRange[] | null;
  readonly movableStarts: readonly { readonly node: number; readonly address: number }[];
  readonly nodeRanges: readonly NodeRange[];
  /** `Initmem setup node n [mem …]`, also of nodes without memory (empty range). */
  readonly nodeSpans: readonly NodeRange[];
  readonly memory: MemoryLine | null;
  readonly freed: readonly FreedMemory[];
  /** `RAMDISK: [mem …]` and, where it was moved, `Allocated new RAMDISK: [mem …]`. */
  readonly ramdisk: Range | null;
  readonly ramdiskMoved: Range | null;
  readonly swiotlb: {
    /** `software IO TLB: mapped [mem …] (64MB)`. */
    readonly mapped: Range | null;
    /** `software IO TLB: area num N.` */
    readonly areas: number | null;
    /** `SWIOTLB bounce buffer size adjusted to nMB`, in bytes. */
    readonly adjustedBytes: number | null;
  };
  readonly cma: readonly CmaReservation[];
  readonly crashkernel: readonly CrashkernelReservation[];
  readonly hugePages: readonly HugePages[];
  /** `percpu: Embedded N pages/cpu`. */
  readonly percpuPages: number | null;
  /** `pcpu-alloc: [g] cpu cpu …`: CPUs of each group. */
  readonly percpuGroups: readonly { readonly group: number; readonly cpus: readonly number[] }[];
  /** `smpboot: Allowing N CPUs` and its newer form: how many CPUs are possible. */
  readonly possibleCpus: number | null;
  /** `smp: Brought up N nodes, M CPUs`. */
  readonly broughtUp: { readonly nodes: number; readonly cpus: number } | null;
  /** `Fallback order for Node n: a b c`. */
  readonly fallbackOrders: readonly { readonly node: number; readonly order: readonly number[] }[];
  /** `Built N zonelists, mobility grouping on.  Total pages: M`. */
  readonly zonelists: {
    readonly count: number;
    readonly mobility: boolean;
    readonly totalPages: number;
  } | null;
  /** 1-based lines read. */
  readonly lines: number;
  /** True when the log does not start at the kernel's first line: the ring buffer wrapped. */
  readonly headless: boolean;
}
