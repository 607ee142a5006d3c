/**
 * ZONE_DMA taken out of the zones, as planned in 2006: its lowest pages become a pool that
 * only requests with a limit may use, and what is left of it goes to the zone above.
 *
 * No kernel does this. What follows for the others is computed by the kernel's own rules
 * over the zones that remain: their marks, reserves and pagesets.
 */
import type { Issue } from "../base/issue.ts";
import { formatCount } from "../base/units.ts";
import type { Layout, Managed, ManagedCounts, SwiotlbPool, ZoneSpan } from "../boot/hardware.ts";

/** The pool that a plan shows. */
export interface PlannedMaskPool {
  readonly pages: number;
  readonly bytes: number;
  /** First address of RAM that the pool may have, and the first it surely has not. Bytes. */
  readonly start: number;
  readonly end: number;
  /** Where it ends if nothing below was taken before it: what devices' requests are compared with. */
  readonly lowestEnd: number;
  /** Bytes of its own books, which lie in no zone. */
  readonly metadataBytes: number;
  /** What ZONE_DMA would keep from a normal request, pages: its reserve, or all it has. */
  readonly reserveWithout: number;
}

export interface Pooled {
  readonly layout: Layout;
  readonly managed: Managed;
  readonly pool: PlannedMaskPool;
}

/**
 * swiotlb's pool is not needed beside a mask pool: its pages are handed over as all others.
 * Where its place is not known it lies below 4 GiB, as memblock_alloc_low() has it.
 */
export function withBouncePages(
  managed: Managed,
  layout: Layout,
  swiotlb: SwiotlbPool | null,
  pageSize: number,
): Managed {
  if (swiotlb === null) return managed;
  const pages = swiotlb.bytes / pageSize;
  const first = swiotlb.start === null ? null : swiotlb.start / pageSize;
  const zone = layout.zones.findLast((own) => {
    if (own.present === 0 || !isLowmem(own)) return false;
    if (first === null) return own.startPfn * pageSize < 2 ** 32;
    return own.startPfn <= first && first < own.startPfn + own.spanned;
  });
  return {
    ...managed,
    zones: managed.zones.map((counts) => {
      if (counts.node !== zone?.node || counts.index !== zone.index) return counts;
      const { m0, t1, t2, end, low, high } = counts;
      const more = { m0: m0 + pages, t1: t1 + pages, t2: t2 + pages };
      return { ...counts, ...more, end: end + pages, low: low + pages, high: high + pages };
    }),
  };
}

/** Why not is told in `issues`; the value is null then. */
export function takeMaskPool(
  layout: Layout,
  managed: Managed,
  bytes: number,
  pageSize: number,
  protection: readonly (readonly number[])[],
  issues: Issue[],
): Pooled | null {
  const refuse = (message: string, mend: string): null => {
    issues.push({ severity: "error", source: "mask-pool", message, mend });
    return null;
  };
  const rows = layout.zones.map((zone, i) => ({ zone, counts: managed.zones[i], i }));
  const dma = rows.find(({ zone }) => zone.name === "DMA" && zone.present > 0);
  const above = rows.find(
    ({ zone }) =>
      zone.node === dma?.zone.node &&
      zone.index > dma.zone.index &&
      isLowmem(zone) &&
      zone.present > 0,
  );
  if (dma?.counts === undefined || above?.counts === undefined) {
    return refuse("there is no ZONE_DMA below another zone", "plan a machine that has both");
  }
  const pages = Math.floor(bytes / pageSize);
  const most = dma.counts.low + above.counts.low;
  if (pages === 0 || pages >= most) {
    const room = `${dma.zone.name} and ${above.zone.name} hold ${formatCount(most)} pages`;
    return refuse(`a pool of ${formatCount(pages)} pages is not possible: ${room}`, "e.g. 16M");
  }
  issues.push({
    severity: "note",
    source: "mask-pool",
    message:
      "no kernel was ever released with a mask pool: what follows from it is the model's word",
  });
  const joined = join(dma.zone, above.zone);
  const counts = joinCounts(dma.counts, above.counts, pages);
  const remaining = rows.filter((row) => row.zone.name !== "DMA");
  const dmaEnd = dma.zone.startPfn + dma.zone.spanned;
  const beyond = Math.max(0, pages - dma.counts.end);
  const kept = Math.max(0, ...(protection[dma.i] ?? []));
  return {
    layout: {
      ...layout,
      zoneNames: layout.zoneNames.filter((name) => name !== "DMA"),
      zones: remaining.map(({ zone }) => {
        const own = zone === above.zone ? joined : zone;
        return { ...own, index: zone.index - (zone.index > dma.zone.index ? 1 : 0) };
      }),
    },
    managed: {
      ...managed,
      zones: remaining.flatMap(({ zone, counts: own }) => {
        if (own === undefined) return [];
        const index = own.index - (own.index > dma.zone.index ? 1 : 0);
        return [{ ...(zone === above.zone ? counts : own), index }];
      }),
    },
    pool: {
      pages,
      bytes: pages * pageSize,
      start: dma.zone.startPfn * pageSize,
      end: (dmaEnd + beyond) * pageSize,
      lowestEnd: endOfLowest(layout, dma.zone, dma.counts.end, pages) * pageSize,
      metadataBytes: metadataBytes(dmaEnd + beyond - dma.zone.startPfn),
      reserveWithout: Math.min(kept, dma.counts.end),
    },
  };
}

/** pfn after the lowest `pages` of a zone's RAM; after the zone, when the pool has all that it manages. */
function endOfLowest(layout: Layout, zone: ZoneSpan, managed: number, pages: number): number {
  const end = zone.startPfn + zone.spanned;
  if (pages >= managed) return end + pages - managed;
  let left = pages;
  for (const range of layout.memory) {
    const start = Math.max(range.start, zone.startPfn);
    const stop = Math.min(range.end, end);
    if (range.node !== zone.node || start >= stop) continue;
    if (left <= stop - start) return start + left;
    left -= stop - start;
  }
  return end;
}

function isLowmem({ name }: ZoneSpan): boolean {
  return name !== "HighMem" && name !== "Movable" && name !== "Device";
}

/** The zone above with what ZONE_DMA spanned. */
function join(dma: ZoneSpan, above: ZoneSpan): ZoneSpan {
  return {
    ...above,
    startPfn: dma.startPfn,
    spanned: above.startPfn + above.spanned - dma.startPfn,
    present: dma.present + above.present,
  };
}

/** Both zones' pages without the pool's, which were taken before any were handed over. */
function joinCounts(dma: ManagedCounts, above: ManagedCounts, pages: number): ManagedCounts {
  const sum = (key: "m0" | "t1" | "t2" | "end" | "low" | "high"): number =>
    Math.max(0, dma[key] + above[key] - pages);
  return {
    node: above.node,
    index: above.index,
    m0: sum("m0"),
    t1: sum("t1"),
    t2: sum("t2"),
    end: sum("end"),
    low: sum("low"),
    high: sum("high"),
    exact: dma.exact && above.exact,
  };
}

/** A bitmap, and a tree of four words a node over its words: src/dma/mask-pool/range-tree.ts. */
function metadataBytes(spanned: number): number {
  const leaves = 2 ** Math.ceil(Math.log2(Math.max(1, Math.ceil(spanned / 32))));
  return leaves * 2 * 4 + leaves * 2 * 16 + 4;
}
