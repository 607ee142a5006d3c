/** Syntax to `Expr`: the few operators that carry flags and masks, names as nodes, the rest unknown. */
import type { Expr } from "./facts.ts";
import { childOf, itemsOf, type SyntaxNode } from "./syntax.ts";

/** What an expression needs to know of its place. */
export interface ExprPlace {
  readonly text: string;
  /** The node of a name, seen from here. */
  readonly nodeOf: (name: string) => string;
  /** Index of the hit at an offset; null where there is none. */
  readonly hitAt: (offset: number) => number | null;
  /** Added to the offsets of the tree: macro bodies are parsed apart. */
  readonly shift: number;
}

const UNKNOWN: Expr = ["?"];
const ZERO: Expr = ["num", "0"];
/** Deeper is no code of people. */
const DEEPEST = 60;
const CARRYING = new Set(["|", "&", "+", "-", "<<", ">>", "*", "^"]);

export function exprOf(node: SyntaxNode | null, place: ExprPlace, depth = 0): Expr {
  if (node === null || depth > DEEPEST) return UNKNOWN;
  const inner = (child: SyntaxNode | null): Expr => exprOf(child, place, depth + 1);
  const text = (of: SyntaxNode): string => place.text.slice(of.start, of.end);
  switch (node.type) {
    case "identifier":
      return nameExpr(text(node), node, place);
    case "number_literal":
      return numberExpr(text(node));
    case "field_expression":
      return ["ref", `f:${fieldName(node, place.text)}`];
    case "parenthesized_expression":
    case "ERROR":
      return inner(itemsOf(node).at(-1) ?? null);
    case "subscript_expression":
    case "pointer_expression":
      return inner(childOf(node, "argument"));
    case "cast_expression":
      return inner(childOf(node, "value"));
    case "assignment_expression":
      return inner(childOf(node, "right"));
    case "comma_expression":
      return inner(childOf(node, "right"));
    case "conditional_expression":
      return [
        "any",
        inner(childOf(node, "consequence") ?? childOf(node, "condition")),
        inner(childOf(node, "alternative")),
      ];
    case "unary_expression":
      return unary(text(childOf(node, "operator") ?? node), inner(childOf(node, "argument")));
    case "binary_expression": {
      const operator = text(childOf(node, "operator") ?? node);
      if (!CARRYING.has(operator)) return UNKNOWN;
      const cast = castName(childOf(node, "left"), place.text);
      if (cast !== null && operator === "-") return unary("-", inner(childOf(node, "right")));
      return ["op", operator, inner(childOf(node, "left")), inner(childOf(node, "right"))];
    }
    case "call_expression":
      return callExpr(node, place, depth);
    case "sizeof_expression":
      return sizeofExpr(text(node));
    default:
      return UNKNOWN;
  }
}

/** The last field of a path: `a->b.c[2]` is c. */
export function fieldName(node: SyntaxNode, text: string): string {
  const field = childOf(node, "field");
  return field === null ? "?" : text.slice(field.start, field.end);
}

/** The node that an assignment writes to; null where it is no simple place. */
export function placeOf(node: SyntaxNode | null, place: ExprPlace): string | null {
  if (node === null) return null;
  const text = place.text.slice(node.start, node.end);
  switch (node.type) {
    case "identifier":
    case "type_identifier":
      return place.nodeOf(text);
    case "field_identifier":
      return `f:${text}`;
    case "field_expression":
      return `f:${fieldName(node, place.text)}`;
    case "parenthesized_expression":
      return placeOf(itemsOf(node)[0] ?? null, place);
    case "subscript_expression":
    case "pointer_expression":
      return placeOf(childOf(node, "argument"), place);
    case "pointer_declarator":
    case "array_declarator":
      return placeOf(childOf(node, "declarator"), place);
    default:
      return null;
  }
}

/** Whether a flag or a mask is written in it. */
export function hasSource(expr: Expr): boolean {
  if (expr[0] === "flag" || expr[0] === "mask") return true;
  if (expr[0] === "num") return isMaskNumber(expr[1]);
  return partsOf(expr).some(hasSource);
}

/** Nodes that the value can come from. */
export function refsOf(expr: Expr, into: string[] = []): string[] {
  if (expr[0] === "ref") into.push(expr[1]);
  for (const part of partsOf(expr)) refsOf(part, into);
  return into;
}

export function partsOf(expr: Expr): readonly Expr[] {
  switch (expr[0]) {
    case "mask":
    case "not":
      return [expr[1]];
    case "op":
      return [expr[2], expr[3]];
    case "any":
      return [expr[1], expr[2]];
    default:
      return [];
  }
}

/** Flags that the value is sure or able to have: not those that are taken out or only asked for. */
export function flagsOf(expr: Expr, into: number[] = []): number[] {
  if (expr[0] === "flag") into.push(expr[1]);
  else if (expr[0] === "op") {
    flagsOf(expr[2], into);
    if (expr[1] !== "&") flagsOf(expr[3], into);
  } else if (expr[0] === "any") {
    flagsOf(expr[1], into);
    flagsOf(expr[2], into);
  }
  return into;
}

