/**
 * Of all flows of a file those that can matter: on a way from a flag or mask onward, or on a way
 * back from an argument that takes one. The others are most of a driver.
 */
import { ALLOCATORS } from "./allocators.ts";
import { hasSource, refsOf } from "./expr.ts";
import type { RawCall, RawFlow } from "./raw.ts";
import { MASK_CALLS, MASK_FIELDS, PLAIN_FIELDS } from "./words.ts";

/** Names of fields, macros and variables that are worth following though no flag is in sight. */
const TELLING = /gfp|GFP|dma_?(mask|bits|width)|addr_?(bits|width)|DMA_?(MASK|BITS|WIDTH)/;

/** `wanted` are nodes that other files asked for. */
export function pruneFlows(
  flows: readonly RawFlow[],
  gfpParameters: ReadonlySet<string>,
  wanted: ReadonlySet<string>,
): ReadonlySet<RawFlow> {
  const kept = new Set<RawFlow>();
  const refs = new Map<RawFlow, readonly string[]>();
  const byTarget = new Map<string, RawFlow[]>();
  const bySource = new Map<string, RawFlow[]>();
  // Sets grow while they are walked, and each node is in one once: both walks end.
  const forward = new Set<string>(gfpParameters);
  const back = new Set<string>();
  const sizes = sizesByCall(flows);
  for (const flow of flows) {
    const from = refsOf(flow.expr);
    refs.set(flow, from);
    add(byTarget, flow.to, flow);
    for (const node of from) add(bySource, node, flow);
    const isSource = hasSource(flow.expr) || from.some((node) => wanted.has(node));
    // A mask is worth knowing whatever it is; a flag that is constant and no zone's is not.
    const isAsked = isMaskNode(flow.to) || wanted.has(flow.to) || isTableWidth(flow);
    const isSink = from.length > 0 && isSinkNode(flow.to);
    if (isSource || isAsked || isSink || from.some(isTelling)) keep(flow);
  }
  for (const flow of storesOf(flows, kept)) kept.add(flow);
  for (let before = -1; before !== kept.size; ) {
    before = kept.size;
    for (const node of forward) for (const flow of bySource.get(node) ?? []) keep(flow);
    for (const node of back) for (const flow of byTarget.get(node) ?? []) keep(flow);
  }
  return kept;

  function keep(flow: RawFlow): void {
    if (kept.has(flow)) return;
    kept.add(flow);
    const isSource = hasSource(flow.expr);
    if (isSource || gfpParameters.size > 0 || wanted.size > 0) {
      if (!isLeaf(flow.to)) forward.add(flow.to);
    }
    const size = flow.call === null ? undefined : sizes.get(flow.call);
    for (const one of size ?? []) {
      kept.add(one);
      for (const node of refsOf(one.expr)) back.add(node);
    }
    if (isSinkNode(flow.to) || flow.to.startsWith("v:") || flow.to.startsWith("r:")) {
      for (const node of refs.get(flow) ?? []) back.add(node);
    }
  }
}

/** Where what the kept calls gave is stored as it is: a buffer's next name. */
function storesOf(flows: readonly RawFlow[], kept: ReadonlySet<RawFlow>): RawFlow[] {
  const given = new Set<string>();
  for (const { call } of kept) {
    const isTaken = call !== null && call.target !== null && ALLOCATORS.has(call.callee);
    if (isTaken && call.target?.startsWith("v:") === true) given.add(call.target);
  }
  return flows.filter(({ to, expr }) => {
    return to.startsWith("f:") && expr[0] === "ref" && given.has(expr[1]);
  });
}

/** Of each allocation the arguments that say how much. */
function sizesByCall(flows: readonly RawFlow[]): ReadonlyMap<RawCall, readonly RawFlow[]> {
  const found = new Map<RawCall, RawFlow[]>();
  for (const flow of flows) {
    const allocator = flow.call === null ? undefined : ALLOCATORS.get(flow.call.callee);
    if (flow.call === null || allocator === undefined) continue;
    const place = Number(flow.to.split(":")[2]);
    if (!allocator.size.includes(place) && allocator.order !== place) continue;
    const list = found.get(flow.call);
    if (list === undefined) found.set(flow.call, [flow]);
    else list.push(flow);
  }
  return found;
}

/** Nothing in this file goes on from there: an argument of a function that it does not define. */
function isLeaf(node: string): boolean {
  return node.startsWith("a:") && isSinkNode(node);
}

/** An argument or field that takes flags or a mask. */
export function isSinkNode(node: string): boolean {
  const [, kind = "", name = "", place = ""] = /^([afg]):([^:]+)(?::(\d+))?$/.exec(node) ?? [];
  if (kind === "f" || kind === "g") return MASK_FIELDS.has(name) || PLAIN_FIELDS.has(name);
  const at = ALLOCATORS.get(name)?.gfp ?? MASK_CALLS.get(name);
  return at !== undefined && String(at) === place;
}

/** An item of a table whose struct is elsewhere, and which can be a number of address bits. */
function isTableWidth({ to, expr }: RawFlow): boolean {
  return to.startsWith("s:") && expr[0] === "num" && /^(2[4-9]|[3-5]\d|6[0-4])$/.test(expr[1]);
}

function isMaskNode(node: string): boolean {
  const [, name = "", place = ""] = node.split(":");
  return node.startsWith("a:") && String(MASK_CALLS.get(name)) === place;
}

function isTelling(node: string): boolean {
  return /^[fgm]:/.test(node) && TELLING.test(node);
}

function add(map: Map<string, RawFlow[]>, key: string, flow: RawFlow): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [flow]);
  else list.push(flow);
}
