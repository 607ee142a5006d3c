/** Nodes with memory enough, which the request was not allowed to use. */
import type { Claim } from "../finding.ts";
import { type MemoryCase, type MemoryRule, rowEvidence } from "../memory-case.ts";
import { requestWords } from "../words.ts";

/** The killer says that nodes were held back, and the text does not say which. */
function heldUnprinted(found: MemoryCase): Claim | null {
  const { report, asked } = found;
  const held = HELD[report.oom?.constraint ?? ""];
  const nodes = new Set(report.zones.map(({ node }) => node)).size;
  if (held === undefined || nodes < 2) return null;
  const free = asked.find(({ serves }) => serves === true);
  if (free === undefined) return null;
  return {
    cause: "cpuset",
    sentence: `${requestWords(found)} was held to some nodes by ${held}, which the text does not name; node ${free.answer.node} would have served it in the printed state.`,
    confidence: "consistent",
    evidence: rowEvidence(found, [free]),
    missing: ["the nodes that were allowed (nodemask=, mems_allowed=)"],
  };
}

const HELD: Readonly<Record<string, string>> = {
  CONSTRAINT_CPUSET: "its cpuset",
  CONSTRAINT_MEMORY_POLICY: "its memory policy",
};

export const cpuset: MemoryRule = {
  name: "cpuset",
  decides:
    "a node outside mems_allowed= or nodemask= would serve the request by the same checks, and none inside does; or the killer names a constraint whose nodes are not printed",
  linux: "cpuset_zone_allowed(), kernel/cgroup/cpuset.c; constrained_alloc(), mm/oom_kill.c",
  claim: (found) => {
    const { report, judgement, asked } = found;
    if (judgement === null) return null;
    if (asked.some(({ serves }) => serves !== false)) return heldUnprinted(found);
    const outside = judgement.zones.filter(
      ({ answer, serves }) => answer.because.startsWith("on a node") && serves === true,
    );
    const [other] = outside;
    if (other === undefined) return null;
    const words =
      report.oom?.constraint === "CONSTRAINT_MEMORY_POLICY" || report.nodemask !== null
        ? "its memory policy or nodemask"
        : "its cpuset";
    return {
      cause: "cpuset",
      sentence: `${requestWords(found)} was held to nodes ${report.nodemask ?? report.memsAllowed ?? "?"} by ${words}; node ${other.answer.node} would have served it.`,
      confidence: "proven",
      evidence: rowEvidence(found, [...asked, other]),
      advice: [
        {
          change: `allow node ${other.answer.node} (cpuset.mems, numactl)`,
          why: `in the printed state its zone ${other.answer.name} serves the request`,
          basis: "computed",
        },
      ],
    };
  },
};
