/** `zonewright size` for people: the answer first, then what it stands on. */
import { formatBytes, formatCount } from "../../base/units.ts";
import type { SizeOrigin } from "../../documents/index.ts";
import type {
  SizeName,
  SizePeak,
  SizeRefusal,
  SizeTrial,
  SizeUnit,
  SizeValue,
  SizeWorkload,
  Sizing,
} from "../../replay/index.ts";
import type { Style } from "../terminal.ts";
import { issueLines } from "./origins.ts";
import { type Ink, paint, spell, wrap } from "./paint.ts";
import { header, page, section } from "./plan-screen.ts";
import { seconds } from "./replay-timeline.ts";
import { type Column, table } from "./table.ts";

export function sizeScreen(style: Style, sizings: readonly Sizing[], origin: SizeOrigin): string {
  const { trace, kernel, era, workloads, issues, stopped } = origin;
  const facts = [
    [
      `kernel ${kernel}`,
      ...(era === null ? [] : [`rules of ${era}`]),
      ...workloads.map(workloadWords),
    ].join(", "),
    "sized for this recording: a longer or heavier one may need more",
  ];
  if (stopped) facts.push("stopped: what follows is what was known by then");
  return page(style, [
    header(style, trace, facts),
    ...sizings.flatMap((sizing) => sizingSections(style, sizing)),
    section(style, "Worth knowing", issueLines(style, issues)),
  ]);
}

function workloadWords({ words, length }: SizeWorkload): string {
  return `${words} in ${seconds(length)}`;
}

function sizingSections(style: Style, sizing: Sizing): string[][] {
  const title = `${sizing.name}: ${titleWords(sizing)}`;
  const { trials, notes, status } = sizing;
  const isShown = trials.length > 0 && status !== "zero";
  return [
    [paint(style, "title", title), ...answerLines(style, sizing)],
    section(style, `${sizing.name}: what was tried`, isShown ? trialLines(style, sizing) : []),
    section(
      style,
      `${sizing.name}: what this does not tell`,
      notes.flatMap((note) => hanging(style, "", note)),
    ),
  ];
}

function titleWords({ status, answer, where }: Sizing): string {
  switch (status) {
    case "sized":
      return answer === null ? "" : `${answer.set} is the smallest that carries it`;
    case "zero":
      return where === "sysctl" ? "this workload needs none of it" : "none is needed";
    case "none":
      return "no value carries it";
    case "untold":
      return "nothing to go by";
    case "stopped":
      return answer === null
        ? "stopped before a value was found that carries it"
        : `stopped; ${answer.set} carries it, smaller ones may`;
  }
}

const KEY = 14;

function answerLines(style: Style, sizing: Sizing): string[] {
  const { answer, margin, because, alternatives, recorded, below, status } = sizing;
  const lines: string[] = [];
  const put = (key: string, words: string): void => void lines.push(...hanging(style, key, words));
  if (because !== null) put(status === "zero" ? "why" : "why not", because);
  if (answer !== null) put(WHERE[sizing.where], `${answer.set}   (${amountWords(sizing, answer)})`);
  if (margin !== null) {
    put(`with ${margin.percent} %`, `${margin.set}   (${amountWords(sizing, margin)})`);
  }
  for (const own of alternatives) put("or", `${own.set}   ${own.why}`);
  if (status !== "untold") put("carries means", sizing.criterion);
  if (sizing.peak !== null) put("most in use", peakWords(sizing, sizing.peak));
  if (below !== null) {
    put("one step down", `${below.set}: ${refusedWords(below)}`);
    if (below.first !== null) lines.push(...refusalLines(style, below.first));
  }
  if (recorded !== null) put("recorded", recordedWords(sizing, recorded));
  const first = status === "none" ? sizing.trials.at(-1) : undefined;
  if (first?.first != null) {
    put("at the most", `${first.set}: ${refusedWords(first)}`);
    lines.push(...refusalLines(style, first.first));
  }
  if (sizing.trials.length > 1) put("monotonic", monotonicWords(sizing));
  return lines;
}

const WHERE: Readonly<Record<Sizing["where"], string>> = {
  "command line": "boot with",
  sysctl: "sysctl vm.",
  "replay --set": "replay --set",
};

/** "1 024 slots, 2 MiB". */
function amountWords({ unit, name }: Sizing, { value, bytes }: SizeValue): string {
  const amount = formatBytes(bytes);
  if (unit === "slots") return `${formatCount(value)} slots, ${amount}`;
  if (unit === "ratio") return `a reserve of ${amount}`;
  if (unit === "KiB" || name === "cma") return amount;
  return `zone ${name.toUpperCase()} ends at ${endWords(bytes)}`;
}

/** Ends differ by single blocks: rounded to GiB they would look the same. */
function endWords(bytes: number): string {
  const mib = bytes / 2 ** 20;
  return Number.isInteger(mib) ? `${formatCount(mib)} MiB` : formatBytes(bytes);
}

