/**
 * `zonewright plan --json`: a plan as a document.
 *
 * Pages, unless a name says bytes, KiB or pfn. null where there is no number:
 * the start of an empty zone, a pool whose place is not known, a limit that
 * does not exist.
 */
import * as z from "zod";
import type { Issue } from "../base/issue.ts";
import type { DeviceReach } from "../dma/reach.ts";
import type { Plan, PlannedNode, PlannedZone } from "../plan/index.ts";
import { finite, issueList, issueSchema } from "./common.ts";

export const PLAN_SCHEMA = "zonewright/plan/1";

export interface ZoneDocument {
  readonly name: string;
  readonly startPfn: number | null;
  readonly spanned: number;
  readonly present: number;
  readonly managed: {
    readonly pages: number;
    readonly atWatermarks: number;
    readonly exact: boolean;
    readonly from: string;
    readonly low: number;
    readonly high: number;
  };
  readonly watermarks: {
    readonly min: number;
    readonly low: number;
    readonly high: number;
    readonly promo?: number | undefined;
  };
  readonly protection: readonly number[];
  readonly pageset: {
    readonly high: number;
    readonly batch: number;
    readonly highMin?: number | undefined;
    readonly highMax?: number | undefined;
    readonly low?: number | undefined;
    readonly cold?: { readonly high: number; readonly batch: number } | undefined;
  } | null;
  readonly ram: readonly { readonly startPfn: number; readonly endPfn: number }[];
}

export interface NodeDocument {
  readonly node: number;
  readonly cpus: number;
  readonly zonelist: readonly { readonly node: number; readonly zone: string }[];
  readonly zones: readonly ZoneDocument[];
}

export interface DeviceDocument {
  readonly name: string;
  readonly dmaBits: number;
  readonly coherentBits: number;
  readonly supported: boolean;
  readonly reach: readonly {
    readonly node: number;
    readonly zone: string;
    readonly reachable: number;
    readonly present: number;
  }[];
  readonly coherentFrom: string | null;
  readonly coherentRetry: string | null;
  readonly coherentFits: number;
  readonly streaming: string;
  readonly verdict: string;
  readonly limitBytes: number | null;
  readonly maxMappingBytes: number | null;
  readonly notes: readonly string[];
}

export interface PlanDocument {
  readonly schema: typeof PLAN_SCHEMA;
  readonly machine: string;
  readonly kernel: string;
  readonly era: { readonly name: string; readonly basis: string; readonly verified: boolean };
  readonly arch: string;
  readonly pageSize: number;
  readonly moment: string;
  readonly layoutFrom: string;
  readonly minFreeKbytes: number;
  readonly sysctls: {
    readonly minFreeKbytes: number;
    readonly minFreeKbytesFrom: string;
    readonly watermarkScaleFactor: number;
    readonly lowmemReserveRatio: readonly number[];
    readonly pagelistFraction: number;
  };
  readonly nodes: readonly NodeDocument[];
  readonly pools: {
    readonly swiotlb: {
      readonly start: number | null;
      readonly bytes: number;
      readonly slots: number;
      readonly areas: number;
      readonly maxMapping: number;
      readonly reason: string;
    } | null;
    readonly swiotlbWhyNot: string | null;
    readonly maskPool?:
      | {
          readonly start: number;
          readonly end: number;
          readonly bytes: number;
          readonly metadataBytes: number;
          readonly reservePagesWithout: number;
        }
      | undefined;
    readonly cma: readonly {
      readonly name: string;
      readonly start: number | null;
      readonly bytes: number;
    }[];
    readonly crashkernel: readonly { readonly start: number; readonly bytes: number }[];
    /** What a devicetree sets aside; CMA areas stand under cma too. */
    readonly reserved: readonly {
      readonly name: string;
      readonly kind: "no-map" | "reserved" | "coherent" | "restricted" | "cma";
      readonly start: number | null;
      readonly bytes: number;
      /** False where the place is computed. */
      readonly fixed: boolean;
    }[];
    readonly hugePages: readonly { readonly pageBytes: number; readonly count: number }[];
  };
  readonly devices: readonly DeviceDocument[];
  readonly issues: readonly Issue[];
}

