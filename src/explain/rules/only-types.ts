/** Blocks of the order exist, but all are of types that the request may not have. */
import { movable, smallerOrder } from "../advice.ts";
import type { Cause } from "../finding.ts";
import type { Judged } from "../judge.ts";
import { listEvidence, type MemoryRule, rowEvidence, zoneLabel } from "../memory-case.ts";
import { requestWords } from "../words.ts";
import { inPieces } from "./fragmentation.ts";

interface Type {
  readonly letter: string;
  readonly cause: Cause;
  readonly words: string;
}

const TYPES: readonly Type[] = [
  { letter: "C", cause: "cma-only", words: "in CMA areas, which only movable requests may use" },
  { letter: "H", cause: "highatomic-only", words: "in the highatomic reserve" },
  {
    letter: "I",
    cause: "isolated",
    words: "in isolated pageblocks, which somebody is emptying (CMA, offlining)",
  },
];

export const onlyTypes: MemoryRule = {
  name: "only-types",
  decides:
    "every block of the order or larger carries the letter C, H or I alone: CMA, highatomic or isolated",
  linux: "show_migration_types(), mm/show_mem.c; __zone_watermark_ok(), mm/page_alloc.c",
  claim: (found) => {
    const { request } = found;
    if (request === null) return null;
    for (const zone of inPieces(found)) {
      const letters = lettersFrom(zone, request.order);
      const type = TYPES.find(({ letter }) => letters === letter);
      if (type === undefined) continue;
      return {
        cause: type.cause,
        sentence: `${zoneLabel(found, zone)} has free blocks for ${requestWords(found)}, but only ${type.words}.`,
        confidence: "proven",
        evidence: [...rowEvidence(found, [zone]), ...listEvidence(found, [zone], request.order)],
        advice: [...(type.letter === "C" ? movable(found, zone) : []), ...smallerOrder(found)],
      };
    }
    return null;
  },
};

/** All letters of blocks from `order` on, each once: "C". */
function lettersFrom({ row }: Judged, order: number): string {
  const blocks = row.zone.freeList?.blocks ?? [];
  const letters = blocks.filter((block) => block.order >= order && block.count > 0);
  return [...new Set(letters.flatMap(({ types }) => [...(types ?? "?")]))].sort().join("");
}
