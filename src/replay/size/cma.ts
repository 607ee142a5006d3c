/**
 * The smallest `cma=` whose area has a place for every range that was asked of
 * it, by the kernel's first fit. Pages that are lent meanwhile count as movable:
 * whether they were in time no size of the area decides.
 *
 * Linux: cma_alloc(), mm/cma.c; dma_contiguous_reserve(), kernel/dma/contiguous.c
 */
import type { Range } from "../../base/range.ts";
import { formatBytes, formatCount } from "../../base/units.ts";
import { resolveEra } from "../../kernels/eras.ts";
import { CmaBits } from "./cma-bits.ts";
import type { CmaCall } from "./cma-calls.ts";
import { answersOf, type Ladder, type Tried } from "./ladder.ts";
import {
  emptySizing,
  type SizePause,
  type SizePeak,
  type SizeRefusal,
  type SizeStatus,
  type SizeValue,
  type SizeWorkload,
  type Sizing,
} from "./result.ts";
import { type Found, searchSmallest } from "./search.ts";

export interface CmaSizingTask {
  /** From the trace's first event on. */
  readonly calls: readonly CmaCall[];
  /** Upstream release, e.g. "6.12.95". */
  readonly kernel: string;
  /** Areas of the recorded machine, in bytes. */
  readonly areas: readonly Range[];
  /** Per cent; null for none. */
  readonly margin: number | null;
  readonly pause: SizePause;
}

const PAGE_BYTES = 4096;
const MIB = 2 ** 20;
/** With 4 KiB pages. Linux: pageblock_order, MAX_ORDER */
const PAGEBLOCK_PAGES = 512;
const LARGEST_PAGES = 1024;
/** What the kernel calls the area of `cma=`, and most devicetrees theirs. */
const DEFAULTS: readonly string[] = ["reserved", "linux,cma"];

const ASKED = {
  name: "cma",
  unit: "bytes",
  where: "command line",
  criterion:
    "every range that was asked for finds a place, also those that were refused in the recording",
} as const;

export function cmaWorkload(calls: readonly CmaCall[]): SizeWorkload {
  const times = calls.map(({ time }) => time);
  const length = times.length === 0 ? 0 : (times.at(-1) ?? 0) - times[0];
  const taken = calls.filter(({ kind }) => kind === "take").length;
  return { length, words: `${formatCount(taken)} ranges asked of CMA areas` };
}

export async function sizeCma(task: CmaSizingTask): Promise<Sizing> {
  const area = areaOf(task.calls);
  if (area === null) {
    const because = "no range was asked of a CMA area: record the events cma:*";
    return emptySizing({ ...ASKED, because });
  }
  const calls = task.calls.filter((call) => call.area === area);
  const machine = machineOf(task, calls);
  const { recorded } = machine;
  const ladder: Ladder = { amounts: machine.amounts, show: cmaValue };
  const found = await search(task, machine, calls);
  const answers = answersOf(ladder, found, task.margin);
  const at = found.tried.findIndex(({ rung }) => ladder.amounts[rung] === recorded);
  const own = found.tried.find(({ rung }) => rung === found.rung)?.result;
  const status: SizeStatus = found.stopped ? "stopped" : answers.answer === null ? "none" : "sized";
  return {
    ...ASKED,
    ...answers,
    status,
    because: status === "none" ? "the largest area that was tried has no room, too" : null,
    alternatives: [],
    peak: own?.peak ?? null,
    recorded: at < 0 ? null : answers.trials[at],
    notes: notesOf(task, area, machine, calls),
  };
}

/** The area of `cma=` where it was asked, else the one that most was asked of. */
function areaOf(calls: readonly CmaCall[]): string | null {
  const pages = new Map<string, number>();
  for (const { kind, area, pages: own } of calls) {
    if (kind === "take") pages.set(area, (pages.get(area) ?? 0) + own);
  }
  const named = DEFAULTS.find((name) => pages.has(name));
  const [most] = [...pages].sort(([, a], [, b]) => b - a);
  return named ?? most?.[0] ?? null;
}

