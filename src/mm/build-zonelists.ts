/**
 * The zonelists of a memory, and what a request's low bits come to.
 *
 * Linux: build_all_zonelists(), alloc_flags_nofragment(), mm/page_alloc.c
 */
import { totalLength } from "../base/range.ts";
import { ALLOC_NOFRAGMENT } from "./gfp-alloc.ts";
import type { Memory, ZoneSpec } from "./memory.ts";
import { RECLAIMABLE } from "./rule.ts";
import { nodeFallbackOrders, zonelist, zonelistByZone } from "./zonelist.ts";
import { hasZoneOrder, type ZonelistOrder } from "./zonelist-order.ts";

/**
 * Every node's lists, to every highest zone, with and without other nodes: in the order of the kernel
 * `version`, or the `wanted` one.
 */
export function buildZonelists(
  m: Memory,
  zones: readonly ZoneSpec[],
  version: string,
  wanted?: ZonelistOrder,
): void {
  const populated = zones.flatMap((zone) => (zone.ram.length > 0 ? [zone] : []));
  const withMemory = [...new Set(populated.map((zone) => zone.node))];
  const orders = nodeFallbackOrders(m.nodes, {
    nodes: withMemory,
    distance: (from, to) => (from === to ? 10 : 20),
  });
  const sized = populated.map((zone) => ({ ...zone, pages: totalLength(zone.ram) }));
  const listFor = hasZoneOrder(version, sized, wanted) ? zonelistByZone : zonelist;
  let at = 0;
  m.nodes.forEach((node, place) => {
    const refs = listFor(orders.get(node) ?? [node], populated);
    for (let highest = 0; highest < m.zoneNames.length; highest++) {
      for (const thisNode of [0, 1]) {
        m.zonelistAt[(place * m.zoneNames.length + highest) * 2 + thisNode] = at;
        const flags = at++;
        for (const ref of refs) {
          if (ref.index > highest || (thisNode === 1 && ref.node !== node)) continue;
          m.zonelist[at++] = zones.findIndex((z) => z.node === ref.node && z.index === ref.index);
        }
        m.zonelist[at++] = -1;
        m.zonelist[flags] = nofragment(m, zones, m.zonelist[flags + 1]);
      }
    }
    for (let bits = 0; bits < 64; bits++) {
      const gfp = bits >> 1;
      const highest = m.gfpZone[gfp & 0xf];
      const list = m.zonelistAt[(place * m.zoneNames.length + highest) * 2 + (bits & 1)];
      // Both mobility bits together are a mistake that the kernel only warns of.
      const type = m.rule.mobility ? mobilityOf(m, gfp) : 0;
      m.requests[place * 64 + bits] = (list << 8) | (highest << 4) | type;
    }
  });
}

/** By the low bits alone: up to 4.3 __GFP_RECLAIMABLE is no neighbour of __GFP_MOVABLE, see `requestOf`. */
function mobilityOf(m: Memory, gfp: number): number {
  return m.gfp.reclaimable === 0 ? Math.min(gfp >> 3, RECLAIMABLE) : (gfp >> 3) & 1;
}

/**
 * Whether a list that prefers `zone` tries lower zones before types mix: only
 * from Normal, and on several nodes only beside a DMA32 zone with memory (5.0).
 *
 * Linux: alloc_flags_nofragment(), mm/page_alloc.c
 */
function nofragment(m: Memory, zones: readonly ZoneSpec[], zone: number): number {
  const preferred = zones[zone];
  if (!m.rule.noFragment || preferred?.name !== "Normal") return 0;
  const below = zones.find((own) => own.node === preferred.node && own.name === "DMA32");
  if (below === undefined || (m.nodes.length > 1 && below.ram.length === 0)) return 0;
  return ALLOC_NOFRAGMENT;
}
