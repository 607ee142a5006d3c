/**
 * What a kernel finds when it starts: the machine and the build of the kernel,
 * before any parameter is applied. Everything else in this layer is computed
 * from `Hardware`, a parsed command line and, where there is one, a boot log.
 */
import type { Range } from "../base/range.ts";
import type { FirmwareRange, NodeRange, SratRange } from "../formats/boot-log.ts";
import type { ConfigFacts } from "../kernels/flavours.ts";
import type { Arch } from "../kernels/policy.ts";

/** What the kernel's configuration decides. */
export interface Build extends ConfigFacts {
  /** Release as in `uname -r`, e.g. "6.1.0-50-amd64"; null when unknown. */
  readonly release: string | null;
  /**
   * Name of the flavour whose measured constants apply (`src/kernels/builds.ts`),
   * e.g. "amd64", "686-pae", "armmp-lpae"; null for an unknown build.
   */
  readonly flavour: string | null;
  readonly pageSize: number;
  /**
   * Pages in a block of the highest order (MAX_ORDER_NR_PAGES); Movable starts are
   * rounded up to it. Absent: 1024, or what the page size implies (CONFIG_ARCH_FORCE_MAX_ORDER
   * says otherwise: Debian's armmp kernels have 2048).
   */
  readonly maxOrderPages?: number;
}

/** A zone of a machine that no kernel has: every pfn below `limit` that no lower zone took. */
export interface CustomZone {
  readonly name: string;
  /** Exclusive upper limit in bytes; Infinity for "the rest". */
  readonly limit: number;
}

export interface Cpus {
  readonly possible: number;
  readonly online: number;
  /** Online CPUs of each node; a CPU may count in several (numa=fake). Null when not known. */
  readonly byNode: ReadonlyMap<number, readonly number[]> | null;
}

/**
 * What becomes of memory that firmware set aside.
 *
 *   no-map      not mapped: nobody's, the kernel's neither
 *   reserved    mapped, and used by whoever knows of it
 *   coherent    for dma_alloc_coherent() of the devices that name it
 *   restricted  the bounce pool of the devices that name it
 *   cma         lent to movable pages until a device wants it
 */
export type ReservedKind = "no-map" | "reserved" | "coherent" | "restricted" | "cma";

export interface ReservedRequest {
  readonly name: string;
  readonly kind: ReservedKind;
  /** Not mapped by the kernel; always so for "no-map". */
  readonly noMap: boolean;
  /** Fixed place, bytes; null where the kernel finds one. */
  readonly start: number | null;
  readonly bytes: number;
  /** Alignment that is asked for, bytes; 0 for none. */
  readonly align: number;
  /** Where to look, in order, bytes; empty for anywhere. */
  readonly within: readonly Range[];
  /** A region of its own in the kernel's list; not so /memreserve/ and second ranges. */
  readonly listed: boolean;
  /** linux,cma-default: all devices' area, in place of the build's. */
  readonly isDefault: boolean;
}

/** A region of /reserved-memory with its place. */
export interface ReservedRegion {
  readonly name: string;
  readonly kind: ReservedKind;
  /** Bytes; null where nothing free is large enough. */
  readonly start: number | null;
  readonly bytes: number;
  /** False where the kernel found the place and we computed it. */
  readonly fixed: boolean;
}

export interface Hardware {
  readonly arch: Arch;
  readonly build: Build;
  /** The firmware's map before any parameter: e820, devicetree memory, or plain RAM. Bytes. */
  readonly memory: readonly FirmwareRange[];
  /** Memory affinity: SRAT or devicetree; empty for one node. Bytes. */
  readonly affinity: readonly SratRange[];
  /** EFI's "more reliable" ranges, for kernelcore=mirror; absent for none. Bytes. */
  readonly mirrored?: readonly Range[];
  /** RAM that the kernel does not map and never gives out (EFI, `no-map`): present, not managed. Absent for none. Bytes. */
  readonly unmapped?: readonly Range[];
  /** What the devicetree's /reserved-memory asks for, in its order; absent for none. */
  readonly reserved?: readonly ReservedRequest[];
  /** Size of the devicetree itself, which stays in memory, bytes; absent: not known. */
  readonly devicetreeBytes?: number;
  /** Where the kernel image lies in this very boot, from /proc/iomem; null or absent: not told. Bytes. */
  readonly image?: Range | null;
  /** Nodes that exist without memory or are named by firmware, ascending; empty for just what `affinity` names. */
  readonly nodes: readonly number[];
  readonly cpus: Cpus;
  /** arm64, arm: highest CPU address that every restricted device reaches (devicetree dma-ranges, IORT), exclusive bytes; null for no limit. */
  readonly dmaLimit: number | null;
  /** arm: `dma_zone_size` of the machine description in bytes, null for none. */
  readonly armDmaZoneBytes: number | null;
  /** Zones of arch "custom", lowest first. */
  readonly customZones: readonly CustomZone[];
}

