/**
 * Failures that the kernel tells in a sentence: bounce buffers, CMA, masks, the DMA API's debugging,
 * IOMMUs. One record a sentence, numbers as printed.
 *
 * A device's name holds colons (`0000:43:00.0`), so sentences are split on their fixed words.
 */

interface MessageBase {
  readonly line: number;
  /** As printed: seconds since boot, or a date. */
  readonly time: string | null;
  /** The sentence without prefixes, its lines joined. */
  readonly text: string;
  /** Driver and device as printed, "xhci_hcd 0000:0a:00.0"; null where none was named. */
  readonly device: string | null;
}

/** Bytes; slots of 2 KiB. Totals are printed since 5.2. */
export interface SwiotlbFull extends MessageBase {
  readonly kind: "swiotlb-full";
  readonly size: number;
  readonly total: number | null;
  readonly used: number | null;
}

export interface SwiotlbOther extends MessageBase {
  readonly kind:
    | "swiotlb-coherent-failed"
    /** The old GART's aperture, not the bounce buffer. */
    | "gart-full"
    /** The pool was made larger than asked for. */
    | "swiotlb-rounded"
    /** A pool that grows by itself (6.6) could not. */
    | "swiotlb-not-grown"
    /** A driver synced or unmapped beyond what it mapped. */
    | "swiotlb-misused";
  /** Bytes; null where not printed. */
  readonly size: number | null;
}

/** The pool could not be had at boot, or only a smaller one. */
export interface SwiotlbNotReserved extends MessageBase {
  readonly kind: "swiotlb-not-reserved";
  /** Bytes that it got instead; null where not printed. */
  readonly size: number | null;
  readonly smaller: boolean;
}

/** Context, no failure: the pool that boot reserved; `end` exclusive. */
export interface SwiotlbPool extends MessageBase {
  readonly kind: "swiotlb-pool";
  readonly start: number;
  readonly end: number;
}

/** Context: RAM that boot found. */
export interface MemorySize extends MessageBase {
  readonly kind: "memory-size";
  readonly kib: number;
}

/** Context: what was asked of the bounce buffer; null for nothing. */
export interface CommandLine extends MessageBase {
  readonly kind: "command-line";
  readonly swiotlb: string | null;
}

/** Context: a guest whose memory is encrypted bounces everything. */
export interface MemoryEncryption extends MessageBase {
  readonly kind: "memory-encryption";
}

export interface DmaOverflow extends MessageBase {
  readonly kind: "dma-overflow";
  /** The address is the buffer's own, or that of the bounce slot. */
  readonly of: "buffer" | "bounce-slot";
  /** Decimal digits would not hold: addresses have up to 64 bits. */
  readonly address: bigint;
  readonly size: number;
  readonly mask: bigint;
  /** 0: none. */
  readonly limit: bigint;
}

/** A mask that was refused, or that reaches too little, in words. */
export interface MaskRefused extends MessageBase {
  readonly kind: "mask-refused";
  readonly words: "not-set" | "unset" | "smaller-than-zone";
}

export interface BounceMapFailed extends MessageBase {
  readonly kind: "bounce-map-failed";
  readonly size: number;
}

export interface CmaAllocFailed extends MessageBase {
  readonly kind: "cma-alloc-failed";
  readonly area: string | null;
  readonly pages: number;
  /** -12, -16 … */
  readonly error: number;
  /** Free runs of the bitmap, longest in pages, and sums; null without CONFIG_CMA_DEBUG's line. */
  readonly longestRun: number | null;
  readonly free: number | null;
  readonly total: number | null;
}

export interface CmaOther extends MessageBase {
  readonly kind: "cma-reserve-failed" | "contig-range-busy";
  /** MiB asked for; null where not printed. */
  readonly mib: number | null;
  readonly error: number | null;
}

/** The atomic pool has nothing left for a device. */
export interface PoolEmpty extends MessageBase {
  readonly kind: "atomic-pool-empty";
}

export interface PoolFailed extends MessageBase {
  readonly kind: "atomic-pool-failed";
  readonly kib: number | null;
  /** "GFP_DMA"; null before 5.8, whose pool was one. */
  readonly gfp: string | null;
}

