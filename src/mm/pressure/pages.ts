/**
 * Pages that may move or go: whose they are, and what reclaim knows of them.
 *
 * A page has an owner or is nobody's business. A *handle* is an owner that is a
 * number: the page's place is a word of the image, anybody may move the page or
 * put its bytes away by rewriting that word, and the next `touch` brings it back.
 * A *callback* owner is asked: it is told where its page went, and may give it up.
 * Pages without an owner stay where they are.
 *
 *   column     bytes  row
 *   handleOf     4    handle of the page; -n for callback owner n; 0 for nobody
 *   flags        1    PG_*
 *   pins         1    who holds it in place
 *
 *   word       of a handle
 *   place        row of the page; 0 while it is out, or the handle is free
 *   slot         slot of the store + 1, with the bytes as they were last written out; 0 for none,
 *                below 0 when the store that had them is gone
 *   kind         HANDLE_*
 *
 *   W1  a page with handle h has place[h] as its row, and the other way round
 *   W2  a page on an LRU list has an owner; a handle's page is on one
 *   W3  a block has an owner if, and only if, its state says OWNED: then no free by its pfn matches
 *
 * In a shared memory all of this is everybody's, and `handle-lock.ts` says who may write what when.
 *
 * Linux: struct page (mapping, flags), struct anon_vma, address_space_operations
 * (migrate_folio, release_folio), mm/rmap.c
 */
import { assert } from "../../base/assert.ts";
import { addChunkedRegion, addPassingRegion, addRegion } from "../image.ts";
import { type Memory, Z_NODE, ZONE_WORDS } from "../memory.ts";
import { C_MANAGED, lineOf } from "../share-words.ts";
import { LRU_LISTS } from "../words.ts";
import type { CmaArea } from "./cma.ts";
import { type CompactState, compactState } from "./compact-state.ts";
import { COUNT_NAMES, countsOf, type ReclaimCounts } from "./counts.ts";
import { type ReclaimRule, reclaimRule } from "./rule.ts";
import type { SharedStore } from "./shared-store.ts";

/** Bits of `flags`. */
export const PG_LRU = 1;
export const PG_ACTIVE = 2;
/** Looked at since the last scan; and once more. */
export const PG_REFERENCED = 4;
export const PG_YOUNG = 8;
export const PG_DIRTY = 16;
/** Goes to swap, not to a file. */
export const PG_ANON = 32;
export const PG_MLOCKED = 64;
/** Off its list, because somebody is about to move it. */
export const PG_ISOLATED = 128;

/** What a handle is. */
export const HANDLE_FREE = 0;
export const HANDLE_ANON = 1;
export const HANDLE_FILE = 2;
/** Given up, but for its slot: that is in a store which another worker has. */
export const HANDLE_GONE = 3;

/** LRU lists of a node; of a zone in eras that have them there, of which only the first two. */
export const L_ACTIVE = 0;
export const L_INACTIVE = 1;
/** Added for anonymous pages where lists belong to nodes. */
export const L_ANON = 2;
export const L_UNEVICTABLE = 4;

/** Words of a node. */
export const N_KSWAPD_ORDER = 0;
/** Highest zone that was asked for since kswapd ran; -1 for none. */
export const N_KSWAPD_HIGHEST = 1;
/** Runs in a row that freed nothing. */
export const N_FAILURES = 2;
/** What reclaim of each kind has cost lately. */
export const N_ANON_COST = 3;
export const N_FILE_COST = 4;
/** 1 from when kswapd is woken until it runs. */
export const N_KSWAPD_WOKEN = 5;
/** Highest zone of kswapd's last run. */
export const N_KSWAPD_LAST = 6;
/** CPU that runs kswapd of the node, plus one. */
export const N_KSWAPD_LOCK = 7;
export const NODE_WORDS = 8;

/** Words of a zone in `reclaim`; a node's are those of its first zone. */
/** Anonymous pages on lists that hold both kinds (up to 2.6.27). */
export const R_ANON = 0;
/** File pages that were looked at lately, anonymous ones; how many of each were used again (2.6.28 to 5.8). */
export const R_SCANNED = 1;
export const R_ROTATED = 3;
/** By list: looks that are owed till there is a cluster (2.6.28 to 2.6.39). */
export const R_OWED = 5;
export const RECLAIM_WORDS = 9;

