/**
 * Facts of all files in, uses with verdicts out. One use for each tracked word of the text, and one
 * for each call that a flag reaches by another way than its own line.
 */
import { ALLOCATORS, type Family } from "./allocators.ts";
import { directionOf } from "./direction.ts";
import { flagsOf } from "./expr.ts";
import { type Call, type FileFacts, type Flow, type Hit, NO_FACTS, type Touch } from "./facts.ts";
import { flowsInLine, folderOf, type Graph, graphOf, type NodeAt, usersOf } from "./graph.ts";
import type { BuildFact, Case, Judgement } from "./judgement.ts";
import { type MaskValue, maskValue } from "./mask-value.ts";
import { type Reach, reachOf, type Sink } from "./reach.ts";
import { RULES } from "./rules/index.ts";
import { sizeOf } from "./size.ts";
import type { Place, Use } from "./use.ts";
import { FLAGS, MASK_CALLS, MASK_FIELDS, zoneOf } from "./words.ts";

/** What Kconfig says of a file; null where it was not read. */
export type BuildOf = (file: string) => BuildFact | null;

const UNSAID: Judgement = {
  category: "other",
  verdict: "review",
  group: "unknown",
  why: "no rule speaks of it",
  fix: "",
  confidence: "low",
};
const NOWHERE: Reach = { sinks: [], ends: [] };
const REACHES_SHOWN = 12;
const SINKS_TOUCHED = 8;
/** What is larger cannot bounce: without its flag it might not be mapped. Linux: IO_TLB_SEGSIZE */
const LARGEST_BOUNCE = 256 * 1024;
/** A mask that leaves nothing out. */
const FULL_BITS = 64;
/** A folder with more files that set masks is no one driver: it says nothing of its other files. */
const FILES_OF_A_DRIVER = 4;

