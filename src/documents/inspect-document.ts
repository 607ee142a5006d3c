/**
 * `zonewright inspect --json`: what a machine's memory is now, by its own
 * files, with the plan beside it and how far the two agree.
 */
import * as z from "zod";
import type { Issue } from "../base/issue.ts";
import type { Zoneinfo, ZoneinfoZone } from "../formats/zoneinfo.ts";
import type { Check, Headroom, Plan } from "../plan/index.ts";
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
  /** How much more can be allocated; null where the capture does not tell. */
  readonly headroom: Headroom | null;
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

export interface BouncingDevice {
  readonly name: string;
  readonly streaming: "bounce" | "unreachable";
  /** Pages of RAM out of its reach. */
  readonly beyond: number;
}

export interface InspectDocument {
  readonly schema: typeof INSPECT_SCHEMA;
  readonly machine: string;
  /** As the kernel prints them now; empty without zoneinfo. */
  readonly zones: readonly InspectZone[];
  readonly check: ComparisonDocument | null;
  readonly checkWhyNot: string | null;
  readonly headroom: Headroom | null;
  /** The machine's devices that do not reach all of RAM directly. */
  readonly bouncing: readonly BouncingDevice[];
  readonly plan: PlanDocument | null;
  readonly sources: readonly SourceDocument[];
  readonly issues: readonly Issue[];
}

const pages = z.number().int().min(0).describe("pages");
const bounds = z.object({ low: z.number().int().min(0), high: z.number().int().min(0) });
const headroomSchema: z.ZodType<Headroom> = z.object({
  classes: z.array(
    z.object({
      name: z.string(),
      gfp: z.string(),
      zones: z.array(z.string()),
      orders: z.array(
        z.object({
          order: z.number().int().min(0),
          beforeKswapd: bounds.describe("allocations before kswapd is woken"),
          beforeRefusal: bounds.describe("allocations before one is refused, without reclaim"),
        }),
      ),
    }),
  ),
  fragmentation: z.array(
    z.object({
      node: z.number().int().min(0),
      zone: z.string(),
      blocks: z.array(z.number().int().min(0)).describe("free blocks by order"),
      unusable: z.array(z.number().int()).describe("unusable_free_index by order, thousandths"),
      index: z.array(z.number().int()).describe("fragmentation_index by order, thousandths"),
    }),
  ),
  byType: z.boolean(),
});

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
  headroom: headroomSchema.nullable(),
  bouncing: z.array(
    z.object({ name: z.string(), streaming: z.enum(["bounce", "unreachable"]), beyond: pages }),
  ),
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
    headroom: inspection.headroom,
    bouncing: inspection.plan === null ? [] : bouncingDevices(inspection.plan),
    plan: inspection.plan === null ? null : planDocument(inspection.plan),
    sources: inspection.sources,
    issues: issueList(inspection.issues),
  };
}

/** The machine's own devices, not the plain masks that every plan shows. */
export function bouncingDevices({ devices }: Plan): BouncingDevice[] {
  return devices.flatMap(({ name, streaming, reach }): BouncingDevice[] => {
    if (/^\d+-bit$/.test(name) || (streaming !== "bounce" && streaming !== "unreachable"))
      return [];
    const beyond = reach.reduce((sum, zone) => sum + zone.present - zone.reachable, 0);
    return [{ name, streaming, beyond }];
  });
}

function zoneOf(zone: ZoneinfoZone): InspectZone {
  const { node, name, startPfn, free, min, low, high, spanned, present, managed } = zone;
  const { protection } = zone;
  return { node, name, startPfn, free, min, low, high, spanned, present, managed, protection };
}
