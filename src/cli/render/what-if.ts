/** A what-if for people: the recorded machine and the changed one side by side. */
import { formatBytes, formatCount } from "../../base/units.ts";
import type { Both, Replay, WhatIf } from "../../replay/index.ts";
import type { Style } from "../terminal.ts";
import { paint, wrap } from "./paint.ts";
import { section } from "./plan-screen.ts";
import { bothSection, seconds } from "./replay-timeline.ts";
import { type Column, table } from "./table.ts";

/** Groups of refused requests, and shifts between zones, on one screen. */
const SHOWN = 4;

interface Row {
  readonly what: string;
  readonly recorded: string;
  readonly changed: string;
}

/** Nothing where nothing was asked. */
export function whatIfSections(style: Style, replay: Replay): string[][] {
  const { whatIf, pageSize } = replay;
  if (whatIf === null) return [];
  const set = whatIf.set.map(({ name, value, before }) =>
    before === null ? `${name}=${value}` : `${name}=${value} (recorded: ${before})`,
  );
  return [
    section(style, "What if", [
      ...bullet(style, set.join(", "), "  "),
      ...table(style, COLUMNS, rowsOf(whatIf, pageSize)),
      ...shiftLines(style, whatIf),
    ]),
    bothSection(style, whatIf, replay),
    section(
      style,
      "Requests that the changed machine does not serve",
      refusedLines(style, whatIf, pageSize),
    ),
  ];
}

const COLUMNS: readonly Column<Row>[] = [
  { head: "", align: "left", cell: (row) => row.what },
  { head: "recorded", align: "right", cell: (row) => row.recorded },
  {
    head: "changed",
    align: "right",
    cell: (row) => row.changed,
    ink: (row) => (row.changed === row.recorded ? "dim" : null),
  },
];

function rowsOf(whatIf: WhatIf, pageSize: number): Row[] {
  const { allocations, recordedRefusals, fallbacks, kswapd, zones, refused } = whatIf;
  const row = (what: string, { recorded, changed }: Both, of: (n: number) => string): Row => ({
    what,
    recorded: of(recorded),
    changed: of(changed),
  });
  const pages = (count: number): string => formatBytes(count * pageSize);
  const still = recordedRefusals.requests - recordedRefusals.served;
  const outright = refused.requests - refused.mayWait;
  const events = [
    row("refused", { recorded: recordedRefusals.requests, changed: still + outright }, formatCount),
    row("must reclaim more first", { recorded: 0, changed: refused.mayWait }, formatCount),
    row("fallbacks", fallbacks, formatCount),
    row("requests below the low mark", kswapd.belowLow, formatCount),
    row("kswapd wakes, by rule", kswapd.wakes, formatCount),
    row("kswapd awake, by rule", kswapd.awake, seconds),
  ];
  const nothing = [formatCount(0), seconds(0)];
  return [
    row(
      "requests served",
      { recorded: allocations.recorded, changed: allocations.served + recordedRefusals.served },
      formatCount,
    ),
    row(
      "  with the recorded page",
      { recorded: allocations.recorded, changed: allocations.samePage },
      formatCount,
    ),
    ...events.filter((own) => !nothing.includes(own.recorded) || !nothing.includes(own.changed)),
    ...zones.flatMap(({ node, name, managed, min, low, lowestFree }) => {
      const label = zones.some((own) => own.node !== node) ? `N${node}/${name}` : name;
      return [
        row(`${label} memory`, managed, pages),
        row("  min mark", min, pages),
        row("  low mark", low, pages),
        row("  lowest free", lowestFree, pages),
      ];
    }),
  ];
}

function shiftLines(style: Style, { zoneShift, kswapd }: WhatIf): string[] {
  const shifts = zoneShift
    .slice(0, SHOWN)
    .map(({ from, to, requests }) => `${formatCount(requests)} from ${from} to ${to}`);
  const words = [
    ...(shifts.length === 0 ? [] : [`served by another zone: ${shifts.join(", ")}`]),
    ...(kswapd.traced === 0
      ? []
      : [`kswapd woke ${formatCount(kswapd.traced)} times in the recording itself`]),
  ];
  return words.flatMap((text) => bullet(style, text, "  "));
}

function refusedLines(style: Style, { refused }: WhatIf, pageSize: number): string[] {
  const { groups, mayWait, mayWaitPages } = refused;
  const lines = groups
    .slice(0, SHOWN)
    .flatMap(({ count, order, gfp, zone, first }) => [
      ...bullet(
        style,
        `${formatCount(count)} × order ${order}, from ${zone} in the recording, ${gfp}; the first at line ${first.line}:`,
        "  ",
      ),
      ...first.because.flatMap((text) => bullet(style, text, "    ")),
    ]);
  if (groups.length > SHOWN) {
    lines.push(
      `  ${paint(style, "dim", `and ${groups.length - SHOWN} more kinds; --json has them`)}`,
    );
  }
  if (mayWait > 0) {
    const pages = formatBytes(mayWaitPages * pageSize);
    const text = `${formatCount(mayWait)} of them may wait: a kernel would reclaim ${pages} for them first. Reclaim here is the recording's, so they go without`;
    lines.push(...bullet(style, text, "  "));
  }
  return lines;
}

function bullet(style: Style, text: string, indent: string): string[] {
  return wrap(text, style.width - indent.length - 2).map(
    (line, i) => `${indent}${i === 0 ? "" : "  "}${line}`,
  );
}
