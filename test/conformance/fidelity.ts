// docs/fidelity.md, made of the scores: what is exact, what is not and why.
import { ERAS, resolveEra } from "../../src/kernels/eras.ts";
import { EVERY_ARCH } from "../../src/kernels/policy.ts";
import { type DmaRow, dmaTable } from "./dma-score.ts";
import { iovaSection } from "./iova-table.ts";
import { type Miss, QUESTIONS, type Question, type Score } from "./score.ts";
import { type TraceScore, traceTable } from "./trace-score.ts";

/** Causes of differences that are understood. A miss that no cause covers is printed in full. */
const CAUSES: readonly {
  readonly name: string;
  covers(miss: Miss): boolean;
  readonly words: string;
}[] = [
  {
    name: "a tuned pageset outside its present bounds",
    covers: ({ question }) =>
      question === "tuned high in bounds" || question === "variant tuned high in bounds",
    words:
      "Since 6.7 the kernel tunes high while it runs, between two bounds that zoneinfo of 6.12 does " +
      "not print. The bounds are predicted, the running value is not. It is clamped only when the " +
      "pageset is next used, so it can lie outside bounds that have changed since.",
  },
];

/** The misses that no known cause explains. */
export function unexplained(scores: readonly Score[]): Miss[] {
  return scores.flatMap((score) => score.misses.filter((miss) => causeOf(miss) === undefined));
}

function causeOf(miss: Miss): (typeof CAUSES)[number] | undefined {
  return CAUSES.find((cause) => cause.covers(miss));
}

export function fidelityPage(
  scores: readonly Score[],
  traces: readonly TraceScore[],
  dma: readonly DmaRow[],
): string {
  const parts = [
    "# Fidelity",
    "",
    "Made by `npm run conformance`: the model against every capture in `corpus/`, without looking at",
    "what it predicts. Each cell is equal / compared. A comparison is the whole of a zone's vector",
    "(start, spanned and present; min, low and high; all of protection), a pageset, or a setting.",
    "",
    ...table(scores),
    "",
    `${scores.length} captures.`,
    "",
    "## What the columns ask",
    "",
    ...Object.entries(MEANING).map(([question, words]) => `- **${question}**: ${words}`),
    "",
    "## Known differences",
    "",
  ];
  for (const cause of CAUSES) {
    const count = scores.flatMap((score) => score.misses.filter(cause.covers)).length;
    if (count > 0) parts.push(`- **${cause.name}** (${count}): ${cause.words}`);
  }
  const rest = unexplained(scores);
  parts.push(
    "",
    rest.length === 0 ? "There is no other difference." : "Without a known cause:",
    "",
  );
  for (const miss of rest) parts.push(`- ${miss.capture}, ${miss.question}: ${miss.words}`);
  parts.push(...REPLAYED, ...traceTable(traces), ...MAPPED, ...dmaTable(dma));
  parts.push(...iovaSection(traces), ...UNVERIFIED, ...eraTable());
  return `${parts.join("\n").trimEnd()}\n`;
}

const MEANING: Readonly<Record<Question, string>> = {
  "span from log": "start_pfn, spanned, present, with zone limits from the boot log's own lines",
  "span from parameters": "the same from the firmware's map and the command line alone",
  managed: "managed pages at the end of boot, from the memblock log",
  "managed inside interval":
    "whether the interval printed without any log holds the kernel's number",
  "marks at boot": "min, low, high as the boot leaves them",
  "protection at boot": "lowmem_reserve as the boot leaves it",
  "pageset batch": "batch of each CPU's pageset",
  "pageset high": "high of each CPU's pageset, where the kernel computes it once",
  "tuned high in bounds":
    "since 6.7: whether the running value is 0 or inside the predicted bounds",
  min_free_kbytes: "the value that the kernel and khugepaged choose",
  swiotlb: "number of slots, and the place of the pool where the log tells it",
  "variant marks": "min, low, high after each recorded sysctl write",
  "variant protection": "lowmem_reserve after each recorded sysctl write",
  "variant pageset": "batch, and high where it is not tuned, after each recorded sysctl write",
  "variant tuned high in bounds": "since 6.7: the same bounds after each recorded sysctl write",
};

