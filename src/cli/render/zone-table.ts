/** Zones as a table, and their reserves in words. */
import { formatAddress, formatBytes, formatCount } from "../../base/units.ts";
import type { Style } from "../terminal.ts";
import { type Ink, paint, wrap, zoneInk } from "./paint.ts";
import { type Column, table } from "./table.ts";
import { nodeCount, type ZoneView, zoneLabel } from "./zone-view.ts";

/** Populated zones, all numbers in pages but the addresses. `brief` keeps to one screen. */
export function zoneTable(
  style: Style,
  zones: readonly ZoneView[],
  pageSize: number,
  brief = false,
): string[] {
  const nodes = nodeCount(zones);
  const rows = zones.filter((zone) => zone.present > 0);
  const empty = emptyWords(zones, nodes);
  const live = rows.some((zone) => zone.free !== null);
  const columns: Column<ZoneView>[] = [
    {
      head: "zone",
      align: "left",
      cell: (zone) => zoneLabel(zone, nodes),
      ink: (zone) => zoneInk(zone.index),
    },
    { head: "addresses", align: "left", cell: (zone) => addresses(zone, pageSize), importance: 1 },
    { head: "spanned", align: "right", cell: (z) => formatCount(z.spanned), importance: 3 },
    { head: "present", align: "right", cell: (z) => formatCount(z.present) },
    { head: "managed", align: "right", cell: managedWords },
  ];
  if (live) {
    columns.push({ head: "free", align: "right", cell: freeWords, ink: freeInk });
  }
  const marks: Column<ZoneView>[] = [
    { head: "min", align: "right", cell: (zone) => formatCount(zone.min) },
    { head: "low", align: "right", cell: (zone) => formatCount(zone.low) },
    { head: "high", align: "right", cell: (zone) => formatCount(zone.high) },
    { head: "protection", align: "left", cell: protectionWords, importance: 2 },
    { head: "pcp high/batch", align: "right", cell: (zone) => zone.pageset, importance: 4 },
  ];
  const shown = [...columns, ...marks].filter(({ importance = 0 }) => !brief || importance <= 1);
  const lines = table(style, shown, rows);
  if (empty !== "") {
    const words = wrap(`empty: ${empty}`, style.width - 4, "  ");
    lines.push(...words.map((line) => `  ${paint(style, "dim", line)}`));
  }
  return lines;
}

/** "Movable, Device, DMA (N1 N2)": with nodes only where some node has the zone. */
function emptyWords(zones: readonly ZoneView[], nodes: number): string {
  const nodesOf = new Map<string, string[]>();
  for (const zone of zones) {
    if (zone.present > 0) continue;
    nodesOf.set(zone.name, [...(nodesOf.get(zone.name) ?? []), `N${zone.node}`]);
  }
  return [...nodesOf]
    .map(([name, where]) => (where.length === nodes ? name : `${name} (${where.join(" ")})`))
    .join(", ");
}

function addresses(zone: ZoneView, pageSize: number): string {
  if (zone.startPfn === null) return "";
  const end = (zone.startPfn + zone.spanned) * pageSize - 1;
  return `${formatAddress(zone.startPfn * pageSize, 1)}–${formatAddress(end, 1)}`;
}

function managedWords({ managed }: ZoneView): string {
  if (managed === null) return "";
  if (managed.low === managed.high) return formatCount(managed.pages);
  const spread = Math.max(managed.high - managed.pages, managed.pages - managed.low);
  return `${formatCount(managed.pages)} ±${formatCount(spread)}`;
}

function freeWords({ free }: ZoneView): string {
  return free === null ? "" : formatCount(free);
}

function freeInk({ free, min, low }: ZoneView): Ink | null {
  if (free === null) return null;
  return free < min ? "bad" : free < low ? "warn" : "good";
}

function protectionWords({ protection }: ZoneView): string {
  return protection.length === 0 ? "" : `(${protection.join(", ")})`;
}

/** The requests that a reserve is kept from, by the highest zone they may use. */
const REQUESTS: ReadonlyMap<string, string> = new Map([
  ["DMA32", "GFP_DMA32"],
  ["Normal", "GFP_KERNEL"],
  ["HighMem", "GFP_HIGHUSER"],
  ["Movable", "GFP_HIGHUSER_MOVABLE"],
]);

function reserveSentence(
  zone: ZoneView,
  label: string,
  pages: number,
  requests: readonly string[],
  pageSize: number,
): string {
  const amount = `${formatCount(pages)} pages (${formatBytes(pages * pageSize)})`;
  const who = `a ${requests.join(" or ")} request`;
  if (pages < (zone.managed?.pages ?? zone.present)) {
    return `${who} may not take the last ${amount} of ${label} above its min mark`;
  }
  return `${who} gets nothing of ${label}: its reserve, ${amount}, is more than the zone has`;
}

/**
 * "a GFP_KERNEL request may not take the last 2 990 pages (11.7 MiB) of DMA …".
 *
 * Linux: __zone_watermark_ok(), mm/page_alloc.c: free must stay above mark + lowmem_reserve
 */
export function reserveWords(style: Style, zones: readonly ZoneView[], pageSize: number): string[] {
  const nodes = nodeCount(zones);
  const sentences: string[] = [];
  for (const zone of zones) {
    if (zone.present === 0) continue;
    const byAmount = new Map<number, string[]>();
    zone.protection.forEach((pages, j) => {
      const name = zones.find(({ node, index }) => node === zone.node && index === j)?.name ?? "";
      const request = REQUESTS.get(name) ?? (name === "Device" ? "" : name);
      if (j <= zone.index || pages === 0 || request === "") return;
      byAmount.set(pages, [...(byAmount.get(pages) ?? []), request]);
    });
    for (const [pages, requests] of byAmount) {
      sentences.push(reserveSentence(zone, zoneLabel(zone, nodes), pages, requests, pageSize));
    }
  }
  if (sentences.length === 0) {
    sentences.push("no zone keeps pages from requests that could use a higher one");
  }
  return sentences.flatMap((text) => wrap(text, style.width - 4, "  ").map((line) => `  ${line}`));
}
