/**
 * The map: physical addresses from left to right, to scale, one bar a node,
 * holes left open.
 *
 *   0   16M                                3G        4G                  9G
 *   █▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓··········████████████████████
 *   DMA DMA32                              hole      Normal
 *
 * A cell belongs to the zone with the most RAM in it, and is open when less
 * than half of it is RAM. A zone too small for a cell still gets one.
 */
import type { Style } from "../terminal.ts";
import { paint, zoneInk } from "./paint.ts";
import type { ZoneView } from "./zone-view.ts";

interface Axis {
  /** Bytes. */
  readonly start: number;
  readonly perCell: number;
  readonly cells: number;
}

const INDENT = "  ";
/** A hole narrower than this many cells has no room for its name. */
const HOLE_LABEL_CELLS = 6;
const GIB: number = 1024 ** 3;

export function zoneMap(style: Style, zones: readonly ZoneView[], pageSize: number): string[] {
  const populated = zones.filter((zone) => zone.ram.length > 0);
  if (populated.length === 0) return [];
  const nodes = [...new Set(populated.map(({ node }) => node))].sort((a, b) => a - b);
  const prefix = nodes.length > 1 ? Math.max(...nodes.map((node) => `N${node} `.length)) : 0;
  const axis = axisOf(populated, pageSize, style.width - INDENT.length - prefix);
  const pad = INDENT + " ".repeat(prefix);
  const lines = [pad + paint(style, "dim", ticks(populated, axis, pageSize))];
  for (const node of nodes) {
    const own = populated.filter((zone) => zone.node === node);
    const owners = cellOwners(own, axis, pageSize);
    const name = nodes.length > 1 ? `N${node} `.padEnd(prefix) : "";
    lines.push(INDENT + name + bar(style, owners, own));
    lines.push((pad + labels(style, owners, own)).trimEnd());
  }
  return lines;
}

/** From 0, unless RAM starts in the upper half of it all. */
function axisOf(zones: readonly ZoneView[], pageSize: number, cells: number): Axis {
  const first = Math.min(...zones.map((zone) => zone.ram[0]?.start ?? 0)) * pageSize;
  const end = Math.max(...zones.map((zone) => zone.ram.at(-1)?.end ?? 0)) * pageSize;
  const start = first > end / 2 ? Math.floor(first / GIB) * GIB : 0;
  return { start, perCell: (end - start) / cells, cells };
}

/** For each cell the index in `zones` of its owner, -1 for a hole. */
function cellOwners(zones: readonly ZoneView[], axis: Axis, pageSize: number): number[] {
  const ram = zones.map(() => new Float64Array(axis.cells));
  zones.forEach((zone, z) => {
    for (const range of zone.ram)
      addRange(ram[z], axis, range.start * pageSize, range.end * pageSize);
  });
  const owners = Array.from({ length: axis.cells }, (_, cell) => {
    const shares = ram.map((cells) => cells[cell] ?? 0);
    const whole = shares.reduce((sum, share) => sum + share, 0);
    return whole < axis.perCell / 2 ? -1 : shares.indexOf(Math.max(...shares));
  });
  let taken = -1;
  zones.forEach((zone, z) => {
    if (owners.includes(z)) return;
    const address = (zone.ram[0]?.start ?? 0) * pageSize;
    // Two such zones in one cell: the second takes the next.
    const cell = Math.max(taken + 1, Math.floor((address - axis.start) / axis.perCell));
    if (cell >= axis.cells) return;
    owners[cell] = z;
    taken = cell;
  });
  return owners;
}

function addRange(cells: Float64Array | undefined, axis: Axis, start: number, end: number): void {
  if (cells === undefined) return;
  const from = (start - axis.start) / axis.perCell;
  const to = (end - axis.start) / axis.perCell;
  for (let cell = Math.floor(from); cell < Math.min(axis.cells, Math.ceil(to)); cell++) {
    const share = Math.min(to, cell + 1) - Math.max(from, cell);
    cells[cell] = (cells[cell] ?? 0) + share * axis.perCell;
  }
}

