/**
 * Reads /proc/zoneinfo of any kernel from 2.6.13 on. The shape is found in the
 * text, never in a version: a line is known by its name and its colon, and
 * indentation decides only between names nobody has seen yet.
 *
 *   Node 0, zone      DMA        heading
 *     per-node stats             counters below are the node's
 *     pages free     N           sizes below are the zone's
 *           min      N           size: a known name, or eight blanks
 *         nr_free_pages N        counter: four or six blanks
 *           protection: (a, b)
 *       cpu: 0 [pcp: 0]          pageset, its fields and threshold below
 *     start_pfn:  N              tail
 *
 * A zone is whole when its sizes are there and it ends with start_pfn, or has
 * no pages and ends with protection. Others are reported and left out.
 */

import type { Reader } from "./reader.ts";
import { CUT_MEND, excerpt, type LineLog, type Table, tableReader } from "./table.ts";
import {
  MODERN_LAYOUT,
  type Zoneinfo,
  type ZoneinfoLayout,
  type ZoneinfoZone,
} from "./zoneinfo.ts";
import { ZoneDraft, zoneOf } from "./zoneinfo-draft.ts";

const HEADING = /^Node +(\d+), zone +(\S+)\s*$/;
const FREE = /^\s+pages free\s+(-?\d+)\s*$/;
const PAIR = /^(\s+)([A-Za-z_][\w()-]*)\s+(-?\d+)\s*$/;
// A counter beyond the kernel's table of names: six blanks, twelve for the name, one.
const NAMELESS = /^ {13,}(-?\d+)\s*$/;
const SCANNED = /^\s+scanned\s+(\d+) \((\w+: \d+(?: \w+: \d+)*)\)\s*$/;
const PROTECTION = /^\s+protection: \((-?\d+(?:, -?\d+)*)\)\s*$/;
const CPU = /^\s+cpu: (\d+)(?: pcp: (\d+))?\s*$/;
const LABEL = /^(\s+)(([a-z_][a-z_ ]*):\s+)(-?\d+)\s*$/;

/** Sizes by their name, whatever their indentation. */
const SIZES: ReadonlySet<string> = new Set([
  "boost",
  "min",
  "low",
  "high",
  "promo",
  "active",
  "inactive",
  "scanned",
  "node_scanned",
  "spanned",
  "present",
  "managed",
  "cma",
]);
const PAGESET_FIELDS: ReadonlySet<string> = new Set([
  "count",
  "low",
  "high",
  "batch",
  "high_min",
  "high_max",
]);
/** Per-CPU NUMA counters of 2.6.13 to 2.6.17. */
const PAGESET_NUMA: ReadonlySet<string> = new Set([
  "numa_hit",
  "numa_miss",
  "numa_foreign",
  "interleave_hit",
  "local_node",
  "other_node",
]);

/** Pages and counts as in `ZoneinfoZone`. Issues name the line; a zone cut short is an error. */
export function zoneinfoReader(): Reader<Zoneinfo> {
  return tableReader(new ZoneinfoTable());
}

class ZoneinfoTable implements Table<Zoneinfo> {
  readonly name = "zoneinfo";
  readonly #zones: ZoneinfoZone[] = [];
  readonly #nodeCounters = new Map<number, ReadonlyMap<string, number>>();
  readonly #seen = new Set<string>();
  /** Sizes of the first whole zone; labels of the tail so far. */
  #sizes: readonly string[] = [];
  readonly #tail: string[] = [];
  #draft: ZoneDraft | null = null;
  #counterIndent: number | null = null;
  #protectionLast: boolean | null = null;
  #pagesetWidth: number | null = null;
  #tailWidth: number | null = null;

  take(text: string, log: LineLog): boolean {
    if (text.trim() === "") return true;
    if (text.startsWith("Node ")) return this.#heading(text, log);
    const zone = this.#draft;
    if (zone === null) return false;
    const read = this.#below(zone, text, log);
    if (read) zone.lastLine = log.line;
    return read;
  }

  finish(log: LineLog): Zoneinfo {
    this.#close(log);
    const layout: ZoneinfoLayout = {
      counterIndent: this.#counterIndent ?? MODERN_LAYOUT.counterIndent,
      protectionLast: this.#protectionLast ?? MODERN_LAYOUT.protectionLast,
      pagesetWidth: this.#pagesetWidth ?? MODERN_LAYOUT.pagesetWidth,
      tail: this.#tail.length > 0 ? this.#tail : MODERN_LAYOUT.tail,
      tailWidth: this.#tailWidth ?? MODERN_LAYOUT.tailWidth,
    };
    return { zones: this.#zones, nodeCounters: this.#nodeCounters, layout };
  }

  #heading(text: string, log: LineLog): boolean {
    const [, node, name] = HEADING.exec(text) ?? [];
    if (node === undefined || name === undefined) return false;
    this.#close(log);
    this.#draft = new ZoneDraft(log.decimal(node), name, log.line);
    return true;
  }

