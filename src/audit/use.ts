/** A use of low memory, with its verdict: what the audit is about. */

import type { Removal } from "./facts.ts";
import type { Confidence, Group, Verdict } from "./judgement.ts";

export interface Place {
  readonly file: string;
  readonly line: number;
  /** What is there: a call, a field, a variable. */
  readonly what: string;
}

export interface TargetDevice {
  /** Widths that this driver gives its devices, the smallest first. */
  readonly bits: readonly number[];
  readonly direction: "to device" | "from device" | "both" | null;
}

export interface Use {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The word that makes it a use: GFP_DMA, dma_set_mask … */
  readonly flag: string;
  /** Whether the word is written in this line; false where it comes through something else. */
  readonly textual: boolean;
  readonly function: string | null;
  /** Who takes the flag: kmalloc, dma_alloc_coherent, a wrapper … */
  readonly allocator: string | null;
  readonly category: string;
  readonly verdict: Verdict;
  readonly group: Group;
  readonly why: string;
  readonly fix: string;
  readonly confidence: Confidence;
  /** The rule that spoke. */
  readonly rule: string;
  /** Of a mask: the widths that it can have, the smallest first. */
  readonly bits: readonly number[];
  /** The way from the word to the allocator, without both ends. */
  readonly via: readonly Place[];
  /** Calls that the flag reaches. */
  readonly reaches: readonly Place[];
  /** Symbols that build the file; null where no Makefile says. */
  readonly config: string | null;
  /** Null where Kconfig was not read. */
  readonly architectures: readonly string[] | null;
  readonly isBuilt: boolean | null;
  /** Bytes of one allocation, as written and as a number where that is constant. */
  readonly size: { readonly text: string; readonly bytes: number | null } | null;
  /** Who gets the memory, as far as it is written: for scenarios, not part of the document. */
  readonly device: TargetDevice;
  /** The cut that drops the flag; null where that is not all. */
  readonly removal: Removal | null;
  readonly text: string;
}

/** Uses that ask for something, as opposed to comments and the machinery. */
export function isRequest({ group }: Use): boolean {
  return group !== "no-use" && group !== "machinery";
}
