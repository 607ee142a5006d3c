/** Flags of requests, as a recording prints them: a few texts, asked for again and again. */
import { parseGfp } from "../mm/gfp-text.ts";
import type { Memory } from "../mm/memory.ts";

export interface GfpText {
  readonly bits: number;
  /** Page cache, by its flags; not kernel memory that a task pays for. */
  readonly cache: boolean;
}

const PAGE_CACHE = /HARDWALL|GFP_USER|GFP_HIGHUSER/;

export class GfpTexts {
  readonly #m: Memory;
  readonly #known: Map<string, GfpText> = new Map();

  constructor(m: Memory) {
    this.#m = m;
  }

  of(text: string): GfpText {
    let known = this.#known.get(text);
    if (known === undefined) {
      const cache = PAGE_CACHE.test(text) && !text.includes("ACCOUNT");
      known = { bits: parseGfp(text, this.#m.gfp.era).value, cache };
      this.#known.set(text, known);
    }
    return known;
  }
}
