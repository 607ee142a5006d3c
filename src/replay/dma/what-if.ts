/**
 * The recorded mappings on a machine with another bounce pool: `swiotlb=force`,
 * `swiotlb=SLOTS`. Slots are computed; how many are in use at once depends on
 * how long copies take, so the peak has bounds beside it.
 */
import type { DmaDevice } from "../../dma/dma-device.ts";
import { sizeSwiotlb } from "../../dma/swiotlb/size.ts";
import type { SwiotlbRule } from "../../kernels/swiotlb.ts";
import type { DmaCall } from "./call.ts";
import { DmaDriver, type DmaVariant, type FirstRefusal } from "./driver.ts";
import type { DmaFacts, DmaPool, DmaZone } from "./facts.ts";
import { type Completion, type CutCount, type Reshape, Reshaper } from "./reshape.ts";

/** What `--set swiotlb=` asks for; null for as it was. */
export interface SwiotlbChange {
  readonly text: string;
  readonly slots: number | null;
  readonly areas: number | null;
  readonly force: boolean;
  readonly noforce: boolean;
}

export interface DmaWhatIfDevice {
  readonly name: string;
  readonly driver: string;
  /** Mappings that bounce, in the recording as modelled and on the changed machine. */
  readonly bounces: { readonly recorded: number; readonly changed: number };
  /** Slots handed out. */
  readonly slots: { readonly recorded: number; readonly changed: number };
  readonly bytes: { readonly recorded: number; readonly changed: number };
  readonly refused: number;
  /** Largest mapping on the changed machine, bytes; null for no limit. */
  readonly maxMapping: number | null;
  /** Requests that were cut anew; null for none. */
  readonly cut: Readonly<CutCount> | null;
}

export interface DmaWhatIf {
  readonly asked: string;
  readonly pool: DmaPool | null;
  readonly force: boolean;
  readonly devices: readonly DmaWhatIfDevice[];
  /** Most slots in use: as the recording ends its requests, and its bounds. */
  readonly peak: {
    readonly recorded: number;
    readonly changed: number;
    readonly low: number;
    readonly high: number;
  };
  readonly firstRefusal: FirstRefusal | null;
  readonly refused: number;
  /**
   * Slots of the smallest pool that refuses nothing while requests end as recorded, and as
   * late as they may; null when none up to 1 GiB does.
   */
  readonly smallest: { readonly recorded: number | null; readonly high: number | null };
  /** Entries of scatterlists that the recording leaves out: slots are too few by theirs. */
  readonly missing: number;
}

const SEGMENT = 128;
const SLOT_BYTES = 2048;
const PAGE_BYTES = 4096;
/** 1 GiB. */
const MOST_SLOTS = 524288;
const SEGMENT_BYTES = SEGMENT * SLOT_BYTES;

interface Branch {
  readonly driver: DmaDriver;
  readonly reshaper: Reshaper;
}

export class DmaWhatIfRun {
  readonly #facts: DmaFacts;
  readonly #recorded: DmaDriver;
  readonly #asked: string;
  readonly #variant: DmaVariant;
  readonly #main: Branch;
  readonly #alone: Branch;
  readonly #together: Branch;
  readonly #sizes: readonly Branch[];
  readonly #sizesHigh: readonly Branch[];

  /** `recorded` is the run of the machine as it was; it takes each call first. */
  constructor(facts: DmaFacts, recorded: DmaDriver, change: SwiotlbChange) {
    this.#facts = facts;
    this.#recorded = recorded;
    this.#asked = change.text;
    this.#variant = variantOf(facts, change);
    const { pool } = this.#variant;
    const most = {
      ...this.#variant,
      pool: pool === null ? null : resized(facts, pool, MOST_SLOTS),
    };
    this.#main = this.#branch(this.#variant, "recorded");
    // Bounds of the need, so nothing is refused.
    this.#alone = this.#branch(most, "alone");
    this.#together = this.#branch(most, "together");
    this.#sizes = this.#pools("recorded");
    // Only where requests bounce that did not before is it open when they end.
    this.#sizesHigh = this.#isNew ? this.#pools("together") : this.#sizes;
  }

