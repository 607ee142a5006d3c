/** The deciding zone would serve but for one thing. */
import { earlierReclaim, movable, smallerReserve } from "../advice.ts";
import type { Advice, Cause, Factor, NoHelp } from "../finding.ts";
import type { Judged } from "../judge.ts";
import { type MemoryCase, type MemoryRule, rowEvidence, zoneLabel } from "../memory-case.ts";
import { list, pages, requestWords } from "../words.ts";

interface Decider {
  readonly factor: Factor;
  readonly cause: Cause;
  readonly words: (zone: Judged) => string;
  readonly advice: (found: MemoryCase, zone: Judged) => readonly Advice[];
  readonly noHelp: readonly NoHelp[];
}

const DECIDERS: readonly Decider[] = [
  {
    factor: "cma",
    cause: "cma-only",
    words: ({ row }) =>
      `${row.cma} of its ${row.free} free pages lie in CMA areas, which only movable requests may use`,
    advice: movable,
    noHelp: [{ change: "looking at MemFree", why: "it counts CMA pages too" }],
  },
  {
    factor: "highatomic",
    cause: "highatomic-only",
    words: ({ row }) =>
      `${row.highatomic} pages are the highatomic reserve, which this request may not use`,
    advice: earlierReclaim,
    noHelp: [],
  },
  {
    factor: "boost",
    cause: "boost-only",
    words: ({ row }) =>
      `its mark is boosted by ${pages(row.boost ?? 0)}${row.boostInferred ? " (inferred from the gaps of the marks)" : ""} after types of pages mixed, and without the boost it would serve`,
    advice: (found) => [
      ...(found.report.kind === "oom" ? earlierReclaim(found) : []),
      {
        change: "vm.watermark_boost_factor=0",
        why: "without the boost the comparison holds in the printed state; fragmentation is then fought later",
        basis: "computed",
      },
    ],
    noHelp: [
      {
        change: "raising vm.min_free_kbytes",
        why: "the boost follows the high mark and grows with it",
      },
    ],
  },
  {
    factor: "reserve",
    cause: "reserve",
    words: ({ row }) =>
      `${pages(row.reserve ?? 0)} of it are held back for requests that can use no higher zone (lowmem_reserve)`,
    advice: smallerReserve,
    noHelp: [],
  },
];

export const oneFactor: MemoryRule = {
  name: "one-factor",
  decides:
    "the check is run again without the reserve, CMA, the highatomic reserve and the boost, one at a time: what turns the deciding zone's answer is the cause; two that do are both named",
  linux: "__zone_watermark_ok(), boost_watermark(), mm/page_alloc.c",
  claim: (found) => {
    const { top } = found;
    if (top === null || top.answer.watermarkOk !== false) return null;
    const own = DECIDERS.filter(({ factor }) => top.answer.factors.includes(factor));
    const [first, ...others] = own;
    if (first === undefined) return null;
    const { usable, needs, short } = top.answer;
    const inferred = top.row.boostInferred && first.factor === "boost";
    const either =
      others.length > 0 ? " Either alone decides; the report cannot tell them apart." : "";
    return {
      cause: first.cause,
      sentence: `${zoneLabel(found, top)} refuses ${requestWords(found)} by ${pages(short ?? 0)} (${usable} <= ${needs}): ${list(own.map(({ words }) => words(top)))}.${either}`,
      confidence: others.length > 0 || inferred ? "consistent" : "proven",
      also: [...others.map(({ cause }) => cause), ...spent(found)],
      evidence: rowEvidence(found, found.asked),
      advice: own.flatMap(({ advice }) => advice(found, top)),
      noHelp: own.flatMap(({ noHelp }) => noHelp),
    };
  },
};

/** The killer is called when reclaim found nothing: whatever decides last, memory is spent. */
function spent({ report }: MemoryCase): Cause[] {
  return report.kind === "oom" ? ["below-watermark"] : [];
}
