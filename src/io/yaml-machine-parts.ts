/**
 * The parts of a YAML machine description: memory ranges, nodes, zones,
 * configuration. Each function reads one node of the tree and reports
 * what is wrong there; null means that it was reported.
 */
import type { Range } from "../base/range.ts";
import { nearest, parseCpuList, parseInclusiveRange } from "./quantity.ts";
import type { DescribedNode, DescribedZone } from "./yaml-machine.ts";
import { YamlScalars } from "./yaml-scalars.ts";
import { nameOf, type YamlNode } from "./yaml-tree.ts";

/** Bytes, half-open. */
export type DescribedRange = Range;

export interface DescribedMemory extends DescribedRange {
  /** As the kernel's log names it: "usable", "reserved", "ACPI data" … */
  readonly type: string;
}

/** Type words of the log, and how people and sysfs write them. Linux: e820_type_to_string() */
const MEMORY_TYPES: ReadonlyMap<string, string> = new Map([
  ["usable", "usable"],
  ["ram", "usable"],
  ["system ram", "usable"],
  ["reserved", "reserved"],
  ["acpi data", "ACPI data"],
  ["acpi tables", "ACPI data"],
  ["acpi nvs", "ACPI NVS"],
  ["acpi non-volatile storage", "ACPI NVS"],
  ["unusable", "unusable"],
  ["unusable memory", "unusable"],
  ["persistent", "persistent (type 7)"],
  ["persistent memory", "persistent (type 7)"],
  ["soft reserved", "soft reserved"],
]);
/** The smallest page of any architecture described here. */
const PAGE_BYTES = 4096;

interface Owned {
  readonly range: DescribedRange;
  readonly item: YamlNode;
}

export class MachineParts extends YamlScalars {
  kernel(node: YamlNode): string | null {
    const text = this.tree.text(node);
    if (text === null || /^v?\d{1,3}\.\d{1,3}/.test(text)) return text;
    const mend = "write a version such as 6.1 or 6.1.0-50-amd64";
    return this.tree.error(node, `kernel: "${text.slice(0, 40)}" is not a version`, mend);
  }

  memory(node: YamlNode): DescribedMemory[] | null {
    const items = this.tree.items(node);
    if (items === null) return null;
    const owned: Owned[] = [];
    const ranges: DescribedMemory[] = [];
    for (const item of items) {
      const range = this.#typedRange(item);
      if (range === null) continue;
      ranges.push(range);
      owned.push({ range, item });
    }
    if (items.length === 0)
      return this.tree.error(node, "memory is empty", "add ranges or `ram: 4G`");
    const sorted = this.#refuseOverlaps(owned, "give every address once");
    if (sorted.some((entry, i) => entry !== owned[i])) {
      this.tree.note(node, "memory is not sorted: it is read in the order of its addresses");
    }
    return ranges;
  }

  nodes(node: YamlNode): DescribedNode[] | null {
    const items = this.tree.items(node);
    if (items === null) return null;
    const nodes: DescribedNode[] = [];
    const owned: Owned[] = [];
    for (const item of items) {
      const fields = this.tree.fields(item, ["id", "memory", "cpus"]);
      if (fields === null) continue;
      const idField = fields.get("id");
      const id = idField === undefined ? nodes.length : this.count(idField, 0, 1023);
      if (id === null) continue;
      if (nodes.some((other) => other.id === id))
        this.tree.error(item, `node ${id} is there twice`);
      const memoryField = fields.get("memory");
      const cpusField = fields.get("cpus");
      const memory = memoryField === undefined ? [] : this.#ranges(memoryField);
      for (const range of memory) owned.push({ range, item });
      const cpus = cpusField === undefined ? [] : this.#cpus(cpusField);
      const shared = cpus.find((cpu) => nodes.some((other) => other.cpus.includes(cpu)));
      if (shared !== undefined) {
        const mend = "a CPU belongs to one node";
        this.tree.error(cpusField ?? item, `CPU ${shared} is in two nodes`, mend);
      }
      nodes.push({ id, memory, cpus });
    }
    this.#refuseOverlaps(owned, "an address belongs to one node");
    return nodes;
  }

  zones(node: YamlNode): DescribedZone[] | null {
    const items = this.tree.items(node);
    if (items === null) return null;
    const zones: DescribedZone[] = [];
    for (const item of items) {
      const fields = this.tree.fields(item, ["name", "limit"]);
      const nameField = fields?.get("name");
      const limitField = fields?.get("limit");
      if (nameField === undefined || limitField === undefined) {
        this.tree.error(
          item,
          "a zone needs a name and a limit",
          "e.g. { name: BIGDMA, limit: 1G }",
        );
        continue;
      }
      const name = this.tree.text(nameField);
      const rest = this.tree.text(limitField) === "rest";
      const limit = rest
        ? Infinity
        : this.positiveBytes(limitField, `the limit of ${name ?? "a zone"}`);
      if (name === null || limit === null) continue;
      this.#checkZone(limitField, zones, name, limit);
      zones.push({ name, limit });
    }
    if (items.length === 0) return this.tree.error(node, "zones is empty", "add at least one zone");
    return zones;
  }

