/** Bodies of macros, which a tree holds as plain text: parsed apart, walked like functions. */
import { exprOf } from "./expr.ts";
import type { Chain } from "./removal.ts";
import { childOf, itemsOf, type Parse, type SyntaxNode } from "./syntax.ts";
import { type WalkPlace, walk } from "./walk.ts";

const WORTH =
  /GFP|gfp|MASK|mask|DMA|dma|alloc|BOUNCE|bounce|isa_|_bus\b|WIDTH|BITS|_LEN\b|SIZE|_SZ\b|BYTES|ORDER|OFFSET/;
/** The commonest body needs no parser. */
const NUMBER = /^\s*\(?\s*(0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,20}|[1-9]\d{0,18})[uUlL]*\s*\)?\s*$/;
/** The variable that an expression is parsed as the value of; no macro's own name. */
const WRAPPED = "zonewright_value";
const LONGEST_BODY = 4000;

export function walkMacros(tree: SyntaxNode, place: WalkPlace, parse: Parse): void {
  const see = (node: SyntaxNode, depth: number): void => {
    if (node.type === "preproc_def" || node.type === "preproc_function_def") {
      walkMacro(node, place, parse);
    }
    if (depth < 60) for (const child of node.children) see(child, depth + 1);
  };
  see(tree, 0);
}

function walkMacro(node: SyntaxNode, place: WalkPlace, parse: Parse): void {
  const { text } = place;
  const name = childOf(node, "name");
  const value = childOf(node, "value");
  if (name === null || value === null) return;
  const body = text.slice(value.start, value.end);
  const macroName = text.slice(name.start, name.end);
  const digits = NUMBER.exec(body)?.[1];
  if (digits !== undefined) {
    const number = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits).toString();
    const expr = ["num", number] as const;
    place.raw.flows.push({ to: `m:${macroName}`, expr, offset: name.start, call: null });
    return;
  }
  if (!(WORTH.test(body) || WORTH.test(macroName)) || body.length > LONGEST_BODY) return;
  const isFunction = node.type === "preproc_function_def";
  const parameters = itemsOf(childOf(node, "parameters")).map((one) =>
    text.slice(one.start, one.end),
  );
  const plain = body.replace(/\\/g, " ");
  const isStatement = /^\s*(do\b|\{|if\b|for\b|while\b|static\b)|;/.test(plain);
  const [open, close] = isStatement ? ["void f(void){", ";}"] : [`int ${WRAPPED} = (`, ");"];
  const inner: WalkPlace = {
    ...place,
    text: `${open}${plain}${close}`,
    shift: value.start - open.length,
    macro: { name: macroName, parameters: isFunction ? parameters : [] },
    raw: { flows: [], touches: place.raw.touches },
  };
  const root = parse(inner.text);
  walk(root, null, inner);
  // What the wrapping declares or returns is ours, not the file's.
  const own = inner.raw.flows.filter(({ to }) => !to.endsWith(`:${WRAPPED}`));
  place.raw.flows.push(...own);
  if (isStatement) return;
  const expression = firstValue({ node: root, up: null });
  if (expression === null) return;
  const expr = exprOf(expression, {
    text: inner.text,
    shift: inner.shift,
    hitAt: (at) => place.hitIndex.get(at) ?? null,
    nodeOf: (word) => {
      const at = inner.macro?.parameters.indexOf(word) ?? -1;
      if (at >= 0) return `a:${macroName}:${at}`;
      return /^[A-Z_][A-Z0-9_]+$/.test(word) ? `m:${word}` : `g:${word}`;
    },
  });
  if (expr[0] === "?") return;
  const to = isFunction ? `r:${macroName}` : `m:${macroName}`;
  place.raw.flows.push({ to, expr, offset: name.start, call: null });
}

/** The value of the declaration that a body was wrapped in. */
function firstValue({ node }: Chain): SyntaxNode | null {
  if (node.type === "init_declarator") return childOf(node, "value");
  for (const child of node.children) {
    const found = firstValue({ node: child, up: null });
    if (found !== null) return found;
  }
  return null;
}
