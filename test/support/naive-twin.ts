// A memory and the naive twin of its era, side by side: built alike, and compared down to list order.
import {
  FREE,
  freeHead,
  KIND_MASK,
  type Memory,
  ORDER_MASK,
  P_BATCH,
  P_COUNT,
  P_DRIFT,
  P_FACTOR,
  P_FREE_COUNT,
  P_FREED_HIGH_ORDER,
  P_HIGH,
  P_HIGH_MAX,
  P_HIGH_MIN,
  PCP_LISTS,
  PCP_WORDS,
  pfnOf,
  Z_BOOST,
  Z_FLAGS,
  Z_FREE,
  Z_HIGH,
  Z_HIGHATOMIC,
  Z_LOW,
  Z_MANAGED,
  Z_MIN,
  Z_NODE,
  Z_RESERVE,
  Z_THRESHOLD,
  ZONE_BOOSTED,
  ZONE_WORDS,
  zoneOf,
} from "../../src/mm/memory.ts";
import { TYPE_COUNT } from "../../src/mm/rule.ts";
import type { NaiveZone } from "./naive-buddy.ts";
import type { NaiveMemory } from "./naive-memory.ts";
import { naiveMemory } from "./naive-old.ts";

/** pfns of a free list in order, the blocks of an extent one by one. */
export function freeList(m: Memory, zone: number, type: number, order: number): number[] {
  const head = freeHead(zone, type, order);
  const pfns: number[] = [];
  for (let row = m.next[head] ?? head; row !== head; row = m.next[row] ?? head) {
    const isBlock = ((m.state[row] ?? 0) & KIND_MASK) === FREE;
    const end = isBlock ? row + 1 : (m.next[row + 1] ?? 0);
    for (let at = row; at < end; at += 2 ** order) pfns.push(pfnOf(m, at));
  }
  return pfns;
}

/** A per-CPU list in order: pfns with the types they are to be freed as. */
export function pcpList(
  m: Memory,
  zone: number,
  cpu: number,
  list: number,
): { pfn: number; type: number }[] {
  const head = m.pcpHeads + (zone * m.cpuCount + cpu) * PCP_LISTS + list;
  const pages: { pfn: number; type: number }[] = [];
  for (let row = m.next[head] ?? head; row !== head; row = m.next[row] ?? head) {
    pages.push({ pfn: pfnOf(m, row), type: (m.state[row] ?? 0) & ORDER_MASK });
  }
  return pages;
}

const word = (m: Memory, zone: number, at: number): number => m.zone[zone * ZONE_WORDS + at] ?? 0;

/** The twin of a memory that was just booted, over the same ranges without holes. */
export function naiveTwin(
  m: Memory,
  ranges: readonly { readonly start: number; readonly end: number }[],
): NaiveMemory {
  const zones = m.names.map(
    (name, z): NaiveZone => ({
      node: word(m, z, Z_NODE),
      name,
      start: ranges[z]?.start ?? 0,
      end: ranges[z]?.end ?? 0,
      managed: word(m, z, Z_MANAGED),
      counted: word(m, z, Z_MANAGED),
      threshold: 0,
      marks: { min: 0, low: 0, high: 0 },
      reserve: [],
      batch: 0,
      highMin: 0,
      highMax: 0,
      reclaimed: false,
      belowHigh: false,
      boost: 0,
      boosted: false,
      highatomic: 0,
      free: Array.from({ length: TYPE_COUNT }, () =>
        Array.from({ length: m.maxOrder + 1 }, (): number[] => []),
      ),
      pcp: Array.from({ length: m.cpuCount }, () => ({
        lists: {},
        high: 0,
        drift: 0,
        factor: 0,
        freeCount: 0,
        blockBefore: false,
      })),
    }),
  );
  const state = { zones, types: {}, taken: {} };
  const twin = naiveMemory(m.rule.name, state, m.maxOrder, m.pageblockOrder);
  takeMarks(twin, m);
  twin.boot();
  return twin;
}

