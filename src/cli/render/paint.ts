/** Colours and glyphs; text is laid out plain first and painted after. */
import { styleText } from "node:util";
import type { Style } from "../terminal.ts";

export type Ink =
  | "title"
  | "dim"
  | "good"
  | "warn"
  | "bad"
  | "zone0"
  | "zone1"
  | "zone2"
  | "zone3"
  | "zone4";

type Format = Parameters<typeof styleText>[0];

const INKS: Readonly<Record<Ink, Format>> = {
  title: ["bold"],
  dim: ["dim"],
  good: ["green"],
  warn: ["yellow"],
  bad: ["red", "bold"],
  zone0: ["red"],
  zone1: ["yellow"],
  zone2: ["green"],
  zone3: ["cyan"],
  zone4: ["magenta"],
};
const ZONE_INKS: readonly Ink[] = ["zone0", "zone1", "zone2", "zone3", "zone4"];

export function paint(style: Style, ink: Ink, text: string): string {
  if (!style.colour || text === "") return text;
  return styleText(INKS[ink], text, { validateStream: false });
}

/** The ink of the zone with this index. */
export function zoneInk(index: number): Ink {
  return ZONE_INKS[index % ZONE_INKS.length] ?? "dim";
}

const PLAIN: ReadonlyMap<string, string> = new Map([
  ["–", "-"],
  ["—", "-"],
  ["·", "."],
  ["±", "+-"],
  ["→", "->"],
  ["✓", "ok"],
  ["✗", "x"],
  ["…", "..."],
  ["×", "x"],
  ["≤", "<="],
  ["─", "-"],
  ["│", "|"],
]);

/** `text` in ASCII where the terminal wants that. */
export function spell(style: Style, text: string): string {
  if (style.unicode) return text;
  return text.replace(/[^\n -~]/g, (glyph) =>
    glyph === "\x1b" ? glyph : (PLAIN.get(glyph) ?? "?"),
  );
}

/** `text` cut into lines of at most `width`, continuation lines indented. */
export function wrap(text: string, width: number, indent = ""): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (longer.length > width && line.trim() !== "") {
      lines.push(line);
      line = indent + word;
    } else line = longer;
  }
  return [...lines, line];
}
