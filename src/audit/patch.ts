/** The mechanical fixes as one unified diff, as `git apply` takes it. */
import type { Removal } from "./facts.ts";
import type { Use } from "./use.ts";

const CONTEXT = 3;

interface Change {
  /** 0-based lines [start, end) of the old text, and what stands there instead. */
  readonly start: number;
  readonly end: number;
  readonly lines: readonly string[];
}

/** The diff for one file; empty where nothing is to do. `text` is what the facts were made of. */
export function patchOf(file: string, text: string, uses: readonly Use[]): string {
  const cuts = uses
    .flatMap((use) => (use.file === file && use.removal !== null ? [use.removal] : []))
    .sort((a, b) => a.start - b.start);
  if (cuts.length === 0) return "";
  const changes = changesOf(text, apart(cuts));
  return [`--- a/${file}\n+++ b/${file}\n`, ...hunks(text, changes)].join("");
}

/** Cuts that touch each other are one doubt: only the first of them is made. */
function apart(cuts: readonly Removal[]): Removal[] {
  const kept: Removal[] = [];
  for (const cut of cuts) if (cut.start >= (kept.at(-1)?.end ?? 0)) kept.push(cut);
  return kept;
}

function changesOf(text: string, cuts: readonly Removal[]): Change[] {
  const changes: Change[] = [];
  const starts = lineStarts(text);
  const lineOf = (offset: number): number => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low;
  };
  for (let i = 0; i < cuts.length; ) {
    const first = cuts[i];
    if (first === undefined) break;
    const start = lineOf(first.start);
    let end = lineOf(first.end) + 1;
    let part = text.slice(starts[start] ?? 0, first.start) + first.text;
    let at = first.end;
    for (i++; ; i++) {
      const next = cuts[i];
      if (next === undefined || lineOf(next.start) >= end) break;
      part += text.slice(at, next.start) + next.text;
      at = next.end;
      end = lineOf(next.end) + 1;
    }
    part += text.slice(at, starts[end] ?? text.length);
    changes.push({ start, end, lines: splitLines(part) });
  }
  return changes;
}

/** Changes nearer than twice the context share a hunk. */
function hunks(text: string, changes: readonly Change[]): string[] {
  const lines = splitLines(text);
  const groups: Change[][] = [];
  for (const change of changes) {
    const last = groups.at(-1);
    const before = last?.at(-1);
    if (last !== undefined && before !== undefined && change.start - before.end <= 2 * CONTEXT) {
      last.push(change);
    } else groups.push([change]);
  }
  let moved = 0;
  return groups.map((group) => {
    const from = Math.max(0, (group[0]?.start ?? 0) - CONTEXT);
    const to = Math.min(lines.length, (group.at(-1)?.end ?? 0) + CONTEXT);
    const body: string[] = [];
    let at = from;
    let added = 0;
    for (const { start, end, lines: fresh } of group) {
      for (; at < start; at++) body.push(marked(" ", lines[at] ?? ""));
      for (; at < end; at++) body.push(marked("-", lines[at] ?? ""));
      for (const line of fresh) body.push(marked("+", line));
      added += fresh.length - (end - start);
    }
    for (; at < to; at++) body.push(marked(" ", lines[at] ?? ""));
    const head = `@@ -${from + 1},${to - from} +${from + 1 + moved},${to - from + added} @@\n`;
    moved += added;
    return head + body.join("");
  });
}

function marked(sign: string, line: string): string {
  return line.endsWith("\n") ? sign + line : `${sign}${line}\n\\ No newline at end of file\n`;
}

/** With their line breaks. */
function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  if (starts.at(-1) === text.length && text.length > 0) starts.pop();
  return starts;
}