/** Where bytes go that memory has no room for: slots of a page each. */
export interface PageStore {
  /** All slots, and free ones. */
  readonly slots: number;
  readonly free: number;
  /** Whether every worker of a shared memory has it. If not, one worker can swap, the others move pages only. */
  readonly shared?: SharedStore;
  /** A slot with these bytes, or -1 when it is full. `bytes` is null in a memory without. */
  write(bytes: Uint8Array | null): number;
  /** The bytes of a slot, into `bytes`. False when they cannot be had any more. */
  read(slot: number, bytes: Uint8Array | null): boolean;
  drop(slot: number): void;
}

/** An owner that is asked. */
export interface PageOwner {
  readonly name: string;
  /** The block at pfn `from` is at `to` now, bytes and all. False refuses, and nothing has happened. */
  moved?(from: number, to: number, order: number): boolean;
  /** Whether reclaim may have the block. The owner must not use it after `true`. */
  mayFree?(pfn: number, order: number): boolean;
}

/** What several workers need beside that. */
export interface SharedWords {
  /** By handle: the CPU that has it locked, plus one. */
  readonly lock: Int32Array;
  /** By handle: the CPU that it goes with when that one dies, plus one. */
  readonly owner: Uint8Array;
  /** By CPU and handle, cpu * handles + handle: pins that the CPU holds. */
  readonly held: Uint8Array;
  /** W_*. */
  readonly words: Int32Array;
}

/** Words of `SharedWords`: locks, as a CPU plus one; the CPU that has the store, plus one; handles that are GONE. */
export const W_CMA_LOCK = 0;
export const W_RECOVER_LOCK = 1;
export const W_STORE = 2;
export const W_GONE = 3;
const SHARED_WORDS = 16;

/** Pages of one memory that may move or go. */
export interface Pages {
  readonly m: Memory;
  readonly rule: ReclaimRule;
  /** Null where one thread has it all. */
  readonly shared: SharedWords | null;
  readonly handleOf: Int32Array;
  readonly flags: Uint8Array;
  readonly pins: Uint8Array;
  /** By handle. */
  readonly place: Int32Array;
  readonly slot: Int32Array;
  readonly kind: Uint8Array;
  /** Pages on each LRU list by zone: zone * LRU_LISTS + list. */
  readonly lru: Int32Array;
  /** By place of the node. */
  readonly node: Int32Array;
  /** By zone: what balances reclaim, R_*. */
  readonly reclaim: Int32Array;
  /** What compaction remembers, and who wants it. */
  readonly compaction: CompactState;
  /** By row of a CMA area's first pages, a byte a bit: CPU that has it allocated plus one, 0 while it is lent. */
  readonly claimed: Uint8Array;
  /** This worker's; `totalCounts` has all. */
  readonly counts: ReclaimCounts;
  readonly events: Float64Array;
  /** By zone: pages looked at, and pages freed, by this worker's reclaim. */
  readonly scanned: Float64Array;
  readonly freed: Float64Array;
  readonly store: PageStore | null;
  readonly owners: PageOwner[];
  readonly areas: CmaArea[];
  /** Whether pages are ever moved: some kernels are built without. */
  readonly migration: boolean;
  readonly swappiness: number;
  /** GFP_HIGHUSER_MOVABLE by the era's bits: what pages are brought back and moved with. */
  readonly gfp: number;
  /** By CPU: the handle that is tried first when one is wanted. */
  readonly nextHandle: Int32Array;
  /** This worker reclaims: requests made meanwhile do not start another reclaim. */
  reclaiming: boolean;
  /** An owner of this worker is being asked. */
  asking: boolean;
}

export interface PageOptions {
  /**
   * Handles at most: pages that there can be at once, in memory and in the store. As many as both hold
   * by default; 9 bytes each.
   */
  readonly handles?: number;
  /** Where bytes go; without one only clean file pages and owners' blocks are reclaimed. */
  readonly store?: PageStore;
  /** False leaves migration out, as kernels without CONFIG_MIGRATION: nothing moves. True by default. */
  readonly migration?: boolean;
  /** vm.swappiness, 0 (files first) to 200 (anonymous pages first): 60 by default. */
  readonly swappiness?: number;
  /** vm.compaction_proactiveness, 0 to 100: 20 by default since 5.9, 0 before, where there was none. */
  readonly compactionProactiveness?: number;
}

/**
 * Gives a memory pages that may move or go, once. In a shared memory whoever made it does this, before it
 * is shared by `sharePages`.
 */
