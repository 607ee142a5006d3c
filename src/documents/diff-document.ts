/**
 * `zonewright diff --json`: what changed from machine A to machine B, and who
 * is affected. `failed` lists what `--fail-on` asked for and found.
 */
import * as z from "zod";
import type { PlanDiff } from "../plan/index.ts";

export const DIFF_SCHEMA = "zonewright/diff/1";

export interface AffectedDocument {
  readonly effect: string;
  readonly subject: string;
  readonly words: string;
}

export interface DiffDocument {
  readonly schema: typeof DIFF_SCHEMA;
  readonly a: string;
  readonly b: string;
  readonly changes: readonly {
    readonly subject: string;
    readonly field: string;
    readonly a: number | string | null;
    readonly b: number | string | null;
  }[];
  readonly affected: readonly AffectedDocument[];
  readonly failed: readonly AffectedDocument[];
}

const affected = z.object({ effect: z.string(), subject: z.string(), words: z.string() });
const side = z.union([z.number(), z.string()]).nullable();

export const diffSchema: z.ZodType<DiffDocument> = z.object({
  schema: z.literal(DIFF_SCHEMA),
  a: z.string(),
  b: z.string(),
  changes: z.array(z.object({ subject: z.string(), field: z.string(), a: side, b: side })),
  affected: z.array(affected),
  failed: z.array(affected).describe("those that --fail-on names"),
});

/** The document of `diff`; `failOn` names effects that count as failures. */
export function diffDocument(diff: PlanDiff, failOn: readonly string[]): DiffDocument {
  return {
    schema: DIFF_SCHEMA,
    a: diff.a,
    b: diff.b,
    changes: diff.changes,
    affected: diff.affected,
    failed: diff.affected.filter(({ effect }) => failOn.includes(effect)),
  };
}