/** All ones from bit 15 on: nobody writes 0xffffffff by chance. */
function isMaskNumber(digits: string): boolean {
  const value = BigInt(digits);
  return value >= 0xffffn && (value & (value + 1n)) === 0n;
}

function nameExpr(name: string, node: SyntaxNode, place: ExprPlace): Expr {
  const hit = place.hitAt(node.start + place.shift);
  if (hit !== null) return ["flag", hit];
  // The zone words were hits: any other flag asks for no zone.
  if (/^_*GFP_|^SLAB_|^(?:NULL|false|true)$/.test(name)) return ZERO;
  const bits = /^DMA_(\d\d)BIT_MASK$/.exec(name)?.[1];
  if (bits !== undefined) return ["mask", ["num", bits]];
  if (/^(U?LONG|ULLONG|U64|PHYS_ADDR)_MAX$/.test(name)) return ["mask", ["num", "64"]];
  if (/^(UINT|U32)_MAX$/.test(name)) return ["mask", ["num", "32"]];
  return constantOf(name) ?? ["ref", place.nodeOf(name)];
}

const UNITS: Readonly<Record<string, bigint>> = { "": 0n, K: 10n, M: 20n, G: 30n, T: 40n };

/** Names of the kernel with one value, or with one by word size. Pages as nearly everywhere. */
function constantOf(name: string): Expr | null {
  if (name === "PAGE_SHIFT") return ["num", "12"];
  if (name === "PAGE_SIZE") return ["num", "4096"];
  if (name === "BITS_PER_LONG") return ["any", ["num", "32"], ["num", "64"]];
  const [, count, unit = ""] = /^SZ_(\d+)([KMGT]?)$/.exec(name) ?? [];
  if (count === undefined) return null;
  return ["num", (BigInt(count) << (UNITS[unit] ?? 0n)).toString()];
}

function numberExpr(text: string): Expr {
  const digits = text.replace(/[uUlL]+$/, "");
  if (!/^(0[xX][0-9a-fA-F]{1,16}|\d{1,20})$/.test(digits)) return UNKNOWN;
  const octal = /^0\d+$/.test(digits) ? `0o${digits.slice(1)}` : digits;
  return /^0o.*[89]/.test(octal) ? UNKNOWN : ["num", BigInt(octal).toString()];
}

function unary(operator: string, argument: Expr): Expr {
  if (operator === "~") {
    return argument[0] === "num" && argument[1] === "0"
      ? ["mask", ["num", "64"]]
      : ["not", argument];
  }
  if (operator === "-" && argument[0] === "num") {
    return argument[1] === "1" ? ["mask", ["num", "64"]] : ["num", `-${argument[1]}`];
  }
  return UNKNOWN;
}

function callExpr(node: SyntaxNode, place: ExprPlace, depth: number): Expr {
  const callee = childOf(node, "function");
  if (callee === null) return UNKNOWN;
  const name = place.text.slice(callee.start, callee.end);
  const args = itemsOf(childOf(node, "arguments"));
  const first = exprOf(args[0] ?? null, place, depth + 1);
  if (castName(callee, place.text) !== null) return first;
  if (name === "DMA_BIT_MASK") return ["mask", first];
  if (name === "BIT" || name === "BIT_ULL") return ["op", "<<", ["num", "1"], first];
  if (name === "GENMASK" || name === "GENMASK_ULL")
    return ["mask", ["op", "+", first, ["num", "1"]]];
  if (name === "min" || name === "max")
    return ["any", first, exprOf(args[1] ?? null, place, depth + 1)];
  if (name === "min_t" || name === "max_t") {
    const second = exprOf(args[1] ?? null, place, depth + 1);
    return ["any", second, exprOf(args[2] ?? null, place, depth + 1)];
  }
  if (callee.type === "identifier") return ["ref", `r:${name}`];
  if (callee.type === "field_expression") return ["ref", `r:->${fieldName(callee, place.text)}`];
  return UNKNOWN;
}

/** The type of `(u64)-1` and `(gfp_t)(x)`, which a parser without types takes for an operation. */
function castName(node: SyntaxNode | null, text: string): string | null {
  if (node?.type !== "parenthesized_expression") return null;
  const inside = text.slice(node.start + 1, node.end - 1).trim();
  return /^([us](8|16|32|64)|\w+_t|int|long|unsigned( \w+)*)$/.test(inside) ? inside : null;
}

/** A size that holds on every machine; null for others. */
function sizeofExpr(text: string): Expr {
  if (/^sizeof\s*\(\s*(u64|__le64|__be64|s64|uint64_t)\s*\)$/.test(text)) return ["num", "8"];
  if (/^sizeof\s*\(\s*(u32|__le32|__be32|s32|int|unsigned int|uint32_t)\s*\)$/.test(text)) {
    return ["num", "4"];
  }
  return UNKNOWN;
}