interface Machine {
  /** Areas are whole numbers of so many pages. */
  readonly step: number;
  /** Pages of the area; -1 where nobody tells. */
  readonly recorded: number;
  /** First page of the area; -1 where nobody tells. */
  readonly base: number;
  /** Pages at its start that were not free when the recording began. */
  readonly before: number;
  readonly amounts: readonly number[];
}

function machineOf({ kernel, areas }: CmaSizingTask, calls: readonly CmaCall[]): Machine {
  const first = calls.find(({ kind, pfn }) => kind === "take" && pfn >= 0)?.pfn ?? -1;
  const own = areas.find(
    ({ start, end }) => first * PAGE_BYTES >= start && first * PAGE_BYTES < end,
  );
  const base = own === undefined ? -1 : own.start / PAGE_BYTES;
  const recorded = own === undefined ? -1 : (own.end - own.start) / PAGE_BYTES;
  const policy = resolveEra(kernel, "x86_64")?.policy;
  const step = policy?.boot.cmaAlignsToMaxOrder === true ? LARGEST_PAGES : PAGEBLOCK_PAGES;
  // Where nobody tells the area, it begins at a whole block at or below the first range.
  const before = first < 0 ? 0 : base < 0 ? first % step : first - base;
  const most = Math.max(recorded, 4 * (before + mostAligned(calls)), step);
  const amounts: number[] = [0];
  for (let pages = step; pages < most + step; pages += step) amounts.push(pages);
  if (recorded > 0 && !amounts.includes(recorded)) amounts.push(recorded);
  return { step, recorded, base, before, amounts: amounts.sort((a, b) => a - b) };
}

/** Most pages in use at once if each range took all that its alignment may cost, and the largest range. */
function mostAligned(calls: readonly CmaCall[]): number {
  const live = new Map<number, number>();
  let used = 0;
  let most = 0;
  let largest = 0;
  for (const { kind, pfn, pages, align } of calls) {
    if (kind === "take") {
      const cost = pages + 2 ** align;
      largest = Math.max(largest, cost);
      if (pfn < 0) continue;
      used += cost;
      live.set(pfn, cost);
      most = Math.max(most, used);
    } else {
      used -= live.get(pfn) ?? 0;
      live.delete(pfn);
    }
  }
  return most + largest;
}

async function search(
  { pause }: CmaSizingTask,
  machine: Machine,
  calls: readonly CmaCall[],
): Promise<Found<Tried>> {
  let tries = 0;
  return searchSmallest<Tried>({
    rungs: machine.amounts.length,
    first: [machine.amounts.indexOf(machine.recorded)],
    width: 1,
    tryAll: async ([rung]) => {
      if (!(await pause("cma", tries))) return null;
      tries++;
      return [tryArea(machine.amounts[rung], machine.before, calls)];
    },
    carries: (tried) => tried.carries,
  });
}

/** The recorded calls on an area of so many pages, the first `before` of them in use. */
export function tryArea(pages: number, before: number, calls: readonly CmaCall[]): Tried {
  const bits = new CmaBits(pages);
  // What is in use before and does not fit is a refusal of nobody that is recorded.
  bits.set(0, Math.min(before, pages));
  const places = new Map<number, number>();
  let refused = 0;
  let first: SizeRefusal | null = null;
  let peak: SizePeak | null = null;
  for (const call of calls) {
    if (call.kind === "give") {
      const own = places.get(call.pfn);
      places.delete(call.pfn);
      if (own !== undefined) bits.clear(own, call.pages);
      continue;
    }
    const at = bits.find(call.pages, 2 ** call.align);
    if (at < 0) {
      refused++;
      first ??= refusalOf(call, bits);
      continue;
    }
    const used = (bits.used + call.pages) * PAGE_BYTES;
    const { line, time, by } = call;
    if (used > (peak?.amount ?? 0)) peak = { amount: used, line, time, by };
    // Nobody knows how long a range would have been kept that was refused.
    if (call.pfn < 0) continue;
    bits.set(at, call.pages);
    places.set(call.pfn, at);
  }
  const carries = refused === 0 && before <= pages;
  return { carries, refused, mayWait: 0, first, peak };
}