/** One zone of one node. All in pages. An empty zone has spanned 0 and startPfn 0. */
export interface ZoneSpan {
  readonly node: number;
  /** Position among the kernel's zones; the same on every node. */
  readonly index: number;
  readonly name: string;
  readonly startPfn: number;
  readonly spanned: number;
  readonly present: number;
}

/** Which pfns are in which zone: the outcome of sizing the zones at boot. */
export interface Layout {
  /** Names of all zones that /proc/zoneinfo prints, lowest first, empty ones too. */
  readonly zoneNames: readonly string[];
  /** Every node × every zone, by node then index. */
  readonly zones: readonly ZoneSpan[];
  /** Online nodes, ascending; those without memory too. */
  readonly nodes: readonly number[];
  /** RAM as the buddy allocator could see it, by node, in pfns, sorted by start. */
  readonly memory: readonly NodeRange[];
  /** First pfn of Movable by node, where there is one. */
  readonly movableStart: ReadonlyMap<number, number>;
  /** End of low memory in pfn: the last permanently mapped page + 1. */
  readonly maxLowPfn: number;
  /** End of RAM in pfn, after parameters. */
  readonly maxPfn: number;
  /** End of RAM in pfn as x86 asks before `highmem=` trims and after `mem=`; swiotlb depends on it. */
  readonly maxPossiblePfn: number;
  /**
   * What arm and arm64 call the DMA limit, in pfn: on arm the last pfn it
   * reaches, on arm64 the first one that it does not. Null elsewhere.
   */
  readonly dmaLimitPfn: number | null;
  /** "log" when taken from the log's own zone lines, "parameters" when computed. */
  readonly from: "log" | "parameters";
}

/**
 * How many pages a zone holds at the moments that matter, in pages.
 *
 *   m0        handed over by memblock
 *   t1        when init_per_zone_wmark_min() ran: protection and first marks
 *   t2        when khugepaged raised min_free_kbytes: marks and pageset
 *   end       what /proc/zoneinfo prints as managed
 */
export interface ManagedCounts {
  readonly node: number;
  readonly index: number;
  readonly m0: number;
  readonly t1: number;
  readonly t2: number;
  readonly end: number;
  /** Bounds of `end`; equal to it when exact. */
  readonly low: number;
  readonly high: number;
  readonly exact: boolean;
}

/**
 * Where managed counts came from. "log and parameters": the log's counts of the
 * machine as it was, corrected by what the changed parameters make of them.
 */
export type ManagedSource =
  | "memblock log"
  | "boot log"
  | "given"
  | "parameters"
  | "log and parameters";

export interface Managed {
  readonly zones: readonly ManagedCounts[];
  readonly source: ManagedSource;
}

export interface SwiotlbPool {
  /** Bytes; null when the place is not known (parameters alone). */
  readonly start: number | null;
  readonly bytes: number;
  readonly slots: number;
  /** 1 before areas existed. */
  readonly areas: number;
  /** Largest single mapping, bytes. */
  readonly maxMapping: number;
  /** Why there is a pool, in words: "RAM above 4 GiB", "swiotlb=force" … */
  readonly reason: string;
}

export interface CmaArea {
  readonly name: string;
  readonly start: number | null;
  readonly bytes: number;
}

export interface Pools {
  readonly swiotlb: SwiotlbPool | null;
  /** Why there is no pool, when there is none. */
  readonly swiotlbWhyNot: string | null;
  readonly cma: readonly CmaArea[];
  readonly crashkernel: readonly Range[];
  /** What the devicetree set aside, CMA areas too; absent where there is none. */
  readonly reserved?: readonly ReservedRegion[];
  readonly hugePages: readonly { readonly pageBytes: number; readonly count: number }[];
}
