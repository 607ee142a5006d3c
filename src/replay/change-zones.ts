/**
 * A snapshot as it would have been with zones that end elsewhere, or with
 * another CMA area. Pages in use stay where they are: their owners asked the
 * recorded machine. Free blocks and per-CPU lists go to the zone that they lie
 * in now, behind what that zone had; inside a list the order is kept.
 *
 * Linux: free_area_init(), mm/mm_init.c; init_cma_reserved_pageblock(), mm/page_alloc.c
 */
import type { Issue, Outcome } from "../base/issue.ts";
import { formatBytes } from "../base/units.ts";
import { PCP_HUGE_LIST } from "../mm/memory.ts";
import { CMA, HIGHATOMIC, MOVABLE, PCP_TYPES } from "../mm/rule.ts";
import type { Change } from "./change.ts";
import type {
  ListSnapshot,
  MachineFacts,
  SnapCounters,
  SnapFreeList,
  SnapZone,
} from "./snapshot.ts";
import { MAX_ORDER, PAGEBLOCK_ORDER, SNAP_PAGEBLOCK } from "./start-state.ts";

/** Zones that get memory by rules of their own. */
const SPECIAL: readonly string[] = ["Movable", "Device"];
/** A cut must not go through a block. */
const ALIGN_PAGES: number = 1 << MAX_ORDER;
const PAGE_BYTES = 4096;

/** Null, with an error whose source is the setting, where the snapshot cannot carry it. */
export function changedSnapshot(
  snap: ListSnapshot,
  facts: MachineFacts,
  change: Change,
): Outcome<ListSnapshot | null> {
  let now = snap;
  if (change.zoneEnds.size > 0) {
    const moved = moveEnds(now, facts, change.zoneEnds);
    if (moved.value === null) return moved;
    now = moved.value;
  }
  if (change.cma === null) return { value: now, issues: [] };
  if (change.cma > 0) return withCma(now, facts, change.cma);
  // Without CMA the number 4 is another type.
  return facts.cma ? withoutCma(now) : { value: now, issues: [] };
}

function refuse(source: string, message: string, mend?: string): Outcome<null> {
  const issue: Issue = { severity: "error", source, message };
  return { value: null, issues: [mend === undefined ? issue : { ...issue, mend }] };
}

/** Part of a zone that goes to the zone of `index`. */
interface Piece {
  readonly from: SnapZone;
  readonly index: number;
  readonly start: number;
  readonly end: number;
}

function moveEnds(
  snap: ListSnapshot,
  facts: MachineFacts,
  ends: ReadonlyMap<string, number>,
): Outcome<ListSnapshot | null> {
  const cuts: { readonly index: number; readonly end: number }[] = [];
  for (const [name, end] of ends) {
    const setting = name.toLowerCase();
    const index = facts.zones.find((own) => own.name === name)?.index ?? -1;
    const above = facts.zones.find((own) => own.index === index + 1);
    if (above === undefined || SPECIAL.includes(above.name)) {
      return refuse(setting, `no zone above ${name} could take the rest`);
    }
    const isEdge = snap.zones.some((z) => z.startPfn === end || z.startPfn + z.spanned === end);
    if (end % ALIGN_PAGES !== 0 && !isEdge) {
      const size = formatBytes(ALIGN_PAGES * PAGE_BYTES);
      return refuse(setting, "the zone would end inside a block", `give a multiple of ${size}`);
    }
    cuts.push({ index, end });
  }
  cuts.sort((a, b) => a.index - b.index);
  if (cuts.some(({ end }, i) => i > 0 && end < cuts[i - 1].end)) {
    return refuse("dma32", "DMA32 would end below DMA", "give dma32 at least dma's size");
  }
  const pieces = snap.zones.flatMap((zone) => piecesOf(zone, cuts));
  if (snap.unmanaged === null && pieces.some((piece) => !isWhole(piece))) {
    const message = "which of the pages are the kernel's own is not told: no snap/kpageflags.rle";
    return refuse([...ends.keys()].join().toLowerCase(), message, "give 0, or take it along");
  }
  const indexOf = (node: number, pfn: number): number =>
    pieces.find((p) => p.from.node === node && pfn >= p.start && pfn < p.end)?.index ?? -1;
  return { value: { ...snap, ...regroup(snap, facts, pieces, indexOf) }, issues: [] };
}

