/**
 * The files' facts as one graph: where a value comes from and where it goes, inside a file first,
 * then across files by name. A name is looked up near before far: its own file, its folder, all.
 */
import { flagsOf, refsOf } from "./expr.ts";
import type { Call, FileFacts, Flow } from "./facts.ts";

/** A flow and the file it is in. */
export interface FlowAt {
  readonly file: string;
  readonly flow: Flow;
}

/** A node as one file names it. */
export interface NodeAt {
  readonly file: string;
  readonly node: string;
}

export interface Graph {
  readonly facts: ReadonlyMap<string, FileFacts>;
  /** Flows into a node, by where they are. */
  readonly into: ReadonlyMap<string, readonly FlowAt[]>;
  /** Flows that read a node. */
  readonly outOf: ReadonlyMap<string, readonly FlowAt[]>;
  /** Flows that a flag is written in: file, then index of the hit. */
  readonly byFlag: ReadonlyMap<string, ReadonlyMap<number, readonly Flow[]>>;
  /** Flows into a node in a line of a file, by `node line`. */
  readonly byLine: ReadonlyMap<string, ReadonlyMap<string, readonly Flow[]>>;
  /** Answers of `usersOf` so far: a node is asked for once for each flag that reaches it. */
  readonly users: Map<string, readonly FlowAt[]>;
  /** Files that define a function; static ones of .c files are their file's own. */
  readonly definedIn: ReadonlyMap<string, readonly string[]>;
  readonly statics: ReadonlyMap<string, ReadonlySet<string>>;
  /** Folders with so many files that a field's name there is several fields. */
  readonly flat: ReadonlySet<string>;
}

export function graphOf(facts: ReadonlyMap<string, FileFacts>): Graph {
  const into = new Map<string, FlowAt[]>();
  const outOf = new Map<string, FlowAt[]>();
  const byFlag = new Map<string, Map<number, Flow[]>>();
  const byLine = new Map<string, ReadonlyMap<string, readonly Flow[]>>();
  const definedIn = new Map<string, string[]>();
  const statics = new Map<string, Set<string>>();
  const structs = structsOf(facts);
  for (const [file, { flows, functions, structs: own }] of facts) {
    const flags = new Map<number, Flow[]>();
    const lines = new Map<string, Flow[]>();
    byFlag.set(file, flags);
    byLine.set(file, lines);
    const byTag = new Map(own.map((one) => [one.name, one.fields]));
    for (const written of flows) {
      const flow = named(written, (tag) => byTag.get(tag) ?? structs.get(tag));
      const at: FlowAt = { file, flow };
      push(into, flow.to, at);
      push(lines, `${flow.to} ${flow.line}`, flow);
      for (const node of new Set(refsOf(flow.expr))) push(outOf, node, at);
      for (const flag of flagsOf(flow.expr)) push(flags, flag, flow);
    }
    const mine = new Set<string>();
    for (const { name, isStatic } of functions) {
      if (isStatic && !file.endsWith(".h")) mine.add(name);
      else push(definedIn, name, file);
    }
    statics.set(file, mine);
  }
  const users = new Map<string, readonly FlowAt[]>();
  const flat = flatFolders(facts);
  return { facts, into, outOf, byFlag, byLine, users, definedIn, statics, flat };
}

/** A subsystem's folder holds many drivers, a driver's own few files. */
const FILES_OF_A_DRIVER = 24;

