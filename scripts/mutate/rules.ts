/**
 * Faults that no test can see, by rules that hold for every line of their form. Single lines are
 * equivalent.json's; a rule says why for all of them.
 */
import { linesOf } from "./draw.ts";
import type { Mutation } from "./operators.ts";

interface Rule {
  /** Below which folder, code and what may stand for it. */
  readonly under: string;
  readonly code: string;
  readonly same: readonly string[];
}

const RULES: readonly Rule[] = [
  // Row 0 of a memory is the head of its first free list. What is found is a frame's row, which
  // comes after all heads, or -1.
  { under: "src/mm/", code: "row >= 0", same: ["row > 0", "row >= 1"] },
  { under: "src/mm/", code: "row < 0", same: ["row <= 0", "row < 1"] },
];

/** Whether a rule says that the fault changes nothing. */
export function isEquivalentByRule(source: string, mutation: Mutation): boolean {
  const { from, to } = linesOf(source, mutation);
  return RULES.some(
    ({ under, code, same }) =>
      mutation.file.startsWith(under) && same.some((other) => from.replace(code, other) === to),
  );
}
