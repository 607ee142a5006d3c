/**
 * The firmware's memory map and what the command line makes of it: a list of
 * byte ranges with type numbers in, RAM in whole pages out.
 *
 * Entries may overlap and come in any order, as firmware delivers them; where
 * they overlap the highest type number wins. Edits are applied in the order of
 * the command line, to the entries as they stand, and only then is the map
 * merged again: `memmap=1G@4G` over a reserved range therefore adds nothing.
 */
import type { Issue } from "../base/issue.ts";
import { type Range, rangeList, subtract } from "../base/range.ts";
import type { FirmwareRange } from "../formats/boot-log.ts";
import type { CommandLine } from "./command-line.ts";

/** E820 type numbers. Linux: enum e820_type, arch/x86/include/asm/e820/types.h */
export const E820_RAM = 1;
export const E820_RESERVED = 2;
const E820_ACPI = 3;
const E820_PRAM = 12;

/** A range of bytes of one e820 type. */
export interface MapEntry extends Range {
  readonly type: number;
}

/** The words of the boot log, as e820_print_type() prints them, arch/x86/kernel/e820.c */
const TYPE_OF_WORD: ReadonlyMap<string, number> = new Map([
  ["usable", E820_RAM],
  ["reserved", E820_RESERVED],
  ["ACPI data", E820_ACPI],
  ["ACPI NVS", 4],
  ["unusable", 5],
  ["soft reserved", 0xefffffff],
]);

/** The map with type numbers for the log's words; unknown words count as reserved. Bytes. */
export function entriesOf(memory: readonly FirmwareRange[], issues: Issue[]): MapEntry[] {
  const entries: MapEntry[] = [];
  for (const { start, end, type: word } of memory) {
    const numbered = /type (\d{1,10})\)?$/.exec(word)?.[1];
    const type = TYPE_OF_WORD.get(word) ?? (numbered === undefined ? undefined : Number(numbered));
    if (type === undefined || type === 0) {
      issues.push({
        severity: "warning",
        message: `the memory map has a range of unknown type "${word}", taken as reserved`,
        mend: "use the boot log's words: usable, reserved, ACPI data, ACPI NVS, unusable, type N",
      });
    }
    if (!(start < end)) {
      issues.push({
        severity: "warning",
        message: `a range of the memory map ends before it starts: ${hex(start)} to ${hex(end)}`,
      });
      continue;
    }
    entries.push({ start, end, type: type === undefined || type === 0 ? E820_RESERVED : type });
  }
  return entries;
}

/** Overlaps that are told one by one; a map with more is not a firmware's. */
const OVERLAPS_TOLD = 5;

/**
 * Notes on entries that claim the same bytes, both named: each is told against
 * the one before it that reaches furthest.
 */
export function overlapNotes(entries: readonly MapEntry[]): Issue[] {
  const sorted = [...entries].sort((a, b) => a.start - b.start || a.end - b.end);
  const notes: Issue[] = [];
  let more = 0;
  let reach: MapEntry | undefined;
  for (const entry of sorted) {
    if (reach !== undefined && entry.start < reach.end) {
      if (notes.length < OVERLAPS_TOLD) notes.push(overlapNote(reach, entry));
      else more++;
    }
    if (reach === undefined || entry.end > reach.end) reach = entry;
  }
  if (more > 0) {
    const message = `${more} more ranges of the memory map overlap`;
    notes.push({ severity: "note", message });
  }
  return notes;
}

function overlapNote(one: MapEntry, other: MapEntry): Issue {
  const named = ({ start, end, type }: MapEntry): string =>
    `${hex(start)} to ${hex(end)} (${wordOf(type)})`;
  const wins = wordOf(Math.max(one.type, other.type));
  const rule =
    one.type === other.type ? "they are joined" : `where they do, the kernel takes it as ${wins}`;
  const message = `the ranges ${named(one)} and ${named(other)} of the memory map overlap: ${rule}`;
  return { severity: "note", message, mend: "correct the one that is wrong, if one is" };
}

function wordOf(type: number): string {
  for (const [word, number] of TYPE_OF_WORD) if (number === type) return word;
  return `type ${type}`;
}

/**
 * The same map without overlaps, sorted, neighbours of one type joined; the
 * highest type wins. Linux: e820__update_table(), arch/x86/kernel/e820.c
 */
