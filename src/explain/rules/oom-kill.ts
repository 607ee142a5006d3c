/** The killer's last words, without the report that says what was refused. */
import type { MessageRule } from "../message-case.ts";

export const oomKill: MessageRule = {
  name: "oom-kill",
  kind: "oom",
  decides:
    "a line of the killer whose report is not in the log: “Memory cgroup”, CONSTRAINT_MEMCG or “limit of” say a group's limit; of others only that somebody was killed",
  linux: "oom_kill_process(), dump_oom_summary(), mm/oom_kill.c",
  claim: ({ message, series }) => {
    if (message.kind !== "oom-kill") return null;
    const who = message.comm === null ? "a task" : message.comm;
    const often = series.count > 1 ? ` (${series.count} such lines)` : "";
    if (message.memcg) {
      const group = message.group === null ? "" : ` ${message.group}`;
      return {
        cause: "memcg",
        sentence: `The memory cgroup${group} reached its limit, and ${who} was killed for it${often}; the machine's zones refused nothing.`,
        confidence: "proven",
        advice: [
          {
            change: "raise memory.max of the group, or find what grows inside it",
            why: "only the group's own charge counts",
            basis: "reasoned",
          },
        ],
        noHelp: [{ change: "more RAM", why: "the limit does not follow it" }],
        missing: ["the group's usage and limit, printed before this line"],
      };
    }
    const held = HELD[message.constraint ?? ""];
    return {
      cause: held === undefined ? "not-in-report" : "cpuset",
      sentence: `The OOM killer ended ${who}${often}; ${held ?? "what was refused is not in the log"}.`,
      confidence: "hint",
      missing: [
        "the report before this line, from “invoked oom-killer” on: order, flags, zones and their marks",
      ],
    };
  },
};

/** What the constraint says of which nodes were allowed. */
const HELD: Readonly<Record<string, string>> = {
  CONSTRAINT_CPUSET: "the request was held to the nodes of its cpuset",
  CONSTRAINT_MEMORY_POLICY: "the request was held to the nodes of its memory policy",
};
