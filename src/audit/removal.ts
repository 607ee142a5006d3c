/** How the text reads without a flag: the mechanical half of a patch. */
import type { Removal } from "./facts.ts";
import { childOf, type SyntaxNode } from "./syntax.ts";

/** A node and those above it, the nearest first. */
export interface Chain {
  readonly node: SyntaxNode;
  readonly up: Chain | null;
}

/**
 * The smallest cut that drops `chain.node` from an `a | b` it is in: with brackets around it, which
 * then hold nothing else to need them. Null where the flag stands alone.
 */
export function removalOf(chain: Chain, text: string, shift: number): Removal | null {
  let inner = chain;
  while (inner.up !== null && inner.up.node.type === "parenthesized_expression") inner = inner.up;
  const sum = inner.up?.node;
  if (sum === undefined || sum.type !== "binary_expression") return null;
  const operator = childOf(sum, "operator");
  const left = childOf(sum, "left");
  const right = childOf(sum, "right");
  if (operator === null || left === null || right === null) return null;
  if (text.slice(operator.start, operator.end) !== "|") return null;
  const isLeft = inner.node === left;
  // `a | FLAG` goes from behind a, `FLAG | a` up to a: spaces and line breaks between go with it.
  const [start, end] = isLeft ? [left.start, right.start] : [left.end, right.end];
  return { start: start + shift, end: end + shift, text: "" };
}
