/** What no rule knows. */
import type { Rule } from "../judgement.ts";

export const unknown: Rule = ({ sink, reach }) => {
  const end = reach.ends[0]?.node.split(":").at(-1);
  const where =
    sink !== null
      ? `${sink.call.callee}() takes the flag, and nobody here says what for`
      : end !== undefined
        ? `the flag is kept in ${end}, and no reader of it was found`
        : "no allocation was found that the flag goes to";
  return {
    category: "other",
    verdict: "review",
    group: "unknown",
    why: where,
    fix: "find out what must reach the memory, then say it as a mask",
    confidence: "low",
  };
};
