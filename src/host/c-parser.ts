/** The C parser: tree-sitter's grammar for C, as WebAssembly, its trees copied into plain data. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Language, Parser, type TreeCursor } from "web-tree-sitter";
import type { Parse, SyntaxNode } from "../audit/index.ts";

/** Beside dist/host/ and dist/cli/ in the package; in the packages they come from in a clone. */
const FOLDERS: readonly (readonly [runtime: string, grammar: string])[] = [
  ["../wasm/web-tree-sitter.wasm", "../wasm/tree-sitter-c.wasm"],
  [
    "../../node_modules/web-tree-sitter/web-tree-sitter.wasm",
    "../../node_modules/tree-sitter-c/tree-sitter-c.wasm",
  ],
];

/** Rejects when the package is not whole. */
export async function openParser(): Promise<Parse> {
  const [runtime, grammar] = await Promise.all(wasmFiles().map((path) => readFile(path)));
  await Parser.init({ wasmBinary: runtime });
  const language = await Language.load(grammar ?? new Uint8Array());
  const parser = new Parser();
  parser.setLanguage(language);
  return (text) => {
    const tree = parser.parse(text);
    if (tree === null) return EMPTY;
    const cursor = tree.walk();
    const plain = copied(cursor);
    cursor.delete();
    tree.delete();
    return plain;
  };
}

const EMPTY: SyntaxNode = { type: "translation_unit", field: null, start: 0, end: 0, children: [] };

function wasmFiles(): string[] {
  for (const folder of FOLDERS) {
    const paths = folder.map((path) => fileURLToPath(new URL(path, import.meta.url)));
    if (paths.every((path) => existsSync(path))) return paths;
  }
  throw new Error("the C grammar is missing: install the package again");
}

/** Depth first without recursion: trees can be as deep as their text is long. */
function copied(cursor: TreeCursor): SyntaxNode {
  type Open = { children: SyntaxNode[] };
  const root = nodeAt(cursor);
  const above: Open[] = [root];
  if (!cursor.gotoFirstChild()) return root;
  for (;;) {
    const node = nodeAt(cursor);
    above.at(-1)?.children.push(node);
    if (cursor.gotoFirstChild()) {
      above.push(node);
      continue;
    }
    while (!cursor.gotoNextSibling()) {
      cursor.gotoParent();
      above.pop();
      if (above.length === 0 || (above.length === 1 && above[0] === root && atRoot(cursor))) {
        return root;
      }
    }
  }
}

function atRoot(cursor: TreeCursor): boolean {
  return cursor.currentDepth === 0;
}

function nodeAt(cursor: TreeCursor): SyntaxNode & { children: SyntaxNode[] } {
  return {
    type: cursor.nodeType,
    field: cursor.currentFieldName,
    start: cursor.startIndex,
    end: cursor.endIndex,
    children: [],
  };
}
