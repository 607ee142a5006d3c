/** Conditions of Kconfig and Makefiles, and whether they can hold on an architecture. */

export type Condition =
  | readonly ["sym", string]
  | readonly ["const", boolean]
  /** What only a compiler or a number decides. */
  | readonly ["maybe"]
  | readonly ["not", Condition]
  | readonly ["and", Condition, Condition]
  | readonly ["or", Condition, Condition]
  /** `X = y` and its like: the name, the value, whether it must differ. */
  | readonly ["equal", string, string, boolean];

export const TRUE: Condition = ["const", true];
const MAYBE: Condition = ["maybe"];

const TOKEN =
  /\s*(&&|\|\||!=|<=|>=|[!=<>()]|"[^"]*"|'[^']*'|\$\([^()]*(?:\([^()]*\)[^()]*)*\)|[\w./-]+)/y;
const DEEPEST = 100;

/** `A && (B || !C)`; what cannot be read may hold. */
export function parseCondition(text: string): Condition {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    tokens.push(match[1] ?? "");
  }
  let at = 0;
  const or = (depth: number): Condition => {
    let left = and(depth);
    while (tokens[at] === "||") {
      at++;
      left = ["or", left, and(depth)];
    }
    return left;
  };
  const and = (depth: number): Condition => {
    let left = unary(depth);
    while (tokens[at] === "&&") {
      at++;
      left = ["and", left, unary(depth)];
    }
    return left;
  };
  const unary = (depth: number): Condition => {
    const token = tokens[at++];
    if (token === undefined || depth > DEEPEST) return TRUE;
    if (token === "!") return ["not", unary(depth + 1)];
    if (token === "(") {
      const inner = or(depth + 1);
      if (tokens[at] === ")") at++;
      return inner;
    }
    return comparison(token);
  };
  const comparison = (token: string): Condition => {
    const operator = tokens[at];
    if (operator === "=" || operator === "!=") {
      const value = (tokens[at + 1] ?? "").replace(/["']/g, "");
      at += 2;
      return ["equal", token, value, operator === "!="];
    }
    if (operator !== undefined && /^[<>]=?$/.test(operator)) {
      at += 2;
      return MAYBE;
    }
    return atom(token);
  };
  return or(0);
}

function atom(token: string): Condition {
  const plain = token.replace(/["']/g, "");
  if (plain === "y" || plain === "m") return TRUE;
  if (plain === "n" || plain === "") return ["const", false];
  return token.startsWith("$") || /^\d+$/.test(plain) ? MAYBE : ["sym", plain];
}

export function both(a: Condition, b: Condition): Condition {
  if (a === TRUE) return b;
  return b === TRUE ? a : ["and", a, b];
}

/** What is known of symbols: whether each can be on, and whether it is always on. */
export interface Possible {
  readonly on: (symbol: string) => boolean;
  readonly always: (symbol: string) => boolean;
}

/** Whether some configuration makes the condition true; symbols count as independent. */
export function canHold(condition: Condition, possible: Possible, wanted = true): boolean {
  switch (condition[0]) {
    case "const":
      return condition[1] === wanted;
    case "maybe":
      return true;
    case "sym":
      return wanted ? possible.on(condition[1]) : !possible.always(condition[1]);
    case "not":
      return canHold(condition[1], possible, !wanted);
    case "and":
    case "or": {
      const left = canHold(condition[1], possible, wanted);
      const right = canHold(condition[2], possible, wanted);
      return (condition[0] === "and") === wanted ? left && right : left || right;
    }
    case "equal":
      return equalHolds(condition, possible, wanted);
    default:
      return true;
  }
}

function equalHolds(
  [, symbol, value, differs]: Extract<Condition, readonly ["equal", string, string, boolean]>,
  possible: Possible,
  wanted: boolean,
): boolean {
  const isOff = value === "n";
  if (!isOff && value !== "y" && value !== "m") return true;
  const isWanted = wanted !== differs;
  if (isOff) return isWanted ? !possible.always(symbol) : possible.on(symbol);
  return isWanted ? possible.on(symbol) : true;
}

/** The condition under given values; anything but y and m is off. */
export function holdsWith(condition: Condition, values: ReadonlyMap<string, string>): boolean {
  const isOn = (symbol: string): boolean => /^[ym]$/.test(values.get(symbol) ?? "n");
  switch (condition[0]) {
    case "const":
      return condition[1];
    case "maybe":
      return true;
    case "sym":
      return isOn(condition[1]);
    case "not":
      return !holdsWith(condition[1], values);
    case "and":
      return holdsWith(condition[1], values) && holdsWith(condition[2], values);
    case "or":
      return holdsWith(condition[1], values) || holdsWith(condition[2], values);
    default:
      return ((values.get(condition[1]) ?? "n") === condition[2]) !== condition[3];
  }
}

export function conditionText(condition: Condition): string {
  switch (condition[0]) {
    case "const":
      return condition[1] ? "y" : "n";
    case "maybe":
      return "?";
    case "sym":
      return condition[1];
    case "not":
      return `!${grouped(condition[1])}`;
    case "and":
      return `${grouped(condition[1], "or")} && ${grouped(condition[2], "or")}`;
    case "or":
      return `${conditionText(condition[1])} || ${conditionText(condition[2])}`;
    default:
      return `${condition[1]} ${condition[3] ? "!=" : "="} ${condition[2]}`;
  }
}

function grouped(condition: Condition, ...kinds: string[]): string {
  const text = conditionText(condition);
  const isGrouped =
    kinds.length === 0 ? /^(and|or)$/.test(condition[0]) : kinds.includes(condition[0]);
  return isGrouped ? `(${text})` : text;
}
