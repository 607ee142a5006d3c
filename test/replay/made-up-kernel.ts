// A small machine made up for replays: zones DMA and DMA32, lists as a test wants them; and a
// kernel that is the engine itself and tells what it does as a recording would, so that a test
// can have things happen that no event tells.
import { freePages } from "../../src/mm/allocate.ts";
import { parseGfp } from "../../src/mm/gfp-text.ts";
import {
  freeHead,
  type Memory,
  P_BATCH,
  P_COUNT,
  P_FACTOR,
  P_HIGH,
  PCP_LISTS,
  PCP_WORDS,
  pfnOf,
  Z_BOOST,
  Z_HIGH,
  Z_LOW,
  Z_MIN,
  Z_PROMO,
  ZONE_WORDS,
} from "../../src/mm/memory.ts";
import { zoneMarks } from "../../src/mm/watermark.ts";
import {
  type ListSnapshot,
  type MachineFacts,
  type ReplayEvent,
  startState,
} from "../../src/replay/index.ts";
import { type Rights, request } from "../../src/replay/request.ts";
import { event as eventAt } from "./made-up.ts";

export const DMA_START = 0x200;
export const DMA_END = 0x1000;
export const DMA32_END = 0x11000;
export const MIN_FREE_KBYTES = 1000;

export const FACTS: MachineFacts = {
  era: "6.1",
  upstream: "6.1.176",
  cma: false,
  cpus: 1,
  cpuNode: [0],
  reserveRatios: [256, 256, 32, 0, 0],
  sysctls: new Map(),
  zones: ["DMA", "DMA32", "Normal", "Movable"].map((name, index) => ({
    node: 0,
    index,
    name,
    threshold: index === 0 ? 2 : 4,
  })),
};

/** What no snapshot tells of pagesets that are not tuned. */
const UNTUNED = { allocFactor: null, highMin: null, highMax: null };

export interface FreeBlock {
  readonly pfn: number;
  readonly order: number;
}

/** Movable blocks that are free, in the order of their lists; everything else is taken. */
export function snapshotOf(free: readonly FreeBlock[]): ListSnapshot {
  const spans = [
    { startPfn: DMA_START, spanned: DMA_END - DMA_START },
    { startPfn: DMA_END, spanned: DMA32_END - DMA_END },
  ];
  const rows = spans.map(({ spanned }) => ({ managed: spanned, special: false }));
  const settings = { minFreeKbytes: MIN_FREE_KBYTES, watermarkScaleFactor: 10, pageSize: 4096 };
  const zones = zoneMarks(rows, settings).map((marks, index) => ({
    node: 0,
    index,
    name: index === 0 ? "DMA" : "DMA32",
    ...marks,
    startPfn: spans[index]?.startPfn ?? 0,
    spanned: spans[index]?.spanned ?? 0,
    managed: spans[index]?.spanned ?? 0,
    boost: 0,
    highatomic: 0,
    pagesetHigh: marks.low,
  }));
  const lists = new Map<string, number[]>();
  for (const { pfn, order } of free) {
    const key = `${pfn < DMA_END ? 0 : 1} ${order}`;
    lists.set(key, [...(lists.get(key) ?? []), pfn]);
  }
  return {
    zones,
    free: [...lists].map(([key, pfns]) => {
      const [index = 0, order = 0] = key.split(" ").map(Number);
      return { node: 0, index, order, type: 1, pfns };
    }),
    pcp: [],
    counters: zones.map(({ index, low }) => ({
      node: 0,
      index,
      cpu: 0,
      count: 0,
      high: Math.max(low, index === 0 ? 4 : 60),
      batch: index === 0 ? 1 : 15,
      factor: 0,
      ...UNTUNED,
    })),
    blocks: [{ pfn: 0, types: Array.from({ length: DMA32_END / 512 }, () => 1) }],
    movable: [],
    unmanaged: null,
    exact: true,
    pageblockOrder: 9,
    maxOrder: 10,
  };
}

/** Everything is free, in largest blocks. */
export function allFree(): ListSnapshot {
  const blocks: FreeBlock[] = [{ pfn: DMA_START, order: 9 }];
  for (let pfn = 0x400; pfn < DMA32_END; pfn += 0x400) blocks.push({ pfn, order: 10 });
  return snapshotOf(blocks);
}