  #below(zone: ZoneDraft, text: string, log: LineLog): boolean {
    if (text.includes(")")) return this.#bracketed(zone, text, log);
    if (text.includes(":")) return this.#labelled(zone, text, log);
    const [, indent, name, digits] = PAIR.exec(text) ?? [];
    if (indent !== undefined && name !== undefined && digits !== undefined) {
      return this.#pair(zone, indent.length, name, digits, log);
    }
    const [, free] = FREE.exec(text) ?? [];
    if (free !== undefined) {
      if (zone.free !== null) return false;
      zone.free = amount("pages free", free, log);
      return true;
    }
    const [, value] = NAMELESS.exec(text) ?? [];
    if (value !== undefined) {
      return setNew(zone.free === null ? zone.nodeCounters : zone.counters, "", value, log);
    }
    if (text.trim() === "per-node stats") {
      const first = !zone.nodeStats && zone.free === null;
      zone.nodeStats = true;
      return first;
    }
    if (text.trim() !== "pagesets" || zone.hasPagesets) return false;
    zone.hasPagesets = true;
    return true;
  }

  #pair(zone: ZoneDraft, indent: number, name: string, digits: string, log: LineLog): boolean {
    if (zone.free === null) return zone.nodeStats && setNew(zone.nodeCounters, name, digits, log);
    if (SIZES.has(name) || (indent === 8 && zone.counters.size === 0)) {
      return setNew(zone.sizes, name, digits, log);
    }
    this.#counterIndent ??= indent;
    return setNew(zone.counters, name, digits, log);
  }

  #bracketed(zone: ZoneDraft, text: string, log: LineLog): boolean {
    const [, list] = PROTECTION.exec(text) ?? [];
    if (list !== undefined) {
      if (zone.protection !== null || zone.free === null) return false;
      zone.protection = list.split(", ").map((digits) => amount("protection", digits, log));
      // Only a zone with counters tells; kernels before 2.6.18 have none at all.
      if (zone.counters.size > 0) this.#protectionLast ??= true;
      return true;
    }
    const [, total, parts] = SCANNED.exec(text) ?? [];
    if (total === undefined || parts === undefined || zone.free === null) return false;
    if (!setNew(zone.sizes, "scanned", total, log)) return false;
    for (const [, name, digits] of parts.matchAll(/(\w+): (\d+)/g)) {
      if (name !== undefined && digits !== undefined) zone.scannedBy.set(name, log.decimal(digits));
    }
    return true;
  }

  #labelled(zone: ZoneDraft, text: string, log: LineLog): boolean {
    const [, cpu, pcp] = CPU.exec(text) ?? [];
    if (cpu !== undefined) {
      if (!zone.hasPagesets || zone.tail.size > 0) return false;
      zone.pagesets.push({
        cpu: log.decimal(cpu),
        pcp: pcp === undefined ? null : log.decimal(pcp),
        fields: new Map(),
        numa: new Map(),
        threshold: null,
      });
      return true;
    }
    const [, indent, padded, label, digits] = LABEL.exec(text) ?? [];
    if (indent === undefined || padded === undefined || label === undefined) return false;
    if (digits === undefined || !zone.hasPagesets) return false;
    const pageset = zone.pagesets.at(-1);
    if (label === "vm stats threshold") {
      if (pageset === undefined || pageset.threshold !== null) return false;
      pageset.threshold = amount(label, digits, log);
      return true;
    }
    if (PAGESET_NUMA.has(label)) {
      return pageset !== undefined && setNew(pageset.numa, label, digits, log);
    }
    if (PAGESET_FIELDS.has(label) || indent.length > 8) {
      if (pageset === undefined || !PAGESET_FIELDS.has(label)) return false;
      this.#pagesetWidth ??= padded.length;
      return setNew(pageset.fields, label, digits, log);
    }
    if (!setNew(zone.tail, label, digits, log)) return false;
    this.#tailWidth ??= padded.length;
    if (!this.#tail.includes(label)) this.#tail.push(label);
    return true;
  }

  #close(log: LineLog): void {
    const draft = this.#draft;
    this.#draft = null;
    if (draft === null) return;
    const called = `zone ${draft.name} of node ${draft.node}`;
    const lacks = draft.lacks(this.#sizes, this.#tail);
    if (lacks !== null) {
      const message = `${called} is cut short: its ${lacks} is missing`;
      log.report("error", message, CUT_MEND, draft.lastLine);
      return;
    }
    const key = `${draft.node} ${draft.name}`;
    if (this.#seen.has(key)) {
      const mend = "give one file at a time";
      log.report("warning", `left out ${called}: it was there before`, mend, draft.line);
      return;
    }
    this.#seen.add(key);
    if (draft.nodeStats) this.#nodeCounters.set(draft.node, draft.nodeCounters);
    if (this.#zones.length === 0) this.#sizes = [...draft.sizes.keys()];
    this.#zones.push(zoneOf(draft, log));
  }
}

/** Sets a value that must not have one yet. */
function setNew(map: Map<string, number>, name: string, digits: string, log: LineLog): boolean {
  if (map.has(name)) return false;
  map.set(name, amount(name, digits, log));
  return true;
}

/** A number of pages or events; the kernel prints none below zero. */
function amount(name: string, digits: string, log: LineLog): number {
  const value = log.decimal(digits);
  if (value >= 0) return value;
  const message = `${name || "a counter"} is negative (${excerpt(digits)}), read as 0`;
  log.report("warning", message, "copy the file from /proc again, unedited");
  return 0;
}
