/** Words that ask for nothing: comments, strings, what is never compiled, definitions. */
import type { Rule } from "../judgement.ts";

const NOTHING = { verdict: "n/a", group: "no-use", fix: "", confidence: "high" } as const;

export const notCode: Rule = ({ hit }) => {
  switch (hit.role) {
    case "comment":
      return { ...NOTHING, category: "comment", why: "only a comment speaks of it" };
    case "string":
      return { ...NOTHING, category: "string", why: "the word is inside a string" };
    case "never":
      return {
        category: "never-compiled",
        verdict: "dead",
        group: "dead",
        why: "the line is inside #if 0",
        fix: "delete the block",
        confidence: "high",
      };
    case "mention":
      return {
        category: "core",
        verdict: "legitimate",
        group: "machinery",
        why: "the name is declared or defined here; nothing is asked for",
        fix: "",
        confidence: "medium",
      };
    default:
      return null;
  }
};
