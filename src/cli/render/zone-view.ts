/**
 * One zone as a screen shows it, whether its numbers were predicted or read
 * from the running kernel. Pages and pfns.
 */
import type { Range } from "../../base/range.ts";
import type { Zoneinfo } from "../../formats/zoneinfo.ts";
import type { Plan } from "../../plan/index.ts";

export interface ZoneView {
  readonly node: number;
  readonly index: number;
  readonly name: string;
  readonly startPfn: number | null;
  readonly spanned: number;
  readonly present: number;
  readonly managed: { readonly low: number; readonly high: number; readonly pages: number } | null;
  /** null where nothing runs. */
  readonly free: number | null;
  readonly min: number;
  readonly low: number;
  readonly high: number;
  readonly protection: readonly number[];
  readonly pageset: string;
  /** RAM, sorted; holes between. */
  readonly ram: readonly Range[];
}

/** Predicted zones, all of them. */
export function plannedZones(plan: Plan): ZoneView[] {
  return plan.nodes.flatMap(({ node, zones }) =>
    zones.map((zone) => ({
      node,
      index: zone.index,
      name: zone.name,
      startPfn: zone.startPfn,
      spanned: zone.spanned,
      present: zone.present,
      managed: zone.managed,
      free: null,
      min: zone.watermarks.min,
      low: zone.watermarks.low,
      high: zone.watermarks.high,
      protection: zone.protection,
      pageset: zone.pageset === null ? "" : `${zone.pageset.high}/${zone.pageset.batch}`,
      ram: zone.ram,
    })),
  );
}

/** The kernel's own numbers; where its RAM lies inside a span comes from `plan`. */
export function kernelZones(zoneinfo: Zoneinfo, plan: Plan | null): ZoneView[] {
  const indexes = new Map<number, number>();
  return zoneinfo.zones.map((zone) => {
    const index = indexes.get(zone.node) ?? 0;
    indexes.set(zone.node, index + 1);
    const start = zone.present > 0 ? zone.startPfn : null;
    const planned = plan?.nodes
      .find(({ node }) => node === zone.node)
      ?.zones.find(({ name }) => name === zone.name);
    const span = start === null ? [] : [{ start, end: start + zone.spanned }];
    const { managed } = zone;
    return {
      node: zone.node,
      index,
      name: zone.name,
      startPfn: start,
      spanned: zone.spanned,
      present: zone.present,
      managed: managed === null ? null : { low: managed, high: managed, pages: managed },
      free: zone.free,
      min: zone.min,
      low: zone.low,
      high: zone.high,
      protection: zone.protection,
      pageset:
        zone.pagesets[0] === undefined ? "" : `${zone.pagesets[0].high}/${zone.pagesets[0].batch}`,
      ram: planned?.present === zone.present ? planned.ram : span,
    };
  });
}

/** `N1/DMA32`, or `DMA32` on a machine of one node. */
export function zoneLabel(zone: ZoneView, nodes: number): string {
  return nodes > 1 ? `N${zone.node}/${zone.name}` : zone.name;
}

export function nodeCount(zones: readonly ZoneView[]): number {
  return new Set(zones.map(({ node }) => node)).size;
}
