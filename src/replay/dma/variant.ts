/**
 * A machine with another bounce pool than the recorded one: what the kernel
 * makes of `swiotlb=`, where that pool lies, how large a mapping it takes, and
 * the recorded calls as such a machine's drivers make them.
 */
import type { DmaDevice } from "../../dma/dma-device.ts";
import { sizeSwiotlb } from "../../dma/swiotlb/size.ts";
import type { DmaCall } from "./call.ts";
import type { ReplayDevices } from "./devices.ts";
import { DmaDriver, type DmaVariant, type RefusalSink } from "./driver.ts";
import type { DmaFacts, DmaPool, DmaZone } from "./facts.ts";
import { type Completion, type Reshape, Reshaper } from "./reshape.ts";

/** What `--set swiotlb=` asks for; null for as it was. */
export interface SwiotlbChange {
  readonly text: string;
  readonly slots: number | null;
  readonly areas: number | null;
  readonly force: boolean;
  readonly noforce: boolean;
}

/** Slots a segment, and thus in the largest mapping. Linux: IO_TLB_SEGSIZE */
export const SEGMENT = 128;
export const SLOT_BYTES = 2048;
const PAGE_BYTES = 4096;
/** 1 GiB. */
export const MOST_SLOTS = 524288;
const SEGMENT_BYTES: number = SEGMENT * SLOT_BYTES;

/** One changed machine: calls go to its reshaper, which gives them to its driver. */
export interface Branch {
  readonly driver: DmaDriver;
  readonly reshaper: Reshaper;
}

/** What a branch tells while it runs. */
export interface BranchHooks {
  readonly refused?: RefusalSink;
  /** After each call that the changed machine's drivers make. */
  readonly after?: (driver: DmaDriver, call: DmaCall) => void;
}

/** `recorded` has the devices as the recorded machine knows them; null: the branch's own do. */
export function branchOf(
  facts: DmaFacts,
  variant: DmaVariant,
  completion: Completion,
  recorded: ReplayDevices | null,
  { refused, after }: BranchHooks = {},
): Branch {
  const driver = new DmaDriver(facts, variant, refused);
  const isNew = isNewForce(facts, variant);
  const devices = recorded ?? driver.devices;
  const shapeOf = (name: string): Reshape => {
    const device = devices.get(name);
    const before = maxMapping(device, facts, facts);
    const limit = maxMapping(device, variant, facts);
    return { limit: limit < before ? limit : Number.POSITIVE_INFINITY, isNew };
  };
  const give = (call: DmaCall): void => {
    driver.take(call);
    after?.(driver, call);
  };
  return { driver, reshaper: new Reshaper(shapeOf, completion, give) };
}

/** Mappings bounce that did not before, so when they end is open. */
export function isNewForce(facts: DmaFacts, variant: DmaVariant): boolean {
  return variant.force && !facts.force;
}

/** The pool that the kernel would make of it. */
export function variantOf(facts: DmaFacts, change: SwiotlbChange): DmaVariant {
  const { pool, rule } = facts;
  const force = change.force || facts.force;
  if (change.noforce) return { pool: null, force: false };
  if (pool === null && change.slots === null && !force) return { pool: null, force };
  const unit = rule.unit === "pages" ? PAGE_BYTES / SLOT_BYTES : 1;
  const asked = change.slots === null ? (pool?.slots ?? null) : change.slots * unit;
  const areas = change.areas ?? pool?.areas ?? 1;
  const size = sizeSwiotlb(
    rule,
    { slots: asked, areas, force, noforce: false },
    { cpus: 1, ramBytes: 0, encrypted: false },
  );
  const old = pool ?? { start: lowEnd(facts.zones), slots: 0, areas };
  return { pool: resized(facts, { ...old, areas: size.areas }, size.slots), force };
}

/** A pool of `slots` that ends where this one does: memblock gives from the top. */
export function resized(
  { rule }: DmaFacts,
  { start, slots: old, areas }: DmaPool,
  slots: number,
): DmaPool {
  const end = start + old * SLOT_BYTES;
  const most = rule.areas ? Math.max(1, Math.min(areas, slots / SEGMENT)) : 1;
  return { start: end - slots * SLOT_BYTES, slots, areas: most };
}

/** The end of memory below 4 GiB. */
function lowEnd(zones: readonly DmaZone[]): number {
  const ends = zones
    .map(({ startPfn, spanned }) => (startPfn + spanned) * PAGE_BYTES)
    .filter((end) => end <= 2 ** 32);
  return Math.max(0, ...ends);
}

/** dma_max_mapping_size(): limited only where the device may bounce. */
export function maxMapping(
  device: DmaDevice,
  { pool, force }: DmaVariant,
  { zones, rule }: DmaFacts,
): number {
  const isLimited = Math.min(device.streamingLimit, device.busLimit) < requiredMask(zones);
  if (pool === null || !(force || isLimited)) return Number.POSITIVE_INFINITY;
  const kept = rule.minAlign ? device.minAlignMask : 0;
  return SEGMENT_BYTES - Math.ceil(kept / SLOT_BYTES) * SLOT_BYTES;
}

/** Linux: dma_direct_get_required_mask(), kernel/dma/direct.c */
function requiredMask(zones: readonly DmaZone[]): number {
  const last = Math.max(0, ...zones.map(({ startPfn, spanned }) => startPfn + spanned)) - 1;
  let limit = 1;
  while (limit <= last * PAGE_BYTES) limit *= 2;
  return limit - 1;
}
