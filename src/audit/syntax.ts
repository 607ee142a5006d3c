/**
 * A tree of C, as plain data. The parser is handed in, so this layer runs wherever one is: the shape
 * and the names of the nodes are those of tree-sitter's grammar for C, of which a walk needs few.
 */

export interface SyntaxNode {
  /** As tree-sitter-c names it: "call_expression", "|" … */
  readonly type: string;
  /** What the parent calls this child: "left", "arguments" …; null where it has no name. */
  readonly field: string | null;
  /** Character offsets into the text that was parsed, `end` excluded. */
  readonly start: number;
  readonly end: number;
  readonly children: readonly SyntaxNode[];
}

/** A parser: any text in, a tree out; what it cannot parse is an ERROR node. Never throws. */
export type Parse = (text: string) => SyntaxNode;

export function childOf(node: SyntaxNode, field: string): SyntaxNode | null {
  return node.children.find((child) => child.field === field) ?? null;
}

/** The arguments of a call, or the items of a list, without punctuation and comments. */
export function itemsOf(list: SyntaxNode | null): SyntaxNode[] {
  if (list === null) return [];
  return list.children.filter(({ type }) => !/^([(){},;]|comment|preproc_.*|ERROR)$/.test(type));
}