export function mergeByType(entries: readonly MapEntry[]): MapEntry[] {
  const edges: { at: number; type: number; step: 1 | -1 }[] = [];
  for (const { start, end, type } of entries) {
    if (start < end) edges.push({ at: start, type, step: 1 }, { at: end, type, step: -1 });
  }
  edges.sort((a, b) => a.at - b.at);
  const open = new Map<number, number>();
  const merged: MapEntry[] = [];
  let from = 0;
  let current = 0;
  for (let i = 0; i < edges.length; i++) {
    const edge = edges[i];
    if (edge === undefined) continue;
    const count = (open.get(edge.type) ?? 0) + edge.step;
    if (count === 0) open.delete(edge.type);
    else open.set(edge.type, count);
    if (edges[i + 1]?.at === edge.at) continue;
    let highest = 0;
    for (const type of open.keys()) highest = Math.max(highest, type);
    if (highest === current) continue;
    if (current !== 0) merged.push({ start: from, end: edge.at, type: current });
    current = highest;
    from = edge.at;
  }
  return merged;
}

/**
 * Applies `mem=` and `memmap=` one after the other and merges the result.
 * Linux: parse_memopt(), parse_memmap_one(), e820__finish_early_params()
 */
export function applyEdits(
  map: readonly MapEntry[],
  edits: CommandLine["edits"],
): readonly MapEntry[] {
  if (edits.length === 0) return map;
  let entries = [...map];
  for (const edit of edits) entries = applyEdit(entries, edit);
  return mergeByType(entries);
}

function applyEdit(entries: MapEntry[], edit: CommandLine["edits"][number]): MapEntry[] {
  switch (edit.kind) {
    case "exactmap":
      return [];
    case "mem":
    case "limit":
      return retype(entries, { start: edit.bytes, end: Infinity }, E820_RAM, null);
    case "retype": {
      const range = rangeOf(edit);
      if (edit.from === null && edit.to !== null) return [...entries, { ...range, type: edit.to }];
      return retype(entries, range, edit.from, edit.to);
    }
    default: {
      const type = { add: E820_RAM, reserve: E820_RESERVED, acpi: E820_ACPI, protected: E820_PRAM };
      return [...entries, { ...rangeOf(edit), type: type[edit.kind] }];
    }
  }
}

function rangeOf({ start, bytes }: { readonly start: number; readonly bytes: number }): Range {
  return { start, end: Math.min(start + bytes, Number.MAX_SAFE_INTEGER) };
}

/** What is of type `from` (null: any) inside `range` becomes `to`, or goes when `to` is null. */
function retype(
  entries: readonly MapEntry[],
  range: Range,
  from: number | null,
  to: number | null,
): MapEntry[] {
  const result: MapEntry[] = [];
  for (const entry of entries) {
    const start = Math.max(entry.start, range.start);
    const end = Math.min(entry.end, range.end);
    if (start >= end || (from !== null && entry.type !== from)) {
      result.push(entry);
      continue;
    }
    if (entry.start < start) result.push({ ...entry, end: start });
    if (to !== null) result.push({ start, end, type: to });
    if (end < entry.end) result.push({ ...entry, start: end });
  }
  return result;
}

/** RAM of a merged map, in bytes. */
export function ramOf(entries: readonly MapEntry[]): Range[] {
  return rangeList(entries.filter((entry) => entry.type === E820_RAM));
}

/** The low addresses a PC never gives out: page 0, and video memory and BIOS at 640K-1M. */
const BIOS_START = 0xa0000;
const BIOS_END = 0x100000;

/** RAM in bytes without page 0 and 640K-1M. Linux: trim_bios_range(), arch/x86/kernel/setup.c */
export function trimBiosRange(ram: readonly Range[], pageSize: number): Range[] {
  return subtract(ram, [
    { start: 0, end: pageSize },
    { start: BIOS_START, end: BIOS_END },
  ]);
}

/** Byte ranges to pfn ranges; partial pages are lost at both ends. Linux: memblock_trim_memory() */
export function wholePages(ram: readonly Range[], pageSize: number): Range[] {
  return rangeList(
    ram.map(({ start, end }) => ({
      start: Math.ceil(start / pageSize),
      end: Math.floor(end / pageSize),
    })),
  );
}

/**
 * RAM in bytes of a plain list, for machines whose firmware names RAM only.
 * Overlaps are joined and reported: nobody lists the same RAM twice on purpose.
 */
export function plainRam(memory: readonly FirmwareRange[], issues: Issue[]): Range[] {
  const entries = entriesOf(memory, issues).filter((entry) => entry.type === E820_RAM);
  entries.sort((a, b) => a.start - b.start);
  let end = 0;
  for (const entry of entries) {
    if (entry.start < end) {
      issues.push({
        severity: "warning",
        message: `RAM is listed twice from ${hex(entry.start)} to ${hex(Math.min(end, entry.end))}`,
        mend: "check the sizes of the memory nodes",
      });
    }
    end = Math.max(end, entry.end);
  }
  return rangeList(entries);
}

/** A byte address as the kernel prints it. */
export function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
