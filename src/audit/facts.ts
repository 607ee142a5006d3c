/**
 * What one file says, as plain data: a pure function of its text (and of the names that other files
 * asked for), so it can be kept by the hash of the content. Everything that needs a second file is
 * said by name and settled later, in resolve.ts.
 *
 * Values flow between *nodes*, which are strings:
 *
 *   a:FN:2   argument 2 of FN, seen from inside and from its callers
 *   r:FN     what FN returns
 *   v:FN:x   a local variable
 *   g:x      a variable of the file, or of another
 *   f:x      a field of that name
 *   m:X      a macro
 *   w:FN     memory that FN hands on
 *   s:T:3    item 3 of an initializer for a struct T whose fields are not in this file
 */

/** A value as far as it matters here. Lists, for they are kept by the thousand. */
export type Expr =
  | readonly ["flag", number]
  | readonly ["num", string]
  | readonly ["ref", string]
  /** DMA_BIT_MASK(x). */
  | readonly ["mask", Expr]
  | readonly ["op", string, Expr, Expr]
  | readonly ["not", Expr]
  | readonly ["any", Expr, Expr]
  | readonly ["?"];

/** What a word of the text is there. */
export type Role =
  | "comment"
  | "string"
  /** Inside `#if 0`. */
  | "never"
  | "value"
  /** Asked for with `&`: a test, not a request. */
  | "test"
  /** Taken out with `& ~`. */
  | "clear"
  /** The name of a call or the target of an assignment. */
  | "call"
  | "set"
  /** A declaration, a definition, or a place that no parse explains. */
  | "mention";

export interface Hit {
  readonly word: string;
  readonly line: number;
  /** 1-based. */
  readonly column: number;
  readonly offset: number;
  readonly role: Role;
  readonly fn: string | null;
  /** The macro whose body it is in. */
  readonly macro: string | null;
  /** Conditions it is under, the nearest first; CONFIG_ symbols of its #ifdefs. */
  readonly conditions: readonly string[];
  readonly configs: readonly string[];
  readonly text: string;
  /** Index into `calls` of the call that it names; null for a flag. */
  readonly call: number | null;
  /** What a patch takes out to drop the flag; null where it is not that simple. */
  readonly removal: Removal | null;
}

/** Replace [start, end) by `text`. */
export interface Removal {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export interface Flow {
  readonly to: string;
  readonly expr: Expr;
  readonly line: number;
  /** Index into `calls`, where `to` is an argument. */
  readonly call: number | null;
}

export interface Call {
  readonly callee: string;
  readonly line: number;
  readonly fn: string | null;
  /** Arguments as written, shortened. */
  readonly args: readonly string[];
  /** Where the result goes: a node, or null. */
  readonly target: string | null;
}

/** A call that tells what becomes of a buffer. */
export interface Touch {
  readonly callee: string;
  readonly line: number;
  readonly fn: string | null;
  /** Names in its arguments: variables and last fields. */
  readonly names: readonly string[];
}

export interface FunctionFact {
  readonly name: string;
  readonly line: number;
  readonly isStatic: boolean;
  /** What a parameter is, by its place. */
  readonly types: readonly string[];
}

export interface StructFact {
  readonly name: string;
  /** Fields in order, with what is written before and after the name. */
  readonly fields: readonly FieldFact[];
}

export interface FieldFact {
  readonly name: string;
  /** What is written before the name, with a * for each pointer. */
  readonly type: string;
  /** Items of an array as written, dimensions multiplied; null for a single one. */
  readonly count: string | null;
}

export interface ParseError {
  readonly line: number;
  readonly text: string;
}

export interface FileFacts {
  readonly hits: readonly Hit[];
  readonly flows: readonly Flow[];
  readonly calls: readonly Call[];
  readonly touches: readonly Touch[];
  readonly functions: readonly FunctionFact[];
  readonly structs: readonly StructFact[];
  /** Functions of this file that hand on memory they asked for with a zone flag. */
  readonly wrappers: readonly string[];
  /** Files that it includes, as written: `<linux/x.h>`, `"y.h"`. */
  readonly includes: readonly string[];
  /** Indices into `calls` of those that call a wrapper, of this file or of another. */
  readonly wrapped: readonly number[];
  /** Words that hint at a bus or an architecture, each once. */
  readonly signs: readonly string[];
  /** Places where a tracked word could not be parsed. */
  readonly errors: readonly ParseError[];
}

export const NO_FACTS: FileFacts = {
  hits: [],
  flows: [],
  calls: [],
  touches: [],
  functions: [],
  structs: [],
  wrappers: [],
  includes: [],
  wrapped: [],
  signs: [],
  errors: [],
};
