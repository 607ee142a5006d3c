/**
 * A devicetree as text, as a capture holds it: the bytes of the blob in hexadecimal, as `od -An -v
 * -tx1` prints them, or, where only /proc/device-tree could be read, a property a line.
 *
 *    d0 0d fe ed 00 00 9e 1b …
 *
 *    /memory@0/reg: 00 00 00 00 3b 40 00 00
 *
 * A line without bytes is an empty property. Of a listing the reservation block is not known.
 */
import type { Outcome } from "../base/issue.ts";
import { type Devicetree, type MutableNode, newNode, readFdt } from "./fdt.ts";
import type { Reader } from "./reader.ts";
import { excerpt, type LineLog, tableReader } from "./table.ts";

const BYTES = /^\s*(?:[0-9a-f]{2}\s*)+$/i;
const PROPERTY = /^(\/(?:[^\s:]|:(?! |$))*):((?: ?[0-9a-f]{2})*)\s*$/i;
/** 8 MiB: Linux maps 2 MiB at most. MAX_FDT_SIZE, arch/arm64/include/asm/boot.h */
const BYTES_MAX = 8 * 2 ** 20;
const PROPERTIES_MAX = 200_000;
const DEPTH_MAX = 64;

/** null, with an issue, where the text is neither. */
export function fdtTextReader(): Reader<Devicetree | null> {
  const chunks: Uint8Array[] = [];
  const root = newNode("", null);
  const nodes = new Map([["", root]]);
  let bytes = 0;
  let properties = 0;
  return tableReader({
    name: "fdt",
    take(text: string, log: LineLog): boolean {
      if (text.trim() === "") return true;
      if (BYTES.test(text)) {
        const own = bytesOf(text);
        bytes += own.length;
        if (bytes <= BYTES_MAX) chunks.push(own);
        return true;
      }
      const [, path, hex] = PROPERTY.exec(text) ?? [];
      if (path === undefined || hex === undefined) return false;
      if (++properties > PROPERTIES_MAX) return true;
      if (!addProperty(nodes, path, bytesOf(hex))) {
        log.report("warning", `left out "${excerpt(path)}": it is too deep`);
      }
      return true;
    },
    finish(log: LineLog): Devicetree | null {
      if (bytes === 0) return properties === 0 ? null : { root, reservations: [], bytes: 0 };
      const { value, issues } = fromChunks(chunks, bytes);
      for (const issue of issues) log.report(issue.severity, issue.message, issue.mend);
      return value;
    },
  });
}

/** `blob` as the reader above takes it: 16 bytes a line. */
export function* fdtText(blob: Uint8Array): Generator<string> {
  const rows = 1024;
  for (let at = 0; at < blob.length; at += rows * 16) {
    let text = "";
    for (let row = at; row < Math.min(blob.length, at + rows * 16); row += 16) {
      const words = Array.from(blob.subarray(row, row + 16), (byte) => {
        return ` ${byte.toString(16).padStart(2, "0")}`;
      });
      text += `${words.join("")}\n`;
    }
    yield text;
  }
}

function fromChunks(chunks: readonly Uint8Array[], bytes: number): Outcome<Devicetree | null> {
  if (bytes > BYTES_MAX) {
    const message = `${Math.ceil(bytes / 2 ** 20)} MiB are too many for a devicetree`;
    return { value: null, issues: [{ severity: "error", message }] };
  }
  const blob = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    blob.set(chunk, at);
    at += chunk.length;
  }
  return readFdt(blob);
}

/** Adds a property to the nodes by path; false where it is too deep for a devicetree. */
function addProperty(nodes: Map<string, MutableNode>, path: string, value: Uint8Array): boolean {
  const slash = path.lastIndexOf("/");
  const node = nodeAt(nodes, path.slice(0, slash), 0);
  const name = path.slice(slash + 1);
  if (node !== null && !node.properties.has(name)) node.properties.set(name, value);
  return node !== null;
}

function nodeAt(nodes: Map<string, MutableNode>, path: string, below: number): MutableNode | null {
  const known = nodes.get(path);
  if (known !== undefined) return known;
  if (below >= DEPTH_MAX) return null;
  const slash = path.lastIndexOf("/");
  const parent = nodeAt(nodes, path.slice(0, slash), below + 1);
  if (parent === null) return null;
  const node = newNode(path.slice(slash + 1), parent);
  nodes.set(path, node);
  return node;
}

function bytesOf(hex: string): Uint8Array {
  const digits = hex.replace(/\s+/g, "");
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}
