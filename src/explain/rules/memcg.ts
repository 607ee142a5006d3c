/** The limit of a memory cgroup was reached; the zones have no part in it. */
import { formatBytes } from "../../base/units.ts";
import type { MemoryRule } from "../memory-case.ts";

/** On the stack where a charge, not the allocator, called the killer. */
const CHARGE = /^(?:mem_cgroup_(?:out_of_memory|oom_synchronize|handle_oom)|mem_cgroup_oom)$/;

export const memcg: MemoryRule = {
  name: "memcg",
  decides:
    "CONSTRAINT_MEMCG, “Memory cgroup out of memory”, “killed as a result of limit of”, or a charge on the stack: a group's limit",
  linux: "mem_cgroup_out_of_memory(), mm/memcontrol.c; dump_header(), mm/oom_kill.c",
  claim: ({ report }) => {
    const { oom, frames } = report;
    if (oom === null) return null;
    const said = oom.memcg || oom.constraint === "CONSTRAINT_MEMCG";
    if (!said && !frames.some((frame) => CHARGE.test(frame))) return null;
    const { usage, limit } = oom;
    const amounts =
      usage === null || limit === null
        ? ""
        : `: ${formatBytes(usage.value * 1024)} used of ${formatBytes(limit.value * 1024)}`;
    const evidence = [
      ...(oom.line === null ? [] : [{ line: oom.line, text: "memory cgroup" }]),
      ...(usage === null
        ? []
        : [
            {
              line: usage.line,
              text: `memory: usage ${usage.value}kB, limit ${limit?.value ?? "?"}kB`,
            },
          ]),
    ];
    return {
      cause: "memcg",
      sentence: `A memory cgroup reached its limit${amounts}; the machine's zones refused nothing.`,
      confidence: said ? "proven" : "consistent",
      evidence,
      advice: [
        {
          change: "raise memory.max of the group, or find what grows inside it",
          why: "only the group's own charge counts",
          basis: "reasoned",
        },
      ],
      noHelp: [{ change: "more RAM", why: "the limit does not follow it" }],
      missing: usage === null ? ["the group's usage and limit"] : [],
    };
  },
};
