/** Nodes with memory enough, which the request was not allowed to use. */
import { type MemoryRule, rowEvidence } from "../memory-case.ts";
import { requestWords } from "../words.ts";

export const cpuset: MemoryRule = {
  name: "cpuset",
  decides:
    "a node outside mems_allowed= or nodemask= would serve the request by the same checks, and none inside does",
  linux: "cpuset_zone_allowed(), kernel/cgroup/cpuset.c; constrained_alloc(), mm/oom_kill.c",
  claim: (found) => {
    const { report, judgement, asked } = found;
    if (judgement === null || asked.some(({ serves }) => serves !== false)) return null;
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