function peakWords({ unit }: Sizing, { amount, time, line, by }: SizePeak): string {
  const who = by === "" ? "" : `, then ${by}`;
  const most = unit === "slots" ? `${formatCount(amount)} slots` : formatBytes(amount);
  return `${most} at ${seconds(time)}, line ${line}${who}`;
}

function refusedWords({ refused, mayWait }: SizeTrial): string {
  const words =
    refused === 1 ? "1 request goes without" : `${formatCount(refused)} requests go without`;
  return mayWait === 0 ? words : `${words}, ${formatCount(mayWait)} of them may wait for reclaim`;
}

function refusalLines(style: Style, { by, bytes, time, line, because }: SizeRefusal): string[] {
  const who = by === "" ? "" : ` for ${by}`;
  const text = `the first: ${formatBytes(bytes)}${who} at ${seconds(time)}, line ${line}`;
  return [text, ...because].flatMap((words) => hanging(style, "", words));
}

function recordedWords(sizing: Sizing, recorded: SizeTrial): string {
  const { peak, refused } = recorded;
  const most = peak === null ? "" : `, most in use ${peakWords(sizing, peak)}`;
  const gone = refused === 0 ? "" : `; ${refusedWords(recorded)}`;
  return `${recorded.set}: ${amountWords(sizing, recorded)}${most}${gone}`;
}

function monotonicWords({ monotonic, answer, holdsTo, trials }: Sizing): string {
  const all = `${formatCount(trials.length)} values were tried`;
  if (monotonic) return `yes: ${all}, none that carries is smaller than one that does not`;
  const last = trials.find(({ value }) => value === holdsTo);
  const from = answer === null ? "" : `; all tried from ${answer.set} to ${last?.set} carry`;
  return `not here: ${all}, and a smaller one carries where a larger one does not${from}`;
}

const BAR = 20;

function trialLines(style: Style, sizing: Sizing): string[] {
  const { trials, unit, answer, recorded, name } = sizing;
  const isEnd = unit === "bytes" && name !== "cma";
  const peaks = trials.map(({ peak }) => peak?.amount ?? 0);
  const most = Math.max(...peaks);
  const isUsed = most > 0;
  const columns: Column<SizeTrial>[] = [
    ...(unit === "bytes" ? [] : [valueColumn(unit)]),
    {
      head: isEnd ? "zone's end" : "memory",
      align: "right",
      cell: ({ bytes }) => (isEnd ? endWords(bytes) : formatBytes(bytes)),
      ...(unit === "bytes" ? {} : { importance: 2 }),
    },
    {
      head: "refused",
      align: "right",
      cell: ({ refused }) => (refused === 0 ? "-" : formatCount(refused)),
      ink: ({ carries }): Ink => (carries ? "dim" : "bad"),
    },
    ...(isUsed ? useColumns(style, most, unit) : waitColumns),
    {
      head: "",
      align: "left",
      cell: ({ set, carries }) =>
        [
          ...(set === answer?.set ? ["smallest that carries"] : carries ? [] : ["does not carry"]),
          ...(set === recorded?.set ? ["recorded"] : []),
        ].join(", "),
      importance: 1,
      ink: ({ carries }): Ink => (carries ? "good" : "bad"),
    },
  ];
  return table(style, columns, trials);
}

function valueColumn(unit: SizeUnit): Column<SizeTrial> {
  return { head: unit, align: "right", cell: ({ value }) => formatCount(value) };
}

const waitColumns: readonly Column<SizeTrial>[] = [
  {
    head: "may wait",
    align: "right",
    cell: ({ mayWait }) => (mayWait === 0 ? "-" : formatCount(mayWait)),
    importance: 3,
  },
];

function useColumns(style: Style, most: number, unit: SizeUnit): Column<SizeTrial>[] {
  return [
    {
      head: "most in use",
      align: "right",
      cell: ({ peak }) => (peak === null ? "-" : useWords(peak.amount, unit)),
    },
    {
      head: "",
      align: "left",
      cell: ({ peak }) => bar(style, (peak?.amount ?? 0) / most),
      importance: 3,
      ink: ({ carries }): Ink => (carries ? "good" : "bad"),
    },
  ];
}

function useWords(amount: number, unit: SizeUnit): string {
  return unit === "slots" ? formatCount(amount) : formatBytes(amount);
}

function bar(style: Style, share: number): string {
  const full = Math.round(share * BAR);
  const [on, off] = style.unicode ? ["█", "░"] : ["#", "."];
  return on.repeat(full) + off.repeat(BAR - full);
}

function hanging(style: Style, key: string, words: string): string[] {
  return wrap(words, style.width - KEY - 3).map((line, i) => {
    const label = paint(style, "dim", (i === 0 ? key : "").padEnd(KEY));
    return `  ${label} ${line}`;
  });
}

/** One line of progress. */
export function sizeProgress(style: Style, name: SizeName, tries: number): string {
  return spell(style, `${name}: ${tries === 1 ? "1 value" : `${formatCount(tries)} values`} tried`);
}