function isWhole({ from, start, end }: Piece): boolean {
  return end - start === from.spanned;
}

function piecesOf(
  from: SnapZone,
  cuts: readonly { readonly index: number; readonly end: number }[],
): Piece[] {
  const last = from.startPfn + from.spanned;
  if (SPECIAL.includes(from.name)) {
    return [{ from, index: from.index, start: from.startPfn, end: last }];
  }
  const inside = cuts.map(({ end }) => end).filter((end) => end > from.startPfn && end < last);
  const edges = [from.startPfn, ...inside, last];
  return edges.slice(0, -1).map((start, i) => {
    let { index } = from;
    for (const cut of cuts) {
      if (start < cut.end) index = Math.min(index, cut.index);
      else if (index === cut.index) index++;
    }
    return { from, index, start, end: edges[i + 1] };
  });
}

/** Pages that a piece's zone manages. */
function managedIn(piece: Piece, { unmanaged }: ListSnapshot): number {
  if (isWhole(piece) || unmanaged === null) return piece.from.managed;
  let pages = piece.end - piece.start;
  for (const run of unmanaged) {
    const both = Math.min(run.pfn + run.pages, piece.end) - Math.max(run.pfn, piece.start);
    if (both > 0) pages -= both;
  }
  return pages;
}

function regroup(
  snap: ListSnapshot,
  facts: MachineFacts,
  pieces: readonly Piece[],
  indexOf: (node: number, pfn: number) => number,
): Pick<ListSnapshot, "zones" | "free" | "pcp" | "counters"> {
  const zones = facts.zones.map(({ node, index, name }): SnapZone => {
    const own = pieces.filter((piece) => piece.from.node === node && piece.index === index);
    const full = own.filter(({ start, end }) => end > start);
    const start = full.length === 0 ? 0 : Math.min(...full.map((piece) => piece.start));
    const end = Math.max(start, ...full.map((piece) => piece.end));
    const managed = full.reduce((sum, piece) => sum + managedIn(piece, snap), 0);
    const boost = snap.zones.find((z) => z.node === node && z.index === index)?.boost ?? 0;
    const highatomic = highatomicIn(snap, start, end);
    const bare = { min: 0, low: 0, high: 0, promo: 0, pagesetHigh: 0 };
    // Where nothing is managed there is nothing to be laid out.
    const spanned = managed > 0 ? end - start : 0;
    return { node, index, name, startPfn: start, spanned, managed, ...bare, boost, highatomic };
  });
  const move = <L extends { readonly node: number; readonly pfns: readonly number[] }>(
    lists: readonly L[],
  ): (L & { readonly index: number })[] =>
    lists.flatMap((list) => {
      const byZone = Map.groupBy(list.pfns, (pfn) => indexOf(list.node, pfn));
      return [...byZone].map(([index, pfns]) => ({ ...list, index, pfns }));
    });
  const pcp = move(snap.pcp);
  return { zones, free: move(snap.free), pcp, counters: countersOf(snap, facts, pcp) };
}

function highatomicIn({ blocks }: ListSnapshot, start: number, end: number): number {
  let pages = 0;
  for (const { pfn, types } of blocks) {
    for (const [i, type] of types.entries()) {
      const at = pfn + i * SNAP_PAGEBLOCK;
      if (type === HIGHATOMIC && at >= start && at < end) pages += SNAP_PAGEBLOCK;
    }
  }
  return pages;
}

