// What the verdict of any report must do when one of its numbers is moved across the comparison that
// failed, or taken away. Faults are told as text, so that a test can name the report.
import type { Finding, ZoneAnswer } from "../../src/explain/index.ts";
import { explain } from "./explain.ts";

/** Causes where a comparison of pages failed in every zone of the request. */
const COMPARED = new Set([
  "below-watermark",
  "boost-only",
  "cma-only",
  "highatomic-only",
  "lowmem-exhausted",
  "not-enough-in-zone",
  "reserve",
]);

export interface Flips {
  /** Verdicts that were turned, and numbers that were deleted. */
  readonly turned: number;
  readonly deleted: number;
  readonly faults: readonly string[];
}

export function flipAll(text: string): Flips {
  const lines = text.split("\n");
  const faults: string[] = [];
  let turned = 0;
  let deleted = 0;
  for (const finding of explain(text)) {
    if (finding.zones.length === 0 || finding.order === null) continue;
    const again = (changed: readonly string[]): Finding | undefined =>
      explain(changed.join("\n")).find(({ line }) => line === finding.line);
    const told = (what: string, after: Finding | undefined): void => {
      faults.push(`line ${finding.line} ${finding.cause}: ${what}: ${after?.cause}`);
    };
    const refusing = finding.zones.filter(
      ({ eligible, watermarkOk }) => eligible && watermarkOk === false,
    );
    if (COMPARED.has(finding.cause)) {
      for (const zone of refusing) {
        const more = (by: number): Finding | undefined => again(withFree(lines, finding, zone, by));
        const short = zone.short ?? 0;
        const after = answerOf(more(short), zone);
        turned++;
        // Where a part of the comparison was never printed, more free pages may settle nothing.
        const open = zone.highatomic === null || zone.cma === null || zone.reserve === null;
        const fine = after?.watermarkOk === true || (open && after?.watermarkOk === null);
        if (!fine) told(`${zone.name} with ${short} more`, more(short));
        const before = short > 1 ? answerOf(more(short - 1), zone) : null;
        if (before?.watermarkOk === true)
          told(`${zone.name} with ${short - 1} more`, more(short - 1));
      }
      deleted++;
      const cut = refusing.reduce((all, zone) => without(all, zone), lines);
      const after = again(cut);
      if (after !== undefined && after.cause !== "not-in-report") told("free deleted", after);
    }
    if (finding.cause === "fragmentation" && refusing.length === 0) {
      const [zone] = finding.zones.filter(
        ({ blockOk, watermarkOk }) => blockOk === false && watermarkOk === true,
      );
      const after = zone === undefined ? undefined : again(withBlock(lines, finding, zone));
      turned++;
      // Up to 4.3 one block may be too little in what is left of each order.
      const moved = after?.cause === "passes-now" || after?.cause === "order-watermark";
      if (!moved) told("one block more", after);
    }
  }
  return { turned, deleted, faults };
}

function answerOf(
  finding: Finding | undefined,
  { node, name }: ZoneAnswer,
): ZoneAnswer | undefined {
  return finding?.zones.find((zone) => zone.node === node && zone.name === name);
}

/** "free:12kB" of the zone's row; a row may be broken into several lines. */
function edit(
  lines: readonly string[],
  { line }: ZoneAnswer,
  to: (kib: number) => string,
): string[] {
  const out = [...lines];
  for (let at = line - 1; at < Math.min(line + 2, out.length); at++) {
    const own = out[at] ?? "";
    if (!/\bfree:\d+kB/.test(own)) continue;
    out[at] = own.replace(/\bfree:(\d+)kB/, (_, kib: string) => to(Number(kib)));
    break;
  }
  return out;
}

function withFree(
  lines: readonly string[],
  { pageKib }: Finding,
  zone: ZoneAnswer,
  by: number,
): string[] {
  return edit(lines, zone, (kib) => `free:${kib + by * (pageKib ?? 4)}kB`);
}

function without(lines: readonly string[], zone: ZoneAnswer): string[] {
  return edit(lines, zone, () => "");
}

/** One block of the order in the zone's list, where it had none. */
function withBlock(
  lines: readonly string[],
  { order, pageKib, gfp, line: first }: Finding,
  { name, node }: ZoneAnswer,
): string[] {
  const size = (pageKib ?? 4) * 2 ** (order ?? 0);
  const letters =
    gfp.length > 0 && lines.some((line) => /\*\d+kB \([A-Z]+\)/.test(line)) ? " (UM)" : "";
  const head = new RegExp(`(?:Node ${node} )?\\b${name}: \\d+\\*`);
  const from = lines.findIndex((line, at) => at >= first && head.test(line));
  const out = [...lines];
  for (let at = from; at !== -1 && at < Math.min(from + 4, out.length); at++) {
    const own = out[at] ?? "";
    if (!own.includes(` 0*${size}kB`)) continue;
    out[at] = own.replace(` 0*${size}kB`, ` 1*${size}kB${letters}`);
    // The sum follows, on this line or on the one behind.
    for (const to of [at, at + 1]) {
      const line = out[to] ?? "";
      if (!/= \d+kB/.test(line)) continue;
      out[to] = line.replace(/= (\d+)kB/, (_, kib: string) => `= ${Number(kib) + size}kB`);
      break;
    }
    break;
  }
  return out;
}
