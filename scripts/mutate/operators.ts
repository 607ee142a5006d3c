/**
 * One-line faults that could be slips of a programmer, found in the syntax tree of a TypeScript
 * source: never in comments, imports, types, texts, or in assertions (which no test may reach).
 *
 * A fault is a replacement of characters [start, end) of the source, all within one line.
 */
import { parseAst } from "rolldown/parseAst";

export const OPERATORS = [
  "boundary", // < for <=
  "comparison", // === for !==, < for >=
  "arithmetic", // + for -
  "bits", // | for &, << for >>
  "logic", // && for ||
  "constant", // 3 for 4
  "boolean", // true for false
  "condition", // if (!(x)) for if (x)
  "statement", // dropped
  "early return", // dropped
  "name", // max for min, first for last
] as const;
export type Operator = (typeof OPERATORS)[number];

export interface Mutation {
  /** Path below the root, with slashes. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly operator: Operator;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

const BINARY: ReadonlyMap<string, readonly (readonly [Operator, string])[]> = new Map([
  [
    "<",
    [
      ["boundary", "<="],
      ["comparison", ">="],
    ],
  ],
  [
    "<=",
    [
      ["boundary", "<"],
      ["comparison", ">"],
    ],
  ],
  [
    ">",
    [
      ["boundary", ">="],
      ["comparison", "<="],
    ],
  ],
  [
    ">=",
    [
      ["boundary", ">"],
      ["comparison", "<"],
    ],
  ],
  ["===", [["comparison", "!=="]]],
  ["!==", [["comparison", "==="]]],
  ["+", [["arithmetic", "-"]]],
  ["-", [["arithmetic", "+"]]],
  ["*", [["arithmetic", "/"]]],
  ["/", [["arithmetic", "*"]]],
  ["%", [["arithmetic", "*"]]],
  ["&", [["bits", "|"]]],
  ["|", [["bits", "&"]]],
  ["^", [["bits", "|"]]],
  ["<<", [["bits", ">>"]]],
  [">>", [["bits", "<<"]]],
  [">>>", [["bits", ">>"]]],
  ["&&", [["logic", "||"]]],
  ["||", [["logic", "&&"]]],
  ["+=", [["arithmetic", "-="]]],
  ["-=", [["arithmetic", "+="]]],
  ["|=", [["bits", "&="]]],
  ["&=", [["bits", "|="]]],
  ["++", [["arithmetic", "--"]]],
  ["--", [["arithmetic", "++"]]],
]);

/** Names that are easily mistaken for each other; the first group exists wherever JavaScript does. */
const BUILT_IN: readonly (readonly [string, string])[] = [
  ["max", "min"],
  ["floor", "ceil"],
  ["push", "unshift"],
  ["pop", "shift"],
  ["some", "every"],
  ["find", "findLast"],
  ["findIndex", "findLastIndex"],
  ["indexOf", "lastIndexOf"],
  ["startsWith", "endsWith"],
];
const OWN: readonly (readonly [string, string])[] = [
  ["head", "tail"],
  ["first", "last"],
  ["next", "prev"],
  ["next", "previous"],
  ["start", "end"],
  ["low", "high"],
  ["left", "right"],
  ["before", "after"],
  ["lower", "upper"],
  ["i", "j"],
  ["a", "b"],
];

/** A node of the tree; what it has besides depends on its type. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** Everything of `source` that can be got wrong in one line, in the order of the text. */
export function mutationsIn(file: string, source: string): Mutation[] {
  const finder = new Finder(file, source);
  finder.visit(parseAst(source, { lang: "ts" }, file));
  return finder.found
    .filter((mutation) => isOneLine(source, mutation) && stillParses(mutated(source, mutation)))
    .sort((x, y) => x.start - y.start || x.end - y.end || (x.replacement < y.replacement ? -1 : 1));
}

/** `source` with the fault in it. */
export function mutated(source: string, { start, end, replacement }: Mutation): string {
  return source.slice(0, start) + replacement + source.slice(end);
}

class Finder {
  readonly found: Mutation[] = [];
  readonly #file: string;
  readonly #source: string;
  /** Identifiers of the file: only a name that exists can be mistaken for another. */
  readonly #names: ReadonlySet<string>;

  constructor(file: string, source: string) {
    this.#file = file;
    this.#source = source;
    this.#names = new Set(source.match(/[A-Za-z_$][\w$]*/g));
  }

  visit(value: unknown): void {
    if (Array.isArray(value)) {
      for (const child of value) this.visit(child);
      return;
    }
    if (!isNode(value) || isIgnored(value)) return;
    this.#atNode(value);
    for (const [key, child] of Object.entries(value)) {
      if (key === "typeAnnotation" || key === "returnType" || key === "typeParameters") continue;
      if (typeof child === "object") this.visit(child);
    }
  }

  #atNode(node: Node): void {
    switch (node.type) {
      case "BinaryExpression":
      case "LogicalExpression":
      case "AssignmentExpression":
        this.#binary(node);
        break;
      case "UpdateExpression":
        this.#update(node);
        break;
      case "Literal":
        this.#literal(node);
        break;
      case "IfStatement":
        this.#earlyReturn(node);
        this.#condition(node);
        break;
      case "ConditionalExpression":
      case "WhileStatement":
        this.#condition(node);
        break;
      case "UnaryExpression":
        if (field(node, "operator") === "!") this.#add("condition", node.start, node.start + 1, "");
        break;
      case "ExpressionStatement":
        this.#statement(node);
        break;
      case "MemberExpression":
        this.#member(node);
        break;
      case "CallExpression":
        this.#callArguments(node);
    }
  }

