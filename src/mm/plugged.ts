/**
 * Which rows of a zone are RAM by now: what it was laid out with, without the
 * pageblocks that went offline, and with those in its holes that were lent or came
 * online. Whoever recovers a shared memory must know; one thread need not.
 *
 * Linux: present_pages, pageblocks under pfn_to_online_page(), include/linux/memory_hotplug.h
 */
import { type Memory, rowOf, Z_ROW, Z_ROW_END, ZONE_WORDS, zoneOf } from "./memory.ts";

/** Values of `plugged`: as it was laid out; RAM in a hole; taken out; in a hole and CMA's. */
const AS_LAID = 0;
const PLUGGED = 1;
const UNPLUGGED = 2;
const LENT = 3;

/** The pageblock at `row` has gone or come. Under the zone's lock, like all of this. */
export function plug(
  { cpus, plugged, pageblockOrder }: Memory,
  row: number,
  isHere: boolean,
): void {
  if (cpus === null) return;
  const at = row >> pageblockOrder;
  if (isHere) plugged[at] = plugged[at] === UNPLUGGED ? AS_LAID : PLUGGED;
  else plugged[at] = plugged[at] === PLUGGED ? AS_LAID : UNPLUGGED;
}

/** The pageblock at `row` is CMA's. */
export function plugLent({ cpus, plugged, pageblockOrder }: Memory, row: number): void {
  if (cpus !== null) plugged[row >> pageblockOrder] = LENT;
}

/**
 * Zone of a pageblock that is RAM, or a hole within the zone's span that may become some; -1 for none.
 * A zone without any RAM is in no zonelist, and what lies beyond another zone's RAM is not reached:
 * there are no holes.
 */
export function zoneToBe(m: Memory, pfn: number): number {
  const row = rowOf(m, pfn);
  const zone = row < 0 ? -1 : zoneOf(m, row);
  if (row < 0 || zone >= 0) return zone;
  const end = pfn + (1 << m.pageblockOrder);
  return m.spec.zones.findIndex((own) => {
    const first = own.ram[0]?.start ?? end;
    const last = own.ram.at(-1)?.end ?? pfn;
    const isBetween = m.spec.zones.some(
      ({ ram }) =>
        ram !== own.ram &&
        ram.some(({ start, end: to }) => start < Math.max(end, last) && to > Math.min(pfn, first)),
    );
    return (
      own.ram.length > 0 && pfn >= own.startPfn && end <= own.startPfn + own.spanned && !isBetween
    );
  });
}

/** The rows of a zone reach over the pageblock at `row`: it had no RAM as far out. Under the zone's lock. */
export function reachOver(m: Memory, zone: number, row: number): void {
  const words = zone * ZONE_WORDS;
  const end = row + (1 << m.pageblockOrder);
  if (row < m.zone[words + Z_ROW]) m.zone[words + Z_ROW] = row;
  if (end > m.zone[words + Z_ROW_END]) m.zone[words + Z_ROW_END] = end;
}

/** Pages of a zone that are lent to CMA. */
export function lentPages(m: Memory, zone: number): number {
  return blocksOf(m, zone, (own) => own === LENT).length << m.pageblockOrder;
}

/** Runs of rows of a shared memory's zone that are RAM, ascending; neighbours are one. */
export function presentRuns(m: Memory, zone: number): { row: number; end: number }[] {
  const size = 1 << m.pageblockOrder;
  const gone = blocksOf(m, zone, (own) => own === UNPLUGGED);
  const come = blocksOf(m, zone, (own) => own === PLUGGED || own === LENT);
  const runs = [...laidRuns(m, zone), ...come.map((row) => ({ row, end: row + size }))];
  const merged: { row: number; end: number }[] = [];
  for (const { row, end } of runs.sort((a, b) => a.row - b.row)) {
    let from = row;
    for (const hole of gone) {
      if (hole < from || hole >= end) continue;
      append(merged, from, hole);
      from = hole + size;
    }
    append(merged, from, end);
  }
  return merged;
}

function append(runs: { row: number; end: number }[], row: number, end: number): void {
  const last = runs.at(-1);
  if (row >= end) return;
  if (last?.end === row) last.end = end;
  else runs.push({ row, end });
}

/** RAM of a zone as it was laid out. Sections that are neighbours have neighbouring rows. */
function laidRuns(m: Memory, zone: number): { row: number; end: number }[] {
  const runs: { row: number; end: number }[] = [];
  for (const { start, end } of m.spec.zones[zone]?.ram ?? []) {
    for (let pfn = start; pfn < end; ) {
      const row = rowOf(m, pfn);
      const last = Math.min(row + (end - pfn), (row | m.sectionMask) + 1);
      append(runs, row, last);
      pfn += last - row;
    }
  }
  return runs;
}

/** First rows of a zone's pageblocks of a kind, ascending. */
function blocksOf(m: Memory, zone: number, is: (own: number) => boolean): number[] {
  const found: number[] = [];
  m.plugged.forEach((own, block) => {
    const row = block << m.pageblockOrder;
    if (is(own) && zoneOf(m, row) === zone) found.push(row);
  });
  return found;
}
