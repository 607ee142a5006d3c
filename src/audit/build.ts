/** For each file of a tree: what builds it, where that can be, and why nowhere. */
import type { Architecture, ReadText } from "./buildable.ts";
import type { BuildFact } from "./judgement.ts";
import { both, type Condition, canHold, conditionText, holdsWith, TRUE } from "./kconfig-expr.ts";
import { type Objects, readMakefile } from "./makefile.ts";

export interface BuildPlace {
  readonly architectures: readonly Architecture[];
  readonly read: ReadText;
  /** Symbols of a .config; null without one. */
  readonly config: ReadonlyMap<string, string> | null;
}

/** Paths are relative to the tree's root. */
export function buildFacts(place: BuildPlace): (path: string) => BuildFact | null {
  const makefiles = new Map<string, Objects | null>();
  const known = new Map<string, BuildFact | null>();
  const objectsIn = (folder: string): Objects | null => {
    const before = makefiles.get(folder);
    if (before !== undefined) return before;
    const at = folder === "" ? "" : `${folder}/`;
    const text = place.read(`${at}Kbuild`) ?? place.read(`${at}Makefile`);
    const objects = text === null ? null : readMakefile(text);
    makefiles.set(folder, objects);
    return objects;
  };
  return (path) => {
    const before = known.get(path);
    if (before !== undefined) return before;
    const isObject = path.endsWith(".c");
    const condition = isObject ? conditionOf(path, objectsIn) : isOwned(path, place) ? TRUE : null;
    const fact = condition === null ? null : factOf(condition, place, path);
    known.set(path, fact);
    return fact;
  };
}

/** From the object up to the root; null where no Makefile on the way names it. */
function conditionOf(
  path: string,
  objectsIn: (folder: string) => Objects | null,
): Condition | null {
  const parts = path.replace(/\.c$/, "").split("/");
  let condition: Condition = TRUE;
  let name = parts.pop() ?? "";
  let isFound = false;
  for (;;) {
    const found: Condition | undefined = objectsIn(parts.join("/"))?.get(name);
    if (found !== undefined) condition = both(condition, found);
    isFound ||= found !== undefined;
    const folder = parts.pop();
    // Folders of the root are built always, or by an architecture's own Makefile.
    if (folder === undefined) return isFound ? condition : null;
    name = found !== undefined ? `${folder}/` : `${folder}/${name}`;
  }
}

function factOf(
  condition: Condition,
  { architectures, config }: BuildPlace,
  path: string,
): BuildFact {
  const asked = architecturesFor(path, architectures);
  const can = asked.filter(({ possible }) => canHold(condition, possible));
  return {
    condition: conditionText(condition),
    architectures: can.map(({ name }) => name),
    deadBecause: can.length > 0 ? null : deadBecause(condition, asked),
    isBuilt: config === null ? null : holdsWith(condition, config),
    needsIsa: can.length > 0 && !can.some(({ withoutIsa }) => canHold(condition, withoutIsa())),
  };
}

/** Whether a header is for some architectures only. */
function isOwned(path: string, { architectures }: BuildPlace): boolean {
  return architecturesFor(path, architectures) !== architectures;
}

/** An architecture's own files, and folders that only it builds. */
function architecturesFor(path: string, all: readonly Architecture[]): readonly Architecture[] {
  const own = /^arch\/([^/]+)\//.exec(path)?.[1];
  if (own !== undefined) return all.filter(({ name }) => name === own);
  const owners = all.filter(({ folders }) => folders.some((folder) => path.startsWith(folder)));
  return owners.length > 0 ? owners : all;
}

/** The first symbol of the condition that can be on nowhere. */
function deadBecause(condition: Condition, architectures: readonly Architecture[]): string {
  const missing = symbolsOf(condition).find(
    (symbol) => !architectures.some(({ possible }) => possible.on(symbol)),
  );
  return missing === undefined
    ? `${conditionText(condition)} cannot hold on any architecture`
    : `CONFIG_${missing} can be set on no architecture: what it depends on is BROKEN, not defined, or excluded`;
}

function symbolsOf(condition: Condition): string[] {
  switch (condition[0]) {
    case "sym":
      return [condition[1]];
    case "not":
      return [];
    case "and":
    case "or":
      return [...symbolsOf(condition[1]), ...symbolsOf(condition[2])];
    default:
      return [];
  }
}
