/**
 * swiotlb: a pool of low memory, cut into slots of 2 KiB, that stands in for
 * buffers that a device cannot reach. Copies go in before the device looks and
 * back after it wrote.
 *
 * Each area has its own next index: a search goes on where the last one ended
 * (next fit), and giving slots back does not move it. A CPU begins with its own
 * area and goes round the others.
 *
 * All state is in the image (`state.ts`); what differs by era is in the rule.
 *
 * Linux: swiotlb_tbl_map_single(), swiotlb_tbl_unmap_single(), kernel/dma/swiotlb.c
 */
import { assert } from "../../base/assert.ts";
import type { Image } from "../../mm/image.ts";
import { BOUNCE_FULL, BOUNCE_NO_POOL, BOUNCE_TOO_LARGE, type Bounce } from "../bounce.ts";
import type { DmaDevice } from "../dma-device.ts";
import {
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_BIDIRECTIONAL,
  type DmaDirection,
  fromDevice,
  toDevice,
} from "../words.ts";
import { reachOf } from "./address.ts";
import { SEGMENT, SLOT_BYTES, SLOT_SHIFT } from "./bits.ts";
import { bounce, copy, keptOffset } from "./copy.ts";
import {
  addedSlots,
  areaAt,
  freeDead,
  growNow,
  limitAreas,
  retire,
  transientPool,
} from "./grow.ts";
import { invalidSizesLine, noPoolLine } from "./messages.ts";
import {
  isFirstWarning,
  type Own,
  type PhysicalBytes,
  type SwiotlbSpec,
  WARN_SIZES,
} from "./own.ts";
import { isInReach, refuse, unreachable } from "./refuse.ts";
import { fillWanted, findSlots, newWanted, SPINS, type Wanted } from "./search.ts";
import { giveSlots, headOf, openPool, poolOf, takeSlots } from "./slots.ts";
import {
  C_HIGH,
  C_MAPS,
  C_MISUSE,
  C_SPINS,
  C_UNMAPS,
  C_USED,
  createState,
  P_AREAS,
  P_FIRST,
  P_LIVE,
  POOL_WORDS,
} from "./state.ts";
import { type SwiotlbStats, statsOf } from "./stats.ts";
import { verifySwiotlb } from "./verify.ts";

/** Pools that can be added, and mappings with a pool of their own, where the spec does not say. */
const GROW_POOLS = 16;
const GROW_TRANSIENT = 64;

/** `memory` gives the bytes that are copied; null, or no bytes in it: copies are only counted. */
export function createSwiotlb(
  image: Image,
  memory: PhysicalBytes | null,
  spec: SwiotlbSpec,
): Swiotlb {
  const { slots, areas, rule } = spec;
  assert((areas & (areas - 1)) === 0 && areas > 0, "areas are a power of two", areas);
  assert(areas === 1 || rule.areas, "this era has no areas", areas);
  const grows = rule.grows && spec.grow !== undefined;
  const most = addedSlots(slots, spec.pageSize);
  const s = createState(image, spec.name ?? "swiotlb", {
    slots,
    areas,
    added: grows ? (spec.grow?.pools ?? GROW_POOLS) : 0,
    addedSlots: most,
    addedAreas: Math.max(1, limitAreas(areas, most)),
    transient: grows ? (spec.grow?.transient ?? GROW_TRANSIENT) : 0,
  });
  if (slots > 0) openPool(s, 0, spec.start, slots, areas);
  return new Swiotlb({ s, rule, spec, memory, lastLine: null });
}

export class Swiotlb implements Bounce {
  readonly #own: Own;
  readonly #wanted: Wanted = newWanted();
  /** Pool and area of the last slots found. */
  #row = 0;
  #area = 0;

  constructor(own: Own) {
    this.#own = own;
  }

  /** Whether every streaming mapping is to bounce. */
  get force(): boolean {
    return this.#own.spec.force === true;
  }

  /** What the kernel logs of the last refusal. */
  get lastMessage(): string | null {
    return this.#own.lastLine?.() ?? null;
  }

  /** Slots in use, and at most so far. */
  get used(): number {
    return this.#own.s.counts[C_USED];
  }

  get highWater(): number {
    return this.#own.s.counts[C_HIGH];
  }

