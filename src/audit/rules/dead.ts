/** Code that no configuration can build. */
import type { Rule } from "../judgement.ts";

export const dead: Rule = ({ build }) => {
  if (build === null || build.architectures.length > 0) return null;
  return {
    category: "dead",
    verdict: "dead",
    group: "dead",
    why: `no configuration builds this file: ${build.deadBecause ?? build.condition}`,
    fix: "delete the driver, or its users' interface first",
    confidence: "high",
  };
};