const count = z.number().int().min(0);
const pages = count.describe("pages");
const bytes = count.describe("bytes");

const zoneSchema = z.object({
  name: z.string(),
  startPfn: count.nullable().describe("first page frame number; null for an empty zone"),
  spanned: pages,
  present: pages,
  managed: z.object({
    pages,
    atWatermarks: pages.describe("pages the zone held when its marks were computed"),
    exact: z.boolean(),
    from: z.string(),
    low: pages.describe("lower bound of pages"),
    high: pages.describe("upper bound of pages"),
  }),
  watermarks: z.object({ min: pages, low: pages, high: pages, promo: pages.optional() }),
  protection: z.array(pages).describe("lowmem_reserve: by index of the zone a request may use"),
  pageset: z
    .object({
      high: pages,
      batch: pages,
      highMin: pages.optional(),
      highMax: pages.optional(),
      low: pages.optional(),
      cold: z.object({ high: pages, batch: pages }).optional(),
    })
    .nullable()
    .describe(
      "null for an empty zone; with highMin and highMax, high moves between them; cold: the second list up to 2.6.24",
    ),
  ram: z.array(z.object({ startPfn: count, endPfn: count })).describe("half-open; holes between"),
});

const zoneRef = z.object({ node: count, zone: z.string() });

const deviceSchema = z.object({
  name: z.string(),
  dmaBits: count,
  coherentBits: count,
  supported: z.boolean().describe("false when dma_set_mask() refuses the mask"),
  reach: z.array(zoneRef.extend({ reachable: pages, present: pages })),
  coherentFrom: z.string().nullable().describe("zone of the first try for coherent memory"),
  coherentRetry: z.string().nullable().describe("zone tried when the first landed too high"),
  coherentFits: z.number().min(0).max(1).describe("share of coherentFrom that fits the mask"),
  streaming: z.string().describe("what happens to streaming buffers, in words"),
  verdict: z.enum(["direct", "bounce", "unreachable", "iommu"]),
  limitBytes: bytes.nullable().describe("first address out of reach; null when none"),
  maxMappingBytes: bytes.nullable().describe("largest single mapping; null for no limit"),
  notes: z.array(z.string()),
});

export const planSchema: z.ZodType<PlanDocument> = z.object({
  schema: z.literal(PLAN_SCHEMA),
  machine: z.string(),
  kernel: z.string(),
  era: z.object({
    name: z.string(),
    basis: z.enum(["captured", "read", "inferred"]),
    verified: z.boolean().describe("reproduced on captures of this era on this architecture"),
  }),
  arch: z.string(),
  pageSize: bytes,
  moment: z.enum(["boot", "settled"]).describe("boot: as booted; settled: after a sysctl write"),
  layoutFrom: z.enum(["log", "parameters", "zoneinfo"]),
  minFreeKbytes: count.describe("KiB"),
  sysctls: z.object({
    minFreeKbytes: count.describe("KiB"),
    minFreeKbytesFrom: z.enum(["default", "khugepaged", "given"]),
    watermarkScaleFactor: count,
    lowmemReserveRatio: z.array(count),
    pagelistFraction: count.describe("percpu_pagelist_(high_)fraction; 0 = not set"),
  }),
  nodes: z.array(
    z.object({
      node: count,
      cpus: count,
      zonelist: z.array(zoneRef).describe("zones a request from this node tries, in order"),
      zones: z.array(zoneSchema),
    }),
  ),
  pools: z.object({
    swiotlb: z
      .object({
        start: bytes.nullable(),
        bytes,
        slots: count,
        areas: count,
        maxMapping: bytes,
        reason: z.string(),
      })
      .nullable(),
    swiotlbWhyNot: z.string().nullable(),
    maskPool: z
      .object({
        start: bytes,
        end: bytes.describe("first address that is surely not in the pool"),
        bytes,
        metadataBytes: bytes,
        reservePagesWithout: pages.describe("what ZONE_DMA would keep from normal requests"),
      })
      .optional()
      .describe("only with --mask-pool: in place of ZONE_DMA"),
    cma: z.array(z.object({ name: z.string(), start: bytes.nullable(), bytes })),
    crashkernel: z.array(z.object({ start: bytes, bytes })),
    reserved: z.array(
      z.object({
        name: z.string(),
        kind: z.enum(["no-map", "reserved", "coherent", "restricted", "cma"]),
        start: bytes.nullable(),
        bytes,
        fixed: z.boolean(),
      }),
    ),
    hugePages: z.array(z.object({ pageBytes: bytes, count })),
  }),
  devices: z.array(deviceSchema),
  issues: z.array(issueSchema),
});

