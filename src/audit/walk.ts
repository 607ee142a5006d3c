/**
 * One walk over a tree: which values go where (`RawFlow`), and what the tracked words are there. Knows
 * nothing of allocators and rules. Brackets decide which function an offset is in, not the tree, so
 * an ERROR node above loses nothing below.
 */
import { type ExprPlace, exprOf, fieldName, placeOf } from "./expr.ts";
import type { Role } from "./facts.ts";
import { type CFunction, functionAt } from "./functions.ts";
import type { Raw, RawCall, RawHit } from "./raw.ts";
import { type Chain, removalOf } from "./removal.ts";
import { initialsOf } from "./structs.ts";
import { childOf, itemsOf, type SyntaxNode } from "./syntax.ts";
import { MASK_FIELDS, PLAIN_FIELDS } from "./words.ts";

/** What a walk is given. */
export interface WalkPlace {
  /** What was parsed; its offsets plus `shift` are the file's. */
  readonly text: string;
  readonly shift: number;
  readonly functions: readonly CFunction[];
  /** The macro whose body is walked, and its parameters. */
  readonly macro: { readonly name: string; readonly parameters: readonly string[] } | null;
  readonly hits: ReadonlyMap<number, RawHit>;
  readonly hitIndex: ReadonlyMap<number, number>;
  readonly locals: Map<string, Set<string>>;
  readonly raw: Raw;
}

/** Recursion deeper than that is no code of people; what is below is looked up in the text. */
const DEEPEST = 300;
const ARGUMENT_CHARS = 60;
const CONDITION_CHARS = 120;
const CONDITIONS = 3;

export function walk(node: SyntaxNode, up: Chain | null, place: WalkPlace, depth = 0): void {
  if (depth > DEEPEST) return;
  const chain: Chain = { node, up };
  seeNode(chain, place);
  for (const child of node.children) walk(child, chain, place, depth + 1);
}

function seeNode(chain: Chain, place: WalkPlace): void {
  const { node } = chain;
  switch (node.type) {
    case "identifier":
    case "field_identifier":
    case "type_identifier":
      seeName(chain, place);
      return;
    case "call_expression":
      seeCall(chain, place);
      return;
    case "assignment_expression":
      seeAssignment(chain, place);
      return;
    case "declaration":
      seeDeclaration(chain, place);
      return;
    case "return_statement":
      seeReturn(chain, place);
      return;
    case "enumerator":
      seeEnumerator(chain, place);
      return;
    default:
  }
}

/** The function or macro of an offset of `text`. */
function functionName(offset: number, place: WalkPlace): string | null {
  if (place.macro !== null) return place.macro.name;
  return functionAt(place.functions, offset)?.name ?? null;
}

function exprPlace(offset: number, place: WalkPlace): ExprPlace {
  const { text, shift, macro, functions, locals, hitIndex } = place;
  const fn = macro === null ? functionAt(functions, offset) : null;
  const name = macro?.name ?? fn?.name ?? null;
  const parameters = macro?.parameters ?? fn?.parameters.map((one) => one.name) ?? [];
  return {
    text,
    shift,
    hitAt: (at) => hitIndex.get(at) ?? null,
    nodeOf: (word) => {
      const argument = parameters.indexOf(word);
      if (argument >= 0) return `a:${name}:${argument}`;
      if (name !== null && locals.get(name)?.has(word) === true) return `v:${name}:${word}`;
      return /^[A-Z_][A-Z0-9_]+$/.test(word) ? `m:${word}` : `g:${word}`;
    },
  };
}

function seeName(chain: Chain, place: WalkPlace): void {
  const { node } = chain;
  const hit = place.hits.get(node.start + place.shift);
  if (hit === undefined || hit.seen || hit.role !== "mention") return;
  hit.seen = true;
  hit.macro = place.macro?.name ?? null;
  hit.conditions = conditionsAbove(chain, place.text);
  if (place.text.slice(node.start, node.end) !== hit.word) return;
  if (MASK_FIELDS.has(hit.word) || PLAIN_FIELDS.has(hit.word)) {
    if (isWritten(chain)) hit.role = "set";
  } else if (/DMA/.test(hit.word)) {
    hit.role = flagRole(chain, place.text);
    if (hit.role === "value") {
      hit.removal =
        removalOf(chain, place.text, place.shift) ?? replacementOf(chain, place, hit.offset);
    }
  }
}

/**
 * A flag that is all of an argument: without it the request could not wait. GFP_KERNEL, where the
 * function does wait elsewhere; else nobody can tell, and nothing is replaced.
 */
function replacementOf(chain: Chain, place: WalkPlace, offset: number): RawHit["removal"] {
  const fn = functionAt(place.functions, offset);
  if (place.macro !== null || fn === null || chain.up?.node.type !== "argument_list") return null;
  const end = offset + chain.node.end - chain.node.start;
  // Flags of a cache are no gfp flags: none is none.
  if (place.text.startsWith("SLAB_", chain.node.start)) return { start: offset, end, text: "0" };
  const body = place.text.slice(fn.bodyStart, fn.end);
  if (!/\bGFP_KERNEL\b/.test(body) && !/_(probe|init|setup|open)$/.test(fn.name)) return null;
  if (/\bGFP_ATOMIC\b|spin_lock|rcu_read_lock|local_irq/.test(body)) return null;
  return { start: offset, end, text: "GFP_KERNEL" };
}

