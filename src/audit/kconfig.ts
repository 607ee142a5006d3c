/** Kconfig files as statements: which symbols there are, and what each needs. */
import { both, type Condition, parseCondition, TRUE } from "./kconfig-expr.ts";

export interface SymbolDefinition {
  readonly name: string;
  /** All of it must hold: `depends on`, and the menus and ifs around it. */
  readonly depends: Condition;
  /** When the user is asked; null: never. */
  readonly prompt: Condition | null;
  readonly defaults: readonly { readonly value: Condition; readonly when: Condition }[];
  readonly selects: readonly { readonly symbol: string; readonly when: Condition }[];
  /** int, hex and string have values, not states. */
  readonly isState: boolean;
}

/** A statement that brings in another file: its path as written, and what is around it. */
export interface Source {
  readonly path: string;
  readonly depends: Condition;
}

export interface KconfigFile {
  readonly symbols: readonly SymbolDefinition[];
  readonly sources: readonly Source[];
}

interface Draft {
  name: string;
  depends: Condition;
  prompt: Condition | null;
  defaults: { value: Condition; when: Condition }[];
  selects: { symbol: string; when: Condition }[];
  isState: boolean;
}

const STATEMENT =
  /^\s*(config|menuconfig|choice|endchoice|menu|endmenu|if|endif|source|rsource|osource|comment|mainmenu|depends on|visible if|bool|tristate|def_bool|def_tristate|int|hex|string|prompt|default|select|imply|help|range|optional|modules|option)\b\s*(.*)$/;

/** Reads one file. Unknown lines say nothing. */
export function readKconfig(text: string): KconfigFile {
  const symbols: SymbolDefinition[] = [];
  const sources: Source[] = [];
  const around: Condition[] = [];
  let draft: Draft | null = null;
  // The last entry of `around` is a menu's, until something else begins.
  let isMenuHead = false;
  let helpIndent = -1;
  const finish = (): void => {
    if (draft !== null) symbols.push(draft);
    draft = null;
  };
  for (const line of text.replace(/\\\n/g, " ").split("\n")) {
    const indent = indentOf(line);
    if (helpIndent >= 0) {
      if (line.trim() === "" || indent >= helpIndent) continue;
      helpIndent = -1;
    }
    const [, word = "", rest = ""] = STATEMENT.exec(line.replace(/(^|\s)#.*$/, "")) ?? [];
    if (word === "") continue;
    if (word === "help") {
      helpIndent = indent + 1;
      continue;
    }
    const opened = seeBlock(word, rest, around, sources);
    if (opened !== null) {
      finish();
      isMenuHead = opened;
    } else if (word === "config" || word === "menuconfig") {
      finish();
      isMenuHead = false;
      draft = newDraft(rest.trim(), around.reduce(both, TRUE));
    } else if (draft !== null) seeAttribute(draft, word, rest);
    else if (isMenuHead && word === "depends on") {
      around.push(both(around.pop() ?? TRUE, parseCondition(rest)));
    }
  }
  finish();
  return { symbols, sources };
}

/** True where a menu's own attributes may follow, false for other blocks, null for no block. */
function seeBlock(
  word: string,
  rest: string,
  around: Condition[],
  sources: Source[],
): boolean | null {
  switch (word) {
    case "menu":
    case "choice":
      around.push(TRUE);
      return true;
    case "if":
      around.push(parseCondition(rest));
      return false;
    case "endif":
    case "endmenu":
    case "endchoice":
      around.pop();
      return false;
    case "source":
    case "rsource":
    case "osource":
      sources.push({ path: rest.replace(/["']/g, "").trim(), depends: around.reduce(both, TRUE) });
      return false;
    case "comment":
    case "mainmenu":
      return false;
    default:
      return null;
  }
}

function newDraft(name: string, depends: Condition): Draft {
  return { name, depends, prompt: null, defaults: [], selects: [], isState: true };
}

function seeAttribute(draft: Draft, word: string, rest: string): void {
  const [value, when] = splitIf(rest);
  switch (word) {
    case "depends on":
      draft.depends = both(draft.depends, parseCondition(rest));
      return;
    case "int":
    case "hex":
    case "string":
      draft.isState = false;
      return;
    case "bool":
    case "tristate":
    case "prompt":
      if (value !== "") draft.prompt = when;
      return;
    case "def_bool":
    case "def_tristate":
    case "default":
      draft.defaults.push({ value: parseCondition(value), when });
      return;
    case "select":
    case "imply":
      draft.selects.push({ symbol: value, when });
      return;
    default:
  }
}

/** `VALUE if CONDITION`. */
function splitIf(text: string): [value: string, when: Condition] {
  const [, value = text, condition] = /^(.*?)(?:\s+if\s+(.*))?$/.exec(text.trim()) ?? [];
  return [value.trim(), condition === undefined ? TRUE : parseCondition(condition)];
}

function indentOf(line: string): number {
  let columns = 0;
  for (const character of line) {
    if (character === "\t") columns += 8 - (columns % 8);
    else if (character === " ") columns++;
    else break;
  }
  return columns;
}
