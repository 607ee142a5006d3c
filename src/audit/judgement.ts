/** What a rule says of a use. The words of `verdict` and `category` are part of the JSON document. */
import type { Family } from "./allocators.ts";
import type { FileFacts, Hit, Touch } from "./facts.ts";
import type { MaskValue } from "./mask-value.ts";
import type { Reach, Sink } from "./reach.ts";

export type Verdict =
  | "legitimate"
  | "legitimate purpose, wrong interface"
  | "replaceable"
  | "replaceable (misuse)"
  | "replaceable (no-op)"
  | "optimisation"
  | "bug"
  | "dead"
  | "review"
  | "n/a";

/** The same in the words of the question: who still needs the zone? */
export type Group =
  | "limited-hardware"
  | "redundant"
  | "misuse"
  | "block-layer"
  | "optimisation"
  | "bug"
  | "dead"
  | "machinery"
  | "unknown"
  | "no-use";

export type Confidence = "high" | "medium" | "low";

export interface Judgement {
  readonly category: string;
  readonly verdict: Verdict;
  readonly group: Group;
  readonly why: string;
  readonly fix: string;
  readonly confidence: Confidence;
  /** Whether taking the flag out of its expression is the whole fix. */
  readonly dropsFlag?: boolean;
}

/** A use before its verdict. */
export interface Case {
  readonly file: string;
  readonly hit: Hit;
  readonly facts: FileFacts;
  readonly zone: "DMA" | "DMA32" | null;
  readonly reach: Reach;
  /** The first allocator that it reaches, or the first callee that nobody knows. */
  readonly sink: Sink | null;
  readonly families: ReadonlySet<Family>;
  /** Calls that name the memory that was asked for. */
  readonly touches: readonly Touch[];
  /** Masks that this file, or else its folder, gives to devices. */
  readonly masks: readonly number[];
  /** The mask, where the use is one. */
  readonly mask: MaskValue | null;
  /** Whether the other zone's flag is in the same request. */
  readonly hasBoth: boolean;
  readonly build: BuildFact | null;
}

/** What Kconfig and the Makefiles say of a file. */
export interface BuildFact {
  /** The symbols that it needs, in words. */
  readonly condition: string;
  /** Architectures on which it can be built; empty: on none. */
  readonly architectures: readonly string[];
  /** Why on none. */
  readonly deadBecause: string | null;
  /** With a .config: whether it is built; null without one. */
  readonly isBuilt: boolean | null;
  /** Whether it needs a symbol for ISA. */
  readonly needsIsa: boolean;
}

/** A rule: its judgement, or null when it has nothing to say. Asked in order; the first one stands. */
export type Rule = (use: Case) => Judgement | null;

/** What is true of the path alone. */
export function isUnder(file: string, ...folders: readonly string[]): boolean {
  return folders.some((folder) => file.startsWith(`${folder}/`) || file.includes(`/${folder}/`));
}

/** First line and callee of a call that touches the memory, for a reason. */
export function touchedBy(use: Case, pattern: RegExp): string | null {
  const found = use.touches.find(({ callee }) => pattern.test(callee.replace(/^->/, "")));
  if (found === undefined) return null;
  const what = found.callee.startsWith("f:")
    ? `a transfer's ${found.callee.slice(2)}`
    : `${found.callee}()`;
  return `${what} in line ${found.line}`;
}
