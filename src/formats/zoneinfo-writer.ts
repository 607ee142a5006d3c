/**
 * Prints a zoneinfo record as the kernel does, byte for byte for what
 * `zoneinfoReader` read. Lines whose number the record does not have are not
 * printed, so a record that only predicts prints what it predicts.
 *
 * Sizes have had one order in all eras, with lines coming and going; what else
 * changed is in `ZoneinfoLayout`.
 *
 * Linux: zoneinfo_show_print(), mm/vmstat.c
 */
import type { Zoneinfo, ZoneinfoLayout, ZoneinfoPageset, ZoneinfoZone } from "./zoneinfo.ts";
import { MODERN_LAYOUT } from "./zoneinfo.ts";

/** The text of `zoneinfo`, with LF line ends; "" for no zones. */
export function writeZoneinfo(zoneinfo: Zoneinfo): string {
  const layout = zoneinfo.layout ?? MODERN_LAYOUT;
  const lines: string[] = [];
  const described = new Set<number>();
  for (const zone of zoneinfo.zones) {
    lines.push(`Node ${zone.node}, zone ${zone.name.padStart(8)}`);
    const counters = zoneinfo.nodeCounters.get(zone.node);
    // The node's counters come with its first populated zone.
    if (zone.startPfn !== null && counters !== undefined && !described.has(zone.node)) {
      described.add(zone.node);
      lines.push("  per-node stats");
      pushCounters(lines, counters, 6);
    }
    pushZone(lines, zone, layout);
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function pushZone(lines: string[], zone: ZoneinfoZone, layout: ZoneinfoLayout): void {
  lines.push(`  pages free     ${zone.free}`);
  pushSizes(lines, zone);
  if (!layout.protectionLast) pushProtection(lines, zone);
  pushCounters(lines, zone.counters, layout.counterIndent);
  if (layout.protectionLast) pushProtection(lines, zone);
  if (zone.startPfn === null) return;
  lines.push("  pagesets");
  for (const pageset of zone.pagesets) pushPageset(lines, pageset, layout.pagesetWidth);
  for (const label of layout.tail) {
    const value = label === "start_pfn" ? zone.startPfn : zone.tail?.get(label);
    if (value !== undefined) lines.push(`  ${`${label}:`.padEnd(layout.tailWidth)}${value}`);
  }
}

function pushSizes(lines: string[], zone: ZoneinfoZone): void {
  const other = new Map(zone.otherSizes ?? []);
  const push = (name: string, value: number | null | undefined): void => {
    if (value !== null && value !== undefined) lines.push(`        ${name.padEnd(8)} ${value}`);
  };
  const pushOther = (name: string): void => {
    push(name, other.get(name));
    other.delete(name);
  };
  push("boost", zone.boost);
  push("min", zone.min);
  push("low", zone.low);
  push("high", zone.high);
  push("promo", zone.promo);
  pushOther("active");
  pushOther("inactive");
  if (zone.scannedBy === undefined) {
    pushOther("scanned");
  } else {
    const parts = [...zone.scannedBy].map(([name, value]) => `${name}: ${value}`);
    lines.push(`        scanned  ${other.get("scanned") ?? 0} (${parts.join(" ")})`);
    other.delete("scanned");
  }
  const nodeScanned = other.get("node_scanned");
  // 4.8 to 4.10 print this one line with its own indentation.
  if (nodeScanned !== undefined) lines.push(`   node_scanned  ${nodeScanned}`);
  other.delete("node_scanned");
  push("spanned", zone.spanned);
  push("present", zone.present);
  push("managed", zone.managed);
  push("cma", zone.cma);
  for (const [name, value] of other) push(name, value);
}

function pushProtection(lines: string[], zone: ZoneinfoZone): void {
  if (zone.protection.length === 0) return;
  lines.push(`        protection: (${zone.protection.join(", ")})`);
}

function pushCounters(
  lines: string[],
  counters: ReadonlyMap<string, number>,
  indent: number,
): void {
  const blanks = " ".repeat(indent);
  for (const [name, value] of counters) lines.push(`${blanks}${name.padEnd(12)} ${value}`);
}

function pushPageset(lines: string[], pageset: ZoneinfoPageset, width: number): void {
  const push = (label: string, value: number | null | undefined): void => {
    if (value === null || value === undefined) return;
    lines.push(`              ${`${label}:`.padEnd(width)}${value}`);
  };
  const list = pageset.pcp === undefined ? "" : ` pcp: ${pageset.pcp}`;
  lines.push(`    cpu: ${pageset.cpu}${list}`);
  push("count", pageset.count);
  push("low", pageset.low);
  push("high", pageset.high);
  push("batch", pageset.batch);
  push("high_min", pageset.highMin);
  push("high_max", pageset.highMax);
  for (const [name, value] of pageset.numa ?? []) {
    lines.push(`            ${`${name}:`.padEnd(16)}${value}`);
  }
  if (pageset.statThreshold !== undefined) {
    lines.push(`  vm stats threshold: ${pageset.statThreshold}`);
  }
}
