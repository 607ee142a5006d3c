// Failure reports in the kernel's own form, from numbers: what tests vary, and what people do to logs.

export interface ZoneSpec {
  readonly name: string;
  readonly node?: number;
  /** KiB. */
  readonly free: number;
  readonly min: number;
  readonly low?: number;
  readonly high?: number;
  readonly boost?: number;
  readonly managed: number;
  readonly highatomic?: number;
  readonly freeCma?: number;
  /** Pages, by zone index. */
  readonly reserve: readonly number[];
  /** Blocks by order; letters of the types. Absent: no list. */
  readonly blocks?: readonly (readonly [count: number, types: string])[];
}

export interface ReportSpec {
  readonly header: string;
  readonly comm?: string;
  readonly release?: string;
  readonly frames?: readonly string[];
  readonly zones: readonly ZoneSpec[];
  readonly tail?: readonly string[];
  /** Without "Node N": a kernel that is not built for NUMA. */
  readonly flat?: boolean;
}

export function failureHeader(order: number, mode: string, comm = "dd"): string {
  return `${comm}: page allocation failure: order:${order}, mode:${mode}, nodemask=(null),cpuset=/,mems_allowed=0`;
}

/** The lines of a report as 5.14 to 6.12 print them; fields that are undefined are left out. */
export function reportLines(spec: ReportSpec): string[] {
  const { zones, flat = false } = spec;
  const place = (zone: ZoneSpec): string => (flat ? "" : `Node ${zone.node ?? 0} `);
  const free = zones.reduce((sum, zone) => sum + zone.free / 4, 0);
  const cma = zones.reduce((sum, zone) => sum + (zone.freeCma ?? 0) / 4, 0);
  const release = spec.release ?? "6.1.0-50-amd64 #1 Debian 6.1.176-1";
  return [
    spec.header,
    `CPU: 0 PID: 246 Comm: ${spec.comm ?? "dd"} Not tainted ${release}`,
    "Call Trace:",
    ...(spec.frames ?? ["dump_stack_lvl", "warn_alloc", "__alloc_pages"]).map(
      (frame) => ` ${frame}+0x44/0x5c`,
    ),
    "Mem-Info:",
    "active_anon:434 inactive_anon:32313 isolated_anon:0",
    ` free:${free} free_pcp:49 free_cma:${cma}`,
    "Node 0 active_anon:1736kB inactive_anon:129252kB all_unreclaimable? no",
    ...zones.flatMap((zone) => [
      `${place(zone)}${zone.name} ${zoneFields(zone)}`,
      `lowmem_reserve[]: ${zone.reserve.join(" ")}`,
    ]),
    ...zones.flatMap((zone) =>
      zone.blocks === undefined ? [] : [`${place(zone)}${zone.name}: ${listOf(zone.blocks)}`],
    ),
    "2349 total pagecache pages",
    "Free swap  = 0kB",
    "Total swap = 0kB",
    "65399 pages RAM",
    "13291 pages reserved",
    ...(spec.tail ?? []),
  ];
}

function zoneFields(zone: ZoneSpec): string {
  const fields: readonly (readonly [string, number | undefined, string])[] = [
    ["free", zone.free, "kB"],
    ["boost", zone.boost, "kB"],
    ["min", zone.min, "kB"],
    ["low", zone.low ?? Math.floor(zone.min * 1.25), "kB"],
    ["high", zone.high ?? Math.floor(zone.min * 1.5), "kB"],
    ["reserved_highatomic", zone.highatomic, "KB"],
    ["active_anon", 0, "kB"],
    ["present", zone.managed, "kB"],
    ["managed", zone.managed, "kB"],
    ["free_pcp", 0, "kB"],
    ["free_cma", zone.freeCma, "kB"],
  ];
  return fields
    .filter(([, value]) => value !== undefined)
    .map(([name, value, unit]) => `${name}:${value}${unit}`)
    .join(" ");
}

function listOf(blocks: readonly (readonly [number, string])[]): string {
  const entries = blocks.map(
    ([count, types], order) => `${count}*${4 << order}kB${count > 0 ? ` (${types})` : ""}`,
  );
  const sum = blocks.reduce((kib, [count], order) => kib + count * (4 << order), 0);
  return `${entries.join(" ")} = ${sum}kB`;
}

/** Eleven orders: `largest` blocks of the orders named, none of the others. */
export function blocksOf(
  counts: Readonly<Record<number, number>>,
  types = "UM",
): [number, string][] {
  return Array.from({ length: 11 }, (_, order) => [counts[order] ?? 0, types]);
}

/** What carries a log to a reader. */
export const CARRIERS: Readonly<Record<string, (lines: readonly string[]) => string[]>> = {
  plain: (lines) => [...lines],
  dmesg: (lines) => lines.map((line, i) => `[${stamp(i)}] ${line}`),
  raw: (lines) => lines.map((line, i) => `<4>[${stamp(i)}] ${line}`),
  caller: (lines) => lines.map((line, i) => `[${stamp(i)}][    T1] ${line}`),
  journal: (lines) => lines.map((line) => `Nov 03 10:00:00 host kernel: ${line}`),
  syslog: (lines) => lines.map((line, i) => `Nov  3 10:00:00 host kernel: [${stamp(i)}] ${line}`),
  calendar: (lines) => lines.map((line) => `[Tue Nov  3 10:00:00 2026] ${line}`),
  quoted: (lines) => lines.map((line, i) => `> > [${stamp(i)}] ${line}`),
  crlf: (lines) => lines.map((line, i) => `[${stamp(i)}] ${line}\r`),
  wrapped: (lines) => lines.flatMap((line, i) => wrapped(`[${stamp(i)}] ${line}`, 72)),
  "wrapped and quoted": (lines) =>
    lines.flatMap((line, i) => wrapped(`[${stamp(i)}] ${line}`, 66).map((part) => `> ${part}`)),
  "quoted-printable": (lines) => lines.flatMap((line, i) => printable(`[${stamp(i)}] ${line}`)),
};

function stamp(i: number): string {
  return `${String(20 + Math.floor(i / 100)).padStart(5)}.${String((i % 100) * 10_000).padStart(6, "0")}`;
}

/** As mail clients do: at blanks. */
function wrapped(line: string, width: number): string[] {
  const parts: string[] = [];
  let part = "";
  for (const word of line.split(" ")) {
    if (part !== "" && part.length + word.length + 1 > width) {
      parts.push(part);
      part = word;
    } else part = part === "" ? word : `${part} ${word}`;
  }
  return [...parts, part];
}

/** RFC 2045: "=" encoded, lines of 76 with soft breaks. */
function printable(line: string): string[] {
  const parts: string[] = [];
  let rest = line.replaceAll("=", "=3D");
  while (rest.length > 76) {
    let cut = 75;
    if (rest[cut - 1] === "=") cut -= 1;
    else if (rest[cut - 2] === "=") cut -= 2;
    parts.push(`${rest.slice(0, cut)}=`);
    rest = rest.slice(cut);
  }
  return [...parts, rest];
}
