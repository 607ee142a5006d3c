/** How many bits a mask can have: its expression evaluated over every value its parts can take. */
import type { Expr } from "./facts.ts";
import { type Graph, type NodeAt, sourcesOf } from "./graph.ts";

export interface MaskValue {
  /** Bits, smallest first. */
  readonly bits: readonly number[];
  /** Whether there may be others. */
  readonly isOpen: boolean;
  /** Names whose values nobody said. */
  readonly missing: readonly NodeAt[];
  /** Where the values are written. */
  readonly from: readonly { readonly file: string; readonly line: number; readonly node: string }[];
}

const MOST_VALUES = 24;
const DEEPEST = 10;
/** A shift of more is no mask. */
const WIDEST = 64n;

interface Search {
  readonly graph: Graph;
  readonly seen: Set<string>;
  readonly from: { file: string; line: number; node: string }[];
  readonly missing: NodeAt[];
  isOpen: boolean;
}

export function maskValue(graph: Graph, file: string, expr: Expr): MaskValue {
  const search = newSearch(graph);
  const values = evaluate(expr, file, search, 0);
  const bits = [...new Set(values.map(bitsOf))].filter((count) => count > 0);
  const { isOpen, missing, from } = search;
  return { bits: bits.sort((a, b) => a - b), isOpen, missing, from };
}

function newSearch(graph: Graph): Search {
  return { graph, seen: new Set(), from: [], missing: [], isOpen: false };
}

/** A number that a constant expression must have; null where it has none or several. */
export function constantValue(graph: Graph, file: string, expr: Expr): bigint | null {
  const search = newSearch(graph);
  const values = evaluate(expr, file, search, 0);
  // A field has the value that some struct of that name was given: nobody's constant.
  const isField = search.from.some(({ node }) => node.startsWith("f:"));
  return search.isOpen || isField || values.length !== 1 ? null : (values[0] ?? null);
}

function bitsOf(mask: bigint): number {
  return mask < 0n ? 64 : mask.toString(2).length - (mask === 0n ? 1 : 0);
}

function evaluate(expr: Expr, file: string, search: Search, depth: number): bigint[] {
  if (depth > DEEPEST) return open(search);
  const inner = (part: Expr): bigint[] => evaluate(part, file, search, depth + 1);
  switch (expr[0]) {
    case "num":
      return [BigInt(expr[1])];
    case "mask": {
      const widths = inner(expr[1]).filter((width) => width >= 0n && width <= WIDEST);
      return widths.map((width) => (1n << width) - 1n);
    }
    case "any":
      return unique([...inner(expr[1]), ...inner(expr[2])]);
    case "not":
      return inner(expr[1]).map((value) => BigInt.asUintN(64, ~value));
    case "op":
      return combine(expr[1], inner(expr[2]), inner(expr[3]), search);
    case "ref":
      return valuesOf({ file, node: expr[1] }, search, depth);
    default:
      return open(search);
  }
}

function valuesOf(at: NodeAt, search: Search, depth: number): bigint[] {
  const key = `${at.file} ${at.node}`;
  if (search.seen.has(key)) return [];
  search.seen.add(key);
  const sources = sourcesOf(search.graph, at);
  if (sources.length === 0) {
    search.missing.push(at);
    return open(search);
  }
  const values: bigint[] = [];
  for (const { file, flow } of sources) {
    const found = evaluate(flow.expr, file, search, depth + 1);
    if (found.length > 0) search.from.push({ file, line: flow.line, node: at.node });
    values.push(...found);
  }
  return unique(values);
}

function combine(
  operator: string,
  left: readonly bigint[],
  right: readonly bigint[],
  search: Search,
): bigint[] {
  const values: bigint[] = [];
  for (const a of left) {
    for (const b of right) {
      const value = apply(operator, a, b);
      if (value === null) search.isOpen = true;
      else values.push(value);
    }
  }
  return unique(values);
}

function apply(operator: string, a: bigint, b: bigint): bigint | null {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "&":
      return a & b;
    case "|":
      return a | b;
    case "<<":
      return b >= 0n && b <= WIDEST ? a << b : null;
    case ">>":
      return b >= 0n && b <= WIDEST ? a >> b : null;
    default:
      return null;
  }
}

function unique(values: readonly bigint[]): bigint[] {
  return [...new Set(values)].slice(0, MOST_VALUES);
}

function open(search: Search): bigint[] {
  search.isOpen = true;
  return [];
}