const REPLAYED = [
  "",
  "## Recordings, page by page",
  "",
  "Each recording of `corpus/traces`, from one snapshot of all lists to the next. *page blind* is the",
  "run that is never told a page it has to answer with; *page* and what follows are of the repaired",
  "run, which is the blind one where nothing was to be repaired. *told* counts what no allocator could",
  "derive (see `src/replay/score.ts`), *assumed* what was read off recorded pages. The kernels of i386",
  "and arm tell no lists: there the start is put together from page flags and sums, *page blind* means",
  "nothing, and zones and the free pages at the end are what counts (docs/replay.md).",
  "",
];

const MAPPED = [
  "",
  "## Recordings, mapping by mapping",
  "",
  "Each recording of `corpus/dma`: drivers' calls of the DMA API, driven by what they asked. *bounce or",
  "not* is the decision, *slot* the very slot of each bounce, *address* what the driver got; slots in",
  "use are compared with debugfs, where it tells them. *coherent* is the zone that memory for both came",
  "from, and the one request to the page allocator. A recorded address only names the mapping that an",
  "unmap ends; nothing is mended. Never seen: masks of less than 32 bits, pools that grow. Those are held",
  "against a search written down slot by slot (`test/dma/swiotlb`).",
  "",
];

const UNVERIFIED = [
  "",
  "## Not verified by any capture",
  "",
  "- Kernels other than 5.10, 6.1 and 6.12: `plan` says *unverified* for every era and architecture that",
  "  the table below does not call captured. A version that is not listed uses the nearest older era.",
  "- Firmware other than SeaBIOS, EDK II and a plain devicetree.",
  "- Mirrored memory (`kernelcore=mirror` is shown without any); hot-pluggable memory;",
  "  arm64 with a narrower DMA zone than 4 GiB; arm boards with a DMA zone of their own: written from",
  "  the rules, shown on worked examples, not on captures.",
];

/** Every era on every architecture, by how its rules are known. */
function eraTable(): string[] {
  const rows = ERAS.map(({ name, readIn }) => {
    const cells = EVERY_ARCH.map((arch) => {
      const era = resolveEra(name, arch);
      const never = /Linux (?:runs on|left)/.test(era?.remark ?? "");
      return never ? "–" : (era?.basis ?? "");
    });
    return `| ${name} | ${readIn} | ${cells.join(" | ")} |`;
  });
  return [
    "",
    "## How each era is known",
    "",
    "*captured*: reproduced above. *read*: from the source of the release named, with worked numbers in",
    "`test/plan/eras-worked.test.ts` and `test/boot/architectures.test.ts`. *inferred*: from other",
    "architectures or eras. –: Linux did not run there.",
    "",
    `| era | read in | ${EVERY_ARCH.join(" | ")} |`,
    `| --- | --- | ${EVERY_ARCH.map(() => "---").join(" | ")} |`,
    ...rows,
    "",
    "Numbers that a kernel printed, in a lone zoneinfo or a report, are checked against the formulas of its",
    "era without the machine (`test/plan/check-printed.test.ts`): settings that are not told and counts of",
    "the boot are inferred from the numbers themselves, and said. One wrong number is still noticed.",
  ];
}

function table(scores: readonly Score[]): string[] {
  const groups = [...new Set(scores.map((score) => score.group))].sort((a, b) =>
    a.localeCompare(b, "en", { numeric: true }),
  );
  const rows = [...groups, "all"].map((group) => {
    const own = group === "all" ? scores : scores.filter((score) => score.group === group);
    const cells = QUESTIONS.map((question) => cell(own, question));
    return `| ${group} | ${own.length} | ${cells.join(" | ")} |`;
  });
  return [
    `| kernel | captures | ${QUESTIONS.join(" | ")} |`,
    `| --- | --: | ${QUESTIONS.map(() => "--:").join(" | ")} |`,
    ...rows,
  ];
}

function cell(scores: readonly Score[], question: Question): string {
  let equal = 0;
  let compared = 0;
  for (const score of scores) {
    equal += score.counts.get(question)?.equal ?? 0;
    compared += score.counts.get(question)?.compared ?? 0;
  }
  return compared === 0 ? "–" : `${equal}/${compared}`;
}
