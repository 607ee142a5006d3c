/**
 * The zones of a report: rows, reserves and free lists, found in the flat text.
 *
 * Terminals cut lines, and what is cut must not be taken from the next zone: a row ends where
 * another begins, and a list ends with the entry that is no longer a larger block.
 *
 * Linux: show_free_areas(), mm/page_alloc.c
 */
import type { ReportBlocks, ReportFreeList, ReportNode, ReportZone } from "./memory-report.ts";
import type { Reading, ReportText } from "./report-text.ts";

/** A row begins with "free:"; where that was lost, with what came next. */
const ROW = /(?:\bNode (\d{1,4}) )?\b([A-Z][A-Za-z0-9]{1,11}) (?:free|boost|min|low):\d*kB/g;
const FIELD = /\b([a-z_]+(?:\([a-z]+\))?):\s?(-?\d+)(?:[kK]B|\b)/g;
const UNRECLAIMABLE = /all_unreclaimable\? ?(yes|no)/;
const RESERVE = /(lowmem_reserve|protections)\[\]:((?: -?\d+){1,8})/;
const COLUMN = /-?\d+/g;
const NODE_ROW = /\bNode (\d{1,4}) active_anon:/g;
const LIST = /(?:\bNode (\d{1,4}) )?\b([A-Z][A-Za-z0-9]{1,11}): (?=\d+\*\d+kB)/g;
const ENTRY = / ?(\d+)\*(\d+)kB(?: \(([A-Z]{1,8})\))?/y;
const SUM = / ?= ?(\d+)kB/y;
const ROWS_MAX = 512;

interface Rows {
  readonly zones: readonly ReportZone[];
  readonly nodes: readonly ReportNode[];
  readonly pageKib: number | null;
}

/** All of `report` between `from` and its end. */
export function readZones(report: ReportText, from: number): Rows {
  const lists = readLists(report, from);
  const heads = matches(ROW, report.text, from);
  const nodes = readNodes(report, from);
  const zones = heads.map((head, i): ReportZone => {
    const end = heads[i + 1]?.index ?? rowsEnd(report.text, head.index);
    const node = Number(head[1] ?? "0");
    const name = head[2] ?? "";
    const own = report.text.slice(head.index, end);
    const reserve = RESERVE.exec(own);
    const row = reserve === null ? own : own.slice(0, reserve.index);
    const fields = new Map<string, Reading>();
    FIELD.lastIndex = 0;
    for (let field = FIELD.exec(row); field !== null; field = FIELD.exec(row)) {
      const [, key = "", digits = ""] = field;
      const at = head.index + field.index + field[0].lastIndexOf(digits);
      const reading = report.reading(digits, at);
      if (reading !== null && !fields.has(key)) fields.set(key, reading);
    }
    const unreclaimable = UNRECLAIMABLE.exec(row)?.[1];
    return {
      node,
      name,
      line: report.lineAt(head.index),
      fields,
      protection: reserve === null ? null : columns(report, reserve, head.index),
      reserveName:
        reserve === null ? null : reserve[1] === "protections" ? "protections" : "lowmem_reserve",
      allUnreclaimable: unreclaimable === undefined ? null : unreclaimable === "yes",
      freeList: lists.byZone.get(`${node} ${name}`) ?? null,
    };
  });
  return { zones: onlyFirst([...zones, ...lists.alone]), nodes, pageKib: lists.pageKib };
}