  get #isNew(): boolean {
    return this.#variant.force && !this.#facts.force;
  }

  #pools(completion: Completion): Branch[] {
    const { pool } = this.#variant;
    if (pool === null) return [];
    return sizesOf(this.#facts.rule, pool.areas).map((slots) => {
      const variant = { ...this.#variant, pool: resized(this.#facts, pool, slots) };
      return this.#branch(variant, completion);
    });
  }

  take(call: DmaCall): void {
    // What was tried because the recorded pool was full is not what another one would see.
    if (call.kind === "event" && call.failed) return;
    for (const { reshaper } of this.#branches()) reshaper.take(call);
  }

  end(): DmaWhatIf {
    for (const { reshaper, driver } of this.#branches()) {
      reshaper.end();
      driver.end();
    }
    const { driver } = this.#main;
    const devices = this.#deviceResults();
    return {
      asked: this.#asked,
      pool: this.#variant.pool,
      force: this.#variant.force,
      devices,
      peak: {
        recorded: this.#recorded.peak,
        changed: driver.peak,
        low: this.#alone.driver.peak,
        high: Math.max(driver.peak, this.#together.driver.peak),
      },
      firstRefusal: driver.firstRefusal,
      refused: devices.reduce((sum, own) => sum + own.refused, 0),
      smallest: { recorded: smallestOf(this.#sizes), high: smallestOf(this.#sizesHigh) },
      missing: driver.score.missing,
    };
  }

  #branches(): Branch[] {
    const high = this.#sizesHigh === this.#sizes ? [] : this.#sizesHigh;
    return [this.#main, this.#alone, this.#together, ...this.#sizes, ...high];
  }

  #branch(variant: DmaVariant, completion: Completion): Branch {
    const driver = new DmaDriver(this.#facts, variant);
    const shapeOf = (name: string): Reshape => this.#shapeOf(name);
    return { driver, reshaper: new Reshaper(shapeOf, completion, (call) => driver.take(call)) };
  }

  #shapeOf(name: string): Reshape {
    const device = this.#recorded.devices.get(name);
    const before = maxMapping(device, this.#facts, this.#facts);
    const limit = maxMapping(device, this.#variant, this.#facts);
    return { limit: limit < before ? limit : Number.POSITIVE_INFINITY, isNew: this.#isNew };
  }

  #deviceResults(): DmaWhatIfDevice[] {
    const { driver, reshaper } = this.#main;
    return [...driver.score.devices.values()].map((own) => {
      const was = this.#recorded.scoreOf(own.name);
      const limit = maxMapping(driver.devices.get(own.name), this.#variant, this.#facts);
      return {
        name: own.name,
        driver: own.driver,
        bounces: { recorded: was.bounced, changed: own.bounced },
        slots: { recorded: was.slots, changed: own.slots },
        bytes: { recorded: was.bytes, changed: own.bytes },
        refused: own.refused,
        maxMapping: Number.isFinite(limit) ? limit : null,
        cut: reshaper.cuts.get(own.name) ?? null,
      };
    });
  }
}

function smallestOf(branches: readonly Branch[]): number | null {
  const carries = branches.find(({ driver }) => driver.firstRefusal === null);
  return carries?.driver.swiotlb?.stats.slots ?? null;
}

/** The pool that the kernel would make of it. */
function variantOf(facts: DmaFacts, change: SwiotlbChange): DmaVariant {
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
function resized(
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

/** Sizes to try, ascending: powers of two where the kernel rounds to them, else steps of an eighth. */
function sizesOf(rule: SwiotlbRule, areas: number): number[] {
  const sizes: number[] = [];
  for (let slots = SEGMENT * areas; slots <= MOST_SLOTS; slots *= 2) {
    sizes.push(slots);
    if (rule.areas) continue;
    for (let eighth = 1; eighth < 8; eighth++) {
      const between = slots + (slots / 8) * eighth;
      if (between % SEGMENT === 0) sizes.push(between);
    }
  }
  return sizes;
}

/** dma_max_mapping_size(): limited only where the device may bounce. */
function maxMapping(
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
