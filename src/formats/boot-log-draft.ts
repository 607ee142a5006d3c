/**
 * A `BootLog` in the making: the record with its lists still open, and what a
 * reader must remember from line to line to understand the next one.
 *
 * A draft is bounded: a list that no kernel could fill stops growing at
 * `MAX_ENTRIES`, memblock lines at `MAX_MEMBLOCK`, and the reader says so.
 */
import type { BootLog, MemblockRegion } from "./boot-log.ts";

/** More than any machine prints of one kind: 8192 CPUs, 1024 nodes, 65536 memblock regions. */
export const MAX_ENTRIES = 65536;
/** Memblock events and dumped regions kept; a boot of 1024 CPUs and nodes has some hundred thousand. */
export const MAX_MEMBLOCK = 2_000_000;

type Open<V> = V extends readonly (infer Entry)[] ? Entry[] : V;
export type OpenBootLog = { -readonly [Key in keyof BootLog]: Open<BootLog[Key]> };

/** Which heading the indented lines belong to. */
export type Section = "zones" | "zone pfns" | "movable" | "movable pfns" | "nodes" | "node pfns";

/** A memblock dump whose regions are still coming. */
export interface OpenDump {
  readonly line: number;
  readonly memory: MemblockRegion[];
  readonly reserved: MemblockRegion[];
  memoryCount: number | null;
  reservedCount: number | null;
  /** A region was missing, doubled or contradicted itself. */
  broken: boolean;
}

export interface Draft {
  readonly log: OpenBootLog;
  section: Section | null;
  dump: OpenDump | null;
  /** Node of the last `On node n totalpages`, and what its zone's lines said so far. */
  totalsNode: number | null;
  memmapPages: number;
  reservedPages: number;
  /** CPUs of the percpu group that is being listed; the same array as in the record. */
  percpuGroup: { readonly group: number; readonly cpus: number[] } | null;
  /** Each caller's name once: slices of lines would keep the whole file alive. */
  readonly callers: Map<string, string>;
  memblockKept: number;
  /** Entries left out because their list was full. */
  overflowed: number;
  /** Reports a fault that only shows in the company of other lines. */
  readonly warn: (line: number, message: string, mend?: string) => void;
}

export function newDraft(warn: Draft["warn"]): Draft {
  return {
    log: emptyBootLog(),
    section: null,
    dump: null,
    totalsNode: null,
    memmapPages: 0,
    reservedPages: 0,
    percpuGroup: null,
    callers: new Map(),
    memblockKept: 0,
    overflowed: 0,
    warn,
  };
}

/** Adds to a list of the record unless it is full. */
export function keep<Entry>(draft: Draft, list: Entry[], entry: Entry): void {
  if (list.length < MAX_ENTRIES) list.push(entry);
  else draft.overflowed++;
}

/** The record of a log without a single kernel message. */
export function emptyBootLog(): OpenBootLog {
  return {
    version: null,
    commandLine: null,
    e820: [],
    e820Edits: [],
    userMap: [],
    modifiedMap: [],
    efiMap: [],
    efi: null,
    mirroredMib: null,
    lastPfn: null,
    machine: null,
    sratRanges: [],
    sratCpus: [],
    fakeNodes: [],
    singleNode: null,
    nodeData: [],
    memblock: [],
    lateFrees: [],
    zoneRanges: null,
    movableStarts: [],
    nodeRanges: [],
    nodeSpans: [],
    unavailable: [],
    zonePages: [],
    lowmemMib: null,
    highmemMib: null,
    lowRamEnd: null,
    memoryPolicy: null,
    hashTables: [],
    logBufBytes: null,
    memory: null,
    freed: [],
    ramdisk: null,
    ramdiskMoved: null,
    swiotlb: { mapped: null, areas: null, adjustedBytes: null, announced: false, failure: null },
    cma: [],
    reservedMemory: [],
    atomicPools: [],
    crashkernel: [],
    hugePages: [],
    percpuPages: null,
    percpuUnit: null,
    percpuGroups: [],
    possibleCpus: null,
    cpuIds: null,
    nodeIds: null,
    startedCpus: [],
    deferredInit: [],
    broughtUp: null,
    fallbackOrders: [],
    zonelists: null,
    policyZone: null,
    lines: 0,
    recognised: 0,
    headless: true,
  };
}
