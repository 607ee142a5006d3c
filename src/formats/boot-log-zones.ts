/**
 * Rules for zones: the three lists under their headings, what each zone holds,
 * and the zonelists.
 *
 * Lines below a heading count only after it: a list whose head was lost would
 * be taken for a whole one. Kernels before 3.5 print page frame numbers with
 * the first one behind the range (`0x00000010 -> 0x00001000`).
 *
 * Linux: free_area_init(), mm/mm_init.c (mm/page_alloc.c before 6.4); build_all_zonelists()
 */
import type { Range } from "../base/range.ts";
import { type Draft, keep, type Section } from "./boot-log-draft.ts";
import {
  decimal,
  filled,
  hex,
  inclusive,
  keepRange,
  type Rule,
  type Verdict,
} from "./boot-log-rule.ts";

/** All names a zone has had. Linux: zone_names[] */
const ZONE_NAMES = ["DMA", "DMA32", "Normal", "HighMem", "Movable", "Device"];

/** The kernels that printed pfns here ran on x86, arm and powerpc with pages of 4 KiB by default. */
const PFN_BYTES = 4096;

function headingRule(start: string, section: Section, open: (draft: Draft) => void): Rule {
  return {
    what: "heading",
    start,
    pattern: /./,
    read: (draft) => {
      draft.section = section;
      open(draft);
      return "read";
    },
  };
}

function nothing(): void {}

function openZones(draft: Draft): void {
  draft.log.zoneRanges ??= [];
}

const HEADINGS: readonly Rule[] = [
  headingRule("Zone ranges:", "zones", openZones),
  headingRule("Zone PFN ranges:", "zone pfns", openZones),
  headingRule("Movable zone start for each node", "movable", nothing),
  headingRule("Movable zone start PFN for each node", "movable pfns", nothing),
  headingRule("Early memory node ranges", "nodes", nothing),
  headingRule("Early memory PFN ranges", "node pfns", nothing),
  headingRule("early_node_map[", "node pfns", nothing),
];

/** A range in pfns, hexadecimal with 0x or decimal, as bytes. */
function pfnRange(start: string | undefined, end: string | undefined): Range {
  return { start: pfn(start) * PFN_BYTES, end: pfn(end) * PFN_BYTES };
}

function pfn(group: string | undefined): number {
  const top = Number.MAX_SAFE_INTEGER / PFN_BYTES;
  return Math.min(filled(group).startsWith("0x") ? hex(group) : decimal(group), Math.floor(top));
}

function readZoneRange(draft: Draft, found: RegExpExecArray, line: number): Verdict {
  const [, name, empty, first, last, start, end] = found;
  const zones = draft.log.zoneRanges;
  if (zones === null || (draft.section !== "zones" && draft.section !== "zone pfns")) {
    draft.warn(line, 'a zone\'s range without its heading "Zone ranges:": not used', WRAPPED);
    return "other";
  }
  let range: Range = { start: 0, end: 0 };
  if (empty === undefined)
    range = first === undefined ? pfnRange(start, end) : inclusive(first, last);
  if (zones.some((zone) => zone.name === name)) return "read"; // the first match wins
  return keepRange(draft, zones, { ...range, name: filled(name) });
}

const WRAPPED =
  "the log lost lines: capture it with a larger log_buf_len= or over a serial console";

