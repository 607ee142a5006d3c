/** Where a flag ends up: from its line through variables, fields, macros and arguments to allocators. */
import { ALLOCATORS } from "./allocators.ts";
import type { Call, Flow } from "./facts.ts";
import { callOf, type FlowAt, type Graph, type NodeAt, usersOf } from "./graph.ts";

/** A step of a value's way: what it went through, and where. */
export interface Step {
  readonly file: string;
  readonly line: number;
  readonly node: string;
}

/** A call that takes the flag. */
export interface Sink {
  readonly file: string;
  readonly line: number;
  readonly call: Call;
  /** False where nobody knows what the callee does with it. */
  readonly isKnown: boolean;
  readonly via: readonly Step[];
}

export interface Reach {
  readonly sinks: readonly Sink[];
  /** Last nodes of ways that end nowhere: a field that nobody reads here. */
  readonly ends: readonly NodeAt[];
}

const MOST_SINKS = 40;
const MOST_STEPS = 400;

export function reachOf(graph: Graph, file: string, hit: number): Reach {
  const first = graph.byFlag.get(file)?.get(hit) ?? [];
  const queue: { at: FlowAt; via: readonly Step[] }[] = first.map((flow) => ({
    at: { file, flow },
    via: [],
  }));
  const seen = new Set<Flow>(first);
  const sinks: Sink[] = [];
  const ends: NodeAt[] = [];
  for (let i = 0; i < queue.length && i < MOST_STEPS && sinks.length < MOST_SINKS; i++) {
    const { at, via } = queue[i] ?? { at: null, via: [] };
    if (at === null) break;
    const sink = sinkOf(graph, at, via);
    if (sink?.isKnown === true) {
      sinks.push(sink);
      continue;
    }
    const node: NodeAt = { file: at.file, node: at.flow.to };
    const next = nextOf(usersOf(graph, node), seen);
    if (sink !== null && next.length === 0) sinks.push(sink);
    else if (next.length === 0) ends.push(node);
    for (const one of next) {
      seen.add(one.flow);
      const step: Step = { file: at.file, line: at.flow.line, node: at.flow.to };
      queue.push({ at: one, via: [...via, step] });
    }
  }
  return { sinks, ends };
}

/** Not gone yet, as many as are ever followed. */
function nextOf(users: readonly FlowAt[], seen: ReadonlySet<Flow>): FlowAt[] {
  const next: FlowAt[] = [];
  for (const user of users) {
    if (next.length === MOST_STEPS) break;
    if (!seen.has(user.flow)) next.push(user);
  }
  return next;
}

function sinkOf(graph: Graph, at: FlowAt, via: readonly Step[]): Sink | null {
  const call = callOf(graph, at);
  if (call === null || !at.flow.to.startsWith("a:")) return null;
  const [, name = "", place = ""] = at.flow.to.split(":");
  const allocator = ALLOCATORS.get(name);
  const isKnown = allocator !== undefined && String(allocator.gfp) === place;
  return { file: at.file, line: at.flow.line, call, isKnown, via };
}
