/** Functions that hide a zone flag from their callers: they ask for the memory and return it. */
import { flagsOf, refsOf } from "./expr.ts";
import type { CFunction } from "./functions.ts";
import type { RawCall, RawFlow } from "./raw.ts";

/** Names of functions and macros of this file whose result is memory of a flagged call. */
export function wrappersOf(
  flows: readonly RawFlow[],
  functions: readonly CFunction[],
): ReadonlySet<string> {
  const returned = new Set<string>();
  for (const { to, expr } of flows)
    if (to.startsWith("r:")) for (const ref of refsOf(expr)) returned.add(ref);
  const names = new Set<string>();
  for (const { expr, call } of flows) {
    const target = call?.target ?? null;
    if (call === null || call.fn === null || flagsOf(expr).length === 0) continue;
    const own = target?.startsWith("v:") === true && returned.has(target);
    // A macro has no `return`: its value is the call.
    const isMacro = !functions.some(({ name }) => name === call.fn);
    if (target === `r:${call.fn}` || own || isMacro) names.add(call.fn);
  }
  return names;
}

/** Calls of any of `names`, each once. */
export function callsOf(flows: readonly RawFlow[], names: ReadonlySet<string>): RawCall[] {
  const found = new Set<RawCall>();
  for (const { call } of flows) if (call !== null && names.has(call.callee)) found.add(call);
  return [...found];
}
