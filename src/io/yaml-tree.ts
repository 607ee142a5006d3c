/**
 * A YAML text as a tree that knows its lines, and the few ways of reading it
 * that our documents need. Readers return null for what is missing or wrong;
 * what is wrong is also reported, once, with its line and a mend.
 *
 * JSON is read too, being YAML. Aliases are refused: a description is small,
 * and a handful of them can unfold to gigabytes.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Issue } from "../base/issue.ts";
import { nearest } from "./quantity.ts";

/** A node with its place; `path` is for messages, e.g. `memory[2].start`. */
export interface YamlNode {
  readonly raw: unknown;
  readonly path: string;
  readonly line: number;
}

export interface YamlField extends YamlNode {
  readonly key: string;
}

/** The parser's errors that people meet, by its codes, in words about their file. */
const SYNTAX: ReadonlyMap<string, readonly [string, string]> = new Map([
  ["DUPLICATE_KEY", ["the key was there before: keys must be unique", "keep one of them"]],
  ["MULTIPLE_DOCS", ["a second document starts here", "give each machine a file of its own"]],
  ["TAB_AS_INDENT", ["a tab indents the line", "indent with blanks"]],
  ["RESOURCE_EXHAUSTION", ["the text is nested too deeply", "no description has many levels"]],
]);

export class YamlTree {
  readonly #issues: Issue[] = [];
  readonly #lines = new LineCounter();
  /** The document's top, or null when it is no YAML. */
  readonly root: YamlNode | null;

  constructor(text: string) {
    const document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    // What comes after the first slip of syntax mostly follows from it.
    for (const error of document.errors.slice(0, 1)) {
      const line = this.#lines.linePos(error.pos[0]).line;
      const known = SYNTAX.get(error.code);
      const [message, mend] = known ?? [oneLine(error.message), "check the YAML around this line"];
      this.#issues.push({ severity: "error", message, mend, line });
    }
    const readable = document.errors.length === 0;
    this.root = readable ? { raw: document.contents, path: "", line: 1 } : null;
  }

  issues(): readonly Issue[] {
    return this.#issues;
  }

  error(node: YamlNode, message: string, mend?: string): null {
    const issue: Issue = { severity: "error", message, line: node.line };
    this.#issues.push(mend === undefined ? issue : { ...issue, mend });
    return null;
  }

  note(node: YamlNode, message: string): void {
    this.#issues.push({ severity: "note", message, line: node.line });
  }

  /** Fields of a mapping by key; a key outside `known` is an error that names the nearest. */
  fields(node: YamlNode, known: readonly string[] | null): Map<string, YamlField> | null {
    if (!isMap(node.raw)) return this.#unlike(node, "a mapping");
    const fields = new Map<string, YamlField>();
    for (const pair of node.raw.items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : "";
      const line = this.#lineOf(pair.key, node.line);
      const path = node.path === "" ? key : `${node.path}.${key}`;
      const field = { key, raw: pair.value, path, line };
      if (known === null || known.includes(key)) fields.set(key, field);
      else {
        const near = nearest(key, known);
        const mend = near === null ? `known keys: ${known.join(", ")}` : `did you mean "${near}"?`;
        this.error(field, `unknown key "${key.slice(0, 60)}"`, mend);
      }
    }
    return fields;
  }

  items(node: YamlNode): YamlNode[] | null {
    if (!isSeq(node.raw)) return this.#unlike(node, "a list");
    return node.raw.items.map((raw, i) => ({
      raw,
      path: `${node.path}[${i}]`,
      line: this.#lineOf(raw, node.line),
    }));
  }

  isMapping(node: YamlNode): boolean {
    return isMap(node.raw);
  }

  isList(node: YamlNode): boolean {
    return isSeq(node.raw);
  }

  /** The text as written, so that `6.10` stays 6.10 and `0x1000` can be read as bytes. */
  text(node: YamlNode): string | null {
    if (!isScalar(node.raw) || node.raw.value === null) {
      return this.#unlike(node, "a single value");
    }
    return typeof node.raw.value === "string" ? node.raw.value : (node.raw.source ?? "");
  }

  boolean(node: YamlNode): boolean | null {
    if (isScalar(node.raw) && typeof node.raw.value === "boolean") return node.raw.value;
    return this.error(node, `${nameOf(node)} must be true or false`);
  }

  #unlike(node: YamlNode, wanted: string): null {
    if (!isAlias(node.raw)) return this.error(node, `${nameOf(node)} must be ${wanted}`);
    const message = `${nameOf(node)} is an alias, and aliases are not read`;
    return this.error(node, message, "write the value itself");
  }

  #lineOf(raw: unknown, otherwise: number): number {
    if (typeof raw !== "object" || raw === null || !("range" in raw)) return otherwise;
    const range: unknown = raw.range;
    const offset: unknown = Array.isArray(range) ? range[0] : null;
    return typeof offset === "number" ? this.#lines.linePos(offset).line : otherwise;
  }
}

export function nameOf(node: YamlNode): string {
  return node.path === "" ? "the description" : node.path;
}

function oneLine(message: string): string {
  return message.split("\n")[0] ?? message;
}
