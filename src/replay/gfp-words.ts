/** Flags of requests as a recording prints them, read once each. */
import { parseGfp } from "../mm/gfp-text.ts";
import type { Memory } from "../mm/memory.ts";

export interface GfpWords {
  readonly bits: number;
  /** For the page cache, and not kernel memory that a task pays for: its owner lets it be moved. */
  readonly cache: boolean;
}

const PAGE_CACHE = /HARDWALL|GFP_USER|GFP_HIGHUSER/;

export class GfpReader {
  readonly #m: Memory;
  readonly #known: Map<string, GfpWords> = new Map();
  /** Requests of one kind come in a row. */
  #lastText = "";
  #last: GfpWords = { bits: 0, cache: false };

  constructor(m: Memory) {
    this.#m = m;
  }

  read(text: string): GfpWords {
    if (text === this.#lastText) return this.#last;
    let known = this.#known.get(text);
    if (known === undefined) {
      const cache = PAGE_CACHE.test(text) && !text.includes("ACCOUNT");
      known = { bits: parseGfp(text, this.#m.gfp.era).value, cache };
      this.#known.set(text, known);
    }
    this.#lastText = text;
    this.#last = known;
    return known;
  }
}
