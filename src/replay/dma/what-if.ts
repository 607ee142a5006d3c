/**
 * The recorded mappings on a machine with another bounce pool: `swiotlb=force`,
 * `swiotlb=SLOTS`. Slots are computed; how many are in use at once depends on
 * how long copies take, so the peak has bounds beside it.
 */
import type { SwiotlbRule } from "../../kernels/swiotlb.ts";
import type { DmaCall } from "./call.ts";
import type { DmaDriver, DmaVariant, FirstRefusal } from "./driver.ts";
import type { DmaFacts, DmaPool } from "./facts.ts";
import type { Completion, CutCount } from "./reshape.ts";
import {
  type Branch,
  branchOf,
  isNewForce,
  MOST_SLOTS,
  maxMapping,
  resized,
  SEGMENT,
  type SwiotlbChange,
  variantOf,
} from "./variant.ts";

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
    this.#sizesHigh = isNewForce(facts, this.#variant) ? this.#pools("together") : this.#sizes;
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
    return branchOf(this.#facts, variant, completion, this.#recorded.devices);
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