export function managePages(m: Memory, options: PageOptions = {}): Pages {
  assert(m.image.given === null, "attached: `attachPages` has the pages of a shared memory");
  assert(!m.image.regions.has("pages.handle"), "this memory has such pages already");
  const { store = null, swappiness = 60 } = options;
  assert(swappiness >= 0 && swappiness <= 200, "swappiness is 0 to 200", swappiness);
  const wanted = options.handles ?? m.rows - m.firstRow + (store?.slots ?? 0);
  assert(Number.isSafeInteger(wanted) && wanted >= 0, "handles are a number of pages", wanted);
  const handles = wanted + 1;
  const pages = layPages(m, { ...options, handles }, store);
  for (let place = 0; place < m.nodes.length; place++) {
    pages.node[place * NODE_WORDS + N_KSWAPD_HIGHEST] = -1;
    pages.node[place * NODE_WORDS + N_KSWAPD_LAST] = 15;
  }
  // Workers begin at different places, so that they seldom want the same handle.
  for (let cpu = 0; cpu < m.cpuCount; cpu++) {
    pages.nextHandle[cpu] = 1 + Math.floor(((handles - 1) * cpu) / m.cpuCount);
  }
  if (m.cpus !== null) m.cpus[lineOf(0) + C_MANAGED] = 1;
  if (pages.shared !== null && store !== null && store.shared === undefined) {
    pages.shared.words[W_STORE] = m.cpu + 1;
  }
  return pages;
}

/** The columns and words over the memory's image; `handles` counts the one that is none. */
export function layPages(
  m: Memory,
  options: PageOptions & { readonly handles: number },
  store: PageStore | null,
): Pages {
  const { image, rows, sectionShift, touched, zoneCount } = m;
  const { handles } = options;
  const column = (name: string, log: number): ArrayBufferLike =>
    addChunkedRegion(image, name, rows * 2 ** log, sectionShift + log, touched).buffer;
  const words = (name: string, count: number): Int32Array =>
    new Int32Array(addRegion(image, name, count * 4).buffer);
  const numbers = (name: string, count: number): Float64Array =>
    new Float64Array(addRegion(image, name, count * 8).buffer);
  // A worker counts for itself, as a CPU does: vm_event_states.
  const cpu = m.cpus === null ? 0 : m.cpu;
  const ownZones = (all: Float64Array): Float64Array =>
    all.subarray(cpu * zoneCount, (cpu + 1) * zoneCount);
  const events = numbers("pages.events", COUNT_NAMES.length * m.cpuCount);
  return {
    m,
    rule: reclaimRule(m.rule.name),
    shared: m.cpus === null ? null : sharedWords(m, handles),
    handleOf: new Int32Array(column("pages.handle", 2)),
    flags: new Uint8Array(column("pages.flags", 0)),
    pins: new Uint8Array(column("pages.pins", 0)),
    claimed: new Uint8Array(column("pages.claimed", 0)),
    place: words("handles.place", handles),
    slot: words("handles.slot", handles),
    kind: new Uint8Array(addRegion(image, "handles.kind", handles).buffer),
    lru: words("pages.lru", zoneCount * LRU_LISTS),
    node: words("pages.node", m.nodes.length * NODE_WORDS),
    reclaim: words("pages.reclaim", zoneCount * RECLAIM_WORDS),
    compaction: compactState(m, options.compactionProactiveness),
    counts: countsOf(events, cpu),
    events,
    scanned: ownZones(numbers("pages.scanned", zoneCount * m.cpuCount)),
    freed: ownZones(numbers("pages.freed", zoneCount * m.cpuCount)),
    store,
    owners: [],
    areas: [],
    migration: options.migration ?? true,
    swappiness: options.swappiness ?? 60,
    gfp: userBits(m),
    nextHandle: words("pages.next", m.cpuCount),
    reclaiming: false,
    asking: false,
  };
}

function sharedWords({ image, cpuCount }: Memory, handles: number): SharedWords {
  const passing = (name: string, count: number): Int32Array =>
    new Int32Array(addPassingRegion(image, name, count * 4).buffer);
  const column = (name: string, count: number): Uint8Array =>
    new Uint8Array(addRegion(image, name, count).buffer);
  return {
    lock: passing("handles.lock", handles),
    owner: column("handles.owner", handles),
    held: column("handles.held", handles * cpuCount),
    words: passing("pages.words", SHARED_WORDS),
  };
}

function userBits(m: Memory): number {
  const names = [
    "DIRECT_RECLAIM",
    "KSWAPD_RECLAIM",
    "WAIT",
    "IO",
    "FS",
    "HARDWALL",
    "HIGHMEM",
    "MOVABLE",
  ];
  return names.reduce((bits, name) => bits | (m.gfp.era.bits.get(`__GFP_${name}`) ?? 0), 0);
}

/** Place of a zone's node among the nodes. */
export function nodePlace(m: Memory, zone: number): number {
  return m.nodes.indexOf(m.zone[zone * ZONE_WORDS + Z_NODE]);
}
