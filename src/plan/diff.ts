/**
 * Two plans side by side: which numbers changed, and who is affected by it.
 */
import { formatBytes } from "../base/units.ts";
import type { DeviceReach } from "../dma/reach.ts";
import type { Plan, PlannedZone } from "./plan.ts";

/** One number or word that differs; `a` or `b` null where that side does not have it. */
export interface Change {
  /** "N0/DMA32", a device's name, "swiotlb", "cma", "sysctl". */
  readonly subject: string;
  /** e.g. "present", "watermarks.min", "streaming". */
  readonly field: string;
  readonly a: number | string | null;
  readonly b: number | string | null;
}

/** What CI can be told to fail on. */
export const EFFECTS = [
  "bounce", // a device that was direct now bounces
  "unreachable", // a device can no longer be served at all
  "coherent-moved", // coherent buffers come from another zone
  "zone-gone", // a zone is empty now
  "zone-shrunk", // a zone has fewer pages
  "cma-shrunk", // less CMA
  "swiotlb-shrunk", // a smaller bounce pool, or none
  "reserve-grown", // more of a zone is out of bounds for ordinary requests
] as const;

export type Effect = (typeof EFFECTS)[number];

export interface Affected {
  readonly effect: Effect;
  readonly subject: string;
  /** One sentence for people. */
  readonly words: string;
}

export interface PlanDiff {
  readonly a: string;
  readonly b: string;
  readonly changes: readonly Change[];
  readonly affected: readonly Affected[];
}

/** What is different in `b` seen from `a`. */
export function diffPlans(a: Plan, b: Plan): PlanDiff {
  const changes: Change[] = [];
  const affected: Affected[] = [];
  diffZones(a, b, changes, affected);
  diffDevices(a.devices, b.devices, changes, affected);
  diffPools(a, b, changes, affected);
  note(changes, "sysctl", "min_free_kbytes", a.sysctls.minFreeKbytes, b.sysctls.minFreeKbytes);
  return { a: a.machine, b: b.machine, changes, affected };
}

function note(
  changes: Change[],
  subject: string,
  field: string,
  a: number | string | null,
  b: number | string | null,
): void {
  if (a !== b) changes.push({ subject, field, a, b });
}

function diffZones(a: Plan, b: Plan, changes: Change[], affected: Affected[]): void {
  const before = zonesByName(a);
  const after = zonesByName(b);
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    const x = before.get(name) ?? null;
    const y = after.get(name) ?? null;
    for (const [field, of] of ZONE_FIELDS) {
      note(changes, name, field, x === null ? null : of(x), y === null ? null : of(y));
    }
    const had = x?.present ?? 0;
    const has = y?.present ?? 0;
    if (had > 0 && has === 0) {
      affected.push({
        effect: "zone-gone",
        subject: name,
        words: `${name} has no memory any more`,
      });
    } else if (has < had) {
      const less = formatBytes((had - has) * b.pageSize);
      affected.push({ effect: "zone-shrunk", subject: name, words: `${name} has ${less} less` });
    }
    const kept = Math.max(0, ...(x?.protection ?? []));
    const keeps = Math.max(0, ...(y?.protection ?? []));
    if (keeps > kept && has > 0) {
      const words = `${name} keeps ${keeps} pages from ordinary requests, before ${kept}`;
      affected.push({ effect: "reserve-grown", subject: name, words });
    }
  }
}

const ZONE_FIELDS: readonly (readonly [string, (zone: PlannedZone) => number | null])[] = [
  ["startPfn", (zone) => zone.startPfn],
  ["spanned", (zone) => zone.spanned],
  ["present", (zone) => zone.present],
  ["managed", (zone) => zone.managed.pages],
  ["watermarks.min", (zone) => zone.watermarks.min],
  ["watermarks.low", (zone) => zone.watermarks.low],
  ["watermarks.high", (zone) => zone.watermarks.high],
];

function zonesByName(plan: Plan): Map<string, PlannedZone> {
  return new Map(
    plan.nodes.flatMap(({ node, zones }) => zones.map((zone) => [`N${node}/${zone.name}`, zone])),
  );
}

function diffDevices(
  before: readonly DeviceReach[],
  after: readonly DeviceReach[],
  changes: Change[],
  affected: Affected[],
): void {
  for (const y of after) {
    const x = before.find((device) => device.name === y.name);
    if (x === undefined) continue;
    note(changes, y.name, "streaming", x.streamingWords, y.streamingWords);
    note(changes, y.name, "coherentFrom", x.coherentFrom, y.coherentFrom);
    const served = x.streaming === "direct" || x.streaming === "iommu";
    if (served && y.streaming === "bounce") {
      affected.push({ effect: "bounce", subject: y.name, words: `${y.name}: ${y.streamingWords}` });
    }
    if (x.streaming !== "unreachable" && y.streaming === "unreachable") {
      const words = `${y.name}: ${y.streamingWords}`;
      affected.push({ effect: "unreachable", subject: y.name, words });
    }
    if (x.coherentFrom !== y.coherentFrom) {
      const words = `${y.name}: coherent buffers from ${y.coherentFrom ?? "nowhere"}, before ${x.coherentFrom ?? "nowhere"}`;
      affected.push({ effect: "coherent-moved", subject: y.name, words });
    }
  }
}

function diffPools(a: Plan, b: Plan, changes: Change[], affected: Affected[]): void {
  const bounce = [a, b].map((plan) => plan.pools.swiotlb?.bytes ?? 0);
  const cma = [a, b].map((plan) => plan.pools.cma.reduce((sum, area) => sum + area.bytes, 0));
  const pairs = [
    ["swiotlb", "swiotlb-shrunk", bounce],
    ["cma", "cma-shrunk", cma],
  ] as const;
  for (const [subject, effect, [before = 0, after = 0]] of pairs) {
    note(changes, subject, "bytes", before, after);
    if (after >= before) continue;
    const words = `${subject} has ${formatBytes(after)}, before ${formatBytes(before)}`;
    affected.push({ effect, subject, words });
  }
}
