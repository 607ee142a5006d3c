/** The printed state would serve the request: memory was freed between the refusal and the print. */
import type { Cause } from "../finding.ts";
import { type MemoryCase, type MemoryRule, rowEvidence, zoneLabel } from "../memory-case.ts";
import { pages, requestWords } from "../words.ts";

export const passesNow: MemoryRule = {
  name: "passes-now",
  decides:
    "a zone passes every check as printed: the failing moment is not in the report, and no cause is claimed",
  linux: "get_page_from_freelist(), mm/page_alloc.c; the state is printed later, without a lock",
  claim: (found) => {
    const { report, asked, judgement, era } = found;
    const zone = asked.find(({ serves }) => serves === true);
    if (zone === undefined || judgement === null) return null;
    const { usable, needs, low, high, free } = zone.answer;
    const margin = usable === null || needs === null ? null : usable - needs;
    const label = zoneLabel(found, zone);
    const by = margin === null ? "" : ` by ${pages(margin)} (${usable} > ${needs})`;
    const last =
      report.kind === "oom" && zone.highOk === false
        ? ` The killer is called after one more try at the high mark, which the printed state still refuses (${free} free, high ${high}).`
        : "";
    const band = free !== null && low !== null && high !== null && free < high;
    const above = unprintedAbove(found);
    const fits = [
      "memory was freed between the test and the print (a task ended, kswapd)",
      ...(era.boost === "none" ? [] : ["a boost of the mark was taken back meanwhile"]),
      "a limit that this text does not have (cpuset, memory policy, __GFP_THISNODE, per-CPU counts)",
    ];
    return {
      cause: "passes-now",
      sentence: `As printed, ${requestWords(found)} would be served from ${label}${by}; the moment of the refusal is not in the report.${last}`,
      confidence: "unconfirmed",
      also: alsoOf(found, above),
      evidence: rowEvidence(found, [zone]),
      missing: [
        `the state at the refusal; consistent with it: ${fits.join("; ")}`,
        ...(band ? [`${label} is below its high mark: kswapd was still at work`] : []),
        ...(above
          ? [
              `the zones above ${judgement.highest}: lowmem_reserve[] tells that they have memory, which this request cannot use`,
            ]
          : []),
        ...(judgement.open.length > 0 ? [openWords(judgement.open)] : []),
      ],
      noHelp: [
        {
          change: "a number for vm.min_free_kbytes from this report",
          why: "what was missing is not in it",
        },
      ],
    };
  },
};

function openWords(open: readonly (readonly string[])[]): string {
  return `which zones the kernel was built with: with ${open[0]?.join(", ")} the answer is another`;
}

/** A reserve towards zones above the request's highest, of which no row was printed. */
function unprintedAbove({ judgement, asked }: MemoryCase): boolean {
  if (judgement === null) return false;
  const { column, layout, zones } = judgement;
  return (
    asked.some(({ row }) =>
      (row.zone.protection ?? []).some(
        ({ value }, own) =>
          own > column && value > (row.reserve ?? 0) && !zones.some(({ index }) => index > column),
      ),
    ) && layout.length > column + 1
  );
}

function alsoOf({ era }: MemoryCase, above: boolean): Cause[] {
  const also: Cause[] = above ? ["lowmem-exhausted", "below-watermark"] : ["below-watermark"];
  return era.boost === "none" ? also : [...also, "boost-only"];
}
