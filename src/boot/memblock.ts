/**
 * The early allocator's state, replayed from a `memblock=debug` log.
 *
 * A state is what RAM there is (`memory`) and what of it is taken (`reserved`),
 * in bytes. A dump prints both completely; the lines between dumps change them.
 * Only a dump is a start: the kernel reserves its own image before it has
 * parsed `memblock=debug`, so the lines before the first dump are never all.
 *
 * An "alloc" line is a request. What it led to is the "reserve" line that
 * follows it, and a request that failed has none.
 *
 * Linux: memblock_add_range(), memblock_remove_range(), __memblock_dump_all(), mm/memblock.c
 */
import { assert } from "../base/assert.ts";
import type { Issue, Outcome } from "../base/issue.ts";
import type { Range } from "../base/range.ts";
import { rangeList, subtract } from "../base/range.ts";
import type { MemblockEvent, MemblockRegion } from "../formats/boot-log.ts";

export interface MemblockState {
  /** RAM, sorted by start, without overlaps. Bytes. */
  readonly memory: readonly MemblockRegion[];
  /** What is taken, a range list. Bytes. */
  readonly reserved: readonly Range[];
}

export interface ReplayOptions {
  /** 1-based line of the log: only events above this line count. Infinity for all. */
  readonly untilLine: number;
  /** Events of these callers change nothing, e.g. what is freed once the buddy allocator runs. */
  readonly ignoreCallers?: ReadonlySet<string>;
}

/** Flag of a memory region that never goes to the buddy allocator. Linux: MEMBLOCK_NOMAP */
const NOMAP = 4;

/**
 * The state just before line `untilLine`, or null when no complete dump stands
 * above it. Issues tell when a later, torn dump had to be passed over.
 */
export function replayMemblock(
  events: readonly MemblockEvent[],
  options: ReplayOptions,
): Outcome<MemblockState | null> {
  const issues: Issue[] = [];
  let first = -1;
  for (let i = events.length - 1; i >= 0 && first === -1; i--) {
    const event = events[i];
    if (event?.kind !== "dump" || event.line >= options.untilLine) continue;
    if (event.complete) first = i;
    else issues.push(tornDump(event.line));
  }
  const dump = events[first];
  if (dump?.kind !== "dump") return { value: null, issues };
  const memory = sortedMemory(dump.memory);
  const reserved = rangeList(dump.reserved).map((range) => ({ ...range }));
  for (let i = first + 1; i < events.length; i++) {
    const event = events[i];
    if (event === undefined || event.line >= options.untilLine) continue;
    if (event.kind === "alloc" || event.kind === "dump") continue;
    if (event.end <= event.start || options.ignoreCallers?.has(event.caller) === true) continue;
    if (event.kind === "reserve") insertRange(reserved, event.start, event.end);
    else if (event.kind === "free") removeRange(reserved, event.start, event.end);
    else if (event.kind === "add") addMemory(memory, event);
    else removeMemory(memory, event);
  }
  return { value: { memory, reserved }, issues };
}

/**
 * What is neither reserved nor NOMAP, in bytes: one piece never spans two
 * memory regions, because memblock hands each region over on its own and loses
 * the broken page at its ends. Linux: for_each_free_mem_range()
 */
export function freeRanges(state: MemblockState): Range[] {
  const mapped = state.memory.filter((region) => (region.flags & NOMAP) === 0);
  const free: Range[] = [];
  let next = 0;
  for (const region of mapped) {
    while (next < state.reserved.length && endOf(state.reserved[next]) <= region.start) next++;
    const taken: Range[] = [];
    for (let i = next; i < state.reserved.length; i++) {
      const range = state.reserved[i];
      if (range === undefined || range.start >= region.end) break;
      taken.push(range);
    }
    free.push(...subtract([region], taken));
  }
  return free;
}

export interface Grant {
  /** Bytes asked for. */
  readonly bytes: number;
  /** What was reserved for it, bytes. */
  readonly range: Range;
  /** Lines of the request and of the reservation. */
  readonly line: number;
  readonly reserveLine: number;
}

