/**
 * The facts of one file: its text scanned, its tree walked, and of that what can matter kept.
 *
 *   text ─lexicalOf─▶ hits by kind ─┐
 *        ─parse─▶ tree ─walk─▶ flows, calls, roles ─prune─▶ FileFacts
 *
 * A hit that the walk did not reach is settled by the characters around it, so that a parse error
 * hides no use, and is listed among `errors`.
 */
import { argumentIndex, callByText, roleByText } from "./by-text.ts";
import { bracketText, parseText } from "./clean.ts";
import { type Conditionals, conditionalsOf } from "./conditionals.ts";
import type { Call, FileFacts, Flow, Hit, ParseError, StructFact } from "./facts.ts";
import { type CFunction, functionAt, functionsOf } from "./functions.ts";
import { CODE, COMMENT, type Lexical, lexicalOf, lineAt, lineText } from "./lexical.ts";
import { walkMacros } from "./macros.ts";
import { pruneFlows } from "./prune.ts";
import type { Raw, RawCall, RawFlow, RawHit } from "./raw.ts";
import { signsOf } from "./signs.ts";
import { structFact } from "./structs.ts";
import type { Parse, SyntaxNode } from "./syntax.ts";
import { type WalkPlace, walk } from "./walk.ts";
import { FLAGS, TRACKED } from "./words.ts";
import { callsOf, wrappersOf } from "./wrappers.ts";

const NONE: ReadonlySet<string> = new Set();

/** `wanted` are nodes of other files whose way leads through this one. */
export function extractFacts(
  text: string,
  parse: Parse,
  wanted: ReadonlySet<string> = NONE,
): FileFacts {
  const lexical = lexicalOf(text);
  const conditionals = conditionalsOf(lexical);
  const source = parseText(lexical, conditionals);
  const functions = functionsOf(lexical, bracketText(source));
  const hits = hitsOf(lexical, conditionals);
  const raw: Raw = { flows: [], touches: [] };
  const place: WalkPlace = {
    text: source,
    shift: 0,
    functions,
    macro: null,
    hits: new Map(hits.map((hit) => [hit.offset, hit])),
    hitIndex: flagIndex(hits),
    locals: new Map(),
    raw,
  };
  const tree = parse(source);
  walk(tree, null, place);
  walkMacros(tree, place, parse);
  const errors = [
    ...settleByText(lexical, functions, hits, raw),
    ...parseErrors(tree, lexical, functions, hits),
  ];
  const structs = structsIn(tree, source);
  const named: Raw = { ...raw, flows: nameFields(raw.flows, structs) };
  return assemble(lexical, conditionals, functions, hits, named, structs, errors, wanted);
}

function hitsOf(lexical: Lexical, conditionals: Conditionals): RawHit[] {
  const found: RawHit[] = [];
  for (const match of lexical.text.matchAll(TRACKED)) {
    const kind = lexical.kinds[match.index];
    const role =
      kind === COMMENT ? "comment" : kind === CODE ? codeRole(lexical, match.index) : "string";
    found.push({
      word: match[0],
      offset: match.index,
      role,
      macro: null,
      conditions: [],
      call: null,
      removal: null,
      seen: false,
    });
  }
  return found;

  function codeRole(of: Lexical, offset: number): RawHit["role"] {
    const line = lineAt(of, offset);
    return conditionals.never.some(([first, last]) => line >= first && line <= last)
      ? "never"
      : "mention";
  }
}

/** Only zone flags are values; index into the hits. */
function flagIndex(hits: readonly RawHit[]): ReadonlyMap<number, number> {
  const map = new Map<number, number>();
  for (const [index, hit] of hits.entries()) if (FLAGS.has(hit.word)) map.set(hit.offset, index);
  return map;
}

/** Flags in code that no node of the tree was for. */
function settleByText(
  lexical: Lexical,
  functions: readonly CFunction[],
  hits: readonly RawHit[],
  raw: Raw,
): ParseError[] {
  const errors: ParseError[] = [];
  for (const [index, hit] of hits.entries()) {
    if (hit.role !== "mention" || hit.seen || !FLAGS.has(hit.word)) continue;
    const { bare } = lexical;
    const line = lineAt(lexical, hit.offset);
    if (isDefined(lineText(lexical, line), hit.word)) continue;
    hit.role = roleByText(bare, hit.offset, hit.offset + hit.word.length);
    const fn = functionAt(functions, hit.offset)?.name ?? null;
    const call = hit.role === "value" ? callByText(bare, hit.offset, fn) : null;
    if (call !== null) {
      const to = `a:${call.callee}:${argumentIndex(bare, call, hit.offset)}`;
      raw.flows.push({ to, expr: ["flag", index], offset: hit.offset, call });
    }
    errors.push({ line, text: lineText(lexical, line) });
  }
  return errors;
}

const ERRORS_LISTED = 20;

/** ERROR nodes in functions that have a tracked word in their code, one a line. */
function parseErrors(
  tree: SyntaxNode,
  lexical: Lexical,
  functions: readonly CFunction[],
  hits: readonly RawHit[],
): ParseError[] {
  const inCode = hits.filter(({ role }) => role !== "comment" && role !== "string");
  const concerned = new Set(inCode.map(({ offset }) => functionAt(functions, offset)));
  const offsets = inCode.map(({ offset }) => offset);
  const lines = new Set<number>();
  const see = (node: SyntaxNode, depth: number): void => {
    if (node.type === "ERROR" && node.end > node.start) {
      const fn = functionAt(functions, node.start);
      const holds = (offsets[firstFrom(offsets, node.start)] ?? node.end) < node.end;
      if (holds || (fn !== null && concerned.has(fn))) lines.add(lineAt(lexical, node.start));
    }
    if (depth < 200) for (const child of node.children) see(child, depth + 1);
  };
  if (inCode.length > 0) see(tree, 0);
  return [...lines]
    .slice(0, ERRORS_LISTED)
    .map((line) => ({ line, text: lineText(lexical, line) }));
}

