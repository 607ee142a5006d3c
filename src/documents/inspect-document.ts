/**
 * `zonewright inspect --json`: what a machine's memory is now, by its own
 * files, with the plan beside it and how far the two agree.
 */
import * as z from "zod";
import type { Issue } from "../base/issue.ts";
import type { Zoneinfo, ZoneinfoZone } from "../formats/zoneinfo.ts";
import type { Check, Plan } from "../plan/index.ts";
import { type ComparisonDocument, comparisonDocument, comparisonSchema } from "./check-document.ts";
import { issueList, issueSchema } from "./common.ts";
import { type PlanDocument, planDocument, planSchema } from "./plan-document.ts";

export const INSPECT_SCHEMA = "zonewright/inspect/1";

/** Where a file of the machine came from; `missing` says why it did not. */
export interface SourceDocument {
  readonly path: string;
  readonly from: string;
  readonly missing: string | null;
}

export interface Inspection {
  readonly name: string;
  readonly zoneinfo: Zoneinfo | null;
  readonly plan: Plan | null;
  /** null when there was nothing to compare, `checkWhyNot` says why. */
  readonly check: Check | null;
  readonly checkWhyNot: string | null;
  readonly sources: readonly SourceDocument[];
  readonly issues: readonly Issue[];
}

export interface InspectZone {
  readonly node: number;
  readonly name: string;
  readonly startPfn: number | null;
  readonly free: number;
  readonly min: number;
  readonly low: number;
  readonly high: number;
  readonly spanned: number;
  readonly present: number;
  readonly managed: number | null;
  readonly protection: readonly number[];
}

export interface InspectDocument {
  readonly schema: typeof INSPECT_SCHEMA;
  readonly machine: string;
  /** As the kernel prints them now; empty without zoneinfo. */
  readonly zones: readonly InspectZone[];
  readonly check: ComparisonDocument | null;
  readonly checkWhyNot: string | null;
  readonly plan: PlanDocument | null;
  readonly sources: readonly SourceDocument[];
  readonly issues: readonly Issue[];
}

const pages = z.number().int().min(0).describe("pages");

export const inspectSchema: z.ZodType<InspectDocument> = z.object({
  schema: z.literal(INSPECT_SCHEMA),
  machine: z.string(),
  zones: z.array(
    z.object({
      node: z.number().int().min(0),
      name: z.string(),
      startPfn: z.number().int().min(0).nullable(),
      free: pages,
      min: pages,
      low: pages,
      high: pages,
      spanned: pages,
      present: pages,
      managed: pages.nullable(),
      protection: z.array(pages),
    }),
  ),
  check: comparisonSchema.nullable(),
  checkWhyNot: z.string().nullable(),
  plan: planSchema.nullable(),
  sources: z.array(
    z.object({ path: z.string(), from: z.string(), missing: z.string().nullable() }),
  ),
  issues: z.array(issueSchema),
});

/** The document of `inspect`. */
export function inspectDocument(inspection: Inspection): InspectDocument {
  return {
    schema: INSPECT_SCHEMA,
    machine: inspection.name,
    zones: (inspection.zoneinfo?.zones ?? []).map(zoneOf),
    check: inspection.check === null ? null : comparisonDocument(inspection.check),
    checkWhyNot: inspection.checkWhyNot,
    plan: inspection.plan === null ? null : planDocument(inspection.plan),
    sources: inspection.sources,
    issues: issueList(inspection.issues),
  };
}

function zoneOf(zone: ZoneinfoZone): InspectZone {
  const { node, name, startPfn, free, min, low, high, spanned, present, managed } = zone;
  const { protection } = zone;
  return { node, name, startPfn, free, min, low, high, spanned, present, managed, protection };
}
