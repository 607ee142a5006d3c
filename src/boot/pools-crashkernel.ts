/**
 * Memory kept for a crash kernel: from the boot log or, without one, from
 * `crashkernel=`, whose place is then computed as if nothing else were there.
 *
 *   size[@offset]                     64M, 64M@16M
 *   start-[end]:size,…[@offset]       size by the amount of RAM
 *   size,high   size,low              above 4 GiB, and the part below it
 *
 * The last one of each kind counts. Bytes.
 *
 * Linux: parse_crashkernel(), kernel/crash_core.c; reserve_crashkernel()
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { Range } from "../base/range.ts";
import { intersect, rangeList, subtract } from "../base/range.ts";
import type { BootLog } from "../formats/boot-log.ts";
import type { CommandLine } from "./command-line.ts";
import type { Hardware, Layout, Pools } from "./hardware.ts";

const MIB = 2 ** 20;
const FOUR_GIB = 2 ** 32;
/** Linux: CMA_MIN_ALIGNMENT_BYTES with 4 KiB pages; up to 5.17 twice that */
const CMA_ALIGN = 2 * MIB;
/** Low part that comes with a crash kernel above 4 GiB. Linux: reserve_crashkernel_low() */
const DEFAULT_LOW_BYTES = 256 * MIB;

/** What is kept for a crash kernel, in bytes; empty for nothing. */
export function planCrashkernel(
  hardware: Hardware,
  commandLine: CommandLine,
  layout: Layout,
  log: BootLog | null,
  cma: Pools["cma"] = [],
): Outcome<Range[]> {
  if (log !== null && (log.crashkernel.length > 0 || log.memory !== null)) {
    return { value: log.crashkernel.map(({ start, end }) => ({ start, end })), issues: [] };
  }
  const issues: Issue[] = [];
  const ram = layout.memory.map(({ start, end }) => ({
    start: start * hardware.build.pageSize,
    end: end * hardware.build.pageSize,
  }));
  const wanted = parseCrashkernel(commandLine.crashkernel, ram, issues);
  if (wanted === null) return { value: [], issues };
  const value = place(hardware, layout, wanted, roomOf(ram, hardware, layout, cma));
  if (value === null) {
    issues.push(trouble("there is no room for it, so the kernel keeps nothing"));
    return { value: [], issues };
  }
  if (wanted.offset === 0) {
    issues.push({
      severity: "note",
      message: "the place of the crash kernel is computed, only the boot log knows it",
      source: "crashkernel=",
    });
  }
  return { value, issues };
}

interface Wanted {
  readonly bytes: number;
  /** 0 for "find one". */
  readonly offset: number;
  readonly high: boolean;
  /** null when not given. */
  readonly lowBytes: number | null;
}

function parseCrashkernel(
  texts: readonly string[],
  ram: readonly Range[],
  issues: Issue[],
): Wanted | null {
  let plain: { bytes: number; offset: number } | null = null;
  let high: number | null = null;
  let lowBytes: number | null = null;
  const total = ram.reduce((sum, range) => sum + range.end - range.start, 0);
  for (const text of texts) {
    const suffix = /^([^,:@]+),(high|low)$/.exec(text);
    if (suffix !== null) {
      const bytes = parseSize(suffix[1] ?? "");
      if (bytes === null) issues.push(trouble(`"${text}" has no size that can be read`));
      else if (suffix[2] === "high") high = bytes;
      else lowBytes = bytes;
      continue;
    }
    const parsed = parsePlain(text, total);
    if (parsed === null) issues.push(trouble(`"${text}" cannot be read`));
    else plain = parsed;
  }
  if (plain !== null && plain.bytes > 0) return { ...plain, high: false, lowBytes };
  if (high !== null && high > 0) return { bytes: high, offset: 0, high: true, lowBytes };
  return null;
}

/** `size[@offset]` or a list of RAM ranges; 0 bytes when no range of the list fits `total`. */
function parsePlain(text: string, total: number): { bytes: number; offset: number } | null {
  const [head = "", at, ...more] = text.split("@");
  if (more.length > 0) return null;
  const offset = at === undefined ? 0 : parseSize(at);
  if (offset === null) return null;
  if (!head.includes(":")) {
    const bytes = parseSize(head);
    return bytes === null ? null : { bytes, offset };
  }
  let chosen = 0;
  let found = false;
  for (const piece of head.split(",")) {
    const match = /^([^-:]+)-([^-:]*):([^-:]+)$/.exec(piece);
    const from = parseSize(match?.[1] ?? "");
    const to = match?.[2] === "" ? Number.POSITIVE_INFINITY : parseSize(match?.[2] ?? "");
    const bytes = parseSize(match?.[3] ?? "");
    if (from === null || to === null || bytes === null || to <= from) return null;
    if (!found && total >= from && total < to) {
      chosen = bytes;
      found = true;
    }
  }
  return { bytes: chosen, offset };
}

