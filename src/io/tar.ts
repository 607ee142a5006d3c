/**
 * Reads a tar archive (POSIX ustar, and GNU long names) that is already in
 * memory: regular files only, no links, no devices, paths as they are safe to
 * use below a folder.
 *
 * Header block, 512 bytes: name at 0 (100), size at 124 (12, octal), type at
 * 156, magic at 257, name prefix at 345 (155). Contents follow, padded to 512.
 */
import type { Issue, Outcome } from "../base/issue.ts";

const BLOCK = 512;

/** Path below the archive's root to contents. */
export type TarFiles = ReadonlyMap<string, Uint8Array>;

/** Issues name the byte at which the archive stops making sense; what came before it is kept. */
export function readTar(bytes: Uint8Array): Outcome<TarFiles> {
  const files = new Map<string, Uint8Array>();
  const issues: Issue[] = [];
  let longName: string | null = null;
  let at = 0;
  while (at + BLOCK <= bytes.length) {
    if (bytes[at] === 0) return { value: files, issues };
    const size = octal(bytes, at + 124, 12);
    if (size === null) {
      issues.push({ severity: "error", message: `not a tar header at byte ${at}` });
      return { value: files, issues };
    }
    const body = at + BLOCK;
    if (body + size > bytes.length) {
      const mend = "the archive was cut short: copy it again";
      issues.push({
        severity: "error",
        message: `a file of ${size} bytes at byte ${at} runs past the end`,
        mend,
      });
      return { value: files, issues };
    }
    const type = String.fromCharCode(bytes[at + 156] ?? 0);
    const contents = bytes.subarray(body, body + size);
    if (type === "L") longName = text(contents, 0, size);
    else {
      const prefix = text(bytes, at + 345, 155);
      const name = longName ?? `${prefix === "" ? "" : `${prefix}/`}${text(bytes, at, 100)}`;
      longName = null;
      if (type === "0" || type === "\0") {
        const path = safePath(name);
        if (path === null)
          issues.push({
            severity: "warning",
            message: `left out "${name}": not a path below the archive`,
          });
        else files.set(path, contents);
      }
    }
    at = body + Math.ceil(size / BLOCK) * BLOCK;
  }
  if (at !== bytes.length)
    issues.push({ severity: "warning", message: "the archive ends inside a header" });
  return { value: files, issues };
}

function safePath(name: string): string | null {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  return parts.length === 0 || name.startsWith("/") || parts.includes("..")
    ? null
    : parts.join("/");
}

function text(bytes: Uint8Array, start: number, length: number): string {
  let out = "";
  for (let i = start; i < start + length && bytes[i] !== 0; i++)
    out += String.fromCharCode(bytes[i] ?? 0);
  return out;
}

function octal(bytes: Uint8Array, start: number, length: number): number | null {
  const digits = text(bytes, start, length).trim();
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : null;
}
