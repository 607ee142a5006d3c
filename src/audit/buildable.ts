/**
 * Which symbols can be on, architecture by architecture: the least set that is closed under "its
 * conditions can hold, and somebody can turn it on". Symbols count as independent, so what is called
 * dead is dead in every configuration, and some dead code is not found.
 */
import { type KconfigFile, readKconfig, type SymbolDefinition } from "./kconfig.ts";
import { both, type Condition, canHold, type Possible, TRUE } from "./kconfig-expr.ts";

/** The text of a file of the tree; null where there is none. */
export type ReadText = (path: string) => string | null;

export interface Architecture {
  readonly name: string;
  readonly possible: Possible;
  /** The same were there no ISA; settled when first asked. */
  readonly withoutIsa: () => Possible;
  /** Folders that only this architecture's own Makefile builds: `drivers/s390/`. */
  readonly folders: readonly string[];
}

const ISA: ReadonlySet<string> = new Set([
  "ISA",
  "ISA_BUS",
  "ISA_BUS_API",
  "ISA_DMA_API",
  "GENERIC_ISA_DMA",
]);
const NONE: ReadonlySet<string> = new Set();

/** What a tree's Kconfig says: once parsed, each architecture is asked on its own. */
export function architecturesOf(names: readonly string[], read: ReadText): Architecture[] {
  // A part of a tree: what it does not define is defined elsewhere.
  const isWhole = names.length > 0;
  const parsed = new Map<string, KconfigFile | null>();
  const fileAt = (path: string): KconfigFile | null => {
    const known = parsed.get(path);
    if (known !== undefined) return known;
    const text = read(path);
    const file = text === null ? null : readKconfig(text);
    parsed.set(path, file);
    return file;
  };
  return (isWhole ? names : ["any"]).map((name) => {
    const symbols = symbolsOf(name, fileAt);
    let without: Possible | null = null;
    return {
      name,
      possible: settle(symbols, NONE, isWhole),
      withoutIsa: () => {
        without ??= settle(symbols, ISA, isWhole);
        return without;
      },
      folders: foldersOf(read(`arch/${name}/Makefile`) ?? ""),
    };
  });
}

/** `drivers-y += drivers/s390/`. */
function foldersOf(makefile: string): string[] {
  return [...makefile.matchAll(/^(?:drivers|core|net)-\S+\s*[:+]?=\s*(.*)$/gm)].flatMap(
    ([, list = ""]) => list.split(/\s+/).filter((word) => /^(drivers|net|sound)\/.*\/$/.test(word)),
  );
}

interface Symbols {
  readonly definitions: ReadonlyMap<string, readonly SymbolDefinition[]>;
  readonly selectors: ReadonlyMap<string, readonly { by: Condition; when: Condition }[]>;
}

function symbolsOf(arch: string, fileAt: (path: string) => KconfigFile | null): Symbols {
  const definitions = new Map<string, SymbolDefinition[]>();
  const selectors = new Map<string, { by: Condition; when: Condition }[]>();
  const seen = new Set<string>();
  const collect = (path: string, depends: Condition): void => {
    const file = seen.has(path) ? null : fileAt(path);
    seen.add(path);
    if (file === null) return;
    for (const one of file.symbols) {
      const all = { ...one, depends: both(depends, one.depends) };
      definitions.set(one.name, [...(definitions.get(one.name) ?? []), all]);
      for (const { symbol, when } of one.selects) {
        const list = selectors.get(symbol) ?? [];
        list.push({ by: ["sym", one.name], when: both(all.depends, when) });
        selectors.set(symbol, list);
      }
    }
    for (const source of file.sources) {
      const target = source.path.replace(/\$\(SRCARCH\)|\$SRCARCH/g, arch);
      collect(target, both(depends, source.depends));
    }
  };
  collect("Kconfig", TRUE);
  return { definitions, selectors };
}

/** `barred` symbols stay off. */
function settle(
  { definitions, selectors }: Symbols,
  barred: ReadonlySet<string>,
  isWhole: boolean,
): Possible {
  const on = new Set<string>();
  const always = alwaysOn(definitions);
  const isForeign = (symbol: string): boolean =>
    !isWhole && symbol !== "BROKEN" && !definitions.has(symbol);
  const possible: Possible = {
    on: (symbol) => on.has(symbol) || isForeign(symbol),
    always: (symbol) => always.has(symbol),
  };
  const isOn = (name: string, list: readonly SymbolDefinition[]): boolean =>
    list.some((one) => turnsOn(one, possible)) ||
    (selectors.get(name) ?? []).some(
      ({ by, when }) => canHold(by, possible) && canHold(when, possible),
    );
  let pending = [...definitions].filter(([name]) => !barred.has(name));
  for (let before = Number.POSITIVE_INFINITY; pending.length < before; ) {
    before = pending.length;
    pending = pending.filter(([name, list]) => {
      const isNow = isOn(name, list);
      if (isNow) on.add(name);
      return !isNow;
    });
  }
  return possible;
}

function turnsOn(
  { depends, prompt, defaults, isState }: SymbolDefinition,
  possible: Possible,
): boolean {
  if (!canHold(depends, possible)) return false;
  if (!isState) return true;
  if (prompt !== null && canHold(prompt, possible)) return true;
  return defaults.some(({ value, when }) => canHold(value, possible) && canHold(when, possible));
}

/** Without a prompt and conditions, on by default: X86 on x86. */
function alwaysOn(
  definitions: ReadonlyMap<string, readonly SymbolDefinition[]>,
): ReadonlySet<string> {
  const found = new Set<string>();
  for (const [name, list] of definitions) {
    const isFixed = list.some(
      ({ depends, prompt, defaults }) =>
        prompt === null &&
        depends === TRUE &&
        defaults.some(({ value, when }) => value === TRUE && when === TRUE),
    );
    if (isFixed) found.add(name);
  }
  return found;
}