  config(node: YamlNode): Map<string, string> | null {
    const fields = this.tree.fields(node, null);
    if (fields === null) return null;
    const config = new Map<string, string>();
    for (const [key, field] of fields) {
      const value = this.tree.text(field);
      if (!/^CONFIG_[A-Z0-9_a-z]+$/.test(key)) {
        this.tree.error(
          field,
          `"${key.slice(0, 40)}" is no kernel option`,
          "e.g. CONFIG_ZONE_DMA: y",
        );
      } else if (value !== null) config.set(key, configValue(value));
    }
    return config;
  }

  #checkZone(place: YamlNode, below: readonly DescribedZone[], name: string, limit: number): void {
    const last = below.at(-1);
    if (below.some((zone) => zone.name === name))
      this.tree.error(place, `zone ${name} is there twice`);
    if (limit !== Infinity && limit % PAGE_BYTES !== 0) {
      const mend = `give a multiple of ${PAGE_BYTES} bytes`;
      this.tree.error(place, `the limit of ${name} is no whole number of pages`, mend);
    }
    if (last === undefined) return;
    if (last.limit === Infinity) {
      this.tree.error(place, `zone ${name} comes after "rest"`, "the zone of the rest comes last");
    } else if (limit <= last.limit) {
      const mend = "list the zones from the lowest limit to the highest";
      this.tree.error(place, `the limit of ${name} is not above that of ${last.name}`, mend);
    }
  }

  #ranges(node: YamlNode): DescribedRange[] {
    const items = this.tree.isList(node) ? this.tree.items(node) : [node];
    const ranges: DescribedRange[] = [];
    for (const item of items ?? []) {
      const range = this.#typedRange(item);
      if (range !== null) ranges.push({ start: range.start, end: range.end });
    }
    return ranges;
  }

  /** `0x0-0x9fbff usable`, or a mapping with start and end or size. */
  #typedRange(node: YamlNode): DescribedMemory | null {
    if (!this.tree.isMapping(node)) {
      const text = this.tree.text(node);
      if (text === null) return null;
      const parts = /^\s*(\S+\s*-\s*[0-9a-zA-Z]+)(?:\s*:?\s+(\S.*?))?\s*$/.exec(text);
      const range = parts === null ? null : parseInclusiveRange(parts[1] ?? "");
      if (range === null) {
        const mend = "write START-LAST, e.g. 0x100000-0xbfffffff usable";
        return this.tree.error(node, `"${text.slice(0, 60)}" is not a range`, mend);
      }
      return this.#checkRange(node, range, parts?.[2] ?? "usable");
    }
    const fields = this.tree.fields(node, ["start", "end", "size", "type"]);
    const startField = fields?.get("start");
    const sizeField = fields?.get("size");
    const endField = fields?.get("end");
    if (endField !== undefined) {
      const mend = "write `size:`, or the text form START-LAST as in /proc/iomem";
      return this.tree.error(endField, "`end:` does not say whether it belongs to the range", mend);
    }
    if (fields === null || startField === undefined || sizeField === undefined) {
      return this.tree.error(
        node,
        "a range needs start and size",
        "e.g. { start: 0x0, size: 640K }",
      );
    }
    const start = this.bytes(startField);
    const size = this.bytes(sizeField);
    if (start === null || size === null) return null;
    const end = start + size;
    const typeField = fields.get("type");
    const type = typeField === undefined ? "usable" : this.tree.text(typeField);
    return type === null ? null : this.#checkRange(node, { start, end }, type);
  }

  #checkRange(node: YamlNode, range: Range, typeText: string): DescribedMemory | null {
    if (range.end <= range.start) {
      return this.tree.error(
        node,
        `the range ${hex(range)} is empty`,
        "its end lies before its start",
      );
    }
    if (range.end > Number.MAX_SAFE_INTEGER) {
      return this.tree.error(node, "the range ends above 8 PiB", "no kernel maps that much");
    }
    const type = MEMORY_TYPES.get(typeText.toLowerCase());
    if (type !== undefined) return { ...range, type };
    const near = nearest(typeText, [...MEMORY_TYPES.keys()]);
    const mend = near === null ? "e.g. usable, reserved, ACPI data" : `did you mean "${near}"?`;
    return this.tree.error(node, `memory type "${typeText.slice(0, 40)}" is not known`, mend);
  }

  /** `owned` sorted by address. */
  #refuseOverlaps(owned: readonly Owned[], mend: string): Owned[] {
    const sorted = [...owned].sort((a, b) => a.range.start - b.range.start);
    for (let i = 1; i < sorted.length; i++) {
      const before = sorted[i - 1];
      const here = sorted[i];
      if (before === undefined || here === undefined) continue;
      if (here.range.start >= before.range.end) continue;
      this.tree.error(here.item, `${hex(here.range)} overlaps ${hex(before.range)}`, mend);
    }
    return sorted;
  }

  #cpus(node: YamlNode): number[] {
    const texts = this.tree.isList(node)
      ? (this.tree.items(node) ?? []).map((item) => this.tree.text(item))
      : [this.tree.text(node)];
    const joined = texts.filter((text) => text !== null && text !== "").join(",");
    if (joined === "") return [];
    const cpus = parseCpuList(joined);
    if (cpus === null) this.tree.error(node, `${nameOf(node)} is not a list of CPUs`, "e.g. 0-3,8");
    return cpus ?? [];
  }
}

/** YAML reads a bare `y` as text but people also write `true`. */
function configValue(text: string): string {
  if (text === "true") return "y";
  return text === "false" ? "n" : text;
}

function hex(range: Range): string {
  return `0x${range.start.toString(16)}-0x${(range.end - 1).toString(16)}`;
}
