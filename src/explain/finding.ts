/**
 * What is said about a failure: a claim, how sure it is, what it rests on, and what to do.
 *
 * A number is printed with the line that it was read from, or it was computed from such numbers.
 * Advice is *computed* when its effect on the reported state was tried in the engine, *reasoned*
 * when it acts over time and the report cannot tell how much is enough.
 */

export type FindingKind =
  | "page-allocation-failure"
  | "oom"
  | "allocation-stall"
  /** A state without a request: SysRq-m. */
  | "memory-state"
  | "swiotlb"
  | "dma-mask"
  | "cma"
  | "coherent-pool"
  | "dma-api"
  | "iommu"
  | "address-space"
  /** Words of a refusal that no rule knows. */
  | "unknown";

export type Cause =
  // a state that was printed
  | "below-watermark"
  | "boost-only"
  | "reserve"
  | "lowmem-exhausted"
  | "not-enough-in-zone"
  | "fragmentation"
  | "order-watermark"
  | "cma-only"
  | "highatomic-only"
  | "isolated"
  | "zone-missing"
  | "request-too-large"
  | "memcg"
  | "cpuset"
  | "oom-without-request"
  | "forced"
  | "corrupt-accounting"
  | "allocator-not-fed"
  | "passes-now"
  | "tiny-zone"
  | "not-in-report"
  // bounce buffers and masks
  | "pool-absent"
  | "pool-full"
  | "pool-fragmented"
  | "pool-not-reserved"
  | "pool-unexplained"
  | "pool-rounded"
  | "mask-too-small"
  | "bounce-slot-too-high"
  | "aperture-full"
  // CMA
  | "cma-full"
  | "cma-pinned"
  | "cma-interrupted"
  | "cma-not-reserved"
  // the DMA API and IOMMUs
  | "leak"
  | "double-or-foreign-free"
  | "size-mismatch"
  | "api-mismatch"
  | "unchecked-error"
  | "unmappable-memory"
  | "overlap"
  | "tracker-off"
  | "not-mapped"
  | "wrong-direction"
  | "interrupt-remapping"
  | "unknown-requester"
  | "iova-exhausted"
  | "address-space-full";

/**
 * proven: arithmetic on what was printed. consistent: fits, and other readings do too. hint: from
 * words alone. unconfirmed: what was printed would not refuse.
 */
export type Confidence = "proven" | "consistent" | "hint" | "unconfirmed";

export interface Advice {
  readonly change: string;
  readonly why: string;
  readonly basis: "computed" | "reasoned";
}

/** What is often advised and does not help here. */
export interface NoHelp {
  readonly change: string;
  readonly why: string;
}

export interface Evidence {
  readonly line: number;
  readonly text: string;
}

/** What a rule says. */
export interface Claim {
  readonly cause: Cause;
  readonly sentence: string;
  readonly confidence: Confidence;
  /** Other causes that fit as well. */
  readonly also?: readonly Cause[];
  /** Why nothing may be wrong at all: the caller has another way. */
  readonly harmless?: string;
  readonly evidence?: readonly Evidence[];
  readonly advice?: readonly Advice[];
  readonly noHelp?: readonly NoHelp[];
  /** What the report lacks, and what would settle it. */
  readonly missing?: readonly string[];
}

/** Which single part of a failing comparison decides: without it the zone would serve. */
export type Factor = "reserve" | "cma" | "highatomic" | "boost" | "order";

/**
 * What one zone said to the request. Pages; null: not in the report. Where it refuses whatever a
 * missing number is, `usable` is the most and `needs` the least that they can be.
 */
export interface ZoneAnswer {
  readonly node: number;
  readonly name: string;
  readonly line: number;
  readonly eligible: boolean;
  readonly free: number | null;
  /** `free` without the rest of the block and what the request may not have. */
  readonly usable: number | null;
  /** What `usable` must be above: `mark` + `reserve`. */
  readonly needs: number | null;
  readonly mark: number | null;
  readonly reserve: number | null;
  readonly cma: number | null;
  readonly highatomic: number | null;
  readonly boost: number | null;
  readonly managed: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly watermarkOk: boolean | null;
  readonly blockOk: boolean | null;
  /** Pages that are missing for `watermarkOk`; 0 where it holds. */
  readonly short: number | null;
  readonly factors: readonly Factor[];
  /** Free blocks by order, and the letters of their types; null without a list. */
  readonly blocks: readonly { readonly count: number; readonly types: string | null }[] | null;
  readonly because: string;
}

export interface Finding extends Claim {
  readonly kind: FindingKind;
  readonly rule: string;
  readonly line: number;
  readonly endLine: number;
  /** How often the same was found, and the last line and time of it. */
  readonly count: number;
  readonly lastLine: number;
  readonly time: string | null;
  readonly lastTime: string | null;
  readonly comm: string | null;
  readonly device: string | null;
  readonly order: number | null;
  readonly gfp: readonly string[];
  readonly kernel: string | null;
  /** Whose flags and rules were applied: "6.1", and what told so. */
  readonly era: string | null;
  readonly eraBasis: "printed" | "flags" | "guessed" | null;
  readonly pageKib: number | null;
  readonly zones: readonly ZoneAnswer[];
  readonly evidence: readonly Evidence[];
  readonly advice: readonly Advice[];
  readonly noHelp: readonly NoHelp[];
  readonly missing: readonly string[];
  readonly also: readonly Cause[];
}
