// swiotlb as it is written down: an array of free-run lengths, a search that goes slot by slot, and
// lists that are numbered anew at every take and give. Areas, pools of the boot only; no bytes.
import type { SwiotlbRule } from "../../../src/kernels/swiotlb.ts";

export interface NaivePool {
  readonly rule: SwiotlbRule;
  readonly start: number;
  readonly slots: number;
  readonly areas: number;
  readonly pageSize: number;
  readonly list: number[];
  /** By slot: slots of the mapping that begins there; 0 for none. */
  readonly taken: number[];
  readonly index: number[];
  readonly used: number[];
  /** Searches that the kernel would not have come back from. */
  spins: number;
}

export interface NaiveRequest {
  readonly orig: number;
  readonly total: number;
  readonly alignMask: number;
  readonly minAlignMask: number;
  readonly boundary: number;
  readonly cpu: number;
  /** Slots of the pool that the device reaches; all of them where nobody asks. */
  readonly fit: number;
}

function at(list: readonly number[], i: number): number {
  return list[i] ?? 0;
}

export function naivePool(
  rule: SwiotlbRule,
  start: number,
  slots: number,
  areas: number,
  pageSize: number,
): NaivePool {
  const list = Array.from({ length: slots }, (_, i) => Math.min(128 - (i % 128), slots - i));
  const none = Array.from({ length: areas }, () => 0);
  return {
    rule,
    start,
    slots,
    areas,
    pageSize,
    list,
    taken: list.map(() => 0),
    index: [...none],
    used: [...none],
    spins: 0,
  };
}

/** First slot, -1 for none. */
export function naiveTake(pool: NaivePool, wanted: NaiveRequest): number {
  if (wanted.total > 128 * 2048) return -1;
  for (let k = 0; k < pool.areas; k++) {
    const area = (wanted.cpu + k) % pool.areas;
    const slot =
      pool.rule.walk === "back" ? searchBack(pool, wanted, area) : searchCount(pool, wanted, area);
    if (slot >= 0) {
      take(pool, area, slot, Math.ceil(wanted.total / 2048));
      return slot;
    }
  }
  return -1;
}

function big(value: number): bigint {
  return BigInt(value);
}

/** Whether slots from `slot` on are free and cross no boundary. */
function fits(pool: NaivePool, wanted: NaiveRequest, slot: number): boolean {
  const n = Math.ceil(wanted.total / 2048);
  if (slot + n > wanted.fit) return false;
  if (pool.rule.boundary) {
    const size = big(wanted.boundary) + 1n;
    const slots = (size + 2047n) / 2048n;
    const shift = ((big(pool.start) % size) + 2047n) / 2048n;
    if (((shift + big(slot)) % slots) + big(n) > slots) return false;
  }
  return at(pool.list, slot) >= n;
}

function isSame(pool: NaivePool, wanted: NaiveRequest, slot: number, mask: number): boolean {
  if (wanted.orig === 0) return true;
  const address = big(pool.start) + big(slot) * 2048n;
  return (address & big(mask)) === (big(wanted.orig) & big(mask));
}

function searchBack(pool: NaivePool, wanted: NaiveRequest, area: number): number {
  const { rule, pageSize } = pool;
  const size = pool.slots / pool.areas;
  if (Math.ceil(wanted.total / 2048) > size - at(pool.used, area)) return -1;
  const kept = rule.minAlign ? wanted.minAlignMask : 0;
  const align = wanted.alignMask | 2047;
  const same = kept & ~align;
  let stride = (same >> 11) + 1;
  const isPage = rule.pageFrom === "at" ? wanted.total >= pageSize : wanted.total > pageSize;
  if (isPage) stride *= pageSize / 2048;
  stride = Math.max(stride, (align >> 11) + 1);
  const wrap = (i: number): number => (i >= size ? 0 : i);
  const home = wrap(Math.ceil(at(pool.index, area) / stride) * stride);
  let index = home;
  // More steps than states: the kernel would not come back.
  for (let steps = 0; steps < 4 * size; steps++) {
    const slot = area * size + index;
    if (!isSame(pool, wanted, slot, same)) index = wrap(index + 1);
    else if (fits(pool, wanted, slot)) return slot;
    else index = wrap(index + stride);
    if (index === home) return -1;
  }
  pool.spins++;
  return -1;
}

function searchCount(pool: NaivePool, wanted: NaiveRequest, area: number): number {
  const { rule, pageSize } = pool;
  const size = pool.slots / pool.areas;
  if (Math.ceil(wanted.total / 2048) > size - at(pool.used, area)) return -1;
  const kept = rule.minAlign ? wanted.minAlignMask : 0;
  let align = wanted.alignMask;
  if (align === 0 && kept === 0 && wanted.total >= pageSize) align = pageSize - 1;
  align |= 2047;
  const same = kept & ~align;
  const stride = Math.ceil((Math.max(align, same) + 1) / 2048);
  let index = at(pool.index, area);
  for (let checked = 0; checked < size; ) {
    const slot = area * size + index;
    const address = big(pool.start) + big(slot) * 2048n;
    let step = 1;
    if ((address & big(align)) === 0n && isSame(pool, wanted, slot, same)) {
      if (fits(pool, wanted, slot)) return slot;
      step = stride;
    }
    index = index + step >= size ? 0 : index + step;
    checked += step;
  }
  return -1;
}

function take(pool: NaivePool, area: number, slot: number, n: number): void {
  const { list } = pool;
  const size = pool.slots / pool.areas;
  for (let i = slot; i < slot + n; i++) list[i] = 0;
  for (let i = slot - 1, run = 0; i >= 0 && i % 128 !== 127 && at(list, i) > 0; i--)
    list[i] = ++run;
  pool.taken[slot] = n;
  const next = slot - area * size + n;
  pool.index[area] = next < size ? next : 0;
  pool.used[area] = at(pool.used, area) + n;
}

export function naiveGive(pool: NaivePool, slot: number): void {
  const { list } = pool;
  const n = at(pool.taken, slot);
  pool.taken[slot] = 0;
  const end = slot + n;
  let run = end % 128 === 0 || end >= pool.slots ? 0 : at(list, end);
  for (let i = end - 1; i >= slot; i--) list[i] = ++run;
  for (let i = slot - 1; i >= 0 && i % 128 !== 127 && at(list, i) > 0; i--) list[i] = ++run;
  const area = Math.floor(slot / (pool.slots / pool.areas));
  pool.used[area] = at(pool.used, area) - n;
}