  #binary(node: Node): void {
    const left = child(node, "left");
    const right = child(node, "right");
    const operator = field(node, "operator");
    if (left === null || right === null || typeof operator !== "string") return;
    // Subtracting texts is no slip, and every test would see it.
    if (operator.startsWith("+") && (isText(left) || isText(right))) return;
    const at = this.#source.indexOf(operator, left.end);
    if (at === -1 || at >= right.start) return;
    for (const [kind, other] of BINARY.get(operator) ?? []) {
      this.#add(kind, at, at + operator.length, other);
    }
  }

  #update(node: Node): void {
    const operator = field(node, "operator");
    const argument = child(node, "argument");
    if (typeof operator !== "string" || argument === null) return;
    const at = argument.start === node.start ? argument.end : node.start;
    for (const [kind, other] of BINARY.get(operator) ?? []) this.#add(kind, at, at + 2, other);
  }

  #literal(node: Node): void {
    const value = field(node, "value");
    if (typeof value === "boolean") this.#add("boolean", node.start, node.end, String(!value));
    if (typeof value !== "number" || !Number.isSafeInteger(value)) return;
    const isHex = /^0x/i.test(this.#source.slice(node.start, node.end));
    for (const other of value === 0 ? [1] : [value + 1, value - 1]) {
      const text = isHex ? `0x${other.toString(16)}` : String(other);
      this.#add("constant", node.start, node.end, text);
    }
  }

  #condition(node: Node): void {
    const test = child(node, "test");
    if (test === null || test.type === "UnaryExpression") return;
    const text = this.#source.slice(test.start, test.end);
    this.#add("condition", test.start, test.end, `!(${text})`);
  }

  #earlyReturn(node: Node): void {
    const then = child(node, "consequent");
    const leaves = ["ReturnStatement", "ContinueStatement", "BreakStatement"];
    if (then === null || field(node, "alternate") !== null || !leaves.includes(then.type)) return;
    this.#add("early return", node.start, node.end, ";");
  }

  #statement(node: Node): void {
    const expression = child(node, "expression");
    if (expression === null || isIgnored(expression)) return;
    this.#add("statement", node.start, node.end, ";");
  }

  #member(node: Node): void {
    const property = child(node, "property");
    if (property === null || field(node, "computed") === true) return;
    const name = field(property, "name");
    if (typeof name === "string") this.#otherNames(property, name, true);
  }

  #callArguments(node: Node): void {
    const given = field(node, "arguments");
    if (!Array.isArray(given)) return;
    for (const argument of given) {
      if (!isNode(argument) || argument.type !== "Identifier") continue;
      const name = field(argument, "name");
      if (typeof name === "string") this.#otherNames(argument, name, false);
    }
  }

  #otherNames(at: Node, name: string, isProperty: boolean): void {
    for (const [x, y] of isProperty ? BUILT_IN : []) {
      if (name === x) this.#add("name", at.start, at.end, y);
      if (name === y) this.#add("name", at.start, at.end, x);
    }
    for (const [x, y] of OWN) {
      if (name === x && this.#names.has(y)) this.#add("name", at.start, at.end, y);
      if (name === y && this.#names.has(x)) this.#add("name", at.start, at.end, x);
    }
  }

  #add(operator: Operator, start: number, end: number, replacement: string): void {
    const line = this.#source.slice(0, start).split("\n").length;
    this.found.push({ file: this.#file, line, operator, start, end, replacement });
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && "start" in value;
}

function field(node: Node, name: string): unknown {
  return Object.entries(node).find(([key]) => key === name)?.[1];
}

function child(node: Node, name: string): Node | null {
  const value = field(node, name);
  return isNode(value) ? value : null;
}

const TYPED_EXPRESSIONS = ["TSAsExpression", "TSNonNullExpression", "TSSatisfiesExpression"];
const MESSAGES = ["message", "mend", "remark"];

/** Types, imports, texts for people, and assertions. */
function isIgnored(node: Node): boolean {
  if (node.type.startsWith("TS")) return !TYPED_EXPRESSIONS.includes(node.type);
  if (["ImportDeclaration", "ExportAllDeclaration", "ThrowStatement"].includes(node.type))
    return true;
  const name = (inner: Node | null): unknown => (inner === null ? null : field(inner, "name"));
  if (node.type === "CallExpression") return name(child(node, "callee")) === "assert";
  return node.type === "Property" && MESSAGES.includes(String(name(child(node, "key"))));
}

function isText(node: Node): boolean {
  return (
    node.type === "TemplateLiteral" ||
    (node.type === "Literal" && typeof field(node, "value") === "string")
  );
}

function isOneLine(source: string, { start, end }: Mutation): boolean {
  return !source.slice(start, end).includes("\n");
}

function stillParses(source: string): boolean {
  try {
    parseAst(source, { lang: "ts" });
    return true;
  } catch {
    return false;
  }
}