/** What a flag is asked to do, from the operators above it. */
function flagRole(chain: Chain, text: string): Role {
  let negated = false;
  for (let at = chain.up; at !== null; at = at.up) {
    const { type } = at.node;
    // Only small nodes are searched: an ERROR can have a file's worth of children.
    const operator = /^(unary|binary)_/.test(type) ? childOf(at.node, "operator") : null;
    const sign = operator === null ? "" : text.slice(operator.start, operator.end);
    if (type === "unary_expression" && sign === "~") negated = true;
    else if (type === "binary_expression" && sign === "&") return negated ? "clear" : "test";
    else if (type === "binary_expression" && /^([=!]=|&&|\|\||[<>]=?)$/.test(sign)) return "test";
    else if (type === "assignment_expression")
      return negated && isAnd(at.node, text) ? "clear" : "value";
    else if (type === "case_statement") return "test";
    else if (/_statement$|^call_expression$|declarator$/.test(type)) return "value";
  }
  return "value";
}

function isAnd(assignment: SyntaxNode, text: string): boolean {
  const operator = childOf(assignment, "operator");
  return operator !== null && text.slice(operator.start, operator.end) === "&=";
}

function isWritten(chain: Chain): boolean {
  const above = chain.up?.node;
  if (above === undefined) return false;
  if (above.type === "field_designator") return true;
  let inner = chain.node;
  for (let at = chain.up; at !== null; at = at.up) {
    if (at.node.type === "assignment_expression") return childOf(at.node, "left") === inner;
    if (at.node.type === "init_declarator") return childOf(at.node, "declarator") === inner;
    if (!/^(field|pointer|subscript|parenthesized)_expression$/.test(at.node.type)) return false;
    inner = at.node;
  }
  return false;
}

function conditionsAbove(chain: Chain, text: string): string[] {
  const found: string[] = [];
  let inner = chain.node;
  for (let at = chain.up; at !== null && found.length < CONDITIONS; at = at.up) {
    const { node } = at;
    const isBranch = node.type === "if_statement" || node.type === "conditional_expression";
    const condition = isBranch ? childOf(node, "condition") : null;
    if (condition !== null && inner !== condition) {
      const words = text.slice(condition.start, condition.end).replace(/\s+/g, " ");
      const not = inner.field === "alternative" ? "!" : "";
      found.push(`${not}${words.slice(0, CONDITION_CHARS)}`);
    }
    inner = node;
  }
  return found;
}

function seeCall(chain: Chain, place: WalkPlace): void {
  const { node } = chain;
  const { text, raw, shift } = place;
  const callee = childOf(node, "function");
  if (callee === null) return;
  const isName = callee.type === "identifier";
  if (!isName && callee.type !== "field_expression") return;
  const last = isName ? text.slice(callee.start, callee.end) : fieldName(callee, text);
  const name = isName ? last : `->${last}`;
  const args = itemsOf(childOf(node, "arguments"));
  const inside = exprPlace(node.start, place);
  const offset = node.start + shift;
  const call: RawCall = {
    callee: name,
    offset,
    fn: functionName(node.start, place),
    args: args.map((arg) => short(text.slice(arg.start, arg.end))),
    target: targetOf(chain, place),
  };
  for (const [index, arg] of args.entries()) {
    const expr = exprOf(arg, inside);
    if (expr[0] !== "?") raw.flows.push({ to: `a:${name}:${index}`, expr, offset, call });
  }
  if (isName) {
    const hit = place.hits.get(callee.start + shift);
    const isCall = !MASK_FIELDS.has(last) && !PLAIN_FIELDS.has(last);
    if (hit !== undefined && isCall && hit.word === last && hit.role === "mention") {
      hit.role = "call";
      hit.call = call;
      hit.conditions = conditionsAbove(chain, text);
      hit.macro = place.macro?.name ?? null;
    }
  }
  if (TOUCHING.test(last)) {
    raw.touches.push({ callee: name, offset, fn: call.fn, names: call.args.flatMap(namesIn) });
  }
}

/** Calls that say what becomes of a buffer, and what a device is told of it. */
const TOUCHING =
  /^(dma_map_|pci_map_|dma_mapping_error|sg_(set|init)|virt_to_(phys|bus)|isa_virt|page_to_phys|__pa$|set_dma_addr|usb_(fill|control|bulk|interrupt)|spi_|i2c_|regmap_|sdio_|mmc_|write[lwq]|iowrite|out[lwb]$|__raw_write|ccw_device|cio_|skb_frag|vb2_|page_pool|virt_to_page|copy_(from|to)_user|bio_add|serial_|snd_|crypto_|qman_|dpaa2_)/;