/** The requests above `untilLine` whose caller matches, with what each was given; failed ones are left out. */
export function grantsOf(
  events: readonly MemblockEvent[],
  caller: RegExp,
  untilLine: number = Number.POSITIVE_INFINITY,
): Grant[] {
  const grants: Grant[] = [];
  for (let i = 0; i < events.length; i++) {
    const request = events[i];
    const given = events[i + 1];
    if (request?.kind !== "alloc" || request.line >= untilLine) continue;
    if (given?.kind !== "reserve" || !caller.test(request.caller)) continue;
    if (given.end - given.start < request.bytes) continue;
    const { start, end } = given;
    const { bytes, line } = request;
    grants.push({ bytes, range: { start, end }, line, reserveLine: given.line });
  }
  return grants;
}

interface MutableRange {
  start: number;
  end: number;
}

function tornDump(line: number): Issue {
  return {
    severity: "warning",
    message: "this MEMBLOCK dump lacks regions; the one before it is used",
    line,
    mend: "boot with a larger log_buf_len= so that no line is lost",
  };
}

function endOf(range: Range | undefined): number {
  return range === undefined ? Number.POSITIVE_INFINITY : range.end;
}

function startOf(range: Range | undefined): number {
  return range === undefined ? Number.POSITIVE_INFINITY : range.start;
}

function sortedMemory(regions: readonly MemblockRegion[]): MemblockRegion[] {
  const sorted = regions.filter((r) => r.end > r.start).sort((a, b) => a.start - b.start);
  const result: MemblockRegion[] = [];
  let end = 0;
  for (const region of sorted) {
    // A sound dump has no overlaps; a damaged one must not count a page twice.
    if (region.end <= end) continue;
    result.push(region.start < end ? { ...region, start: end } : region);
    end = region.end;
  }
  return result;
}

/** Index of the first range that ends at or after `address`. */
function firstEndingFrom(ranges: readonly Range[], address: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const range = ranges[middle];
    assert(range !== undefined, "binary search left the list");
    if (range.end < address) low = middle + 1;
    else high = middle;
  }
  return low;
}

function insertRange(ranges: MutableRange[], start: number, end: number): void {
  const at = firstEndingFrom(ranges, start);
  const joined = { start, end };
  let last = at;
  for (let range = ranges[last]; range !== undefined && range.start <= end; range = ranges[last]) {
    joined.start = Math.min(joined.start, range.start);
    joined.end = Math.max(joined.end, range.end);
    last++;
  }
  ranges.splice(at, last - at, joined);
}

function removeRange(ranges: MutableRange[], start: number, end: number): void {
  const at = firstEndingFrom(ranges, start);
  const left: MutableRange[] = [];
  let last = at;
  for (let range = ranges[last]; range !== undefined && range.start < end; range = ranges[last]) {
    if (range.start < start) left.push({ start: range.start, end: Math.min(range.end, start) });
    if (range.end > end) left.push({ start: Math.max(range.start, end), end: range.end });
    last++;
  }
  if (last > at) ranges.splice(at, last - at, ...left);
}

/** Memory regions that overlap or touch the range: index of the first, and how many. */
function overlapped(memory: readonly MemblockRegion[], range: Range): [number, number] {
  const at = firstEndingFrom(memory, range.start);
  let last = at;
  while (startOf(memory[last]) <= range.end) last++;
  return [at, last - at];
}

function addMemory(memory: MemblockRegion[], range: Range): void {
  const [at, count] = overlapped(memory, range);
  const old = memory.slice(at, at + count);
  const fresh = subtract([{ start: range.start, end: range.end }], old);
  const added = fresh.map((piece) => ({ ...piece, node: null, flags: 0 }));
  memory.splice(at, count, ...sortedMemory([...old, ...added]));
}

function removeMemory(memory: MemblockRegion[], range: Range): void {
  const [at, count] = overlapped(memory, range);
  const left = memory
    .slice(at, at + count)
    .flatMap((region) => subtract([region], [range]).map((piece) => ({ ...region, ...piece })));
  memory.splice(at, count, ...left);
}
