/** A number of the comparison was cut off, or never printed. */

import type { Judged } from "../judge.ts";
import { type MemoryRule, rowEvidence, zoneLabel } from "../memory-case.ts";
import { list, requestWords } from "../words.ts";

export const undecided: MemoryRule = {
  name: "undecided",
  decides: "a zone whose answer depends on a number that the report lacks: no verdict",
  linux: "show_free_areas(), mm/show_mem.c",
  claim: (found) => {
    const { asked, request, judgement, top } = found;
    if (request === null) {
      return {
        cause: "not-in-report",
        sentence: "Order or flags of the request are not in the report, so no zone can be judged.",
        confidence: "hint",
        missing: ["the first line of the report, with order: and mode:"],
      };
    }
    const open = asked.filter(({ serves }) => serves === null);
    // What the deciding zone says stands, whatever is unknown of lower ones, but for a yes.
    const unknown = open.length > 0 || (judgement !== null && top === null);
    if (!unknown) return null;
    const lacks = open.map((zone) => `${zoneLabel(found, zone)}: ${list(lackOf(zone))}`);
    return {
      cause: "not-in-report",
      sentence: `Whether ${requestWords(found)} would be served cannot be computed: numbers of the comparison are not in the report.`,
      confidence: "hint",
      ...(open.some(({ answer }) => answer.watermarkOk === true)
        ? { also: ["fragmentation", "passes-now"] as const }
        : {}),
      evidence: rowEvidence(found, asked),
      missing: lacks.length > 0 ? lacks : ["zones that the request may use"],
    };
  },
};

function lackOf({ row, answer }: Judged): string[] {
  const lacks: string[] = [];
  if (row.min === null) lacks.push("min");
  if (row.reserve === null) lacks.push("lowmem_reserve[]");
  if (row.cma === null) lacks.push("free_cma");
  if (row.highatomic === null) lacks.push("the highatomic reserve (not printed up to 5.4)");
  if (answer.watermarkOk !== false && answer.blockOk === null) {
    lacks.push(row.zone.freeList === null ? "the free list" : "the rest of the free list");
  }
  return lacks.length > 0 ? lacks : ["a number of the comparison"];
}
