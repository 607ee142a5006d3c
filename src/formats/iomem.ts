/**
 * /proc/iomem: who claims which physical addresses, as a tree printed depth
 * first, two blanks a level.
 *
 *   100000000-13fffffff : System RAM
 *     111a00000-112801d31 : Kernel code      inclusive ends, bytes
 *
 * Without CAP_SYS_ADMIN the kernel prints zeros for all addresses: the names
 * and the nesting remain, the ranges say nothing.
 *
 * Linux: r_show(), kernel/resource.c
 */
import type { Range } from "../base/range.ts";
import type { Reader } from "./reader.ts";
import { afterLast, excerpt, type LineLog, type Table, tableReader } from "./table.ts";

/** A resource: half-open range of bytes; empty at 0 in a redacted file. */
export interface IomemEntry extends Range {
  readonly name: string;
  /** 0 for a root; the kernel prints at most 5 levels. */
  readonly depth: number;
  /** Index of the parent in `entries`; null for a root. */
  readonly parent: number | null;
  /** 1-based line. */
  readonly line: number;
}

export interface Iomem {
  /** In the order of the file: a parent comes before its children. */
  readonly entries: readonly IomemEntry[];
  /** True when all addresses were printed as zeros. */
  readonly redacted: boolean;
  /** The roots named "System RAM": memory after mem= and memmap=. Empty when redacted. */
  readonly ram: readonly Range[];
}

const LINE = /^( *)([0-9a-f]+)-([0-9a-f]+) : (.*)$/i;

/** Issues: lines of another form, ranges that end before they start, levels left out. */
export function iomemReader(): Reader<Iomem> {
  return tableReader(new IomemTable());
}

/** The ranges named `name` at any depth, e.g. "System RAM", in the order of the file. */
export function iomemNamed(iomem: Iomem, name: string): IomemEntry[] {
  return iomem.entries.filter((entry) => entry.name === name);
}

class IomemTable implements Table<Iomem> {
  readonly name = "iomem";
  readonly #entries: IomemEntry[] = [];
  /** The entries that the next line can be a child of: index by depth. */
  readonly #path: number[] = [];
  #zeros = true;

  take(text: string, log: LineLog): boolean {
    if (text.trim() === "") return true;
    const [, indent, first, last, name] = LINE.exec(text) ?? [];
    if (indent === undefined || first === undefined || last === undefined) return false;
    if (name === undefined || indent.length % 2 !== 0) return false;
    const start = log.hex(first);
    const lastByte = log.hex(last);
    if (lastByte < start) {
      log.report("warning", `left out "${excerpt(name)}": its range ends before it starts`);
      return true;
    }
    const depth = indent.length / 2;
    if (depth > this.#path.length) {
      log.report("warning", `left out "${excerpt(name)}": the level above it is missing`);
      return true;
    }
    if (lastByte !== 0) this.#zeros = false;
    this.#path.length = depth;
    const parent = this.#path.at(-1) ?? null;
    this.#path.push(this.#entries.length);
    const end = afterLast(lastByte);
    this.#entries.push({ start, end, name: name.trimEnd(), depth, parent, line: log.line });
    return true;
  }

  finish(log: LineLog): Iomem {
    const redacted = this.#zeros && this.#entries.length > 0;
    if (redacted) {
      log.report("note", "all addresses are zero", "read /proc/iomem as root", 0);
      const entries = this.#entries.map((entry) => ({ ...entry, start: 0, end: 0 }));
      return { entries, redacted, ram: [] };
    }
    const ram = this.#entries.filter(({ depth, name }) => depth === 0 && name === "System RAM");
    return { entries: this.#entries, redacted, ram: ram.map(({ start, end }) => ({ start, end })) };
  }
}