export function event(kind: ReplayEvent["kind"], fields: Partial<ReplayEvent> = {}): ReplayEvent {
  return eventAt(1, { kind, time: 0, pfn: -1, ...fields });
}

const NO_RIGHTS: Rights = { past: false, reclaimer: false, victim: false };

export class Kernel {
  readonly m: Memory;
  readonly events: ReplayEvent[] = [];
  readonly #from: ListSnapshot;

  constructor(from: ListSnapshot, facts: MachineFacts = FACTS) {
    const { value } = startState(from, facts);
    if (value === null) throw new Error("no such memory");
    this.#from = from;
    this.m = value.m;
    this.m.events = {
      refill: (_, row, order, type) => this.#block("refill", row, order, type),
      drain: (_, row, order, type) => this.#block("drain", row, order, type),
      extfrag: () => undefined,
      wakeKswapd: () => undefined,
    };
  }

  tell(kind: ReplayEvent["kind"], fields: Partial<ReplayEvent> = {}): void {
    this.events.push(event(kind, { line: this.events.length + 1, ...fields }));
  }

  #block(kind: "refill" | "drain", row: number, order: number, type: number): void {
    this.tell(kind, { pfn: pfnOf(this.m, row), order, type, flag: true });
  }

  /** Returns the pfn, -1 for none. */
  alloc(gfp: string, rights: Partial<Rights> = {}): number {
    const bits = parseGfp(gfp, this.m.gfp.era).value;
    const pfn = request(this.m, bits, 0, { ...NO_RIGHTS, ...rights });
    this.tell("alloc", { pfn, gfp, type: gfp.includes("MOVABLE") ? 1 : 0 });
    return pfn;
  }

  free(pfn: number): void {
    this.tell("free", { pfn });
    freePages(this.m, pfn, 0);
  }

  /** Frees of a list: told first and done afterwards; `told` says when each is done. */
  freeList(pfns: readonly number[], told: boolean): void {
    for (const pfn of pfns) this.tell("free", { pfn });
    for (const pfn of pfns) {
      if (told) this.tell("batched", { pfn });
      freePages(this.m, pfn, 0);
    }
  }

  /** The lists and marks as they are now. */
  snapshot(): ListSnapshot {
    const { m } = this;
    const listed = (head: number): number[] => {
      const pfns: number[] = [];
      for (let row = m.next[head] ?? head; row !== head; row = m.next[row] ?? head) {
        pfns.push(pfnOf(m, row));
      }
      return pfns;
    };
    const zones = this.#from.zones.map((zone, z) => {
      const word = (at: number): number => m.zone[z * ZONE_WORDS + at] ?? 0;
      const marks = { min: word(Z_MIN), low: word(Z_LOW), high: word(Z_HIGH) };
      return { ...zone, ...marks, promo: word(Z_PROMO), boost: word(Z_BOOST) };
    });
    const free = zones.flatMap(({ node, index }, z) =>
      [0, 1, 2].flatMap((type) =>
        Array.from({ length: 11 }, (_, order) => {
          return { node, index, order, type, pfns: listed(freeHead(z, type, order)) };
        }),
      ),
    );
    const pcp = zones.flatMap(({ node, index }, z) =>
      Array.from({ length: PCP_LISTS }, (_, list) => {
        return { node, index, cpu: 0, list, pfns: listed(m.pcpHeads + z * PCP_LISTS + list) };
      }),
    );
    const counters = zones.map(({ node, index }, z) => {
      const word = (at: number): number => m.pcp[z * PCP_WORDS + at] ?? 0;
      const sizes = { count: word(P_COUNT), high: word(P_HIGH), batch: word(P_BATCH) };
      return { node, index, cpu: 0, ...sizes, factor: word(P_FACTOR), ...UNTUNED };
    });
    const some = <T extends { readonly pfns: readonly number[] }>(lists: readonly T[]): T[] =>
      lists.filter(({ pfns }) => pfns.length > 0);
    return { ...this.#from, zones, free: some(free), pcp: some(pcp), counters };
  }
}
