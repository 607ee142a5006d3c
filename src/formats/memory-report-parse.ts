/**
 * From the lines of one report to its record.
 *
 * Openings, all of one printer or of the OOM killer; a dot stands for the first colon up to 3.1:
 *
 *   COMM: page allocation failure: order:N, mode:0xX(NAMES), nodemask=…,cpuset=…,mems_allowed=…
 *   COMM: vmemmap alloc failure: order:N, mode:…
 *   COMM: vmalloc error: size N, page order N, failed to allocate pages, mode:…
 *   COMM: vmalloc: allocation failure: N bytes, mode:…
 *   COMM: page allocation stalls for Nms, order:N, mode:…
 *   COMM invoked oom-killer: gfp_mask=0xX(NAMES), order=N, …
 *   oom-killer: gfp_mask=0xX                                       2.6.9
 *
 * Linux: warn_alloc(), mm/page_alloc.c; dump_header(), mm/oom_kill.c
 */
import type {
  MemoryReport,
  MemoryReportKind,
  ReportGfp,
  ReportOom,
  ReportOpening,
  ReportVmalloc,
} from "./memory-report.ts";
import { readZones } from "./memory-report-zones.ts";
import { type Reading, ReportText } from "./report-text.ts";

/** What the reader knows of a report beside its lines. */
export interface ReportFrame {
  readonly line: number;
  readonly endLine: number;
  readonly time: string | null;
  readonly opening: ReportOpening;
  /** The log's banner, if one came before. */
  readonly release: string | null;
  readonly upstream: string | null;
}

/** The row of a zone: what is left of a report whose head was cut off. */
const ZONE_ROW =
  /^(?:Node \d+ )?(?:DMA|DMA32|Normal|HighMem|Movable) free:\d+kB (?:boost:\d+kB )?min:\d+kB/;

const OPENINGS: readonly (readonly [ReportOpening, RegExp])[] = [
  ["page", /page allocation failure[.:](?: order| ?=?$)/],
  ["vmemmap", /vmemmap alloc(?:ation)? failure[.:](?: order| ?=?$)/],
  ["vmalloc", /vmalloc error: size(?: \d| ?=?$)|vmalloc: allocation failure[:,](?: \w| ?=?$)/],
  ["stall", /page allocation stalls for \d+ms/],
  ["oom", /oom-killer: gfp_mask[=:]|invoked oom-killer: ?=?$/],
  ["state", /^(?:Mem-[Ii]nfo:|SysRq ?: Show Memory|sysrq: Show Memory)/],
  ["rows", ZONE_ROW],
];

const KINDS: Readonly<Record<ReportOpening, MemoryReportKind>> = {
  page: "page-allocation-failure",
  vmemmap: "page-allocation-failure",
  vmalloc: "page-allocation-failure",
  stall: "stall",
  oom: "oom",
  state: "mem-info",
  rows: "mem-info",
};

/** Which report `text` opens; null for none. */
export function openingOf(text: string): ReportOpening | null {
  return OPENINGS.find(([, pattern]) => pattern.test(text))?.[0] ?? null;
}

const GFP = /\b(?:mode:|gfp_mask=|gfp_mask:) ?(0x[0-9a-fA-F]{1,8})(?: ?\(([^()]{0,400})\))?/;
const ORDER = /(?:\bpage order |order[:=] ?)(-?\d{1,3})\b/;
const COMM =
  /([^\s:][^:]{0,60}?(?::[^\s:]{1,20})?)(?:: (?:page allocation|vmemmap alloc|vmalloc)| invoked oom-killer)/;