function bar(style: Style, owners: readonly number[], zones: readonly ZoneView[]): string {
  let text = "";
  for (const { owner, length } of runs(owners)) {
    const zone = zones[owner];
    if (zone === undefined) text += paint(style, "dim", (style.unicode ? "·" : ".").repeat(length));
    else text += paint(style, zoneInk(zone.index), fill(style, zone).repeat(length));
  }
  return text;
}

/** Neighbours differ even without colour; in ASCII each zone has a letter. */
function fill(style: Style, zone: ZoneView): string {
  if (!style.unicode) return zone.name === "DMA32" ? "3" : (zone.name[0] ?? "#");
  return zone.index % 2 === 0 ? "█" : "▓";
}

/** Names under the bar, each under its first cell, or as close as there is room. */
function labels(style: Style, owners: readonly number[], zones: readonly ZoneView[]): string {
  let text = "";
  let length = 0;
  const seen = new Set<number>();
  let at = 0;
  for (const run of runs(owners)) {
    const zone = zones[run.owner];
    // What lies before and after a node's memory is no hole in it.
    const inside = at > 0 && at + run.length < owners.length;
    const label = zone?.name ?? (inside && run.length >= HOLE_LABEL_CELLS ? "hole" : "");
    const fits = length === 0 || at > length || run.length > label.length + (length + 1 - at);
    const again = zone !== undefined && seen.has(run.owner);
    const place = length === 0 ? at : Math.max(at, length + 1);
    if (
      label !== "" &&
      !again &&
      (zone !== undefined || fits) &&
      place + label.length <= owners.length
    ) {
      const ink = zone === undefined ? "dim" : zoneInk(zone.index);
      text += " ".repeat(place - length) + paint(style, ink, label);
      length = place + label.length;
    }
    seen.add(run.owner);
    at += run.length;
  }
  return text;
}

function runs(owners: readonly number[]): { owner: number; length: number }[] {
  const all: { owner: number; length: number }[] = [];
  for (const owner of owners) {
    const last = all.at(-1);
    if (last !== undefined && last.owner === owner) last.length++;
    else all.push({ owner, length: 1 });
  }
  return all;
}

/** Addresses above the bar: ends of the axis first, then where zones and wide holes begin. */
function ticks(zones: readonly ZoneView[], axis: Axis, pageSize: number): string {
  const end = axis.start + axis.perCell * axis.cells;
  const addresses = zones.flatMap((zone) => [
    (zone.startPfn ?? 0) * pageSize,
    ...zone.ram.flatMap((range) => [range.start * pageSize, range.end * pageSize]),
  ]);
  const row = Array.from({ length: axis.cells }, () => " ");
  const put = (address: number, text: string): void => {
    const wanted = Math.round((address - axis.start) / axis.perCell);
    const at = Math.max(0, Math.min(axis.cells - text.length, wanted));
    const around = row.slice(Math.max(0, at - 1), at + text.length + 1);
    if (around.some((glyph) => glyph !== " ")) return;
    for (let i = 0; i < text.length; i++) row[at + i] = text[i] ?? " ";
  };
  put(axis.start, shortAddress(axis.start));
  put(end, shortAddress(end));
  for (const address of addresses) put(address, shortAddress(address));
  return row.join("").trimEnd();
}

/** `16M`, `3G`, `2.5G`: rounded to what a map can show. */
export function shortAddress(bytes: number): string {
  if (bytes === 0) return "0";
  let amount = bytes / 1024;
  let step = 0;
  while (amount >= 1023.95 && step < 5) {
    amount /= 1024;
    step++;
  }
  const rounded = Math.round(amount * 10) / 10;
  return `${rounded}${"KMGTPE"[step] ?? ""}`;
}