/** A report names a zone once; a second time is another report's. */
function onlyFirst(zones: readonly ReportZone[]): ReportZone[] {
  const seen = new Set<string>();
  return zones.filter(({ node, name }) => {
    const key = `${node} ${name}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function rowsEnd(text: string, from: number): number {
  LIST.lastIndex = from;
  return LIST.exec(text)?.index ?? Math.min(text.length, from + 2000);
}

function columns(report: ReportText, reserve: RegExpExecArray, base: number): Reading[] | null {
  const [all, , numbers = ""] = reserve;
  const start = base + reserve.index + all.length - numbers.length;
  const found: Reading[] = [];
  COLUMN.lastIndex = 0;
  for (let column = COLUMN.exec(numbers); column !== null; column = COLUMN.exec(numbers)) {
    const reading = report.reading(column[0], start + column.index);
    if (reading === null) return null;
    found.push(reading);
  }
  return found;
}

function readNodes(report: ReportText, from: number): ReportNode[] {
  const heads = matches(NODE_ROW, report.text, from);
  return heads.map((head, i) => {
    const end = heads[i + 1]?.index ?? head.index + 1500;
    const row = report.text.slice(head.index, end);
    const zone = row.search(/ (?:free|min):\d*kB/);
    const word = UNRECLAIMABLE.exec(zone === -1 ? row : row.slice(0, zone))?.[1];
    return {
      node: Number(head[1] ?? "0"),
      line: report.lineAt(head.index),
      allUnreclaimable: word === undefined ? null : word === "yes",
    };
  });
}

interface Lists {
  /** Zones that have a list, as if they had no row. */
  readonly alone: readonly ReportZone[];
  readonly byZone: ReadonlyMap<string, ReportFreeList>;
  readonly pageKib: number | null;
}

function readLists(report: ReportText, from: number): Lists {
  const byZone = new Map<string, ReportFreeList>();
  const alone: ReportZone[] = [];
  let pageKib: number | null = null;
  for (const head of matches(LIST, report.text, from)) {
    const key = `${Number(head[1] ?? "0")} ${head[2] ?? ""}`;
    if (byZone.has(key)) continue;
    const at = head.index + head[0].length;
    const list = readList(report, at);
    if (list === null) continue;
    pageKib ??= list.unit;
    byZone.set(key, list.freeList);
    alone.push({
      node: Number(head[1] ?? "0"),
      name: head[2] ?? "",
      line: list.freeList.line,
      fields: new Map(),
      protection: null,
      reserveName: null,
      allUnreclaimable: null,
      freeList: list.freeList,
    });
  }
  return { alone, byZone, pageKib };
}

/** The entries from `at` on, each block twice as large as the one before; null where none is. */
function readList(
  report: ReportText,
  at: number,
): { readonly freeList: ReportFreeList; readonly unit: number } | null {
  const { text } = report;
  const blocks: ReportBlocks[] = [];
  let unit = 0;
  let kib = 0;
  let next = at;
  for (;;) {
    ENTRY.lastIndex = next;
    const entry = ENTRY.exec(text);
    if (entry === null) break;
    const [, count = "", size = "", types] = entry;
    if (blocks.length === 0) unit = Number(size);
    if (Number(size) !== unit * 2 ** blocks.length) break;
    const number = Number(count);
    if (!Number.isSafeInteger(number)) break;
    blocks.push({ order: blocks.length, count: number, types: types ?? null });
    kib += number * Number(size);
    next = ENTRY.lastIndex;
  }
  if (blocks.length === 0 || !isPageSize(unit)) return null;
  SUM.lastIndex = next;
  const total = SUM.exec(text);
  const digits = total?.[1] ?? "";
  const sum =
    total === null ? null : report.reading(digits, total.index + total[0].indexOf(digits));
  const complete = sum !== null && sum.value === kib;
  return { freeList: { line: report.lineAt(at), blocks, sum, complete }, unit };
}

/** 4, 8, 16, 32, 64 or 256 KiB. */
function isPageSize(kib: number): boolean {
  return kib >= 4 && kib <= 256 && Number.isInteger(Math.log2(kib));
}

function matches(pattern: RegExp, text: string, from: number): RegExpExecArray[] {
  const found: RegExpExecArray[] = [];
  pattern.lastIndex = from;
  while (found.length < ROWS_MAX) {
    const match = pattern.exec(text);
    if (match === null) break;
    found.push(match);
  }
  pattern.lastIndex = 0;
  return found;
}