const COMM_LATER = /\b[Cc]omm: (\S{1,32})/;
const NODEMASK = /\bnodemask=(\(null\)|[\d,-]*\d)/;
const CPUSET = /\bcpuset=([^\s,]+)/;
const MEMS = /\bmems_allowed=([\d,-]*\d)/;
const RELEASE =
  /(?:Not tainted|Tainted: [A-Z ]{1,60}?) ?\(?(\d{1,2}\.\d{1,3}[\w.+~-]*)([^\n]{0,80})/;
const DEBIAN = /\bDebian (\d+\.\d+\.\d+)/;
/** A name after "?" was found on the stack, but nobody knows whether it was called. */
const FRAME =
  /(\? )?\b([A-Za-z_][\w.]{2,80})\+0x[0-9a-f]+\/0x[0-9a-f]+|(<IRQ>|<\/IRQ>|--- interrupt)|\b([A-Za-z_]\w{2,80}) from [A-Za-z_]/g;
const ADDRESS = /\[<?([0-9a-f]{8}|[0-9a-f]{16})>?\]/;
const COUNTER = /\b([a-z_]+(?:\([a-z]+\))?):(\d+)(?![\dkK*])/g;
const RAM = /\b(\d+) pages (?:of )?RAM\b/;
const RESERVED = /\b(\d+) (?:pages reserved|reserved pages)\b/;
/** Longest text before the words of a number, and behind where they begin. */
const AROUND = 40;
const SWAP_FREE = /\bFree swap ?[=:] ?(\d+)kB/;
const SWAP_TOTAL = /\bTotal swap ?= ?(\d+)kB/;
const HUGE = /\bhugepages_total=(\d+)\b.{0,80}?\bhugepages_size=(\d+)kB/g;
const CONSTRAINT = /\boom-kill:constraint=(\w+)/;
/** Up to 2.6.35 the words before "kill process" say who was held to which nodes. */
const HELD = /No available memory (in cpuset|\(MPOL_BIND\))/;
const MEMCG =
  /Memory cgroup out of memory|killed as a result of limit of|CONSTRAINT_MEMCG|Memory cgroup stats/;
const USAGE = /\bmemory: usage (\d+)kB, limit (\d+)kB/;
const VICTIM = /[Kk]ill(?:ed)? process \d+,? ?\(([^)]{1,32})\)/;
const NO_VICTIM = /no killable processes/;
const FRAMES_MAX = 96;

export function parseMemoryReport(
  lines: ConstructorParameters<typeof ReportText>[0],
  frame: ReportFrame,
): MemoryReport {
  const report = new ReportText(lines);
  const { text } = report;
  const info = text.search(/Mem-[Ii]nfo:/);
  const rows = readZones(report, Math.max(0, info));
  // A state has no request, and what stands before the state is not part of it.
  const head = text.slice(0, info === -1 ? text.length : info);
  // Since 5.0 the killer names the allowed nodes behind the state.
  const summary = text.indexOf("oom-kill:constraint=");
  const held = summary === -1 ? head : `${head} ${text.slice(summary)}`;
  const asked = frame.opening !== "state" && frame.opening !== "rows";
  const kind = KINDS[frame.opening];
  const [, release, rest = ""] = RELEASE.exec(head) ?? [];
  return {
    kind,
    opening: frame.opening,
    line: frame.line,
    endLine: frame.endLine,
    time: frame.time,
    // A piece of this text, not of the line: the line is a piece of a whole chunk of the log.
    text: text.slice(0, (lines[0]?.text ?? "").replace(/\s+/g, " ").length),
    comm: COMM.exec(head)?.[1]?.trim() ?? COMM_LATER.exec(head)?.[1] ?? null,
    order: asked ? number(report, ORDER, head) : null,
    gfp: asked ? gfpOf(report, head) : null,
    nodemask: NODEMASK.exec(held)?.[1]?.replace("(null)", "") || null,
    cpuset: CPUSET.exec(held)?.[1] ?? null,
    memsAllowed: MEMS.exec(held)?.[1] ?? null,
    release: release ?? frame.release,
    upstream: release === undefined ? frame.upstream : (DEBIAN.exec(rest)?.[1] ?? null),
    frames: framesOf(head),
    addressBits: bitsOf(head),
    counters: countersOf(report, info),
    ...rows,
    swapFree: number(report, SWAP_FREE),
    swapTotal: number(report, SWAP_TOTAL),
    ram: numberAt(report, RAM, "RAM"),
    reserved: numberAt(report, RESERVED, "reserved"),
    hugeKib: hugeOf(text),
    oom: kind === "oom" ? oomOf(report) : null,
    vmalloc: frame.opening === "vmalloc" ? vmallocOf(report) : null,
  };
}

function number(report: ReportText, pattern: RegExp, text: string = report.text): Reading | null {
  const match = pattern.exec(text);
  const digits = match?.[1];
  if (match === null || digits === undefined) return null;
  return report.reading(digits, match.index + match[0].lastIndexOf(digits));
}

/** The same where the pattern begins with the number: looked for only around `word`. */
function numberAt(report: ReportText, pattern: RegExp, word: string): Reading | null {
  const { text } = report;
  for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + 1)) {
    const from = Math.max(0, at - AROUND);
    const match = pattern.exec(text.slice(from, at + AROUND));
    const digits = match?.[1];
    if (match === null || digits === undefined) continue;
    return report.reading(digits, from + match.index);
  }
  return null;
}

