/** Structs of a file, and what initializers without names say about their fields. */
import type { FieldFact, StructFact } from "./facts.ts";
import { childOf, itemsOf, type SyntaxNode } from "./syntax.ts";

/** `struct T { … }` with its fields in order; null for a mere mention. */
export function structFact(node: SyntaxNode, text: string): StructFact | null {
  const body = childOf(node, "body");
  const name = childOf(node, "name");
  if (body === null || name === null) return null;
  const fields = body.children
    .filter(({ type }) => type === "field_declaration")
    .flatMap((declaration) => {
      const type = childOf(declaration, "type");
      const words = type === null ? "" : text.slice(declaration.start, type.end);
      return declaration.children
        .filter(({ field }) => field === "declarator")
        .map((declarator) => fieldOf(declarator, words.replace(/\{[\s\S]*/, "").trim(), text));
    });
  return { name: text.slice(name.start, name.end), fields };
}

function fieldOf(declarator: SyntaxNode, words: string, text: string): FieldFact {
  let node: SyntaxNode | null = declarator;
  let type = words;
  let count: string | null = null;
  for (let depth = 0; node !== null && depth < 8; depth++) {
    if (node.type === "field_identifier") break;
    if (node.type === "pointer_declarator") type += "*";
    if (node.type === "function_declarator") type = "*";
    if (node.type === "array_declarator") {
      const size = childOf(node, "size");
      const one = size === null ? "?" : text.slice(size.start, size.end);
      count = count === null ? one : `${count}*${one}`;
    }
    node = childOf(node, "declarator") ?? itemsOf(node)[0] ?? null;
  }
  const name = node === null ? "?" : text.slice(node.start, node.end);
  return { name, type: type.replace(/\s+/g, " "), count };
}

/** What an initializer writes: a node (`f:x`, `s:T:3`, or the variable's own) and the value's syntax. */
export interface Initial {
  readonly to: string;
  readonly value: SyntaxNode;
}

/** `type` is the struct's tag, null where it is not known; `own` the node of the variable. */
export function initialsOf(
  list: SyntaxNode,
  text: string,
  type: string | null,
  own: string | null,
  isArray: boolean,
  depth = 0,
): Initial[] {
  if (depth > 12) return [];
  const found: Initial[] = [];
  for (const [index, item] of itemsOf(list).entries()) {
    const isPair = item.type === "initializer_pair";
    const value = isPair ? childOf(item, "value") : item;
    const field = isPair ? designatedField(item, text) : null;
    if (value === null) continue;
    if (value.type === "initializer_list") {
      const inside = isArray && field === null ? type : null;
      found.push(...initialsOf(value, text, inside, own, false, depth + 1));
    } else if (field !== null) found.push({ to: `f:${field}`, value });
    else if (isArray && own !== null) found.push({ to: own, value });
    else if (type !== null && !isPair) found.push({ to: `s:${type}:${index}`, value });
  }
  return found;
}

/** The last `.x` of a designator; null for `[x]` alone. */
function designatedField(pair: SyntaxNode, text: string): string | null {
  const named = pair.children.filter(({ type }) => type === "field_designator").at(-1);
  const name = named?.children.find(({ type }) => type === "field_identifier");
  return name === undefined ? null : text.slice(name.start, name.end);
}