export type DmaApiMistake =
  | "free-not-allocated"
  | "sync-not-allocated"
  | "different-size"
  | "wrong-function"
  | "different-address"
  | "different-count"
  | "different-direction"
  | "pending-at-release"
  | "error-not-checked"
  | "stack"
  | "kernel-text"
  | "invalid-area"
  | "segment"
  | "sync-range"
  | "overlap"
  | "overlap-count"
  | "tracker-off"
  | "other";

export interface DmaApiReport extends MessageBase {
  readonly kind: "dma-api";
  readonly mistake: DmaApiMistake;
  /** The groups in brackets, "size" → "64 bytes". */
  readonly facts: ReadonlyMap<string, string>;
}

export interface IommuFault extends MessageBase {
  readonly kind: "iommu-fault";
  readonly vendor: "amd" | "intel" | "arm" | "arm-v3" | "arm-global" | "other";
  readonly address: bigint;
  /** AMD: event flags; Intel: fault reason; SMMU: fsr, globally sGFSR; SMMUv3: the event. */
  readonly code: number | null;
  /** "read" or "write" where the words or flags say so. */
  readonly access: "read" | "write" | null;
  /** SMMUv3's number of who asked, where it was printed; absent for others. */
  readonly stream?: number | null;
  /** Intel's words after the reason, an event's name, or what else was printed of it. */
  readonly reason: string | null;
}

/** A page of I/O addresses was mapped that was mapped already. */
export interface MappedTwice extends MessageBase {
  readonly kind: "iommu-mapped-twice";
}

export interface IommuOther extends MessageBase {
  readonly kind: "iova-exhausted" | "iommu-map-failed";
  readonly pages: number | null;
  readonly error: number | null;
}

/** A caller that waits for ever instead of failing. */
export interface AllocationDeadlock extends MessageBase {
  readonly kind: "allocation-deadlock";
  readonly comm: string | null;
  readonly size: number | null;
  readonly bits: number | null;
}

export interface AddressSpace extends MessageBase {
  readonly kind: "vmap-exhausted" | "crashkernel-not-reserved";
  readonly size: number | null;
}

/** What the OOM killer chose, without the report that says why. */
export interface OomKill extends MessageBase {
  readonly kind: "oom-kill";
  /** The limit of a memory cgroup was reached. */
  readonly memcg: boolean;
  /** CONSTRAINT_…; null before 5.0. */
  readonly constraint: string | null;
  /** The group whose limit it was. */
  readonly group: string | null;
  readonly comm: string | null;
}

/** Memory was refused somewhere, in words that carry nothing to compute with. */
export interface UnknownReport extends MessageBase {
  readonly kind: "unknown-report";
}

/** Of /proc/zoneinfo, in pages; null where a line is missing. */
export interface ZoneSizes {
  readonly node: number;
  readonly name: string;
  readonly line: number;
  readonly free: number | null;
  readonly min: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly managed: number;
}

/** A table of /proc/zoneinfo stands in the log. */
export interface ZoneTable extends MessageBase {
  readonly kind: "zone-table";
  readonly zones: readonly ZoneSizes[];
  /** Of the log's banner before it. */
  readonly upstream: string | null;
}

/** Context: a table of /proc stands in the log; what it is of tells the name. */
export interface ProcTable extends MessageBase {
  readonly kind: "proc-table";
}

export type FailureMessage =
  | SwiotlbFull
  | SwiotlbOther
  | SwiotlbNotReserved
  | SwiotlbPool
  | MemorySize
  | CommandLine
  | MemoryEncryption
  | DmaOverflow
  | MaskRefused
  | BounceMapFailed
  | CmaAllocFailed
  | CmaOther
  | PoolEmpty
  | PoolFailed
  | DmaApiReport
  | IommuFault
  | IommuOther
  | MappedTwice
  | AllocationDeadlock
  | AddressSpace
  | OomKill
  | UnknownReport
  | ZoneTable
  | ProcTable;

/** What a sentence says, without where it stood. */
export type MessageBody = FailureMessage extends infer M
  ? M extends MessageBase
    ? Omit<M, "line" | "time" | "text">
    : never
  : never;
