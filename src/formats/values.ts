/**
 * Files of one value: sysctls, sysfs attributes, the command line.
 *
 *   numbers       256	256	32	0	0
 *   id list       0-1,3            empty for none
 *   choice        always [madvise] never
 *   line          any text
 */
import type { Reader } from "./reader.ts";
import { excerpt, type LineLog, tableReader } from "./table.ts";

/** More ids than any kernel's CONFIG_NR_CPUS or MAX_NUMNODES: longer lists are a mistake. */
const MAX_IDS = 65536;

/** The first line that is not blank, or null; lines after it are reported. */
export function lineReader(name: string): Reader<string | null> {
  return valueReader(name, (text) => text);
}

/** A sysctl's value: numbers, or words where it is not numeric (`numa_zonelist_order`). */
export function sysctlReader(name: string): Reader<readonly number[] | string | null> {
  return valueReader(name, (text, log) => (isNumeric(text) ? numbers(text, log) : text));
}

/** Numbers with blanks or tabs between them; null when there are none. */
export function numbersReader(name: string): Reader<readonly number[] | null> {
  return valueReader(name, (text, log) => {
    if (isNumeric(text)) return numbers(text, log);
    log.report("warning", `not numbers: "${excerpt(text)}"`);
    return null;
  });
}

/** Ids like "0-1,3", ascending; null when the file has no line or another form. */
export function idListReader(name: string): Reader<readonly number[] | null> {
  let seen = false;
  const reader = valueReader(name, (text, log) => idList(text, log));
  return {
    ...reader,
    line(text: string): void {
      seen = true;
      reader.line(text);
    },
    end() {
      const { value, issues } = reader.end();
      // The kernel prints an empty line for an empty set.
      return { value: seen && value === null && issues.length === 0 ? [] : value, issues };
    },
  };
}

/** The bracketed word of e.g. transparent_hugepage/enabled, or null. */
export function choiceReader(name: string): Reader<string | null> {
  return valueReader(name, (text, log) => {
    const [, chosen] = /^(?:[^[\]]* )?\[(\w+)\](?: [^[\]]*)?$/.exec(text) ?? [];
    if (chosen !== undefined) return chosen;
    log.report("warning", `no choice in brackets: "${excerpt(text)}"`);
    return null;
  });
}

function valueReader<T>(
  name: string,
  parse: (text: string, log: LineLog) => T | null,
): Reader<T | null> {
  let value: T | null = null;
  let found = false;
  const reader = tableReader({
    name,
    take(text: string, log: LineLog): boolean {
      const plain = text.trim();
      if (plain === "") return true;
      if (found) return false;
      found = true;
      value = parse(plain, log);
      return true;
    },
    finish: (): T | null => value,
  });
  // People write such files with `echo -n`, too.
  return { line: reader.line, end: reader.end };
}

function isNumeric(text: string): boolean {
  return text.split(/\s+/).every((word) => /^-?\d+$/.test(word));
}

function numbers(text: string, log: LineLog): number[] {
  return text.split(/\s+/).map((word) => log.decimal(word));
}

function idList(text: string, log: LineLog): number[] | null {
  const ids = new Set<number>();
  for (const part of text.split(",")) {
    const [, low, high] = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part.trim()) ?? [];
    if (low === undefined) {
      log.report("warning", `not a list of ids: "${excerpt(text)}"`);
      return null;
    }
    const first = Number(low);
    const last = high === undefined ? first : Number(high);
    if (last < first || last >= MAX_IDS) {
      log.report("warning", `not a range of ids: "${excerpt(part)}"`);
      return null;
    }
    for (let id = first; id <= last; id++) ids.add(id);
  }
  return [...ids].sort((a, b) => a - b);
}