function flatFolders(facts: ReadonlyMap<string, FileFacts>): ReadonlySet<string> {
  const counts = new Map<string, number>();
  for (const file of facts.keys()) {
    const folder = folderOf(file);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return new Set([...counts].filter(([, n]) => n > FILES_OF_A_DRIVER).map(([folder]) => folder));
}

type Fields = readonly { readonly name: string }[];

/** Structs by tag; a tag that two files give different fields is nobody's. */
function structsOf(facts: ReadonlyMap<string, FileFacts>): ReadonlyMap<string, Fields> {
  const found = new Map<string, Fields>();
  for (const { structs } of facts.values()) {
    for (const { name, fields } of structs) {
      const other = found.get(name);
      const isSame = other === undefined || other.map(nameOf).join() === fields.map(nameOf).join();
      found.set(name, isSame ? fields : []);
    }
  }
  return found;
}

function nameOf({ name }: { readonly name: string }): string {
  return name;
}

/** Item 3 of a struct whose fields are known is a field with a name. */
function named(flow: Flow, fieldsOf: (tag: string) => Fields | undefined): Flow {
  const [, tag = "", place = ""] = /^s:(\w+):(\d+)$/.exec(flow.to) ?? [];
  const field = fieldsOf(tag)?.[Number(place)];
  return field === undefined ? flow : { ...flow, to: `f:${field.name}` };
}

/** Where the value of a node can come from. Empty: nobody said. */
export function sourcesOf(graph: Graph, { file, node }: NodeAt): readonly FlowAt[] {
  const all = graph.into.get(node) ?? [];
  return near(all, file, node, graph);
}

/** Where a node's value is used; of arguments, in the functions that have them. */
export function usersOf(graph: Graph, { file, node }: NodeAt): readonly FlowAt[] {
  const key = `${file} ${node}`;
  const known = graph.users.get(key);
  if (known !== undefined) return known;
  const found = near(graph.outOf.get(node) ?? [], file, node, graph);
  graph.users.set(key, found);
  return found;
}

/** Flows into a node that are written in one line of a file. */
export function flowsInLine(
  graph: Graph,
  file: string,
  node: string,
  line: number,
): readonly Flow[] {
  return graph.byLine.get(file)?.get(`${node} ${line}`) ?? [];
}

export function callOf(graph: Graph, { file, flow }: FlowAt): Call | null {
  if (flow.call === null) return null;
  return graph.facts.get(file)?.calls[flow.call] ?? null;
}

/** More files than that for one name: it is several names. */
const MOST_FILES = 12;

function near(all: readonly FlowAt[], file: string, node: string, graph: Graph): readonly FlowAt[] {
  const own = all.filter((at) => at.file === file);
  const kind = node[0];
  if (kind === "v" || isOwn(graph, file, node)) return own;
  // Callers are everywhere; a variable, a field or a macro is the one that is nearest.
  if ((kind === "a" || kind === "r") && all.length > 0) return reachable(all, file, node, graph);
  if (own.length > 0 && !(kind === "f" && isTelling(node))) return own;
  if (kind === "f" && (node === "f:coherent_dma_mask" || graph.flat.has(folderOf(file)))) {
    return isTelling(node) ? all : [];
  }
  // What a .c file defines as a macro, no other file sees.
  const seen = kind === "m" ? all.filter((at) => at.file.endsWith(".h")) : all;
  const beside = seen.filter((at) => isBeside(at.file, file));
  if (beside.length > 0 && !isTelling(node)) return beside;
  if (kind === "f" && !isTelling(node)) return [];
  const files = new Set(seen.map((at) => at.file));
  return files.size <= MOST_FILES || isTelling(node) ? seen : [];
}

/** The same folder, or one below the other: a driver in several folders. */
function isBeside(a: string, b: string): boolean {
  const [one, other] = [folderOf(a), folderOf(b)];
  return one.startsWith(other) || other.startsWith(one);
}

/** Not the flows of other files that have a static function of that name. */
function reachable(
  all: readonly FlowAt[],
  file: string,
  node: string,
  graph: Graph,
): readonly FlowAt[] {
  return all.filter((at) => at.file === file || !isOwn(graph, at.file, node));
}

function isOwn(graph: Graph, file: string, node: string): boolean {
  const name = node.split(":")[1] ?? "";
  return (node[0] === "a" || node[0] === "r") && graph.statics.get(file)?.has(name) === true;
}

/** Fields that mean the same wherever they are written. */
function isTelling(node: string): boolean {
  return /^f:\w*gfp/.test(node);
}

export function folderOf(file: string): string {
  return file.slice(0, file.lastIndexOf("/") + 1);
}

function push<K, T>(map: Map<K, T[]>, key: K, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