function countersOf(
  snap: ListSnapshot,
  facts: MachineFacts,
  pcp: ListSnapshot["pcp"],
): SnapCounters[] {
  return facts.zones.flatMap(({ node, index }) =>
    Array.from({ length: facts.cpus }, (_, cpu): SnapCounters => {
      const here = (own: SnapCounters | ListSnapshot["pcp"][number]): boolean =>
        own.node === node && own.index === index && own.cpu === cpu;
      const count = pcp
        .filter(here)
        .reduce((sum, { list, pfns }) => sum + (pfns.length << orderOf(list)), 0);
      const old = snap.counters.find(here);
      const words = { high: 0, batch: 1, factor: 0, allocFactor: null, ...old };
      // What a pageset is tuned between follows from the changed marks.
      return { node, index, cpu, ...words, highMin: null, highMax: null, count };
    }),
  );
}

function orderOf(list: number): number {
  return list < PCP_HUGE_LIST ? Math.floor(list / PCP_TYPES) : PAGEBLOCK_ORDER;
}

function withoutCma(snap: ListSnapshot): Outcome<ListSnapshot> {
  const retyped = (type: number): number => (type === CMA ? MOVABLE : type);
  const value = {
    ...snap,
    free: snap.free.map((list) => ({ ...list, type: retyped(list.type) })),
    blocks: snap.blocks.map(({ pfn, types }) => ({ pfn, types: types.map(retyped) })),
  };
  return { value, issues: [] };
}

/** The highest run of free movable blocks becomes the area: the boot places areas from above, too. */
function withCma(
  snap: ListSnapshot,
  facts: MachineFacts,
  pages: number,
): Outcome<ListSnapshot | null> {
  if (!facts.cma) return refuse("cma", "this kernel cannot lend CMA areas (CONFIG_CMA)");
  if (pages % ALIGN_PAGES !== 0) {
    const size = formatBytes(ALIGN_PAGES * PAGE_BYTES);
    return refuse("cma", "an area is made of whole blocks", `give a multiple of ${size}`);
  }
  if (snap.blocks.some(({ types }) => types.includes(CMA))) {
    return refuse("cma", "it has an area, and pages of it are in use", "give cma=0, or none");
  }
  const isWhole = (list: SnapFreeList): boolean =>
    list.order === MAX_ORDER && list.type === MOVABLE;
  const heads = snap.free.filter(isWhole).flatMap(({ pfns }) => pfns);
  const run = highestRun(heads, pages);
  if (run.start < 0) {
    const free = formatBytes(run.longest * PAGE_BYTES);
    return refuse("cma", `the longest run of free movable blocks is ${free}`, "give less");
  }
  const inside = (pfn: number): boolean => pfn >= run.start && pfn < run.start + pages;
  const free = snap.free.flatMap((list): SnapFreeList[] => {
    if (!isWhole(list)) return [list];
    const kept = list.pfns.filter((pfn) => !inside(pfn));
    const lent = list.pfns.filter(inside);
    return [
      { ...list, pfns: kept },
      { ...list, type: CMA, pfns: lent },
    ];
  });
  const blocks = snap.blocks.map(({ pfn, types }) => ({
    pfn,
    types: types.map((type, i) => (inside(pfn + i * SNAP_PAGEBLOCK) ? CMA : type)),
  }));
  return { value: { ...snap, free, blocks }, issues: [] };
}

function highestRun(heads: readonly number[], pages: number): { start: number; longest: number } {
  const sorted = heads.toSorted((a, b) => b - a);
  let longest = 0;
  let length = 0;
  for (const [i, head] of sorted.entries()) {
    length = i > 0 && sorted[i - 1] === head + ALIGN_PAGES ? length + ALIGN_PAGES : ALIGN_PAGES;
    longest = Math.max(longest, length);
    if (length === pages) return { start: head, longest };
  }
  return { start: -1, longest };
}
