/** What a walk collects before it is known what matters. */
import type { Expr, Removal, Role, Touch } from "./facts.ts";

export interface RawCall {
  readonly callee: string;
  readonly offset: number;
  readonly fn: string | null;
  readonly args: readonly string[];
  readonly target: string | null;
}

export interface RawFlow {
  readonly to: string;
  readonly expr: Expr;
  readonly offset: number;
  readonly call: RawCall | null;
}

/** A tracked word of the text, filled in by the walk where a parse explains it. */
export interface RawHit {
  readonly word: string;
  readonly offset: number;
  role: Role;
  macro: string | null;
  conditions: readonly string[];
  call: RawCall | null;
  removal: Removal | null;
  /** False until the walk came by. */
  seen: boolean;
}

export interface Raw {
  readonly flows: RawFlow[];
  readonly touches: (Omit<Touch, "line"> & { readonly offset: number })[];
}
