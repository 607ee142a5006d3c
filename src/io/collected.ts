/**
 * The one text file that `zonewright collect` makes of a machine: the files of a capture, one after
 * the other.
 *
 *   zonewright-capture 1
 *   @file zoneinfo
 *   |Node 0, zone      DMA
 *   |  pages free     2816
 *   @cut dmesg the first 6000 and the last 6000 of 9120 lines
 *   @missing iomem only root may read it
 *   @end
 *
 * Every line of a file has a bar before it, so no contents can be taken for a mark, and blanks at its
 * start survive a mail. Other lines are blank or comments (#). Marks of unknown names are passed over.
 */
import type { Issue, Outcome } from "../base/issue.ts";

/** The first line, without the version. */
export const COLLECTED_MARK = "zonewright-capture";
/** The version that is written, and the newest that is read. */
export const COLLECTED_VERSION = 1;

export interface Collected {
  /** Text by path in the capture. */
  readonly files: ReadonlyMap<string, string>;
  /** What could not be read on the machine, and why. */
  readonly missing: readonly { readonly path: string; readonly why: string }[];
}

/** Paths and sizes that no machine has are not kept. */
const FILES_MAX = 20_000;
const PATH_MAX = 256;
const ODD_LINES_SHOWN = 3;
/** A mail's quotes before the bar are taken off. */
const LINE = /^(?:[>\s]*)([|@])(.*)$/;

/** Whether `head` starts a collected file. */
export function looksCollected(head: Uint8Array): boolean {
  const text = String.fromCharCode(...head.subarray(0, 64));
  return new RegExp(`^(?:\u00ef\u00bb\u00bf)?[>\\s]*${COLLECTED_MARK}\\b`).test(text);
}

/** Value null, with an error, for what is no such file. */
export function readCollected(text: string): Outcome<Collected | null> {
  const lines = text.split("\n");
  const version = versionOf(lines[0] ?? "");
  if (version === null) {
    const message = `its first line is not "${COLLECTED_MARK} ${COLLECTED_VERSION}"`;
    return { value: null, issues: [{ severity: "error", message, mend: "copy the file again" }] };
  }
  const issues: Issue[] = [];
  if (version > COLLECTED_VERSION) {
    const message = `it was written by a newer program (version ${version} of ${COLLECTED_VERSION})`;
    issues.push({ severity: "warning", message, line: 1 });
  }
  const sorter = new Sorter(issues);
  for (let i = 1; i < lines.length; i++) sorter.take(lines[i] ?? "", i + 1);
  return { value: sorter.end(), issues };
}

/** The version in a first line; null where it is another file. */
function versionOf(line: string): number | null {
  const words = new RegExp(`^\ufeff?[>\\s]*${COLLECTED_MARK} (\\d{1,6})\\s*$`).exec(line);
  return words === null ? null : Number(words[1]);
}

class Sorter {
  readonly #issues: Issue[];
  readonly #files = new Map<string, string[]>();
  readonly #missing: { path: string; why: string }[] = [];
  #body: string[] | null = null;
  #complete = false;
  #odd = 0;

  constructor(issues: Issue[]) {
    this.#issues = issues;
  }

  take(raw: string, line: number): void {
    const text = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    if (text.trim() === "" || /^[>\s]*#/.test(text)) return;
    const [, mark, rest] = LINE.exec(text) ?? [];
    if (mark === "|" && this.#body !== null) this.#body.push(rest ?? "");
    else if (mark === "@") this.#mark(rest ?? "", line);
    else if (++this.#odd <= ODD_LINES_SHOWN) {
      const message = "this line belongs to no file: it was broken or added";
      this.#issues.push({ severity: "warning", message, line, mend: "copy the file as it is" });
    }
  }

  end(): Collected {
    if (!this.#complete) {
      const message = "it has no end: files are cut or missing";
      this.#issues.push({ severity: "warning", message, mend: "copy the file again, whole" });
    }
    if (this.#odd > ODD_LINES_SHOWN) {
      const message = `${this.#odd - ODD_LINES_SHOWN} more lines belong to no file`;
      this.#issues.push({ severity: "warning", message });
    }
    const files = new Map<string, string>();
    for (const [path, body] of this.#files) files.set(path, `${body.join("\n")}\n`);
    return { files, missing: this.#missing };
  }

  #mark(text: string, line: number): void {
    const [, name = "", path = "", words = ""] = /^(\w+)(?: (\S+)(?: (.*))?)?$/.exec(text) ?? [];
    if (name === "end") this.#complete = true;
    else if (name === "missing") this.#missing.push({ path, why: words });
    else if (name === "cut") {
      this.#issues.push({ severity: "note", source: path, message: `only ${words} are there` });
    } else if (name === "file") this.#body = this.#open(path, line);
  }

  /** Lines of the file at `path`; null where it cannot be a capture's. */
  #open(path: string, line: number): string[] | null {
    const odd = path === "" || path.length > PATH_MAX || path.split("/").includes("..");
    if (odd || this.#files.size >= FILES_MAX) {
      const message = "left out a file whose name no capture has";
      this.#issues.push({ severity: "warning", message, line });
      return null;
    }
    if (this.#files.has(path)) {
      this.#issues.push({ severity: "warning", source: path, line, message: "it is there twice" });
      return null;
    }
    const body: string[] = [];
    this.#files.set(path, body);
    return body;
  }
}

/**
 * The kernel's log out of a collected file, chunk by chunk; every other line is blank, so that lines
 * keep their numbers.
 */
export class LogLines {
  #rest = "";
  #inside = false;

  push(chunk: string): string {
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.map((line) => `${this.#line(line)}\n`).join("");
  }

  end(): string {
    return this.#rest === "" ? "" : this.#line(this.#rest);
  }

  #line(line: string): string {
    const [, mark, rest = ""] = LINE.exec(line) ?? [];
    if (mark === "@") this.#inside = /^(?:file|cut) dmesg\b/.test(rest);
    return mark === "|" && this.#inside ? rest : "";
  }
}
