/**
 * `zonewright check --json`: the prediction against the capture's own zoneinfo.
 * `fields` counts what was compared; what was not is in `notPredicted`.
 */
import * as z from "zod";
import type { Check } from "../plan/index.ts";
import { type PlanDocument, planDocument, planSchema } from "./plan-document.ts";

export const CHECK_SCHEMA = "zonewright/check/1";

export interface DifferenceDocument {
  readonly node: number;
  readonly zone: string;
  readonly field: string;
  readonly predicted: number | null;
  readonly kernel: number | null;
  readonly why: string | null;
}

/** What a comparison found, without the plan. */
export interface ComparisonDocument {
  readonly schema: typeof CHECK_SCHEMA;
  readonly fields: number;
  readonly equal: number;
  readonly differences: readonly DifferenceDocument[];
  readonly notPredicted: readonly { readonly field: string; readonly why: string }[];
  readonly moments: { readonly watermarks: string; readonly protection: string };
  readonly managedFrom: string;
}

export interface CheckDocument extends ComparisonDocument {
  readonly plan: PlanDocument;
}

const moment = z.enum(["boot", "settled"]);

const comparison = z.object({
  schema: z.literal(CHECK_SCHEMA),
  fields: z.number().int().min(0).describe("fields compared"),
  equal: z.number().int().min(0).describe("of these, equal"),
  differences: z.array(
    z.object({
      node: z.number().int().min(0),
      zone: z.string(),
      field: z.string(),
      predicted: z.number().nullable(),
      kernel: z.number().nullable(),
      why: z.string().nullable(),
    }),
  ),
  notPredicted: z.array(z.object({ field: z.string(), why: z.string() })),
  moments: z
    .object({ watermarks: moment, protection: moment })
    .describe("the moment that the kernel's marks and reserves belong to"),
  managedFrom: z.string(),
});

export const comparisonSchema: z.ZodType<ComparisonDocument> = comparison;
export const checkSchema: z.ZodType<CheckDocument> = comparison.extend({ plan: planSchema });

/** The document of `check`. */
export function checkDocument(check: Check): CheckDocument {
  return { ...comparisonDocument(check), plan: planDocument(check.plan) };
}

/** The same without the plan. */
export function comparisonDocument(check: Check): ComparisonDocument {
  return {
    schema: CHECK_SCHEMA,
    fields: check.fields,
    equal: check.equal,
    differences: check.differences.map((difference) => ({ ...difference })),
    notPredicted: check.notPredicted,
    moments: { watermarks: check.moments.watermarks, protection: check.moments.protection },
    managedFrom: check.managedFrom,
  };
}
