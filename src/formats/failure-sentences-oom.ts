/**
 * What the OOM killer says of its choice, where the report before it is not in the log, and words of
 * a refusal that carry nothing to compute with.
 *
 * Linux: oom_kill_process(), __oom_kill_process(), dump_oom_summary(), mm/oom_kill.c
 */
import type { Sentence } from "./failure-sentences.ts";

const KILL =
  /(Memory cgroup )?[Oo]ut of [Mm]emory(?: \([a-z_]{1,40}\))?: ?[Kk]ill(?:ed)? process (\d+) ?\(([^)]{1,32})\)/;

export const KILLER_SENTENCES: readonly Sentence[] = [
  {
    words: "oom-kill:constraint=",
    pattern:
      /oom-kill:constraint=(CONSTRAINT_\w+),.{0,200}?(?:,oom_memcg=([^,\s]{1,200}))?(?:,.{0,300}?)?task=([^,]{1,32}),pid=\d+/,
    read: ([, constraint = "", group, comm]) => ({
      kind: "oom-kill",
      device: null,
      memcg: constraint === "CONSTRAINT_MEMCG",
      constraint,
      group: group ?? null,
      comm: comm ?? null,
    }),
  },
  ...[
    "ut of memory: Kill",
    "ut of memory: kill",
    "ut of Memory: Kill",
    "ut of memory (oom_kill",
  ].map(
    (words): Sentence => ({
      words,
      pattern: KILL,
      read: ([, group, , comm]) => ({
        kind: "oom-kill",
        device: null,
        memcg: group !== undefined,
        constraint: null,
        group: null,
        comm: comm ?? null,
      }),
    }),
  ),
  {
    words: "No available memory",
    pattern:
      /No available memory (in cpuset|\(MPOL_BIND\)): ?[Kk]ill process \d+ ?\(([^)]{1,32})\)/,
    read: ([, held, comm]) => ({
      kind: "oom-kill",
      device: null,
      memcg: false,
      constraint: held === "in cpuset" ? "CONSTRAINT_CPUSET" : "CONSTRAINT_MEMORY_POLICY",
      group: null,
      comm: comm ?? null,
    }),
  },
  {
    words: "as a result of limit of",
    pattern: /Task in (\S{1,200}) killed as a result of limit of (\S{1,200})/,
    read: ([, , group]) => ({
      kind: "oom-kill",
      device: null,
      memcg: true,
      constraint: null,
      group: group ?? null,
      comm: null,
    }),
  },
  ...["nable to allocate memory", "annot allocate memory"].map(
    (words): Sentence => ({
      words,
      pattern: /(?:SLUB: )?(?:[Uu]nable to|[Cc]annot) allocate memory/,
      read: () => ({ kind: "unknown-report", device: null }),
    }),
  ),
];
