/** A zone's answer as the end of a sentence: "14312 > 12253 + 0, but no block of order 5 …". */
import type { Factor, ZoneAnswer } from "./finding.ts";
import type { Request } from "./request.ts";

/** Where a zone stands to the request before anything is compared. */
export interface Place {
  readonly eligible: boolean;
  readonly highest: string;
  readonly allowed: boolean;
}

export function elsewhere({ managed }: ZoneAnswer, { highest, allowed }: Place): string {
  if (managed === 0) return "has no memory";
  if (!allowed) return "on a node that the request may not use";
  return `above ${highest}, the highest zone of this request`;
}

const FACTOR_WORDS: Readonly<Record<Factor, string>> = {
  reserve: "lowmem_reserve",
  cma: "CMA pages, which are for movable requests",
  highatomic: "the highatomic reserve",
  boost: "the boost of the mark",
  order: "the order: a single page would be given",
};

export function wordsOf(answer: ZoneAnswer, request: Request, unboosted: boolean): string {
  const { usable, mark, reserve, watermarkOk, blockOk, factors } = answer;
  if (watermarkOk === null) return "the report lacks a number of the comparison";
  const plain = unboosted ? " (without the boost: an atomic page's second chance)" : "";
  const right = request.memalloc ? "no mark" : `${mark ?? "?"} + ${reserve ?? "?"}${plain}`;
  const left = usable ?? "?";
  if (!watermarkOk) {
    const only = factors.map((factor) => FACTOR_WORDS[factor]).join("; or ");
    return `${left} <= ${right}${only === "" ? "" : `, decided by ${only}`}`;
  }
  if (blockOk === true) return `${left} > ${right}, and a block of order ${request.order} is there`;
  if (blockOk === null) return `${left} > ${right}; whether a block is there is not in the report`;
  return `${left} > ${right}, but no block of order ${request.order} that it may have`;
}
