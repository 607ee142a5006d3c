/**
 * Addresses for HighMem pages, lent from a small pool: a CPU can see as many
 * HighMem pages at once as there are slots.
 *
 *   word                of region `pkmap`
 *   0                   slot used last
 *   1 + slot            uses: 0 free, 1 mapped by nobody but not flushed, n + 1 mapped n times
 *   1 + slots + slot    row of the frame that is mapped, while uses is not 0
 *
 * A slot that nobody uses keeps its page until the search comes round: only then
 * is it free, since its old address may still be in a TLB. So the same page asked
 * for again soon has the same slot.
 *
 *   K1  a frame has at most one slot
 *
 * Linux: kmap_high(), map_new_virtual(), flush_all_zero_pkmaps(), kunmap_high(), mm/highmem.c
 */
import { assert } from "../base/assert.ts";
import { bytesOf, pageBytes } from "./bytes.ts";
import { lockZone, unlockZone } from "./lock.ts";
import { type Memory, rowOf, zoneOf } from "./memory.ts";

/**
 * Maps one page and returns its bytes; null when all slots are in use, where the
 * kernel would sleep until another is given back. A page that is mapped already
 * is counted once more; low memory needs no slot. Asserts that the memory has
 * bytes and the pfn.
 *
 * Linux: kmap(), mm/highmem.c
 */
export function kmap(m: Memory, pfn: number): Uint8Array | null {
  if (!isHigh(m, pfn)) return bytesOf(m, pfn, 0);
  const bytes = pageBytes(m, pfn, 0);
  const row = rowOf(m, pfn);
  lockPool(m);
  let slot = slotOf(m, row);
  if (slot < 0) {
    slot = freeSlot(m);
    if (slot >= 0) {
      m.pkmap[1 + slotCount(m) + slot] = row;
      m.pkmap[1 + slot] = 1;
    }
  }
  if (slot >= 0) m.pkmap[1 + slot]++;
  unlockPool(m);
  return slot < 0 ? null : bytes;
}

/**
 * Takes one mapping of the page back; its bytes must not be used through this
 * mapping any more. Asserts that it is mapped. Does nothing for low memory.
 *
 * Linux: kunmap(), mm/highmem.c
 */
export function kunmap(m: Memory, pfn: number): void {
  if (!isHigh(m, pfn)) return;
  lockPool(m);
  const slot = slotOf(m, rowOf(m, pfn));
  const isMapped = slot >= 0 && m.pkmap[1 + slot] > 1;
  if (isMapped) m.pkmap[1 + slot]--;
  unlockPool(m);
  assert(isMapped, "kunmap of a page that is not mapped", pfn);
}

/** Linux: kmap_lock, mm/highmem.c; the pool is all nodes', so is the lock of the first such zone. */
function lockPool(m: Memory): void {
  lockZone(m, m.names.indexOf("HighMem"));
}

function unlockPool(m: Memory): void {
  unlockZone(m, m.names.indexOf("HighMem"));
}

/** How many mappings a HighMem page has; 0 for low memory, whose mapping is not counted. */
export function kmapCount(m: Memory, pfn: number): number {
  if (!isHigh(m, pfn)) return 0;
  const slot = slotOf(m, rowOf(m, pfn));
  return slot < 0 ? 0 : m.pkmap[1 + slot] - 1;
}

/** Slot that a HighMem page has, mapped or waiting to be flushed; -1 for none. */
export function kmapSlot(m: Memory, pfn: number): number {
  return isHigh(m, pfn) ? slotOf(m, rowOf(m, pfn)) : -1;
}

function isHigh(m: Memory, pfn: number): boolean {
  const row = rowOf(m, pfn);
  const zone = row < 0 ? -1 : zoneOf(m, row);
  assert(zone >= 0, "pfn is not in this memory", pfn);
  return m.names[zone] === "HighMem";
}

function slotCount(m: Memory): number {
  return (m.pkmap.length - 1) / 2;
}

function slotOf(m: Memory, row: number): number {
  const slots = slotCount(m);
  const at = m.pkmap.indexOf(row, 1 + slots) - 1 - slots;
  return at >= 0 && m.pkmap[1 + at] > 0 ? at : -1;
}

/**
 * The next free slot after the last one: to the end, and all of them once more; -1 for none.
 * Linux: map_new_virtual(), mm/highmem.c
 */
function freeSlot(m: Memory): number {
  const { pkmap } = m;
  const slots = slotCount(m);
  for (let tries = slots; tries > 0; tries--) {
    const slot = (pkmap[0] + 1) & (slots - 1);
    pkmap[0] = slot;
    if (slot === 0) {
      flushUnused(m, slots);
      tries = slots;
    }
    if (pkmap[1 + slot] === 0) return slot;
  }
  return -1;
}

/** Linux: flush_all_zero_pkmaps(), mm/highmem.c */
function flushUnused(m: Memory, slots: number): void {
  for (let slot = 0; slot < slots; slot++) {
    if (m.pkmap[1 + slot] !== 1) continue;
    m.pkmap[1 + slot] = 0;
    m.pkmap[1 + slots + slot] = 0;
  }
}