/** Variables and last fields of an argument. */
function namesIn(arg: string): string[] {
  return [...arg.matchAll(/(?:->|\.)?\b([A-Za-z_]\w*)\b(?!\s*(?:->|\.\w|\())/g)].map(
    ([, name = ""]) => name,
  );
}

function seeAssignment({ node }: Chain, place: WalkPlace): void {
  const inside = exprPlace(node.start, place);
  const left = childOf(node, "left");
  const right = childOf(node, "right");
  const to = placeOf(left, inside);
  if (to === null || right === null) return;
  const expr = exprOf(right, inside);
  const offset = node.start + place.shift;
  const operator = childOf(node, "operator");
  const sign = operator === null ? "=" : place.text.slice(operator.start, operator.end);
  // `x >>= 1` gives x another value, which is nobody's mask.
  const isKept = sign === "=" || sign === "|=" || sign === "&=";
  if (expr[0] !== "?" && isKept) place.raw.flows.push({ to, expr, offset, call: null });
  if (/^f:([tr]x_buf|transfer_buffer|transfer_dma|[tr]x_dma)$/.test(to)) {
    const names = namesIn(short(place.text.slice(right.start, right.end)));
    place.raw.touches.push({ callee: to, offset, fn: functionName(node.start, place), names });
  }
}

function seeDeclaration({ node }: Chain, place: WalkPlace): void {
  const { text, locals, raw, shift } = place;
  const fn = functionName(node.start, place);
  const names = fn === null ? null : (locals.get(fn) ?? new Set<string>());
  if (fn !== null && names !== null) locals.set(fn, names);
  const tag = tagOf(node, text);
  for (const declarator of node.children.filter(({ field }) => field === "declarator")) {
    const isInit = declarator.type === "init_declarator";
    const bare = isInit ? childOf(declarator, "declarator") : declarator;
    const name = nameOf(bare, text);
    if (name !== null) names?.add(name);
    const value = isInit ? childOf(declarator, "value") : null;
    if (value === null) continue;
    const inside = exprPlace(node.start, place);
    const own = name === null ? null : inside.nodeOf(name);
    const isArray = bare?.type === "array_declarator";
    const initials =
      value.type === "initializer_list"
        ? initialsOf(value, text, tag, own, isArray)
        : own === null
          ? []
          : [{ to: own, value }];
    for (const initial of initials) {
      const expr = exprOf(initial.value, inside);
      const offset = initial.value.start + shift;
      if (expr[0] !== "?") raw.flows.push({ to: initial.to, expr, offset, call: null });
    }
  }
}

function seeEnumerator({ node }: Chain, place: WalkPlace): void {
  const name = childOf(node, "name");
  const value = childOf(node, "value");
  if (name === null || value === null) return;
  const inside = exprPlace(node.start, place);
  const to = inside.nodeOf(place.text.slice(name.start, name.end));
  const expr = exprOf(value, inside);
  const offset = node.start + place.shift;
  if (expr[0] !== "?") place.raw.flows.push({ to, expr, offset, call: null });
}

function seeReturn({ node }: Chain, place: WalkPlace): void {
  const fn = functionName(node.start, place);
  if (fn === null) return;
  const value = itemsOf(node).find(({ type }) => type !== "return") ?? null;
  const expr = exprOf(value, exprPlace(node.start, place));
  const offset = node.start + place.shift;
  if (expr[0] !== "?") place.raw.flows.push({ to: `r:${fn}`, expr, offset, call: null });
}

/** Where a call's result goes, through casts and brackets. */
function targetOf(chain: Chain, place: WalkPlace): string | null {
  let inner = chain.node;
  for (let at = chain.up; at !== null; at = at.up) {
    const { node } = at;
    const inside = exprPlace(node.start, place);
    if (node.type === "assignment_expression") {
      return childOf(node, "right") === inner ? placeOf(childOf(node, "left"), inside) : null;
    }
    if (node.type === "init_declarator") return placeOf(childOf(node, "declarator"), inside);
    if (node.type === "return_statement") return `r:${functionName(node.start, place)}`;
    if (!/^(cast|parenthesized|conditional|unary|binary)_expression$/.test(node.type)) return null;
    inner = node;
  }
  return null;
}

function tagOf(declaration: SyntaxNode, text: string): string | null {
  const type = childOf(declaration, "type");
  if (type === null) return null;
  const name = type.type === "struct_specifier" ? childOf(type, "name") : type;
  return name === null ? null : text.slice(name.start, name.end);
}

function nameOf(declarator: SyntaxNode | null, text: string): string | null {
  let node = declarator;
  for (let depth = 0; node !== null && depth < 8; depth++) {
    if (node.type === "identifier") return text.slice(node.start, node.end);
    node = childOf(node, "declarator");
  }
  return null;
}

function short(text: string): string {
  return text.replace(/\s+/g, " ").slice(0, ARGUMENT_CHARS);
}
