/**
 * A capture in one text, as people paste it: files of /proc one after the other under headings, or
 * nothing but a /proc/zoneinfo.
 *
 *   #### /proc/zoneinfo            ==> /proc/zoneinfo <==            # cat /proc/zoneinfo
 *
 * What stands before the first heading belongs to no file.
 */
import type { CaptureFiles } from "./capture.ts";

/** A path alone on a line, in one of the ways in which people and `head` set it. */
const HEADINGS: readonly RegExp[] = [
  /^#{2,} *(\/?(?:proc|sys)\/\S+?):?\s*$/,
  /^==> *(\S+) *<==\s*$/,
  /^(?:\S*[#$>] *)?cat +(\/(?:proc|sys)\/\S+)\s*$/,
  /^(\/(?:proc|sys)\/\S+?):?\s*$/,
];
/** The first line of a zone, which only zoneinfo has: buddyinfo goes on on the same line. */
const ZONE = /^Node +\d+, zone +\S+\s*$/m;

/** The files of `text`; null where neither a heading nor a zone is in it. */
export function captureInText(name: string, text: string): CaptureFiles | null {
  const files = sectionsOf(text);
  if (![...files.keys()].some((path) => path.endsWith("zoneinfo"))) {
    const start = ZONE.exec(text)?.index;
    if (start !== undefined && !/Mem-[Ii]nfo:/.test(text)) files.set("zoneinfo", text.slice(start));
  }
  if (files.size === 0) return null;
  const open = async function* (path: string): AsyncGenerator<string> {
    yield files.get(path) ?? "";
  };
  return { name, paths: [...files.keys()], open };
}

function sectionsOf(text: string): Map<string, string> {
  const files = new Map<string, string>();
  let lines: string[] = [];
  let path: string | null = null;
  const close = (): void => {
    // Blank lines at the end are between files, not in them.
    if (path !== null && !files.has(path)) files.set(path, `${lines.join("\n").trimEnd()}\n`);
    lines = [];
  };
  for (const line of text.split(/\r?\n/)) {
    const heading = HEADINGS.map((pattern) => pattern.exec(line)?.[1]).find(
      (at) => at !== undefined,
    );
    if (heading === undefined) lines.push(line);
    else {
      close();
      path = heading.replace(/^\/+/, "");
    }
  }
  close();
  return files;
}