const UNIT_LETTERS = "KMGTPE";

function parseSize(text: string): number | null {
  const match = /^(0x[0-9a-f]+|\d+)([kmgtpe]?)$/i.exec(text);
  if (match === null) return null;
  const power = UNIT_LETTERS.indexOf((match[2] ?? "").toUpperCase() || " ") + 1;
  const bytes = Number(match[1]) * 1024 ** power;
  return bytes <= Number.MAX_SAFE_INTEGER ? bytes : null;
}

/** Where there may be room, in bytes. */
interface Room {
  readonly ram: readonly Range[];
  /** Ends of RAM that is free up to there; elsewhere the very top is not. */
  readonly freeEnds: ReadonlySet<number>;
}

/** arm64 takes CMA areas first, at the end of RAM below the DMA limit. Linux: bootmem_init() */
function roomOf(
  ram: readonly Range[],
  { arch, build }: Hardware,
  layout: Layout,
  cma: Pools["cma"],
): Room {
  if (arch !== "arm64") return { ram: joined(ram), freeEnds: new Set() };
  const limit = (layout.dmaLimitPfn ?? Number.POSITIVE_INFINITY) * build.pageSize;
  let end = Math.min(limit, ram.findLast(({ start }) => start < limit)?.end ?? 0);
  const taken = cma.map(({ start, bytes }): Range => {
    if (start !== null) return { start, end: start + bytes };
    end -= (end % CMA_ALIGN) + bytes;
    return { start: end, end: end + bytes };
  });
  const freeEnds = new Set(taken.map(({ start }) => start));
  return { ram: subtract(joined(ram), rangeList(taken)), freeEnds };
}

interface Rules {
  readonly align: number;
  /** Exclusive limits of the first and of the second attempt. */
  readonly low: number;
  readonly high: number;
}

function rulesOf(hardware: Hardware, layout: Layout): Rules {
  const { pageSize } = hardware.build;
  switch (hardware.arch) {
    case "i386":
      return { align: 16 * MIB, low: 512 * MIB, high: 512 * MIB };
    case "arm":
      return { align: 128 * MIB, low: layout.maxLowPfn * pageSize, high: 0 };
    case "arm64": {
      const limit = (layout.dmaLimitPfn ?? Number.POSITIVE_INFINITY) * pageSize;
      return { align: 2 * MIB, low: Math.min(FOUR_GIB, limit), high: Number.POSITIVE_INFINITY };
    }
    default:
      return { align: 16 * MIB, low: FOUR_GIB, high: 2 ** 46 };
  }
}

function place(hardware: Hardware, layout: Layout, wanted: Wanted, room: Room): Range[] | null {
  const { bytes, offset } = wanted;
  if (offset > 0) {
    const range = { start: offset, end: offset + bytes };
    const inside = intersect(room.ram, [range])[0];
    return inside?.start === range.start && inside.end === range.end ? [range] : null;
  }
  const rules = rulesOf(hardware, layout);
  const size = Math.ceil(bytes / hardware.build.pageSize) * hardware.build.pageSize;
  const first = wanted.high ? null : highest(room, size, rules.align, rules.low);
  const main = first ?? highest(room, size, rules.align, rules.high);
  if (main === null) return null;
  if (main.start < rules.low || hardware.arch === "i386" || hardware.arch === "arm") return [main];
  const lowBytes = wanted.lowBytes ?? DEFAULT_LOW_BYTES;
  const low = lowBytes === 0 ? null : highest(room, lowBytes, rules.align, rules.low);
  return low === null ? [main] : [low, main];
}

/** The highest aligned place below `limit`. */
function highest(room: Room, bytes: number, align: number, limit: number): Range | null {
  for (const { start, end } of room.ram.toReversed()) {
    const top = room.freeEnds.has(end) ? end : end - 1;
    const at = Math.floor((Math.min(limit, top) - bytes) / align) * align;
    if (at >= start && at >= align) return { start: at, end: at + bytes };
  }
  return null;
}

/** RAM of touching nodes counts as one. */
function joined(ram: readonly Range[]): Range[] {
  const result: { start: number; end: number }[] = [];
  for (const { start, end } of ram) {
    const last = result.at(-1);
    if (last !== undefined && last.end === start) last.end = end;
    else result.push({ start, end });
  }
  return result;
}

function trouble(message: string): Issue {
  return { severity: "warning", message, source: "crashkernel=" };
}
