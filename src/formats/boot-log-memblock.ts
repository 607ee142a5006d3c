/**
 * Rules for `memblock=debug`: changes, requests, and whole dumps of the two lists.
 *
 *   memblock_reserve: [0x…-0x…] caller+0x1/0x2              5.8 to 6.15
 *   __memblock_reserve: [0x…-0x…] nid=-1 flags=0 caller…    since 6.16
 *   memblock_reserve: [0x…-0x…] flags 0x0 caller…           3.12 to 4.x
 *   memblock_alloc_try_nid: 4096 bytes align=0x40 nid=-1 from=0x0 max_addr=0x0 caller…
 *   MEMBLOCK configuration: / memory.cnt = 0x1 / memory[0x0] [0x…-0x…], 0x… bytes …
 *
 * memblock_free() takes memory off the reserved list (5.10) or, in 6.x, is only
 * the caller of memblock_phys_free(), whose line is the one that counts.
 *
 * Linux: mm/memblock.c
 */
import type { Range } from "../base/range.ts";
import type { MemblockEvent, MemblockRegion } from "./boot-log.ts";
import { type Draft, keep, MAX_ENTRIES, MAX_MEMBLOCK } from "./boot-log-draft.ts";
import { decimal, filled, hex, inclusive, type Rule, type Verdict } from "./boot-log-rule.ts";

type Change = "add" | "remove" | "reserve" | "free";

/** Functions that print the line of a change, by what they do to the lists. */
const CHANGES: Readonly<Record<Change, readonly string[]>> = {
  add: ["memblock_add", "memblock_add_node"],
  remove: ["memblock_remove"],
  reserve: ["memblock_reserve", "__memblock_reserve"],
  free: ["memblock_phys_free", "memblock_free", "__memblock_free_early"],
};
/** Straight to the buddy allocator, long after the lists were handed over. */
const LATE_FREES = ["memblock_free_late", "__memblock_free_late"];
/** Functions that print a request; the bare name is 2.6.3x to 3.13, virt 3.14 to 4.19. */
const REQUESTS = [
  "memblock_alloc_try_nid",
  "memblock_alloc_try_nid_raw",
  "memblock_alloc_try_nid_nopanic",
  "memblock_alloc_exact_nid_raw",
  "memblock_phys_alloc_range",
  "memblock_phys_alloc_try_nid",
  "memblock_virt_alloc_try_nid",
  "memblock_virt_alloc_try_nid_raw",
  "memblock_virt_alloc_try_nid_nopanic",
];

const CHANGE =
  /: \[0x([0-9a-f]+)-0x([0-9a-f]+)\](?: nid=-?\d+)?(?: flags[ =](?:0x)?[0-9a-f]+)? (?:\[<\S+>\] )?(0x[0-9a-f]+(?=$)|[^\s+]+(?=\+))(?:\+0x[0-9a-f]+\/0x[0-9a-f]+)?(?: \[\w+\])?$/;
const REQUEST =
  /: (\d+) bytes align=0x([0-9a-f]+)(?: nid=(-?\d+))? from=0x([0-9a-f]+) max_addr=0x([0-9a-f]+) (?:\[<\S+>\] )?(0x[0-9a-f]+(?=$)|[^\s+]+(?=\+))(?:\+0x[0-9a-f]+\/0x[0-9a-f]+)?$/;

function changeRule(kind: Change, name: string): Rule {
  return {
    what: "memblock",
    start: `${name}: `,
    pattern: CHANGE,
    read: (draft, [, first, last, caller], line) => {
      keepEvent(draft, {
        kind,
        line,
        ...changedRange(first, last),
        caller: callerName(draft, caller),
      });
      return "read";
    },
  };
}

function lateFreeRule(name: string): Rule {
  return {
    what: "memblock",
    start: `${name}: `,
    pattern: CHANGE,
    read: (draft, [, first, last, caller], line) => {
      const range = changedRange(first, last);
      keep(draft, draft.log.lateFrees, { line, ...range, caller: callerName(draft, caller) });
      return "read";
    },
  };
}

function requestRule(name: string): Rule {
  return {
    what: "memblock request",
    start: `${name}: `,
    pattern: REQUEST,
    read: (draft, [, bytes, align, node, from, limit, caller], line) => {
      keepEvent(draft, {
        kind: "alloc",
        line,
        bytes: decimal(bytes),
        align: hex(align),
        node: node === undefined || node.startsWith("-") ? null : decimal(node),
        from: hex(from),
        maxAddress: hex(limit),
        caller: callerName(draft, caller),
      });
      return "read";
    },
  };
}

/**
 * The kernel prints base + size - 1 as the end. Nothing at all ends one before
 * its base; an end below that means that the sum overflowed, as when arm64
 * removes everything above what it can map.
 */
