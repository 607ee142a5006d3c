/** `zonewright replay` for people: the scores, the first difference, and the run over time. */
import { formatCount } from "../../base/units.ts";
import type { ReplayOrigin } from "../../documents/index.ts";
import {
  allocatorOf,
  type Comparison,
  type Divergence,
  type Replay,
  type ReplayAllocator,
  type Run,
} from "../../replay/index.ts";
import type { Style } from "../terminal.ts";
import { dmaSections } from "./dma.ts";
import { iovaSections } from "./iova.ts";
import { issueLines } from "./origins.ts";
import { paint, spell, wrap } from "./paint.ts";
import { header, page, section } from "./plan-screen.ts";
import { timelineSections } from "./replay-timeline.ts";
import { whatIfSections } from "./what-if.ts";

export function replayScreen(style: Style, replay: Replay, origin: ReplayOrigin): string {
  const { facts, blind, repaired } = replay;
  const { score } = repaired;
  const what = [
    `kernel ${facts.upstream}, rules of ${facts.era}, ${allocatorWords(allocatorOf(facts))}, CPUs ${facts.cpus}`,
    `${formatCount(score.events)} events: ${formatCount(score.allocations)} allocations, ${formatCount(score.frees)} frees, ${origin.lost} lost`,
  ];
  if (replay.start === "boot") what.push("started from what memblock hands over, as planned");
  if (replay.start === "flags and counts") {
    what.push("started from page flags and sums: order within lists and per-CPU pages unknown");
  }
  if (replay.stopped) what.push("stopped: the counts are of what was done");
  const same = blind === repaired;
  return page(style, [
    header(style, origin.trace, what),
    section(
      style,
      same ? "Blind run" : "Blind run: no recorded page was looked at",
      runLines(style, blind),
    ),
    same
      ? []
      : section(style, "Repaired run: wrong answers mended, with assumptions", [
          ...runLines(style, repaired),
          ...sentence(style, assumptionWords(repaired)),
        ]),
    section(style, "First difference of the blind run", divergenceLines(style, replay.divergence)),
    section(style, "Told by the recording, beyond requests and frees", [
      ...sentence(style, countWords(score.inputs) || "nothing"),
    ]),
    ...dmaSections(style, origin.dma),
    ...iovaSections(style, origin.iova),
    ...whatIfSections(style, replay),
    ...timelineSections(style, replay),
    section(style, "Worth knowing", issueLines(style, origin.issues)),
  ]);
}

/** "allocator of 6.1 (captured)", and what such kernels do otherwise. */
function allocatorWords(allocator: ReplayAllocator | null): string {
  if (allocator === null) return "no allocator";
  const { rule, basis, differs } = allocator;
  const but = differs.length === 0 ? "" : `, without ${differs.join("; ")}`;
  return `allocator of ${rule} (${basis}${but})`;
}

function runLines(style: Style, { score, comparison }: Run): string[] {
  const lines = [
    share(style, "zones", score.zoneEqual, score.allocations),
    share(style, "pages", score.pfnEqual, score.allocations),
    share(style, "refusals", score.failedEqual, score.failed),
    share(style, "refills", score.refills.equal, score.refills.recorded),
    share(style, "drains", score.drains.equal, score.drains.recorded),
    share(style, "fallbacks", score.extfrags.equal, score.extfrags.recorded),
    share(style, "kswapd wakes", score.wakes.equal, score.wakes.recorded),
    share(style, "reclaims", score.reclaims.equal, score.reclaims.recorded),
    share(style, "kswapd runs", score.runs.equal, score.runs.recorded),
    share(style, "kswapd rests", score.sleeps.equal, score.sleeps.recorded),
  ].filter((line) => line !== "");
  if (score.repairs > 0) lines.push(`  repairs      ${formatCount(score.repairs)}`);
  return comparison === null ? lines : [...lines, ...finalLines(style, comparison)];
}

function sentence(style: Style, text: string): string[] {
  return wrap(text, style.width - 4).map((line, i) => (i === 0 ? `  ${line}` : `    ${line}`));
}

function share(style: Style, name: string, equal: number, all: number): string {
  if (all === 0) return "";
  const part = equal === all ? "all" : `${((100 * equal) / all).toFixed(3)} %`;
  const ink = equal === all ? "good" : "bad";
  const counts = `${formatCount(equal)} of ${formatCount(all)} equal`;
  return `  ${name.padEnd(12)} ${counts}, ${paint(style, ink, part)}`;
}

function finalLines(style: Style, comparison: Comparison): string[] {
  const { free, pcp, pageblocks, freePages } = comparison;
  return [
    share(style, "free lists", free?.equal ?? 0, free?.lists ?? 0),
    share(style, "per-CPU", pcp?.equal ?? 0, pcp?.lists ?? 0),
    share(style, "pageblocks", pageblocks?.equal ?? 0, pageblocks?.blocks ?? 0),
    share(
      style,
      "free pages",
      freePages?.both ?? 0,
      Math.max(freePages?.ours ?? 0, freePages?.recorded ?? 0),
    ),
  ]
    .filter((line) => line !== "")
    .map((line) => `${line} at the end`);
}

/** "3 early, 12 locked"; kinds that did not occur are left out. */
function countWords(counts: object): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${formatCount(Number(count))} ${spaced(name)}`)
    .join(", ");
}

function spaced(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function assumptionWords({ score }: Run): string {
  const words = countWords(score.assumptions);
  return words === "" ? "no assumption was needed" : `assumed from recorded pages: ${words}`;
}

function divergenceLines(style: Style, divergence: Divergence | null): string[] {
  if (divergence === null) return [`  ${paint(style, "good", "none")}`];
  const { line, allocations, kind, ours, theirs, path, list, recorded, differs } = divergence;
  const facts = [
    `line ${line}, after ${formatCount(allocations)} allocations: ${differs}`,
    `${kind}: ours ${ours}, recorded ${theirs}`,
  ];
  if (list !== null) facts.push(`our list (${list.name}): ${list.pages.join(" ")}`);
  if (recorded !== null) facts.push(`the recorded page was ${recorded} in our memory`);
  facts.push(...path);
  return facts.flatMap((fact) => sentence(style, fact));
}

/** One line of progress: "replayed 120 000 of 480 000 events". */
export function progressWords(style: Style, done: number, all: number | null): string {
  const of = all === null ? "" : ` of ${formatCount(all)}`;
  return spell(style, `replayed ${formatCount(done)}${of} events`);
}
