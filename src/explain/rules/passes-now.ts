/** The printed state would serve the request: memory was freed between the refusal and the print. */
import { type MemoryRule, rowEvidence, zoneLabel } from "../memory-case.ts";
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
    const fits = [
      "memory was freed between the test and the print (a task ended, kswapd)",
      ...(era.boost === "none" ? [] : ["a boost of the mark was taken back meanwhile"]),
      "a limit that this text does not have (cpuset, memory policy, __GFP_THISNODE, per-CPU counts)",
    ];
    return {
      cause: "passes-now",
      sentence: `As printed, ${requestWords(found)} would be served from ${label}${by}; the moment of the refusal is not in the report.${last}`,
      confidence: "unconfirmed",
      also: ["below-watermark", ...(era.boost === "none" ? [] : ["boost-only" as const])],
      evidence: rowEvidence(found, [zone]),
      missing: [
        `the state at the refusal; consistent with it: ${fits.join("; ")}`,
        ...(band ? [`${label} is below its high mark: kswapd was still at work`] : []),
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
