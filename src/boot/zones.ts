/**
 * From limits to zones: the one rule that all architectures share. Limits cut
 * the address space into zones, each node takes its part of each, and Movable
 * takes the upper part of what one of them would have had.
 *
 * Zones of a node never overlap (but see `mirrored`), and the sum of present is
 * the RAM inside them. All in pfns and pages.
 */
import { clip, intersect, type Range, subtract, totalLength } from "../base/range.ts";
import type { NodeRange } from "../formats/boot-log.ts";
import { is32Bit, type Policy, type ZoneSizing } from "../kernels/policy.ts";
import type { Hardware, ZoneSpan } from "./hardware.ts";

/** A zone's part of the address space before nodes are looked at; empty when start equals end. */
export interface ZoneExtent extends Range {
  readonly name: string;
}

/** What zones are cut out of. */
export interface ZoneFrame {
  /** Lowest first, Movable and Device included (with an empty extent). */
  readonly extents: readonly ZoneExtent[];
  readonly nodes: readonly number[];
  readonly memory: readonly NodeRange[];
  readonly movableStart: ReadonlyMap<number, number>;
  /**
   * With kernelcore=mirror the lower zone is not cut where Movable starts: both
   * span the same pfns, and share them by whether they are mirrored. Else null.
   */
  readonly mirrored: readonly Range[] | null;
  readonly sizing: ZoneSizing;
}

/**
 * Extents from limits: each zone starts where the one below ends, the first at
 * the first RAM; a limit below that makes the zone empty.
 * Linux: free_area_init(), mm/mm_init.c
 */
export function extentsOf(
  bounds: readonly { readonly name: string; readonly limitPfn: number }[],
  firstPfn: number,
): ZoneExtent[] {
  const extents: ZoneExtent[] = [];
  let start = firstPfn;
  for (const { name, limitPfn } of bounds) {
    const end = Math.max(limitPfn, start);
    extents.push({ name, start, end });
    start = end;
  }
  return extents;
}

/**
 * The highest zone with an extent, which Movable takes its pages from.
 * Linux: find_usable_zone_for_movable()
 */
export function donorOf(extents: readonly ZoneExtent[]): ZoneExtent | undefined {
  return extents.findLast(({ name, start, end }) => name !== "Movable" && end > start);
}

/** Every node × every zone. Linux: calculate_node_totalpages(), mm/mm_init.c */
export function sizeZones(frame: ZoneFrame): ZoneSpan[] {
  const ramOf = new Map<number, Range[]>();
  for (const { node, start, end } of frame.memory) {
    const list = ramOf.get(node);
    if (list === undefined) ramOf.set(node, [{ start, end }]);
    else list.push({ start, end });
  }
  const spans: ZoneSpan[] = [];
  for (const node of frame.nodes) {
    const ram = ramOf.get(node) ?? [];
    for (const [index, extent] of frame.extents.entries()) {
      const span = spanOf(extent, node, ram, frame);
      const spanned = span.end - span.start;
      const inside = clip(ram, span.start, span.end);
      const present =
        frame.sizing === "solid" ? spanned : presentOf(extent.name, node, inside, frame);
      const startPfn = spanned === 0 ? 0 : span.start;
      spans.push({ node, index, name: extent.name, startPfn, spanned, present });
    }
  }
  return spans;
}

const NONE: Range = { start: 0, end: 0 };

/** Linux: zone_spanned_pages_in_node(), adjust_zone_range_for_zone_movable() */
function spanOf(extent: ZoneExtent, node: number, ram: readonly Range[], frame: ZoneFrame): Range {
  const begin = ram[0]?.start;
  const end = ram.at(-1)?.end;
  if (begin === undefined || end === undefined) return NONE;
  // Zones laid end to end begin with pfn 0; a node of its own begins where its memory does.
  const first = frame.sizing === "limits" || frame.nodes.length > 1 ? begin : 0;
  const movable = frame.movableStart.get(node);
  if (extent.name === "Movable") {
    if (movable === undefined) return NONE;
    const top = Math.min(end, donorOf(frame.extents)?.end ?? end);
    return movable < top ? { start: Math.max(movable, first), end: top } : NONE;
  }
  const start = Math.max(first, extent.start);
  let last = Math.min(end, extent.end);
  if (start >= last) return NONE;
  if (movable !== undefined) {
    if (start >= movable) return NONE;
    if (frame.mirrored === null) last = Math.min(last, movable);
  }
  return { start, end: last };
}

/** RAM of a span that counts for this zone. Linux: zone_absent_pages_in_node() */
function presentOf(
  name: string,
  node: number,
  inside: readonly Range[],
  { mirrored, movableStart }: ZoneFrame,
): number {
  if (mirrored !== null && movableStart.has(node)) {
    if (name === "Movable") return totalLength(subtract(inside, mirrored));
    if (name === "Normal") return totalLength(intersect(inside, mirrored));
  }
  return totalLength(inside);
}

/**
 * Present pages as 2.6.20 to 3.8 count them (x86-64 before, too): less what the zone's struct pages
 * take. What the lowest zone loses to the kernel itself besides is not known here.
 *
 * Linux: free_area_init_core(), mm/page_alloc.c; size_zones(), arch/x86_64/mm/init.c
 */
export function netOfMemmap(
  zones: readonly ZoneSpan[],
  { arch, build }: Pick<Hardware, "arch" | "build">,
  { boot }: Policy,
): ZoneSpan[] {
  const { presentNetOfMemmap: where } = boot;
  if (arch === "custom" || (where !== "all" && !where.includes(arch))) return [...zones];
  const bytes = boot.pageStruct[is32Bit(arch) ? "bits32" : "bits64"];
  return zones.map((zone) => {
    const pages = (zone.spanned * bytes) / build.pageSize;
    const memmap = where === "all" ? Math.ceil(pages) : Math.floor(pages);
    return zone.present >= memmap ? { ...zone, present: zone.present - memmap } : zone;
  });
}

/** RAM inside any zone, by node. */
export function zonedMemory(
  memory: readonly NodeRange[],
  extents: readonly ZoneExtent[],
): NodeRange[] {
  const first = extents[0]?.start ?? 0;
  const top = extents.reduce((end, extent) => Math.max(end, extent.end), 0);
  const zoned: NodeRange[] = [];
  for (const { node, start, end } of memory) {
    const range = { node, start: Math.max(start, first), end: Math.min(end, top) };
    if (range.start < range.end) zoned.push(range);
  }
  return zoned;
}
