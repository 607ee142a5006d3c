/** Nodes and zones as a plan prints them, from what the boot computed. */
import { clip, type Range } from "../base/range.ts";
import type { Layout, Managed, ZoneSpan } from "../boot/hardware.ts";
import type { Numbers } from "../boot/timeline.ts";
import { nodeFallbackOrders, zonelist } from "../mm/zonelist.ts";
import type { MachineInput } from "./machine.ts";
import type { PlannedNode, PlannedZone } from "./plan.ts";

/** RAM of each zone in pfns, in the order of `layout.zones`: memory of its node inside its span. */
export function ramByZone(layout: Layout): Range[][] {
  const byNode = new Map<number, Range[]>();
  for (const range of layout.memory) {
    const own = byNode.get(range.node);
    if (own === undefined) byNode.set(range.node, [range]);
    else own.push(range);
  }
  return layout.zones.map((zone) =>
    clip(byNode.get(zone.node) ?? [], zone.startPfn, zone.startPfn + zone.spanned),
  );
}

export function plannedNodes(
  input: MachineInput,
  layout: Layout,
  managed: Managed,
  numbers: Numbers,
  ram: readonly Range[][],
): PlannedNode[] {
  const { cpus } = input.hardware;
  const populated = layout.zones.filter((zone) => zone.present > 0);
  const orders = fallbackOrders(input, layout, populated);
  const refs = populated.map((zone) => ({ node: zone.node, index: zone.index }));
  return layout.nodes.map((node): PlannedNode => {
    const rows = layout.zones.flatMap((zone, i) => (zone.node === node ? [i] : []));
    return {
      node,
      cpus: cpus.byNode?.get(node)?.length ?? (layout.nodes.length === 1 ? cpus.online : 0),
      zones: rows.map((i) => plannedZone(input, layout, managed, numbers, ram, i)),
      zonelist: zonelist(orders.get(node) ?? [node], refs).map((ref) => ({
        node: ref.node,
        zone: layout.zoneNames[ref.index] ?? String(ref.index),
      })),
    };
  });
}

function plannedZone(
  input: MachineInput,
  layout: Layout,
  managed: Managed,
  numbers: Numbers,
  ram: readonly Range[][],
  i: number,
): PlannedZone {
  const zone = layout.zones[i];
  const counts = managed.zones[i];
  const row = numbers.zones[i];
  if (zone === undefined || counts === undefined || row === undefined) {
    throw new TypeError("managed counts and numbers must follow the layout's zones");
  }
  const { marks } = row;
  return {
    name: zone.name,
    index: zone.index,
    startPfn: zone.spanned === 0 ? null : zone.startPfn,
    spanned: zone.spanned,
    present: zone.present,
    managed: {
      pages: counts.end,
      atWatermarks: row.atMarks,
      exact: counts.exact,
      from: managed.source,
      low: counts.low,
      high: counts.high,
    },
    watermarks: {
      min: marks.min,
      low: marks.low,
      high: marks.high,
      promo: input.era.policy.watermarks.promo ? marks.promo : null,
    },
    protection: row.protection,
    pageset: zone.present === 0 ? null : row.pageset,
    ram: ram[i] ?? [],
  };
}

/** Which node falls back to which: the log's own words, else by distance. */
function fallbackOrders(
  input: MachineInput,
  layout: Layout,
  populated: readonly ZoneSpan[],
): ReadonlyMap<number, readonly number[]> {
  const told = input.log?.fallbackOrders ?? [];
  if (told.length > 0) return new Map(told.map(({ node, order }) => [node, order]));
  return nodeFallbackOrders(layout.nodes, {
    nodes: [...new Set(populated.map((zone) => zone.node))],
    distance: (from, to) => input.distances?.get(from)?.get(to) ?? (from === to ? 10 : 20),
    // When the lists are built no CPU has been added to a node yet.
  });
}
