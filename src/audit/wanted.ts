/**
 * What a file's facts leave open and another file may answer: a field that nobody here reads or
 * writes, a function defined elsewhere, callers of one that is. Asked for by name, near by.
 */
import { ALLOCATORS } from "./allocators.ts";
import type { FileFacts, Hit } from "./facts.ts";
import { folderOf, type Graph, graphOf } from "./graph.ts";
import { maskValue } from "./mask-value.ts";
import { reachOf } from "./reach.ts";
import { FLAGS, MASK_CALLS } from "./words.ts";

export interface Wanted {
  readonly node: string;
  /** The word that an answer must hold. */
  readonly word: string;
  /** Answers are looked for below this folder; "" is everywhere. */
  readonly folder: string;
  /** Files that ask: what they include may answer. */
  readonly askers: readonly string[];
}

/** Shorter names are everybody's. */
const SHORTEST = 4;

export function wantedOf(facts: ReadonlyMap<string, FileFacts>): Wanted[] {
  const graph = graphOf(facts);
  const found = new Map<string, Wanted & { askers: string[] }>();
  const want = (file: string, node: string): void => {
    const word = wordOf(node);
    if (word === null) return;
    const folder = scopeOf(file);
    const known = found.get(`${node} ${folder}`);
    if (known !== undefined) known.askers.push(file);
    else found.set(`${node} ${folder}`, { node, word, folder, askers: [file] });
  };
  for (const [file, one] of facts) {
    for (const name of one.wrappers) {
      if (graph.statics.get(file)?.has(name) !== true) want(file, `w:${name}`);
    }
    if (one.hits.some(({ word }) => MASK_CALLS.has(word))) {
      for (const { to } of one.flows) if (to.startsWith("s:")) want(file, to);
    }
    for (const [index, hit] of one.hits.entries()) {
      if (FLAGS.has(hit.word)) wantEnds(graph, file, index, hit, want);
      else if (MASK_CALLS.has(hit.word)) wantValues(graph, file, hit, want);
    }
  }
  return [...found.values()].sort((a, b) => (a.node < b.node ? -1 : 1));
}

type Want = (file: string, node: string) => void;

function wantEnds(graph: Graph, file: string, index: number, hit: Hit, want: Want): void {
  if (hit.role !== "value") return;
  const { sinks, ends } = reachOf(graph, file, index);
  for (const { file: at, node } of ends) want(at, node);
  for (const { call, isKnown, file: at } of sinks) {
    if (isKnown || ALLOCATORS.has(call.callee)) continue;
    for (const flow of graph.facts.get(at)?.flows ?? []) {
      if (flow.to.startsWith(`a:${call.callee}:`) && flow.line === call.line) want(at, flow.to);
    }
  }
}

function wantValues(graph: Graph, file: string, hit: Hit, want: Want): void {
  const to = `a:${hit.word}:${MASK_CALLS.get(hit.word)}`;
  const flow = graph.facts.get(file)?.flows.find((one) => one.call === hit.call && one.to === to);
  if (flow === undefined) return;
  for (const { file: at, node } of maskValue(graph, file, flow.expr).missing) want(at, node);
}

function wordOf(node: string): string | null {
  const [, kind = "", name = ""] = /^([afgmrsw]):([A-Za-z_]\w*)/.exec(node) ?? [];
  if (name.length < SHORTEST || (kind === "f" && /^(flags|data|info|priv|ops|conf)$/.test(name))) {
    return null;
  }
  return name;
}

/** The file's own folder; everywhere for what an include folder declares. */
function scopeOf(file: string): string {
  const folder = folderOf(file);
  return /(^|\/)include\//.test(folder) ? "" : folder;
}
