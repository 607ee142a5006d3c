/**
 * What a zone can say to a request, and the same in words.
 *
 * Linux: the checks of get_page_from_freelist(), mm/page_alloc.c
 */

/** What decides when free pages do not suffice: what would have to go for the zone to serve. */
export type WatermarkTerm = "reserve" | "highatomic" | "cma" | "boost" | "mark";

/** Free pages against a mark: `usable <= mark + reserve`. All in pages. */
export interface WatermarkFinding {
  readonly kind: "watermark";
  readonly free: number;
  /** `free` without the rest of the block, and without what the request may not have. */
  readonly usable: number;
  /** What `usable` must be above: `mark` + `reserve`. */
  readonly needs: number;
  /** The mark as low as the request may go, boost included. */
  readonly mark: number;
  readonly boost: number;
  /** lowmem_reserve towards the highest zone of the request. */
  readonly reserve: number;
  /** Kept out of `usable`: the highatomic reserve, and free pages of CMA areas. */
  readonly highatomic: number;
  readonly cma: number;
  readonly term: WatermarkTerm;
}

/** Pages enough, but no block that the request may have. */
export interface FragmentedFinding {
  readonly kind: "fragmented";
  /** Pages. */
  readonly free: number;
  /**
   * "none": no list has a block of the order; "not-yours": only lists that this
   * request, or this pass, may not take from; "orders": too little of the free
   * memory lies in blocks of the order (2.6).
   */
  readonly why: "none" | "not-yours" | "orders";
  /** Orders of the blocks that there are, by migratetype name; types without blocks are left out. */
  readonly blocks: readonly { readonly type: string; readonly orders: readonly number[] }[];
}

export type ZoneFinding =
  /** Above the highest zone that the request may use. */
  | { readonly kind: "above-highest"; readonly highest: string }
  /** The request does not leave its node (__GFP_THISNODE). */
  | { readonly kind: "other-node"; readonly node: number }
  /** The zone has no memory. */
  | { readonly kind: "empty" }
  | WatermarkFinding
  | FragmentedFinding
  /** This zone serves the request in this pass. */
  | { readonly kind: "served" };

export type RefusalPass = "zonelist" | "low" | "min" | "reserves" | "drained";

export interface ZoneVerdict {
  readonly pass: RefusalPass;
  /** Types must not mix yet: the pass is repeated without this (ALLOC_NOFRAGMENT). */
  readonly noFragment: boolean;
  /** Number of the zone, its node and its name. */
  readonly zone: number;
  readonly node: number;
  readonly name: string;
  readonly refused: boolean;
  readonly finding: ZoneFinding;
  /** For people: "DMA32 skipped: 22604 <= 3027 + 19584 (lowmem_reserve)". */
  readonly text: string;
}

const TERM_WORDS: Readonly<Record<WatermarkTerm, string>> = {
  reserve: "lowmem_reserve keeps it for requests of lower zones",
  highatomic: "the highatomic reserve is not for this request",
  cma: "CMA pages are for movable requests",
  boost: "the mark is boosted",
  mark: "below the mark",
};

/** `finding` as a sentence's end: what follows "DMA32 skipped: ". */
export function wordsFor(finding: ZoneFinding, order: number): string {
  switch (finding.kind) {
    case "above-highest":
      return `above ${finding.highest}, the highest zone of this request`;
    case "other-node":
      return `the request stays on node ${finding.node}`;
    case "empty":
      return "no memory";
    case "watermark": {
      const { usable, mark, reserve, term } = finding;
      const small = term === "mark" && usable <= 0;
      const words = small ? "fewer pages are free than the block has" : TERM_WORDS[term];
      return `${usable} <= ${mark} + ${reserve} (${words})`;
    }
    case "fragmented":
      return fragmentedWords(finding, order);
    case "served":
      return `a block of order ${order} can be had`;
  }
}

function fragmentedWords({ free, why, blocks }: FragmentedFinding, order: number): string {
  const has = blocks.map(({ type, orders }) => `${type} up to order ${orders.at(-1)}`).join(", ");
  const what =
    why === "orders"
      ? `too few of them in blocks of order ${order}`
      : why === "none"
        ? `no block of order ${order}`
        : `no block of order ${order} that this pass may take`;
  return `${free} pages are free, but ${what}${has === "" ? "" : ` (${has})`}`;
}
