/**
 * Rules for CPUs: how many are possible and online, on which node, and the
 * percpu areas they need; and how long deferred pages took, a line of each node.
 *
 * Linux: pcpu_dump_alloc_info(), mm/percpu.c; prefill_possible_map(), topology_init_possible_cpus(),
 * announce_cpu(), arch/x86/kernel; smp_init(), kernel/smp.c
 */
import { type Draft, keep } from "./boot-log-draft.ts";
import { decimal, filled, type Rule } from "./boot-log-rule.ts";

const PERCPU_RULES: readonly Rule[] = [
  ...["percpu: Embedded", "PERCPU: Embedded"].map(
    (start): Rule => ({
      what: "percpu area",
      start,
      pattern: /Embedded (\d+) pages\/cpu (?:@\S+ )?s(\d+) r(\d+) d(\d+) u(\d+)$/,
      read: (draft, [, perCpu, fixed, reserved, dynamic, unit]) => {
        draft.log.percpuPages ??= decimal(perCpu);
        draft.log.percpuUnit ??= {
          staticBytes: decimal(fixed),
          reservedBytes: decimal(reserved),
          dynamicBytes: decimal(dynamic),
          unitBytes: decimal(unit),
        };
        return "read";
      },
    }),
  ),
  {
    what: "percpu groups",
    start: "pcpu-alloc: [",
    pattern: /^pcpu-alloc:((?: \[\d+\](?: (?:\d+|-+))+)+)$/,
    read: (draft, [, list]) => {
      let group = 0;
      for (const token of filled(list).trim().split(/ +/)) {
        if (token.startsWith("[")) group = decimal(token.slice(1, -1));
        else if (!token.startsWith("-")) addToGroup(draft, group, decimal(token));
      }
      return "read";
    },
  },
];

/** A group with several allocation units is named before each of them. */
function addToGroup(draft: Draft, group: number, cpu: number): void {
  if (draft.percpuGroup?.group !== group) {
    draft.percpuGroup = { group, cpus: [] };
    keep(draft, draft.log.percpuGroups, draft.percpuGroup);
  }
  keep(draft, draft.percpuGroup.cpus, cpu);
}

const POSSIBLE_RULES: readonly Rule[] = [
  ...["smpboot: Allowing", "SMP: Allowing"].map(
    (start): Rule => ({
      what: "possible CPUs",
      start,
      pattern: /Allowing (\d+) CPUs, \d+ hotplug CPUs$/,
      read: (draft, [, possible]) => {
        draft.log.possibleCpus ??= decimal(possible);
        return "read";
      },
    }),
  ),
  {
    what: "possible CPUs",
    start: "CPU topo: Allowing",
    pattern: /Allowing (\d+) present CPUs plus (\d+) hotplug CPUs$/,
    read: (draft, [, present, hotplug]) => {
      draft.log.possibleCpus ??= Math.min(
        decimal(present) + decimal(hotplug),
        Number.MAX_SAFE_INTEGER,
      );
      return "read";
    },
  },
  {
    what: "CPU and node numbers",
    start: "setup_percpu: NR_CPUS:",
    pattern: /nr_cpu_ids:(\d+) nr_node_ids:(\d+)$/,
    read: (draft, [, cpus, nodes]) => {
      draft.log.cpuIds ??= decimal(cpus);
      draft.log.nodeIds ??= decimal(nodes);
      return "read";
    },
  },
  ...["SLUB: HWalign=", "SLUB: Genslabs="].map(
    (start): Rule => ({
      what: "CPU and node numbers",
      start,
      pattern: /CPUs=(\d+), Nodes=(\d+)$/,
      read: (draft, [, cpus, nodes]) => {
        draft.log.cpuIds ??= decimal(cpus);
        draft.log.nodeIds ??= decimal(nodes);
        return "read";
      },
    }),
  ),
];

const ONLINE_RULES: readonly Rule[] = [
  {
    what: "started CPUs",
    start: ".... node",
    pattern: /^\.{4} node +#(\d+), CPUs: +(#\d+(?: +#\d+)*)$/,
    loose: true,
    read: (draft, [, node, list]) => {
      const cpus = filled(list)
        .split(/ +/)
        .map((cpu) => decimal(cpu.slice(1)));
      keep(draft, draft.log.startedCpus, { node: decimal(node), cpus });
      return "read";
    },
  },
  ...["smp: Brought up", "x86: Booted up", "Brought up"].map(
    (start): Rule => ({
      what: "CPUs brought up",
      start,
      pattern: /(?:Brought|Booted) up (?:(\d+) nodes?, )?(\d+) CPUs?$/,
      read: (draft, [, nodes, cpus]) => {
        draft.log.broughtUp ??= {
          nodes: nodes === undefined ? 0 : decimal(nodes),
          cpus: decimal(cpus),
        };
        return "read";
      },
    }),
  ),
  {
    what: "deferred pages",
    start: "node ",
    loose: true,
    pattern: /^node (\d+) (?:deferred pages initialised in|initialised, \d+ pages in) (\d+)ms$/,
    read: (draft, [, node, milliseconds]) => {
      const entry = { node: decimal(node), milliseconds: decimal(milliseconds) };
      keep(draft, draft.log.deferredInit, entry);
      return "read";
    },
  },
];

export const CPU_RULES: readonly Rule[] = [...PERCPU_RULES, ...POSSIBLE_RULES, ...ONLINE_RULES];