/** Everything that `m` tells from now on. */
export function listen(m: Memory): string[] {
  const log: string[] = [];
  m.events = {
    refill: (_zone, row, ...rest) => log.push(`refill ${pfnOf(m, row)} ${rest.join(" ")}`),
    drain: (_zone, row, ...rest) => log.push(`drain ${pfnOf(m, row)} ${rest.join(" ")}`),
    extfrag: (_zone, row, ...rest) => log.push(`extfrag ${pfnOf(m, row)} ${rest.join(" ")}`),
    wakeKswapd: (zone, order) => log.push(`kswapd ${zone} ${order}`),
  };
  return log;
}

/** Marks, reserves and pageset sizes as the memory has them. Setting marks ends a boost. */
export function takeMarks(twin: NaiveMemory, m: Memory): void {
  twin.state.zones.forEach((zone, z) => {
    zone.marks = { min: word(m, z, Z_MIN), low: word(m, z, Z_LOW), high: word(m, z, Z_HIGH) };
    zone.reserve = m.zoneNames.map((_, index) => word(m, z, Z_RESERVE + index));
    const words = z * m.cpuCount * PCP_WORDS;
    zone.batch = m.pcp[words + P_BATCH] ?? 0;
    zone.highMin = m.pcp[words + P_HIGH_MIN] ?? 0;
    zone.highMax = m.pcp[words + P_HIGH_MAX] ?? 0;
    for (const set of zone.pcp) set.high = m.pcp[words + P_HIGH] ?? 0;
    zone.threshold = word(m, z, Z_THRESHOLD);
    zone.boost = 0;
  });
}

/** Everything that decides later answers, as plain data; of the memory… */
export function stateOf(m: Memory): object {
  const types: Record<string, number> = {};
  for (let block = m.firstRow >> m.pageblockOrder; block < m.blockType.length; block++) {
    const row = block << m.pageblockOrder;
    const own = Array.from({ length: 2 ** m.pageblockOrder }, (_, i) => zoneOf(m, row + i));
    if (own.every((zone) => zone < 0)) continue;
    types[Math.floor(pfnOf(m, row) / 2 ** m.pageblockOrder)] = m.blockType[block] ?? 0;
  }
  const zones = m.names.map((_, z) => ({
    counted: word(m, z, Z_FREE),
    boost: word(m, z, Z_BOOST),
    boosted: (word(m, z, Z_FLAGS) & ZONE_BOOSTED) !== 0,
    highatomic: word(m, z, Z_HIGHATOMIC),
    free: Array.from({ length: TYPE_COUNT }, (_type, type) =>
      Array.from({ length: m.maxOrder + 1 }, (_order, order) => freeList(m, z, type, order)),
    ),
    pcp: Array.from({ length: m.cpuCount }, (_cpu, cpu) => {
      const words = (z * m.cpuCount + cpu) * PCP_WORDS;
      const lists = Array.from({ length: PCP_LISTS }, (_list, list) => pcpList(m, z, cpu, list));
      const own = (at: number): number => m.pcp[words + at] ?? 0;
      return {
        count: own(P_COUNT),
        high: own(P_HIGH),
        drift: own(P_DRIFT),
        factor: own(P_FACTOR),
        freeCount: own(P_FREE_COUNT),
        blockBefore: own(P_FREED_HIGH_ORDER) === 1,
        lists,
      };
    }),
  }));
  return { zones, types };
}

/** … and of its twin. */
export function naiveStateOf(twin: NaiveMemory): object {
  const zones = twin.state.zones.map(({ counted, boost, boosted, highatomic, free, pcp }) => ({
    counted,
    boost,
    boosted,
    highatomic,
    free,
    pcp: pcp.map((set) => ({
      count: twin.pcpPages(set),
      high: set.high,
      drift: set.drift,
      factor: set.factor,
      freeCount: set.freeCount,
      blockBefore: set.blockBefore,
      lists: twin.pcpLists(set),
    })),
  }));
  return { zones, types: { ...twin.state.types } };
}