/** `DMA      [mem …]`, and below `On node n totalpages:` the counts of `DMA zone: …`. */
function zoneRules(name: string): readonly Rule[] {
  return [
    {
      what: "pages of a zone",
      start: `${name} zone: `,
      pattern: /^(\w+) zone: (\d+) pages(?: (used for memmap|reserved)|, LIFO batch:(\d+))$/,
      read: (draft, [, zone, count, use, batch]) => {
        if (use === "reserved") draft.reservedPages = decimal(count);
        else if (use !== undefined) draft.memmapPages = decimal(count);
        else if (draft.totalsNode !== null) {
          keep(draft, draft.log.zonePages, {
            node: draft.totalsNode,
            zone: filled(zone),
            pages: decimal(count),
            memmapPages: draft.memmapPages,
            reservedPages: draft.reservedPages,
            batch: decimal(batch),
          });
          draft.memmapPages = 0;
          draft.reservedPages = 0;
        }
        return "read";
      },
    },
    {
      what: "zone range",
      start: `${name} `,
      loose: true,
      sure: /^\w+ +\[mem/,
      pattern:
        /^(\w+) +(?:(empty)|\[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]|(0x[0-9a-f]+|\d+) -> +(0x[0-9a-f]+|\d+))$/,
      read: readZoneRange,
    },
  ];
}

function readNodeRange(
  draft: Draft,
  node: string | undefined,
  range: Range,
  line: number,
): Verdict {
  if (draft.section !== "nodes" && draft.section !== "node pfns") {
    draft.warn(
      line,
      'a node\'s range without its heading "Early memory node ranges": not used',
      WRAPPED,
    );
    return "other";
  }
  return keepRange(draft, draft.log.nodeRanges, { ...range, node: decimal(node) });
}

const NODE_MEMORY_RULES: readonly Rule[] = [
  {
    what: "start of Movable",
    start: "Node ",
    loose: true,
    pattern: /^Node (\d+): (?:0x([0-9a-f]+)|(\d+))$/,
    read: (draft, [, node, address, number]) => {
      if (draft.section !== "movable" && draft.section !== "movable pfns") return "other";
      const start = address === undefined ? pfn(number) * PFN_BYTES : hex(address);
      keep(draft, draft.log.movableStarts, { node: decimal(node), address: start });
      return "read";
    },
  },
  {
    what: "memory of a node",
    start: "node ",
    loose: true,
    sure: /^node +\d+: \[/,
    pattern: /^node +(\d+): \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]$/,
    read: (draft, [, node, first, last], line) =>
      readNodeRange(draft, node, inclusive(first, last), line),
  },
  {
    what: "memory of a node",
    start: "node ",
    loose: true,
    pattern: /^node +(\d+): (0x[0-9a-f]+) -> (0x[0-9a-f]+)$/,
    read: (draft, [, node, start, end], line) =>
      readNodeRange(draft, node, pfnRange(start, end), line),
  },
  {
    // early_node_map[]: lines without a word of their own, so only below the heading.
    what: "memory of a node",
    start: "",
    loose: true,
    pattern: /^(\d+): +(0x[0-9a-f]+|\d+) -> +(0x[0-9a-f]+|\d+)$/,
    read: (draft, [, node, start, end], line) =>
      draft.section === "node pfns"
        ? readNodeRange(draft, node, pfnRange(start, end), line)
        : "other",
  },
  {
    what: "pages of a node",
    start: "On node ",
    pattern: /^On node (\d+) totalpages: \d+$/,
    loose: true,
    read: (draft, [, node]) => {
      draft.totalsNode = decimal(node);
      return "read";
    },
  },
  {
    what: "pages of a node",
    start: "On node ",
    pattern: /^On node (\d+), zone (\w+): (\d+) pages in unavailable ranges$/,
    read: (draft, [, node, zone, count]) => {
      const entry = { node: decimal(node), zone: filled(zone), pages: decimal(count) };
      keep(draft, draft.log.unavailable, entry);
      return "read";
    },
  },
];

const ZONELIST_RULES: readonly Rule[] = [
  {
    what: "fallback order",
    start: "Fallback order for Node",
    pattern: /^Fallback order for Node (\d+): ([\d ]+)$/,
    read: (draft, [, node, order]) => {
      const nodes = filled(order).trim().split(/ +/).map(decimal);
      keep(draft, draft.log.fallbackOrders, { node: decimal(node), order: nodes });
      return "read";
    },
  },
  {
    what: "zonelists",
    start: "Built ",
    loose: true,
    pattern:
      /^Built (\d+) zonelists(?: in \w+ order)?(?:, mobility grouping (on|off))?\.?(?: +Total pages: (\d+))?$/,
    read: (draft, [, count, mobility, total]) => {
      draft.log.zonelists ??= {
        count: decimal(count),
        mobility: mobility === "on",
        totalPages: total === undefined ? 0 : decimal(total),
      };
      return "read";
    },
  },
  {
    what: "policy zone",
    start: "Policy zone:",
    pattern: /^Policy zone: (\w+)$/,
    read: (draft, [, zone]) => {
      draft.log.policyZone ??= filled(zone);
      return "read";
    },
  },
];

export const ZONE_RULES: readonly Rule[] = [
  ...HEADINGS,
  ...ZONE_NAMES.flatMap(zoneRules),
  ...NODE_MEMORY_RULES,
  ...ZONELIST_RULES,
];