/** Index of the first of ascending `offsets` that is not before `start`. */
function firstFrom(offsets: readonly number[], start: number): number {
  let low = 0;
  let high = offsets.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((offsets[middle] ?? 0) < start) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** `#define WORD …`, `#ifdef WORD`: the word itself is what is defined or asked for. */
function isDefined(line: string, word: string): boolean {
  return new RegExp(`^#\\s*(define|undef|ifdef|ifndef)\\s+${word}\\b`).test(line);
}

function structsIn(tree: SyntaxNode, text: string): StructFact[] {
  const found: StructFact[] = [];
  const see = (node: SyntaxNode, depth: number): void => {
    if (node.type === "struct_specifier") {
      const fact = structFact(node, text);
      if (fact !== null) found.push(fact);
    }
    if (depth < 8 && node.type !== "compound_statement") {
      for (const child of node.children) see(child, depth + 1);
    }
  };
  see(tree, 0);
  return found;
}

/** Items of initializers by place, as the fields that they are. */
function nameFields(flows: readonly RawFlow[], structs: readonly StructFact[]): RawFlow[] {
  const byTag = new Map(structs.map(({ name, fields }) => [name, fields]));
  return flows.map((flow) => {
    const [, tag = "", place = ""] = /^s:(\w+):(\d+)$/.exec(flow.to) ?? [];
    const field = byTag.get(tag)?.[Number(place)];
    return field === undefined ? flow : { ...flow, to: `f:${field.name}` };
  });
}

function assemble(
  lexical: Lexical,
  conditionals: Conditionals,
  functions: readonly CFunction[],
  hits: readonly RawHit[],
  raw: Raw,
  structs: readonly StructFact[],
  errors: readonly ParseError[],
  wanted: ReadonlySet<string>,
): FileFacts {
  const gfpParameters = new Set(
    functions.flatMap(({ name, parameters }) =>
      parameters.flatMap(({ type }, i) => (/\bgfp_t\b/.test(type) ? [`a:${name}:${i}`] : [])),
    ),
  );
  const kept = pruneFlows(raw.flows, gfpParameters, wanted);
  const calls: Call[] = [];
  const callIndex = new Map<RawCall, number>();
  const indexOf = (call: RawCall | null): number | null => {
    if (call === null) return null;
    const known = callIndex.get(call);
    if (known !== undefined) return known;
    const { callee, offset, fn, args, target } = call;
    calls.push({ callee, line: lineAt(lexical, offset), fn, args, target });
    callIndex.set(call, calls.length - 1);
    return calls.length - 1;
  };
  const flows = [...kept].map((flow: RawFlow): Flow => {
    const { to, expr, offset, call } = flow;
    return { to, expr, line: lineAt(lexical, offset), call: indexOf(call) };
  });
  const wrappers = wrappersOf(raw.flows, functions);
  const asked = new Set([...wrappers, ...[...wanted].map((node) => node.replace(/^w:/, ""))]);
  const wrapped = callsOf(raw.flows, asked).map((call) => indexOf(call));
  const isUser = hits.some(({ word, role }) => FLAGS.has(word) && role === "value");
  const concerned = new Set(functionNames(kept, functions));
  return {
    hits: hits.map((hit) => hitFact(hit, lexical, conditionals, functions, indexOf(hit.call))),
    flows,
    calls,
    touches: isUser
      ? raw.touches.map(({ offset, ...rest }) => ({ ...rest, line: lineAt(lexical, offset) }))
      : [],
    functions: functions
      .filter(({ name }) => concerned.has(name))
      .map(({ name, line, isStatic, parameters }) => ({
        name,
        line,
        isStatic,
        types: parameters.map(({ type }) => type),
      })),
    structs: hits.length > 0 || wanted.size > 0 ? structs : [],
    wrappers: [...wrappers],
    includes: includesOf(lexical.text),
    wrapped: wrapped.filter((index) => index !== null),
    signs: signsOf(lexical),
    errors,
  };
}

function includesOf(text: string): string[] {
  return [...text.matchAll(/^[ \t]*#[ \t]*include[ \t]*(<[^>\n]+>|"[^"\n]+")/gm)].map(
    ([, path = ""]) => path,
  );
}

function functionNames(kept: ReadonlySet<RawFlow>, functions: readonly CFunction[]): string[] {
  const names: string[] = [];
  const known = new Set(functions.map(({ name }) => name));
  for (const { to, expr, call } of kept) {
    for (const node of JSON.stringify([to, expr]).match(/\b[arv]:\w+/g) ?? []) {
      const name = node.slice(2);
      if (known.has(name)) names.push(name);
    }
    if (call?.fn != null) names.push(call.fn);
  }
  return names;
}

function hitFact(
  hit: RawHit,
  lexical: Lexical,
  conditionals: Conditionals,
  functions: readonly CFunction[],
  call: number | null,
): Hit {
  const line = lineAt(lexical, hit.offset);
  const { word, offset, role, macro, conditions, removal } = hit;
  const within = conditionals.configs.filter(([first, last]) => line >= first && line <= last);
  return {
    word,
    line,
    column: offset - (lexical.lineStarts[line - 1] ?? 0) + 1,
    offset,
    role,
    fn: functionAt(functions, offset)?.name ?? null,
    macro,
    conditions,
    configs: within.map(([, , symbol]) => symbol),
    text: lineText(lexical, line).slice(0, 160),
    call,
    removal,
  };
}