function gfpOf(report: ReportText, head: string): ReportGfp | null {
  const match = GFP.exec(head);
  if (match === null) return null;
  const names = match[2]?.replaceAll(" ", "") ?? "";
  return {
    bits: Number(match[1]),
    names: names === "" ? null : names,
    line: report.lineAt(match.index),
  };
}

function framesOf(head: string): string[] {
  const all: string[] = [];
  const sure: string[] = [];
  FRAME.lastIndex = 0;
  while (all.length < FRAMES_MAX) {
    const match = FRAME.exec(head);
    if (match === null) break;
    const [, doubt, name, mark, caller] = match;
    const frame = name ?? mark ?? caller;
    if (frame === undefined) continue;
    all.push(frame.includes(".") ? frame.replace(/\.(?:constprop|isra|part|cold).*$/, "") : frame);
    if (doubt === undefined) sure.push(all.at(-1) ?? "");
  }
  return sure.length > 0 ? sure : all;
}

function bitsOf(head: string): 32 | 64 | null {
  const digits = ADDRESS.exec(head)?.[1];
  if (digits !== undefined) return digits.length === 8 ? 32 : 64;
  return /\bRIP: 0|__x64_|__arm64_|\bpc : \[|do_syscall_64/.test(head) ? 64 : null;
}

function countersOf(report: ReportText, info: number): ReadonlyMap<string, Reading> {
  const counters = new Map<string, Reading>();
  if (info === -1) return counters;
  const rest = report.text.slice(info);
  const end = rest.search(/\bNode \d+ active_anon:|[A-Z]\w+ (?:free|min):\d*kB/);
  const part = rest.slice(0, end === -1 ? 4000 : end);
  COUNTER.lastIndex = 0;
  for (let counter = COUNTER.exec(part); counter !== null; counter = COUNTER.exec(part)) {
    const [all, name = "", digits = ""] = counter;
    const at = info + counter.index + all.length - digits.length;
    const reading = report.reading(digits, at);
    if (reading !== null && !counters.has(name)) counters.set(name, reading);
  }
  return counters;
}

function hugeOf(text: string): number {
  let kib = 0;
  HUGE.lastIndex = 0;
  for (let huge = HUGE.exec(text); huge !== null; huge = HUGE.exec(text)) {
    kib += Number(huge[1]) * Number(huge[2]);
  }
  return Number.isSafeInteger(kib) ? kib : 0;
}

function heldBy(words: string | undefined): string | null {
  if (words === undefined) return null;
  return words === "in cpuset" ? "CONSTRAINT_CPUSET" : "CONSTRAINT_MEMORY_POLICY";
}

/**
 * Up to 5.11 "allocation failure: N bytes" is said of a size beyond RAM as of a range that was not
 * found, and "allocated N of M bytes" of pages.
 */
function vmallocOf(report: ReportText): ReportVmalloc | null {
  const size = number(report, VMALLOC_SIZE);
  const words = VMALLOC_WORDS.exec(report.text)?.[0] ?? "";
  if (size === null) return null;
  const what = VMALLOC_WHAT.find(([start]) => words.includes(start))?.[1] ?? "pages";
  return { size, what };
}

const VMALLOC_SIZE =
  /vmalloc(?: error: size|: allocation failure:|: allocation failure, allocated \d+ of) (\d+)/;
const VMALLOC_WORDS =
  /vmalloc(?: error: size \d+, [\w ]{1,60}|: allocation failure: \d+ bytes|: allocation failure, allocated)/;
const VMALLOC_WHAT: readonly (readonly [string, ReportVmalloc["what"]])[] = [
  ["exceeds total pages", "exceeds"],
  ["vm_struct allocation failed", "addresses"],
  ["page array", "page-list"],
  ["failed to map pages", "unmapped"],
  ["failure: ", "addresses"],
];

function oomOf(report: ReportText): ReportOom {
  const { text } = report;
  const memcg = MEMCG.exec(text);
  const constraint = CONSTRAINT.exec(text);
  const held = HELD.exec(text);
  const at = memcg ?? constraint ?? held;
  const usage = USAGE.exec(text);
  const kib = (digits: string | undefined): Reading | null =>
    usage === null || digits === undefined
      ? null
      : report.reading(digits, usage.index + usage[0].indexOf(digits));
  return {
    constraint: constraint?.[1] ?? heldBy(held?.[1]),
    memcg: memcg !== null,
    line: at === null ? null : report.lineAt(at.index),
    victim: VICTIM.exec(text)?.[1] ?? null,
    noVictim: NO_VICTIM.test(text),
    usage: kib(usage?.[1]),
    limit: kib(usage?.[2]),
  };
}