  get stats(): SwiotlbStats {
    return statsOf(this.#own.s);
  }

  map(
    device: DmaDevice,
    orig: number,
    size: number,
    allocSize: number,
    alignMask: number,
    direction: DmaDirection,
    attrs: number,
    cpu: number,
  ): number {
    const own = this.#own;
    const { s, rule, spec } = own;
    if (s.pools[P_LIVE] === 0) {
      own.lastLine = () => noPoolLine(device);
      spec.log?.(own.lastLine());
      return BOUNCE_NO_POOL;
    }
    assert(size > 0, "a mapping has bytes", size);
    if (size > allocSize) {
      s.counts[C_MISUSE]++;
      own.lastLine = () => invalidSizesLine(device, size, allocSize);
      if (isFirstWarning(own, WARN_SIZES)) spec.log?.(own.lastLine());
      return BOUNCE_TOO_LARGE;
    }
    let offset = keptOffset(own, device, orig);
    let total = allocSize + offset;
    if (rule.padSlots) {
      if (alignMask >= SLOT_BYTES) offset = (orig % 2 ** 32) & device.minAlignMask & alignMask;
      total = Math.ceil((size + offset) / (alignMask + 1)) * (alignMask + 1);
    }
    const slot = this.#find(device, orig, total, alignMask, size, cpu);
    if (slot < 0)
      return refuse(own, device, rule.padSlots ? total : allocSize, total, direction, attrs);
    const row = this.#row;
    const pad = offset >>> SLOT_SHIFT;
    // Page 0 is never mapped: who says 0 wants slots without an original, as swiotlb_alloc() does.
    s.orig[slot] = orig === 0 ? Number.NaN : orig;
    s.pad[slot] = pad;
    const start = slot - s.pools[row * POOL_WORDS + P_FIRST] + pad;
    const buffer = s.starts[row] + start * SLOT_BYTES + (offset & (SLOT_BYTES - 1));
    s.counts[C_MAPS]++;
    const skips = (attrs & DMA_ATTR_SKIP_CPU_SYNC) !== 0;
    const copiesIn = rule.copyIn === "always" || (toDevice(direction) && !skips);
    if (copiesIn && orig !== 0) copy(own, buffer, orig, size, true);
    // An IOMMU translates what it aligns, so that the buffer may lie anywhere.
    if (alignMask === 0 && !isInReach(own, device, buffer, size)) {
      this.unmap(device, buffer, size, direction, attrs | DMA_ATTR_SKIP_CPU_SYNC);
      return unreachable(own, device, buffer, size);
    }
    return buffer;
  }

  /** Slots for `total` bytes, taken; below 0 for none. */
  #find(
    device: DmaDevice,
    orig: number,
    total: number,
    alignMask: number,
    size: number,
    cpu: number,
  ): number {
    const { s, rule, spec } = this.#own;
    const wanted = this.#wanted;
    fillWanted(wanted, rule, device, orig, total, alignMask, spec.pageSize);
    wanted.limit = spec.fitsMask === true && size > 0 ? reachOf(device) : -1;
    if (wanted.slots > SEGMENT) return -1;
    let slot = this.#search(device, cpu);
    if (slot < 0 && rule.grows && spec.grow !== undefined) {
      const row = transientPool(this.#own, device, wanted.slots);
      if (row >= 0) {
        slot = findSlots(s, rule, device, row, 0, wanted);
        this.#row = row;
        this.#area = 0;
        if (slot < 0) retire(this.#own, row);
      }
    }
    if (slot < 0) return slot;
    s.size[slot] = total;
    takeSlots(s, this.#row, this.#area, slot, wanted.slots);
    return slot;
  }

  /** The CPU's area in every pool, the youngest first; then the next area. */
  #search(device: DmaDevice, cpu: number): number {
    const { s, rule } = this.#own;
    const areas = s.pools[P_AREAS];
    for (let offset = 0; offset < areas; offset++) {
      for (let row = s.ownRows - 1; row >= 0; row--) {
        if (s.pools[row * POOL_WORDS + P_LIVE] === 0) continue;
        const area = areaAt(this.#own, row, cpu, offset);
        if (area < 0) continue;
        const slot = findSlots(s, rule, device, row, area, this.#wanted);
        if (slot >= 0) {
          this.#row = row;
          this.#area = area;
          return slot;
        }
        if (slot === SPINS) s.counts[C_SPINS]++;
      }
    }
    return -1;
  }

  unmap(
    device: DmaDevice,
    buffer: number,
    size: number,
    direction: DmaDirection,
    attrs: number,
  ): void {
    const { s } = this.#own;
    const row = poolOf(s, buffer);
    const head = row < 0 ? -1 : this.#headAt(device, row, buffer);
    if (head < 0) {
      s.counts[C_MISUSE]++;
      return;
    }
    if ((attrs & DMA_ATTR_SKIP_CPU_SYNC) === 0 && fromDevice(direction)) {
      bounce(this.#own, device, buffer, size, false);
    }
    s.counts[C_UNMAPS]++;
    this.#release(row, head);
  }

  #release(row: number, head: number): void {
    giveSlots(this.#own.s, row, head);
    if (row >= this.#own.s.ownRows) retire(this.#own, row);
  }

  /** The mapping that begins at `buffer`; -1 where none does. */
  #headAt(device: DmaDevice, row: number, buffer: number): number {
    const { s } = this.#own;
    const into = buffer - keptOffset(this.#own, device, buffer) - s.starts[row];
    const slot = s.pools[row * POOL_WORDS + P_FIRST] + Math.floor(into / SLOT_BYTES);
    const head = headOf(s, slot);
    return head >= 0 && head + s.pad[head] === slot && into % SLOT_BYTES === 0 ? head : -1;
  }

  syncForCpu(device: DmaDevice, buffer: number, size: number, direction: DmaDirection): void {
    if (fromDevice(direction)) this.#sync(device, buffer, size, direction, false);
  }

  syncForDevice(device: DmaDevice, buffer: number, size: number, direction: DmaDirection): void {
    if (toDevice(direction)) this.#sync(device, buffer, size, direction, true);
  }

  #sync(
    device: DmaDevice,
    buffer: number,
    size: number,
    direction: DmaDirection,
    isIn: boolean,
  ): void {
    const { rule, s } = this.#own;
    if (!rule.bidirectionalSync && direction === DMA_BIDIRECTIONAL) s.counts[C_MISUSE]++;
    else bounce(this.#own, device, buffer, size, isIn);
  }

  holds(physical: number): boolean {
    return poolOf(this.#own.s, physical) >= 0;
  }

  maxMapping(device: DmaDevice): number {
    const kept = this.#own.rule.minAlign ? device.minAlignMask : 0;
    return SEGMENT * SLOT_BYTES - Math.ceil(kept / SLOT_BYTES) * SLOT_BYTES;
  }

  /**
   * Pages of the pool itself, for devices that may have no other memory: the
   * physical address, or a BOUNCE_* reason. Nothing is copied.
   *
   * Linux: swiotlb_alloc(), kernel/dma/swiotlb.c (CONFIG_DMA_RESTRICTED_POOL)
   */
  allocPages(device: DmaDevice, size: number, cpu: number): number {
    const { s, rule, spec } = this.#own;
    if (s.pools[P_LIVE] === 0) return BOUNCE_NO_POOL;
    let bytes = spec.pageSize;
    while (bytes < size) bytes *= 2;
    const slot = this.#find(device, 0, size, rule.alignsPages ? bytes - 1 : 0, 0, cpu);
    if (slot < 0) return size > SEGMENT * SLOT_BYTES ? BOUNCE_TOO_LARGE : BOUNCE_FULL;
    s.orig[slot] = Number.NaN;
    s.pad[slot] = 0;
    const first = s.pools[this.#row * POOL_WORDS + P_FIRST];
    return s.starts[this.#row] + (slot - first) * SLOT_BYTES;
  }

  /** False where `physical` is no page of `allocPages`. */
  freePages(device: DmaDevice, physical: number): boolean {
    const { s } = this.#own;
    const row = poolOf(s, physical);
    const head = row < 0 ? -1 : this.#headAt(device, row, physical);
    if (head < 0 || !Number.isNaN(s.orig[head])) return false;
    this.#release(row, head);
    return true;
  }

  /** The work that a refused mapping asked for: adds a pool. Its slots; 0 for none. */
  work(): number {
    return growNow(this.#own);
  }

  /** Gives back the memory of pools whose only mapping is gone; how many there were. */
  reclaim(): number {
    return freeDead(this.#own);
  }

  /** Writing 0 to io_tlb_used_hiwater. */
  resetHighWater(): void {
    this.#own.s.counts[C_HIGH] = 0;
  }

  /** What does not hold, each with its label (`verify.ts`); empty when all is well. */
  verify(): string[] {
    return verifySwiotlb(this.#own.s);
  }
}
