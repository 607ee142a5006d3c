// Recorded memories: the free and per-CPU lists of a real kernel at one moment, in order; what it
// was asked and given back from then on, with the pfns it answered; and its lists at the end.
//
//   memory ERA VERSION CPUS CMA      zone NAME NODE INDEX START SPANNED: WORDS
//   pageset ZONE CPU: WORDS          free ZONE ORDER TYPE: PFNS     pcp ZONE CPU LIST: PFNS
//   types PFN: a digit a pageblock   then "calls", the calls, "end", and the lists again

import { equal, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { allocPages, freePages, freePagesPastPcp } from "../../src/mm/allocate.ts";
import { linkTail } from "../../src/mm/buddy.ts";
import { buildZonelists } from "../../src/mm/build-zonelists.ts";
import { allocPagesBulk } from "../../src/mm/bulk.ts";
import { decayPcp, drainFrom } from "../../src/mm/drain.ts";
import { gfpZoneTable } from "../../src/mm/gfp.ts";
import { layMemory } from "../../src/mm/lay-memory.ts";
import {
  FREE,
  freeHead,
  KIND_MASK,
  type Memory,
  MOBILE,
  P_COUNT,
  PCP,
  PCP_LISTS,
  PCP_WORDS,
  pfnOf,
  rowOf,
  TAKEN,
  Z_BLOCKS,
  Z_HIGHATOMIC,
  Z_ROW,
  ZONE_WORDS,
  type ZoneSpec,
} from "../../src/mm/memory.ts";
import { type AllocatorRule, TYPE_COUNT } from "../../src/mm/rule.ts";
import { allocatorRule } from "../../src/mm/rule-eras.ts";

export interface Recording {
  readonly m: Memory;
  readonly calls: readonly string[];
  /** "free ZONE ORDER TYPE" and "pcp ZONE CPU LIST" to pfns in hexadecimal, and "types PFN" to digits. */
  readonly end: ReadonlyMap<string, string>;
}

const PAGEBLOCK = 512;
const word = (words: Int32Array | Uint8Array, at: number): number => words[at] ?? 0;
const hexes = (text: string): number[] =>
  text === "" ? [] : text.split(" ").map((word) => Number.parseInt(word, 16));

/**
 * Opens test/mm/fixtures/NAME.gz and lays its first state out as a memory, of the recorded era's
 * rule but for `change`.
 */
export function openRecording(name: string, change: Partial<AllocatorRule> = {}): Recording {
  const packed = readFileSync(new URL(`fixtures/${name}.gz`, import.meta.url));
  const lines = gunzipSync(packed).toString().trimEnd().split("\n");
  const calls = lines.indexOf("calls");
  const end = lines.indexOf("end");
  ok(calls > 0 && end > calls, "a recording has calls and an end");
  return {
    m: stateOf(lines.slice(0, calls), change),
    calls: lines.slice(calls + 1, end),
    end: new Map(lines.slice(end + 1).map(keyAndRest)),
  };
}

function keyAndRest(line: string): [string, string] {
  const colon = line.indexOf(": ");
  return [line.slice(0, colon), line.slice(colon + 2)];
}

function stateOf(lines: readonly string[], change: Partial<AllocatorRule>): Memory {
  const [, era = "", gfpVersion = "", cpus, cma] = (lines[0] ?? "").split(" ");
  const rule = allocatorRule(era);
  ok(rule !== undefined, `era ${era}`);
  const rows = lines.slice(1).map(keyAndRest);
  const zoneRows = rows.filter(([key]) => key.startsWith("zone "));
  const zones = zoneRows.map(([key]): ZoneSpec => {
    const [, zone = "", node, index, start = "", pages = ""] = key.split(" ");
    const startPfn = Number.parseInt(start, 16);
    const spanned = Number.parseInt(pages, 16);
    const ram = spanned === 0 ? [] : [{ start: startPfn, end: startPfn + spanned }];
    return { name: zone, node: Number(node), index: Number(index), startPfn, spanned, ram };
  });
  const m = layMemory({
    zones,
    rule: { ...rule, ...change },
    pageSize: 4096,
    maxOrder: 10,
    pageblockOrder: 9,
    cpus: Number(cpus),
    cpuNode: [],
    shared: false,
    cma: cma === "1",
    gfpVersion,
    gfpZone: gfpZoneTable(zones.map((zone) => zone.name)),
    bytes: null,
    bytesPfn: 0,
  });
  buildZonelists(m, zones, era);
  m.state.fill(TAKEN, m.firstRow);
  for (const [key, rest] of rows) if (key.startsWith("types ")) setTypes(m, key, rest);
  for (const [key, rest] of rows) linkList(m, key, rest);
  for (const [z, [, words]] of zoneRows.entries()) {
    const own = words.split(" ").map(Number);
    const at = z * ZONE_WORDS;
    // Rows are this memory's own business.
    m.zone.set(own.slice(0, Z_ROW), at);
    m.zone.set(own.slice(Z_HIGHATOMIC, Z_BLOCKS), at + Z_HIGHATOMIC);
  }
  for (const [key, rest] of rows) {
    const [kind, zone, cpu] = key.split(" ");
    const at = (Number(zone) * m.cpuCount + Number(cpu)) * PCP_WORDS;
    if (kind === "pageset") m.pcp.set(rest.split(" ").map(Number), at);
  }
  return m;
}

function setTypes(m: Memory, key: string, digits: string): void {
  const pfn = Number.parseInt(key.slice("types ".length), 16);
  for (const [i, digit] of [...digits].entries()) {
    const row = rowOf(m, pfn + i * PAGEBLOCK);
    if (row >= 0) m.blockType[row >> m.pageblockOrder] = Number(digit);
  }
}

function linkList(m: Memory, key: string, rest: string): void {
  const [kind, zone = 0, a = 0, b = 0] = key
    .split(" ")
    .map((word, i) => (i > 0 ? Number(word) : word));
  const rows = hexes(rest).map((pfn) => rowOf(m, pfn));
  if (kind === "free") {
    for (const row of rows) {
      m.state.fill(0, row, row + (1 << Number(a)));
      linkTail(m, Number(zone), row, Number(a), Number(b));
    }
  } else if (kind === "pcp") {
    const head = listHead(m, Number(zone), Number(a), Number(b));
    for (const row of rows) {
      m.state[row] =
        PCP | (Number(b) < HUGE_LIST ? Number(b) % 3 : word(m.blockType, row >> m.pageblockOrder));
      queue(m, head, row);
    }
  }
}

/** The last two lists of a pageset keep huge pages. */
const HUGE_LIST = 12;

function listHead(m: Memory, zone: number, cpu: number, list: number): number {
  return m.pcpHeads + (zone * m.cpuCount + cpu) * PCP_LISTS + list;
}

function queue(m: Memory, head: number, row: number): void {
  const last = word(m.prev, head);
  m.next[row] = head;
  m.prev[row] = last;
  m.next[last] = row;
  m.prev[head] = row;
}

/**
 * Makes one call and returns what the memory answered: for requests the pfns, else "". `expected`
 * is the kernel's answer.
 *
 *   cCPU  aORDER GFP PFN  fORDER PFN  pORDER PFN (past locked lists)  b GFP PFNS (many at once)
 *   dZONE CPU (drain)  yZONE CPU (decay)
 *   gORDER PFN: the page was one of many at once, of a call that nobody recorded
 */
export function call(m: Memory, line: string): { answer: string; expected: string } {
  const [head = "", first = "", ...rest] = line.split(" ");
  const number = Number(head.slice(1));
  const pfn = Number.parseInt(first, 16);
  switch (head[0]) {
    case "a":
      return { answer: allocPages(m, pfn, number).toString(16), expected: rest.join(" ") };
    case "b": {
      const pfns: number[] = [];
      allocPagesBulk(m, pfn, rest.length, pfns);
      return { answer: pfns.map((own) => own.toString(16)).join(" "), expected: rest.join(" ") };
    }
    case "f":
      own(m, pfn, number);
      freePages(m, pfn, number);
      break;
    case "p":
      own(m, pfn, number);
      freePagesPastPcp(m, pfn, number);
      break;
    case "c":
      m.cpu = number;
      break;
    case "d":
      drainFrom(
        m,
        number,
        Number(first),
        word(m.pcp, (number * m.cpuCount + Number(first)) * PCP_WORDS + P_COUNT),
        0,
      );
      break;
    case "y":
      decayPcp(m, number, Number(first));
      break;
    case "g":
      unqueue(m, pfn, number);
      break;
    default:
      throw new Error(`no call is written as ${line}`);
  }
  return { answer: "", expected: "" };
}

/** What is given back was taken before the recording began, or was split by its owner since. */
function own(m: Memory, pfn: number, order: number): void {
  const row = rowOf(m, pfn);
  const kind = word(m.state, row) & KIND_MASK;
  ok(kind !== FREE && kind !== PCP, `${pfn.toString(16)} is given back, but was never taken`);
  if ((word(m.state, row) | (TAKEN ^ MOBILE)) === (MOBILE | order)) return;
  m.state.fill(0, row, row + (1 << order));
  m.state[row] = TAKEN | order;
}

/** Takes a page off the middle of a per-CPU list. */
function unqueue(m: Memory, pfn: number, order: number): void {
  const row = rowOf(m, pfn);
  equal(word(m.state, row) & KIND_MASK, PCP, `${pfn.toString(16)} is on no per-CPU list`);
  let head = word(m.next, row);
  while (head >= m.firstRow) head = word(m.next, head);
  const set = Math.floor((head - m.pcpHeads) / PCP_LISTS);
  const before = word(m.prev, row);
  const after = word(m.next, row);
  m.next[before] = after;
  m.prev[after] = before;
  const count = set * PCP_WORDS + P_COUNT;
  m.pcp[count] = word(m.pcp, count) - (1 << order);
  m.state[row] = TAKEN | order;
}

/** The lists and types of `m` under the keys of `end`, and every list that is not empty. */
export function listsOf(m: Memory, end: ReadonlyMap<string, string>): Map<string, string> {
  const found = new Map<string, string>();
  for (let zone = 0; zone < m.zoneCount; zone++) {
    for (let type = 0; type < TYPE_COUNT; type++) {
      for (let order = 0; order <= m.maxOrder; order++) {
        add(`free ${zone} ${order} ${type}`, pfnsOf(m, freeHead(zone, type, order)));
      }
    }
    for (let cpu = 0; cpu < m.cpuCount; cpu++) {
      for (let list = 0; list < PCP_LISTS; list++) {
        add(`pcp ${zone} ${cpu} ${list}`, pfnsOf(m, listHead(m, zone, cpu, list)));
      }
    }
  }
  for (const [key, digits] of end) {
    if (!key.startsWith("types ")) continue;
    const pfn = Number.parseInt(key.slice("types ".length), 16);
    // Blocks that are in no zone keep what was recorded.
    const types = [...digits].map((digit, i) => {
      const row = rowOf(m, pfn + i * PAGEBLOCK);
      return row < 0 ? digit : word(m.blockType, row >> m.pageblockOrder);
    });
    found.set(key, types.join(""));
  }
  return found;

  function add(key: string, pfns: string): void {
    if (pfns !== "" || end.has(key)) found.set(key, pfns);
  }
}

function pfnsOf(m: Memory, head: number): string {
  const pfns: string[] = [];
  for (let row = word(m.next, head); row !== head; row = word(m.next, row))
    pfns.push(pfnOf(m, row).toString(16));
  return pfns.join(" ");
}
