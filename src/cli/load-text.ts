/** What `check` makes of a text that is no capture: pasted files of /proc, or reports in a log. */
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Issue } from "../base/issue.ts";
import { type Capture, readCapture } from "../formats/capture.ts";
import { readFailures } from "../formats/failure-reader.ts";
import type { MemoryReport } from "../formats/memory-report.ts";
import { captureInText } from "../formats/text-capture.ts";
import { inputErrorOf, openLog } from "../host/index.ts";
import { below } from "./load.ts";
import type { Terminal } from "./terminal.ts";

export type LoadedText =
  | { readonly kind: "capture"; readonly capture: Capture; readonly issues: Issue[] }
  | { readonly kind: "reports"; readonly reports: readonly MemoryReport[] };

/** More text than this is not looked through for reports with zones, characters. */
const TEXT_MAX = 2 ** 26;
/** A capture's own file has a mark of its own and a reader of its own. */
const OWN = /^\ufeff?zonewright-capture\b/;
const TAR_MAGIC = 257;

/** Null where `path` is a folder, an archive, or a text without zones. */
export async function loadText(path: string, terminal: Terminal): Promise<LoadedText | null> {
  const text = await textOf(path, terminal);
  if (text === null) return null;
  const name = basename(path).replace(/\.(txt|log|gz|zst)$/g, "");
  const files = captureInText(name, text);
  if (files !== null) {
    const { value, issues } = await readCapture(files);
    if (value.zoneinfo !== null) {
      return { kind: "capture", capture: value, issues: below(path, issues) };
    }
  }
  const reports: MemoryReport[] = [];
  readFailures(text, {
    report: (report) => {
      if (report.zones.length > 0) reports.push(report);
    },
    message: () => {},
  });
  return reports.length === 0 ? null : { kind: "reports", reports };
}

async function textOf(path: string, terminal: Terminal): Promise<string | null> {
  if (path === "-") return null;
  try {
    if (!(await stat(path)).isFile()) return null;
    let text = "";
    for await (const chunk of openLog(path, terminal.stdin)) {
      text += chunk;
      const isBinary = chunk.includes("\0") || text.slice(TAR_MAGIC, TAR_MAGIC + 5) === "ustar";
      if (isBinary || OWN.test(text) || text.length > TEXT_MAX) return null;
    }
    return text;
  } catch (error) {
    // What cannot be read is for the reader of captures to say.
    inputErrorOf(error);
    return null;
  }
}