/** `isAsked` leaves out files that only answer for others: headers outside of what is audited. */
export function auditFacts(
  facts: ReadonlyMap<string, FileFacts>,
  buildOf: BuildOf,
  isAsked: (file: string) => boolean = () => true,
): Use[] {
  const graph = graphOf(facts);
  const masks = masksByFile(graph);
  const uses: Use[] = [];
  const textLines = new Set<string>();
  const derived: Use[] = [];
  for (const [file, one] of facts) {
    if (!isAsked(file)) continue;
    for (const [index, hit] of one.hits.entries()) {
      if (!isUse(graph, file, hit)) continue;
      const use = caseOf(graph, file, index, hit, masks, buildOf);
      textLines.add(`${file}:${hit.line}`);
      const made = useOf(graph, use);
      uses.push(made);
      derived.push(...derivedUses(graph, use, made));
    }
  }
  const seen = new Set<string>();
  for (const use of derived) {
    const key = `${use.file}:${use.line}:${use.allocator}`;
    if (!isAsked(use.file) || seen.has(key) || textLines.has(`${use.file}:${use.line}`)) continue;
    seen.add(key);
    uses.push(use);
  }
  return uses.sort((a, b) => compare(a.file, b.file) || a.line - b.line || a.column - b.column);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A flag anywhere; other words only where they do something, and a mask only below 64 bits. */
function isUse(graph: Graph, file: string, hit: Hit): boolean {
  if (FLAGS.has(hit.word)) return true;
  if (hit.role !== "call" && hit.role !== "set") return false;
  const mask = maskOf(graph, file, hit);
  if (mask === null) return true;
  // A field of that name can be many things; a call cannot.
  if (mask.bits.length === 0) return hit.role === "call";
  return mask.bits.some((width) => width < FULL_BITS);
}

/** Widths below 64 that a file gives its devices; a folder's where the file gives none. */
function masksByFile(graph: Graph): (file: string) => readonly number[] {
  const byFile = new Map<string, number[]>();
  const byFolder = new Map<string, number[]>();
  const files = new Map<string, number>();
  for (const [file, { hits }] of graph.facts) {
    const folder = folderOf(file);
    if (hits.some(isMask)) files.set(folder, (files.get(folder) ?? 0) + 1);
    for (const hit of hits) {
      if (!isMask(hit) || (hit.role !== "call" && hit.role !== "set")) continue;
      const bits = maskOf(graph, file, hit)?.bits ?? [];
      for (const map of [byFile, byFolder]) {
        const key = map === byFile ? file : folder;
        map.set(key, [...(map.get(key) ?? []), ...bits.filter((width) => width < 64)]);
      }
    }
  }
  return (file) => {
    const folder = folderOf(file);
    const isDriver = (files.get(folder) ?? 0) <= FILES_OF_A_DRIVER;
    return byFile.get(file) ?? (isDriver ? byFolder.get(folder) : undefined) ?? [];
  };
}

function isMask({ word }: Hit): boolean {
  return MASK_CALLS.has(word) || MASK_FIELDS.has(word);
}

/** Null where the use is no mask. */
function maskOf(graph: Graph, file: string, hit: Hit): MaskValue | null {
  if (!isMask(hit)) return null;
  const place = MASK_CALLS.get(hit.word);
  const node = place === undefined ? `f:${hit.word}` : `a:${hit.word}:${place}`;
  const flow = flowsInLine(graph, file, node, hit.line).find(
    ({ call }) => place === undefined || call === hit.call,
  );
  if (flow === undefined) return { bits: [], isOpen: true, missing: [], from: [] };
  return maskValue(graph, file, flow.expr);
}

function caseOf(
  graph: Graph,
  file: string,
  index: number,
  hit: Hit,
  masks: (file: string) => readonly number[],
  buildOf: BuildOf,
): Case {
  const facts = graph.facts.get(file);
  const reach = hit.role === "value" ? reachOf(graph, file, index) : NOWHERE;
  const known = reach.sinks.filter(({ isKnown }) => isKnown);
  const families = new Set<Family>();
  for (const { call } of known) {
    const family = ALLOCATORS.get(call.callee)?.family;
    if (family !== undefined) families.add(family);
  }
  return {
    file,
    hit,
    facts: facts ?? NO_FACTS,
    zone: zoneOf(hit.word),
    reach,
    sink: known[0] ?? reach.sinks[0] ?? null,
    families,
    touches: touchesOf(graph, file, known),
    masks: masks(file),
    mask: maskOf(graph, file, hit),
    hasBoth: hasBoth(graph, file, index, hit),
    build: buildOf(file),
  };
}

/** The other zone's flag in one expression with this one. */
function hasBoth(graph: Graph, file: string, index: number, { word }: Hit): boolean {
  const hits = graph.facts.get(file)?.hits ?? [];
  const flows = graph.byFlag.get(file)?.get(index) ?? [];
  return flows.some(
    ({ expr }) =>
      isTogether(expr, index) &&
      flagsOf(expr).some(
        (other) => isTogether(expr, other) && zoneOf(hits[other]?.word ?? "") !== zoneOf(word),
      ),
  );
}

/** Whether a flag is in the expression on every way: not in one half of a `?:`. */
function isTogether(expr: Flow["expr"], flag: number): boolean {
  if (expr[0] === "flag") return expr[1] === flag;
  if (expr[0] !== "op" || expr[1] !== "|") return false;
  return isTogether(expr[2], flag) || isTogether(expr[3], flag);
}

/** Calls that name what the allocations gave. */
function touchesOf(graph: Graph, file: string, sinks: readonly Sink[]): Touch[] {
  const found: Touch[] = [];
  for (const { call, file: at } of sinks.slice(0, SINKS_TOUCHED)) {
    if (call.target === null) continue;
    for (const name of aliasesOf(graph, { file: at, node: call.target })) {
      const isLocal = name.startsWith("v:");
      const last = name.split(":").at(-1) ?? "";
      for (const touch of graph.facts.get(at)?.touches ?? []) {
        if (!touch.names.includes(last) || (isLocal && touch.fn !== call.fn)) continue;
        found.push(touch);
      }
    }
    if (at !== file) break;
  }
  return found;
}

/** A buffer's other names: what its variable is stored in next. */
function aliasesOf(graph: Graph, at: NodeAt): string[] {
  const next = usersOf(graph, at)
    .filter(({ file, flow }) => file === at.file && /^[fv]:/.test(flow.to))
    .map(({ flow }) => flow.to);
  return [at.node, ...next];
}

function judge(use: Case): Judgement & { readonly rule: string } {
  for (const [rule, ask] of RULES) {
    const said = ask(use);
    if (said !== null) return { ...said, rule };
  }
  return { ...UNSAID, rule: "none" };
}

function useOf(graph: Graph, one: Case): Use {
  const { file, hit, sink, mask, build } = one;
  const { dropsFlag, ...said } = judge(one);
  const isCall = hit.role === "call" && hit.call !== null;
  const own: Call | null = isCall ? (one.facts.calls[hit.call ?? -1] ?? null) : null;
  const size = sink === null ? null : sizeOf(graph, sink);
  return {
    file,
    line: hit.line,
    column: hit.column,
    flag: hit.word,
    textual: true,
    function: hit.fn ?? hit.macro,
    allocator: sink?.call.callee ?? (own === null ? null : own.callee),
    ...said,
    bits: mask?.bits ?? [],
    via: (sink?.via ?? []).map(placeOf),
    reaches: one.reach.sinks.slice(0, REACHES_SHOWN).map(sinkPlace),
    config: build?.condition ?? null,
    architectures: build?.architectures ?? null,
    isBuilt: build?.isBuilt ?? null,
    size,
    device: { bits: [...new Set(one.masks)].sort((a, b) => a - b), direction: directionOf(one) },
    removal: dropsFlag === true && isWhole(one, size?.bytes ?? null) ? hit.removal : null,
    text: hit.text,
  };
}

/** Whether all that takes the flag is known: else dropping it may change what nobody looked at. */
function isWhole({ reach, hit, sink, families }: Case, bytes: number | null): boolean {
  if (!families.has("dma") && (bytes ?? 0) > LARGEST_BOUNCE) return false;
  // A flag alone is replaced where it is an allocator's own argument: elsewhere it may be a part.
  const isOwn = hit.removal?.text === "" || sink?.via.length === 0;
  return isOwn && reach.ends.length === 0 && reach.sinks.every(({ isKnown }) => isKnown);
}

function placeOf({ file, line, node }: Sink["via"][number]): Place {
  return { file, line, what: node };
}

function sinkPlace({ file, line, call }: Sink): Place {
  return { file, line, what: call.callee };
}

/** Calls elsewhere that get the flag for certain: through a variable, field, macro or a wrapper. */
function derivedUses(graph: Graph, one: Case, made: Use): Use[] {
  if (made.group === "no-use" || one.hit.role !== "value") return [];
  const found: Use[] = [];
  const reached = one.reach.sinks.filter(
    ({ isKnown, via }) =>
      isKnown && via.length > 0 && !via.some(({ node }) => node.startsWith("a:")),
  );
  const push = (
    file: string,
    line: number,
    callee: string,
    from: string,
    fn: string | null,
  ): void => {
    found.push({
      ...made,
      file,
      line,
      column: 1,
      textual: false,
      function: fn,
      allocator: callee,
      why: `${from} brings ${one.hit.word} of ${one.file}:${one.hit.line}: ${made.why}`,
      removal: null,
      text: "",
    });
  };
  for (const { file, line, call, via } of reached) {
    const last = via.at(-1)?.node.split(":").at(-1) ?? "the expression";
    if (file !== one.file || line !== one.hit.line) push(file, line, call.callee, last, call.fn);
  }
  for (const { file, call } of callersOf(graph, one)) {
    push(file, call.line, call.callee, `${call.callee}()`, call.fn);
  }
  return found;
}

/** Calls of the function or macro that hands the flagged memory on. */
function callersOf(graph: Graph, one: Case): { file: string; call: Call }[] {
  const wrapper = one.reach.sinks.find(({ call }) => one.facts.wrappers.includes(call.fn ?? ""));
  const name = wrapper?.call.fn ?? null;
  if (name === null) return [];
  const isOwn = graph.statics.get(one.file)?.has(name) === true;
  const files = isOwn ? [one.file] : [...graph.facts.keys()];
  return files.flatMap((file) => {
    const facts = graph.facts.get(file);
    const isOther = file !== one.file && graph.statics.get(file)?.has(name) === true;
    if (facts === undefined || isOther) return [];
    return facts.wrapped
      .map((index) => facts.calls[index])
      .filter((call) => call !== undefined)
      .filter(({ callee }) => callee === name)
      .map((call) => ({ file, call }));
  });
}