function changedRange(first: string | undefined, last: string | undefined): Range {
  const { start, end } = inclusive(first, last);
  if (start === 0 && /^f+$/.test(filled(last))) return { start, end: start };
  return { start, end: end < start ? Number.MAX_SAFE_INTEGER : end };
}

function callerName(draft: Draft, group: string | undefined): string {
  const name = filled(group);
  const known = draft.callers.get(name);
  if (known !== undefined) return known;
  // A copy: what the pattern found is a view of the line, and the line one of the whole file.
  const copy = Array.from(name).join("");
  if (draft.callers.size < MAX_ENTRIES) draft.callers.set(copy, copy);
  return copy;
}

function keepEvent(draft: Draft, event: MemblockEvent): void {
  closeDump(draft);
  if (hasRoom(draft)) draft.log.memblock.push(event);
}

function hasRoom(draft: Draft): boolean {
  if (draft.memblockKept < MAX_MEMBLOCK) {
    draft.memblockKept++;
    return true;
  }
  draft.overflowed++;
  return false;
}

/** Ends the dump that is being read, if any, and says whether it was whole. */
export function closeDump(draft: Draft): void {
  const dump = draft.dump;
  if (dump === null) return;
  draft.dump = null;
  const { line, memory, reserved, memoryCount, reservedCount } = dump;
  const complete =
    !dump.broken && memory.length === memoryCount && reserved.length === reservedCount;
  if (!complete) {
    draft.warn(line, "this memblock dump is not whole: regions are missing or damaged", LOST_LINES);
  }
  if (hasRoom(draft)) draft.log.memblock.push({ kind: "dump", line, memory, reserved, complete });
}

const LOST_LINES = "capture the log again, with a larger log_buf_len= if the kernel lost lines";

const REGION =
  /^(memory|reserved|physmem)\[0x([0-9a-f]+)\]\s+\[0x([0-9a-f]+)-0x([0-9a-f]+)\], 0x([0-9a-f]+) bytes(?: on node (-?\d+))?(?: flags: 0x([0-9a-f]+))?$/;

function readRegion(draft: Draft, found: RegExpExecArray): Verdict {
  const [, list, number, first, last, bytes, node, flags] = found;
  const dump = draft.dump;
  // Lines of a dump whose heading the ring buffer lost.
  if (dump === null) return "other";
  if (list === "physmem") return "read";
  const regions: MemblockRegion[] = list === "memory" ? dump.memory : dump.reserved;
  const { start, end } =
    hex(bytes) === 0 ? { start: hex(first), end: hex(first) } : inclusive(first, last);
  if (hex(number) !== regions.length || end - start !== hex(bytes)) dump.broken = true;
  if (end >= start && hasRoom(draft)) {
    regions.push({
      start,
      end,
      node: node === undefined || node.startsWith("-") ? null : decimal(node),
      flags: flags === undefined ? 0 : hex(flags),
    });
  }
  if (list === "reserved" && hex(number) + 1 === dump.reservedCount) closeDump(draft);
  return "read";
}

function regionRule(list: string): Rule {
  return {
    what: "memblock dump",
    start: `${list}[`,
    pattern: REGION,
    read: readRegion,
  };
}

function countRule(list: "memory" | "reserved"): Rule {
  return {
    what: "memblock dump",
    start: `${list}.cnt`,
    pattern: /^\w+\.cnt += +0x([0-9a-f]+)$/,
    read: (draft, [, count]) => {
      if (draft.dump === null) return "other";
      if (list === "memory") draft.dump.memoryCount = hex(count);
      else draft.dump.reservedCount = hex(count);
      return "read";
    },
  };
}

const DUMP_RULES: readonly Rule[] = [
  {
    what: "memblock dump",
    start: "MEMBLOCK configuration:",
    pattern: /^MEMBLOCK configuration:$/,
    read: (draft, _found, line) => {
      closeDump(draft);
      draft.dump = {
        line,
        memory: [],
        reserved: [],
        memoryCount: null,
        reservedCount: null,
        broken: false,
      };
      return "read";
    },
  },
  {
    what: "memblock dump",
    start: "memory size =",
    pattern: /^memory size = 0x[0-9a-f]+(?: reserved size = 0x[0-9a-f]+)?$/,
    read: (draft) => (draft.dump === null ? "other" : "read"),
  },
  countRule("memory"),
  countRule("reserved"),
  regionRule("memory"),
  regionRule("reserved"),
  regionRule("physmem"),
];

export const MEMBLOCK_RULES: readonly Rule[] = [
  ...(["add", "remove", "reserve", "free"] as const).flatMap((kind) =>
    CHANGES[kind].map((name) => changeRule(kind, name)),
  ),
  ...LATE_FREES.map(lateFreeRule),
  ...REQUESTS.map(requestRule),
  ...DUMP_RULES,
];
