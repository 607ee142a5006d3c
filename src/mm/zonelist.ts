/**
 * The order in which nodes and zones are tried: nearest node first, and inside
 * a node from the highest zone down. Zones without memory are left out.
 *
 * Linux: build_zonelists(), find_next_best_node(), mm/page_alloc.c
 */

export interface NodeTopology {
  /** Nodes with memory, ascending. */
  readonly nodes: readonly number[];
  /** Distance as in the SLIT: 10 to itself. */
  distance(from: number, to: number): number;
  /** Whether CPUs of the node are known when the lists are built: at boot, none is yet. */
  hasCpus?(node: number): boolean;
}

/** MAX_NUMNODES of x86-64 and arm64 distribution kernels; only its size against `load` matters. */
const MAX_NUMNODES = 1024;

/**
 * Fallback order of nodes for each of `locals`, in the kernel's own words
 * `Fallback order for Node n:`. Loads carry over from one node to the next, so
 * that equally near nodes take turns being first; hence all at once.
 */
export function nodeFallbackOrders(
  locals: readonly number[],
  topology: NodeTopology,
): Map<number, readonly number[]> {
  const load = new Map<number, number>();
  const orders = new Map<number, readonly number[]>();
  for (const local of locals) {
    const order = [local];
    let previous = local;
    for (;;) {
      const next = nextBestNode(local, order, topology, load);
      if (next === null) break;
      if (topology.distance(local, next) !== topology.distance(local, previous)) {
        load.set(next, (load.get(next) ?? 0) + 1);
      }
      order.push(next);
      previous = next;
    }
    orders.set(local, order);
  }
  return orders;
}

/** Nearest node not used yet; nodes below the local one and nodes with CPUs count a little farther. */
function nextBestNode(
  local: number,
  used: readonly number[],
  topology: NodeTopology,
  load: ReadonlyMap<number, number>,
): number | null {
  let best: number | null = null;
  let bestScore = Number.POSITIVE_INFINITY;
  for (const node of topology.nodes) {
    if (used.includes(node)) continue;
    let score = topology.distance(local, node) + (node < local ? 1 : 0);
    if (topology.hasCpus?.(node) === true) score += 1; // PENALTY_FOR_NODE_WITH_CPUS
    score = score * MAX_NUMNODES + (load.get(node) ?? 0);
    if (score < bestScore) {
      best = node;
      bestScore = score;
    }
  }
  return best;
}

/** One populated zone of a zonelist, by node and zone index. */
export interface Zoneref {
  readonly node: number;
  readonly index: number;
}

/**
 * The zonelist for requests from one node: the populated zones of `order`'s
 * nodes, each node's from its highest zone down.
 *
 * Linux: build_zonerefs_node(), mm/page_alloc.c
 */
export function zonelist(order: readonly number[], populated: readonly Zoneref[]): Zoneref[] {
  return order.flatMap((node) =>
    populated.filter((zone) => zone.node === node).sort((a, b) => b.index - a.index),
  );
}

/**
 * The same in zone order: all nodes' highest zones first, then all their next ones. What
 * `numa_zonelist_order=Zone` asked of kernels from 2.6.23 to 4.13.
 *
 * Linux: build_zonelists_in_zone_order(), mm/page_alloc.c of 2.6.39
 */
export function zonelistByZone(order: readonly number[], populated: readonly Zoneref[]): Zoneref[] {
  return [...populated].sort(
    (a, b) => b.index - a.index || order.indexOf(a.node) - order.indexOf(b.node),
  );
}

/** A populated zone with what the choice of an order looks at. */
export interface SizedZone extends Zoneref {
  readonly name: string;
  /** Pages. */
  readonly pages: number;
}

/**
 * Whether those kernels chose zone order by themselves: where low memory is scarce, so that no node
 * should use up its own while others have Normal memory. Up to 2.6.34 a node without Normal memory
 * (`needsNormal` false) did not speak against it.
 *
 * Linux: default_zonelist_order(), mm/page_alloc.c of 2.6.39
 */
export function prefersZoneOrder(populated: readonly SizedZone[], needsNormal = true): boolean {
  const isLow = ({ name }: SizedZone): boolean => name === "DMA" || name === "DMA32";
  const nodes = [...new Set(populated.map((zone) => zone.node))];
  const sum = (zones: readonly SizedZone[]): number =>
    zones.reduce((all, own) => all + own.pages, 0);
  const low = sum(populated.filter(isLow));
  const all = sum(populated);
  if (low === 0 || low > all / 2) return false;
  const average = all / (nodes.length + 1);
  return nodes.every((node) => {
    const own = populated.filter((zone) => zone.node === node);
    const total = sum(own);
    if (needsNormal && !own.some((zone) => zone.name === "Normal")) return false;
    const lowShare = sum(own.filter(isLow));
    // A large node that is nearly all low memory would leave its own for others' every time.
    return !(lowShare > 0 && total > average && lowShare > (total * 70) / 100);
  });
}
