// Small trees of C as the audit sees them: parsed by the real parser, resolved across files.
import {
  auditFacts,
  type BuildOf,
  extractFacts,
  type FileFacts,
  type Use,
} from "../../src/audit/index.ts";
import { openParser } from "../../src/host/c-parser.ts";

const parse = await openParser();

export function factsOf(text: string, wanted: readonly string[] = []): FileFacts {
  return extractFacts(text, parse, new Set(wanted));
}

/** Uses in files by name; each file is asked for what `wanted` names. */
export function auditOf(
  files: Readonly<Record<string, string>>,
  wanted: readonly string[] = [],
  buildOf: BuildOf = () => null,
): Use[] {
  const names = Object.keys(files).sort();
  const facts = new Map(names.map((name) => [name, factsOf(files[name] ?? "", wanted)] as const));
  return auditFacts(facts, buildOf);
}

/** 1-based line of the first place that `mark` is in. */
export function lineOf(text: string, mark: string): number {
  const at = text.indexOf(mark);
  if (at < 0) throw new Error(`no ${mark} in the source`);
  return text.slice(0, at).split("\n").length;
}

/** One file `drivers/x/x.c`: category and verdict of each use, by line. */
export function verdictsOf(text: string, file = "drivers/x/x.c"): string[] {
  return auditOf({ [file]: text }).map(
    ({ line, flag, allocator, category, textual }) =>
      `${line} ${flag} ${allocator ?? "-"} ${category}${textual ? "" : " reached"}`,
  );
}