/** The document of `plan`. */
export function planDocument(plan: Plan): PlanDocument {
  const { pools, sysctls, maskPool } = plan;
  return {
    schema: PLAN_SCHEMA,
    machine: plan.machine,
    kernel: plan.kernel,
    era: { name: plan.era.name, basis: plan.era.basis, verified: plan.era.verified },
    arch: plan.arch,
    pageSize: plan.pageSize,
    moment: plan.moment,
    layoutFrom: plan.layoutFrom,
    minFreeKbytes: sysctls.minFreeKbytes,
    sysctls: {
      minFreeKbytes: sysctls.minFreeKbytes,
      minFreeKbytesFrom: sysctls.minFreeKbytesFrom,
      watermarkScaleFactor: sysctls.watermarkScaleFactor,
      lowmemReserveRatio: sysctls.lowmemReserveRatio,
      pagelistFraction: sysctls.pagelistFraction,
    },
    nodes: plan.nodes.map(nodeDocument),
    pools: {
      swiotlb: pools.swiotlb,
      swiotlbWhyNot: pools.swiotlb === null ? pools.swiotlbWhyNot : null,
      ...(maskPool === null ? {} : { maskPool: maskPoolDocument(maskPool) }),
      cma: pools.cma,
      crashkernel: pools.crashkernel.map(({ start, end }) => ({ start, bytes: end - start })),
      reserved: pools.reserved ?? [],
      hugePages: pools.hugePages,
    },
    devices: plan.devices.map(deviceDocument),
    issues: issueList(plan.issues),
  };
}

function maskPoolDocument({
  start,
  end,
  bytes: size,
  metadataBytes,
  reserveWithout,
}: NonNullable<Plan["maskPool"]>): PlanDocument["pools"]["maskPool"] {
  return { start, end, bytes: size, metadataBytes, reservePagesWithout: reserveWithout };
}

function nodeDocument({ node, cpus, zonelist, zones }: PlannedNode): NodeDocument {
  return { node, cpus, zonelist, zones: zones.map(zoneDocument) };
}

function zoneDocument(zone: PlannedZone): ZoneDocument {
  const { min, low, high, promo } = zone.watermarks;
  const { pageset, managed } = zone;
  const tuned = pageset?.tunedTo ?? null;
  return {
    name: zone.name,
    startPfn: zone.startPfn,
    spanned: zone.spanned,
    present: zone.present,
    managed: {
      pages: managed.pages,
      atWatermarks: managed.atWatermarks,
      exact: managed.exact,
      from: managed.from,
      low: managed.low,
      high: managed.high,
    },
    watermarks: promo === null ? { min, low, high } : { min, low, high, promo },
    protection: zone.protection,
    pageset: pageset && {
      high: pageset.high,
      batch: pageset.batch,
      ...(tuned === null ? {} : { highMin: tuned.min, highMax: tuned.max }),
      ...(pageset.low === undefined ? {} : { low: pageset.low }),
      ...(pageset.cold === undefined ? {} : { cold: pageset.cold }),
    },
    ram: zone.ram.map(({ start, end }) => ({ startPfn: start, endPfn: end })),
  };
}

function deviceDocument(device: DeviceReach): DeviceDocument {
  return {
    name: device.name,
    dmaBits: device.dmaBits,
    coherentBits: device.coherentBits,
    supported: device.supported,
    reach: device.reach,
    coherentFrom: device.coherentFrom,
    coherentRetry: device.coherentRetry,
    coherentFits: device.coherentFits,
    streaming: device.streamingWords,
    verdict: device.streaming,
    limitBytes: finite(device.limit),
    maxMappingBytes: finite(device.maxMapping),
    notes: device.notes,
  };
}