function refusalOf({ line, time, by, pages, align }: CmaCall, bits: CmaBits): SizeRefusal {
  const free = bits.pages - bits.used;
  const room = `${formatCount(free)} of ${formatCount(bits.pages)} pages are free`;
  const where = align === 0 ? "" : `, the first at a multiple of ${formatCount(2 ** align)}`;
  const because = [`it needs ${formatCount(pages)} pages in a row${where}: ${room}`];
  return { line, time, by, bytes: pages * PAGE_BYTES, because, never: false };
}

function cmaValue(pages: number): SizeValue {
  const bytes = pages * PAGE_BYTES;
  return { value: bytes, bytes, set: pages === 0 ? "cma=0" : `cma=${bytes / MIB}M` };
}

function notesOf(
  { calls: all }: CmaSizingTask,
  area: string,
  { before, base, step, recorded }: Machine,
  calls: readonly CmaCall[],
): string[] {
  const notes: string[] = [];
  const others = new Set(all.map((call) => call.area).filter((name) => name !== area));
  if (others.size > 0) notes.push(`areas of other names are left out: ${[...others].join(", ")}`);
  if (before > 0) {
    notes.push(
      `the first range lies ${formatBytes(before * PAGE_BYTES)} into ${base < 0 ? "a block" : "the area"}, and the kernel looks from the start on: so much counts as in use already`,
    );
  }
  if (base < 0)
    notes.push(
      "the boot log tells no area that the ranges lie in, so the recorded size is not known",
    );
  notes.push(...placeWords({ base, recorded, before }, calls));
  const unknown = unknownGives(calls);
  if (unknown > 0)
    notes.push(
      `${formatCount(unknown)} ranges are given back that were taken before the recording`,
    );
  const refused = calls.filter(({ kind, pfn }) => kind === "take" && pfn < 0).length;
  if (refused > 0) {
    notes.push(
      `${formatCount(refused)} ranges were refused in the recording: they are given back at once here`,
    );
  }
  notes.push(`an area is made of whole blocks of ${formatBytes(step * PAGE_BYTES)}`);
  notes.push(
    "pages that are lent to others meanwhile count as movable: an area can also be slow, or refuse, because one of them cannot be moved",
  );
  return notes;
}

/** How many ranges lie where first fit puts them on the recorded machine. */
function placeWords(
  { base, recorded, before }: Pick<Machine, "base" | "recorded" | "before">,
  calls: readonly CmaCall[],
): string[] {
  if (base < 0) return [];
  const bits = new CmaBits(recorded);
  bits.set(0, before);
  let equal = 0;
  let all = 0;
  for (const { kind, pfn, pages, align } of calls) {
    if (pfn < base || pfn + pages > base + recorded) continue;
    if (kind === "give") bits.clear(pfn - base, pages);
    else {
      all++;
      if (bits.find(pages, 2 ** align) === pfn - base) equal++;
      bits.set(pfn - base, pages);
    }
  }
  const rest = equal === all ? "" : "; the others found pages in the way that could not be moved";
  return [
    `${formatCount(equal)} of ${formatCount(all)} ranges lie where first fit puts them on the recorded machine${rest}`,
  ];
}

function unknownGives(calls: readonly CmaCall[]): number {
  const live = new Set<number>();
  let unknown = 0;
  for (const { kind, pfn } of calls) {
    if (kind === "take") live.add(pfn);
    else if (!live.delete(pfn)) unknown++;
  }
  return unknown;
}
