/**
 * The comparison as a picture: what a zone has above what it must keep, on one scale a zone; and its
 * free blocks as columns, with the order that was asked for in brackets.
 */
import { formatCount } from "../../base/units.ts";
import type { Finding, ZoneAnswer } from "../../explain/index.ts";
import type { Style } from "../terminal.ts";
import { type Ink, paint } from "./paint.ts";

const ZONES_SHOWN = 8;
const NAME = 14;
const NAME_SHORT = 9;
/** Blanks between two orders. */
const GAP = 2;

interface Glyphs {
  readonly usable: string;
  readonly held: string;
  readonly mark: string;
  readonly reserve: string;
}

const UNICODE: Glyphs = { usable: "█", held: "░", mark: "▓", reserve: "▒" };
const ASCII: Glyphs = { usable: "#", held: ".", mark: "=", reserve: "-" };

/** Two lines a zone. */
export function zoneBars(style: Style, zones: readonly ZoneAnswer[]): string[] {
  const shown = zones.slice(0, ZONES_SHOWN);
  const lines = shown.flatMap((zone) => barOf(style, zone, zones));
  const more = zones.length - shown.length;
  return more > 0 ? [...lines, `  and ${more} more zones`] : lines;
}

function barOf(style: Style, zone: ZoneAnswer, all: readonly ZoneAnswer[]): string[] {
  const { free, usable, needs, mark, reserve, watermarkOk, blockOk, short } = zone;
  const name = several(all) ? `${zone.node} ${zone.name}` : zone.name;
  if (free === null || usable === null || needs === null || mark === null) {
    return [`  ${name.padEnd(NAME)}${zone.because}`];
  }
  const glyphs = style.unicode ? UNICODE : ASCII;
  const width = Math.max(12, Math.min(40, style.width - 60));
  const scale = width / Math.max(1, free, needs);
  const have = cells(Math.max(0, usable), scale, glyphs.usable);
  const held = cells(Math.max(0, free - Math.max(0, usable)), scale, glyphs.held);
  const keep = cells(mark, scale, glyphs.mark) + cells(reserve ?? 0, scale, glyphs.reserve);
  const [ink, words] = answerOf(zone);
  const ok = watermarkOk === true ? "good" : "bad";
  const off = free === usable ? "" : ` of ${formatCount(free)} free`;
  const verdict = watermarkOk === false ? `, ${formatCount(short ?? 0)} short` : "";
  const kept = `mark ${formatCount(mark)} + reserve ${formatCount(reserve ?? 0)}${verdict}`;
  const block = blockOk === null && watermarkOk === true ? "" : words;
  return [
    `  ${name.padEnd(NAME)}has   ${paint(style, "dim", (have + held).slice(0, width).padEnd(width))} ${formatCount(usable)} usable${off}`,
    `  ${paint(style, ink, block.padEnd(NAME))}needs ${paint(style, ok, keep.slice(0, width).padEnd(width))} ${paint(style, ok, `> ${kept}`)}`,
  ];
}

function cells(pages: number, scale: number, glyph: string): string {
  return glyph.repeat(pages <= 0 ? 0 : Math.max(1, Math.round(pages * scale)));
}

function answerOf({ watermarkOk, blockOk }: ZoneAnswer): readonly [Ink, string] {
  if (watermarkOk === null) return ["dim", "unknown"];
  if (!watermarkOk) return ["bad", "✗ too little"];
  return blockOk === false ? ["bad", "✗ no block"] : ["good", "✓ serves"];
}

/** Counts of free blocks; nothing for single pages, whose order does not matter. */
export function orderLines(
  style: Style,
  zones: readonly ZoneAnswer[],
  { order }: Finding,
): string[] {
  if (order === null || order <= 0) return [];
  const listed = zones.filter(({ blocks }) => blocks !== null).slice(0, ZONES_SHOWN);
  const orders = Math.max(0, ...listed.map(({ blocks }) => blocks?.length ?? 0));
  if (orders === 0) return [];
  const numbers = Array.from({ length: orders }, (_, own) => own);
  const heads = numbers.map((own) => (own === order ? `[${own}]` : String(own)));
  const texts = listed.map(({ blocks }) =>
    numbers.map((own) => String(blocks?.[own]?.count ?? "?")),
  );
  const widths = numbers.map(
    (own) => GAP + Math.max(heads[own]?.length ?? 0, ...texts.map((row) => row[own]?.length ?? 0)),
  );
  const cell = (text: string, own: number): string => text.padStart(widths[own] ?? 0);
  const names = listed.map(({ name, node }) => (several(listed) ? `${node} ${name}` : name));
  const rows = listed.map(({ blocks }, row) => {
    const counts = numbers.map((own) => {
      const text = cell(texts[row]?.[own] ?? "?", own);
      return own < order ? text : paint(style, blocks?.[own]?.count === 0 ? "bad" : "good", text);
    });
    return `  ${(names[row] ?? "").padEnd(NAME_SHORT)}${counts.join("")}`;
  });
  const head = "order".padEnd(NAME_SHORT) + heads.map(cell).join("");
  return [`  ${paint(style, "dim", head)}`, ...rows];
}

function several(zones: readonly ZoneAnswer[]): boolean {
  return new Set(zones.map(({ node }) => node)).size > 1;
}
