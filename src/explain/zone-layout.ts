/**
 * Which zones the columns of lowmem_reserve[] stand for. The row has one column a zone that was
 * configured, and only zones with memory are printed, so several layouts may fit; the processor's
 * width and the names printed leave one in most reports.
 *
 * Linux: enum zone_type, include/linux/mmzone.h
 */
import type { MemoryReport } from "../formats/index.ts";
import type { ReportEra } from "./era.ts";

export type ZoneLayout = readonly string[];

const LAYOUTS: readonly ZoneLayout[] = [
  ["DMA", "DMA32", "Normal", "Movable", "Device"],
  ["DMA", "Normal", "HighMem", "Movable", "Device"],
  ["DMA", "DMA32", "Normal", "Movable"],
  ["DMA", "Normal", "HighMem", "Movable"],
  ["DMA32", "Normal", "Movable", "Device"],
  ["DMA", "Normal", "Movable", "Device"],
  ["DMA", "DMA32", "Normal", "HighMem"],
  ["DMA", "DMA32", "Normal"],
  ["DMA", "Normal", "HighMem"],
  ["DMA", "Normal", "Movable"],
  ["DMA32", "Normal", "Movable"],
  ["Normal", "HighMem", "Movable"],
  ["Normal", "Movable", "Device"],
  ["DMA", "Normal"],
  ["Normal", "Movable"],
  ["Normal"],
];

/** Where no row was printed: what has zones of these names. */
const WITHOUT_ROW: readonly ZoneLayout[] = [
  ["DMA", "DMA32", "Normal", "Movable"],
  ["DMA", "Normal", "HighMem", "Movable"],
];

/** Layouts that fit what was printed, likeliest first; at least one. */
export function layoutsOf(report: MemoryReport, era: ReportEra): ZoneLayout[] {
  const columns = Math.max(0, ...report.zones.map(({ protection }) => protection?.length ?? 0));
  const names = report.zones.map(({ name }) => name);
  const bits = names.includes("HighMem") ? 32 : names.includes("DMA32") ? 64 : report.addressBits;
  const named = (columns === 0 ? WITHOUT_ROW : LAYOUTS).filter(
    (layout) =>
      (columns === 0 || layout.length === columns) &&
      names.every((name) => layout.includes(name)) &&
      (era.movable || !layout.includes("Movable")) &&
      rowsFit(report, layout),
  );
  const wide = named.filter((layout) => {
    if (bits === 32) return !layout.includes("DMA32");
    return bits !== 64 || !layout.includes("HighMem");
  });
  if (wide.length > 0) return wide;
  if (named.length > 0) return named;
  // Zones of names that nobody knows: the printed ones, in their order.
  return [[...new Set(names.length > 0 ? names : ["Normal"])]];
}

/** A zone holds nothing back from itself and the zones below it. */
function rowsFit(report: MemoryReport, layout: ZoneLayout): boolean {
  return report.zones.every(({ name, protection }) => {
    const own = layout.indexOf(name);
    // A row of another length was damaged, and says nothing.
    if (protection?.length !== layout.length) return true;
    return protection.every(({ value }, column) => column > own || value === 0);
  });
}
