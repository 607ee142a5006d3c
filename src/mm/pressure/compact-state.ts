/**
 * What compaction remembers between runs: where its scanners go on, which pageblocks
 * they pass over, how long a zone is left alone after it failed, and what each node's
 * kcompactd was asked for.
 *
 *   positions     5 doubles a zone: pfns, see CompactZone
 *   zone          words of a zone, D_*
 *   daemon        words of a node, K_*
 *   skip          1 byte a pageblock: it gave nothing the last time
 *
 * Linux: struct zone, pg_data_t, include/linux/mmzone.h; PB_migrate_skip
 */
import { assert } from "../../base/assert.ts";
import type { CompactZone } from "../compaction.ts";
import { addRegion } from "../image.ts";
import type { Memory } from "../memory.ts";
import { type CompactRule, compactRule } from "./compact-rule.ts";

/** Words of a zone: tries since the last run, log2 of how many are put off, lowest order that failed. */
export const D_CONSIDERED = 0;
export const D_SHIFT = 1;
export const D_FAILED = 2;
/** A request's run went through the zone: hints go when kswapd sleeps. */
export const D_FLUSH = 3;
const ZONE_WORDS = 4;

/** Words of a node: order and highest zone wanted of kcompactd, and whether it was woken for them. */
export const K_ORDER = 0;
export const K_HIGHEST = 1;
export const K_WOKEN = 2;
/** Rounds that it sleeps through, because the last one of its own accord did not help. */
export const K_WAITS = 3;
/** Somebody has set vm.compaction_proactiveness: it looks at once. */
export const K_TRIGGER = 4;
/** CPU that runs it, plus one. */
export const K_LOCK = 5;
export const DAEMON_WORDS = 8;

export interface CompactState {
  readonly rule: CompactRule;
  readonly zones: readonly CompactZone[];
  readonly zone: Int32Array;
  readonly daemon: Int32Array;
  /** By row >> pageblockOrder. */
  readonly skip: Uint8Array;
  /** vm.compaction_proactiveness, 0 to 100. */
  proactiveness: number;
}

export function compactState(m: Memory, proactiveness: number | undefined): CompactState {
  if (proactiveness !== undefined) assertProactiveness(proactiveness);
  const { image, zoneCount, nodes } = m;
  const words = (name: string, count: number): Int32Array =>
    new Int32Array(addRegion(image, name, count * 4).buffer);
  const rule = compactRule(m.rule.name);
  const positions = new Float64Array(
    addRegion(image, "compact.positions", zoneCount * POSITIONS * 8).buffer,
  );
  const state: CompactState = {
    rule,
    zones: m.names.map((_, zone) => new StoredZone(positions, zone * POSITIONS)),
    zone: words("compact.zone", zoneCount * ZONE_WORDS),
    daemon: words("compact.daemon", nodes.length * DAEMON_WORDS),
    skip: new Uint8Array(addRegion(image, "compact.skip", m.blockType.length).buffer),
    proactiveness: rule.proactiveness === 0 ? 0 : (proactiveness ?? rule.proactiveness),
  };
  if (image.given !== null) return state;
  for (const zone of state.zones) {
    // Nowhere, so that the first run begins at the zone's ends, even where the zone begins at pfn 0.
    zone.cachedFree = -1;
    zone.cachedAsync = -1;
    zone.cachedSync = -1;
  }
  for (let place = 0; place < nodes.length; place++) {
    state.daemon[place * DAEMON_WORDS + K_HIGHEST] = NO_LIMIT;
  }
  return state;
}

/** Above every zone's index: nobody has asked for less. */
export const NO_LIMIT = 15;

/** First word of a zone in `zone`. */
export function wordsOf(zone: number): number {
  return zone * ZONE_WORDS;
}

const POSITIONS = 5;

/** A zone's positions, in the image. */
class StoredZone implements CompactZone {
  readonly #words: Float64Array;
  readonly #at: number;

  constructor(words: Float64Array, at: number) {
    this.#words = words;
    this.#at = at;
  }

  get initFree(): number {
    return this.#words[this.#at];
  }
  set initFree(pfn: number) {
    this.#words[this.#at] = pfn;
  }
  get initMigrate(): number {
    return this.#words[this.#at + 1];
  }
  set initMigrate(pfn: number) {
    this.#words[this.#at + 1] = pfn;
  }
  get cachedFree(): number {
    return this.#words[this.#at + 2];
  }
  set cachedFree(pfn: number) {
    this.#words[this.#at + 2] = pfn;
  }
  get cachedAsync(): number {
    return this.#words[this.#at + 3];
  }
  set cachedAsync(pfn: number) {
    this.#words[this.#at + 3] = pfn;
  }
  get cachedSync(): number {
    return this.#words[this.#at + 4];
  }
  set cachedSync(pfn: number) {
    this.#words[this.#at + 4] = pfn;
  }
}

export function assertProactiveness(value: number): void {
  assert(value >>> 0 === value && value <= 100, "compaction_proactiveness is 0 to 100", value);
}
