/** Kernel Makefiles: under which symbols an object is built. */
import { both, type Condition, parseCondition, TRUE } from "./kconfig-expr.ts";

/** Conditions of the objects and folders that one Makefile names; several are alternatives. */
export type Objects = ReadonlyMap<string, Condition>;

const ASSIGNMENT =
  /^\s*([\w./-]*?)-(?:\$\(CONFIG_(\w+)\)|(y|m|objs|n|\$\([^)]*\)))\s*[:+?]?=\s*(.*)$/;
const CONDITIONAL = /^\s*(ifeq|ifneq|ifdef|ifndef|else|endif)\b\s*(.*)$/;

/** Objects by name without `.o`, folders with their `/`. */
export function readMakefile(text: string): Objects {
  const direct = new Map<string, Condition>();
  /** Parts of an object, and when each belongs to it. */
  const parts = new Map<string, [part: string, when: Condition][]>();
  const around: Condition[] = [];
  for (const line of text.replace(/\\\n/g, " ").split("\n")) {
    const bare = line.replace(/(^|\s)#.*$/, "");
    if (seeConditional(bare, around)) continue;
    const [, target = "", symbol, fixed, list = ""] = ASSIGNMENT.exec(bare) ?? [];
    if (target === "" || fixed === "n") continue;
    const own: Condition = symbol === undefined ? TRUE : ["sym", symbol];
    const when = both(around.reduce(both, TRUE), own);
    for (const word of list.split(/\s+/)) {
      const isFolder = word.endsWith("/");
      const name = isFolder ? word : /^(.*)\.o$/.exec(word)?.[1];
      if (name === undefined || name === "") continue;
      if (/^(obj|lib|core|drivers|net|libs|subdir)$/.test(target)) add(direct, name, when);
      else parts.set(name, [...(parts.get(name) ?? []), [target, when]]);
    }
  }
  const all = new Map(direct);
  for (const [name, wholes] of parts) {
    if (direct.has(name)) continue;
    for (const [whole, when] of wholes) {
      const condition = conditionOf(whole, direct, parts, 0);
      if (condition !== null) add(all, name, both(condition, when));
    }
  }
  return all;
}

/** Of an object that is part of another one. */
function conditionOf(
  name: string,
  direct: ReadonlyMap<string, Condition>,
  parts: ReadonlyMap<string, readonly (readonly [string, Condition])[]>,
  depth: number,
): Condition | null {
  const known = direct.get(name);
  if (known !== undefined || depth > 4) return known ?? null;
  let all: Condition | null = null;
  for (const [whole, when] of parts.get(name) ?? []) {
    const above = conditionOf(whole, direct, parts, depth + 1);
    if (above === null) continue;
    const one = both(above, when);
    all = all === null ? one : ["or", all, one];
  }
  return all;
}

function add(map: Map<string, Condition>, name: string, when: Condition): void {
  const known = map.get(name);
  if (known === TRUE || when === TRUE) map.set(name, TRUE);
  else map.set(name, known === undefined ? when : ["or", known, when]);
}

/** `ifdef CONFIG_X`, `ifeq ($(CONFIG_X),y)`: what holds inside; anything else may. */
function seeConditional(line: string, around: Condition[]): boolean {
  const [, word, rest = ""] = CONDITIONAL.exec(line) ?? [];
  if (word === undefined) return false;
  if (word === "endif") around.pop();
  else if (word === "else") {
    const last = around.pop() ?? TRUE;
    around.push(["not", last]);
  } else around.push(conditionIn(word, rest));
  return true;
}

function conditionIn(word: string, rest: string): Condition {
  const symbol = /^\(?\s*\$?\(?CONFIG_(\w+)\)?\s*(?:,\s*(y|m|)\s*\)?)?\s*$/.exec(rest);
  if (symbol === null) return ["maybe"];
  const condition = parseCondition(symbol[1] ?? "");
  const isEmpty = symbol[2] === "";
  const turned = word === "ifndef" || (word === "ifneq") !== isEmpty;
  return turned ? ["not", condition] : condition;
}
