/**
 * Boots a machine on paper: zones from hardware and parameters, pools, managed
 * pages, then marks, reserves and pagesets in the kernel's own order of time,
 * and what each device reaches.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import { planPools } from "../boot/pools.ts";
import {
  bootNumbers,
  type Numbers,
  settledNumbers,
  type TimelineInput,
  thpSwitchedOffNumbers,
} from "../boot/timeline.ts";
import { deviceReach } from "../dma/reach.ts";
import { type GivenPages, layoutOf, managedOf } from "./evidence.ts";
import type { MachineInput } from "./machine.ts";
import type { Moment, Plan } from "./plan.ts";
import { plannedNodes, ramByZone } from "./planned-nodes.ts";
import { devicesOf, reachMemory } from "./reach-memory.ts";
import { applySysctls, type SysctlWrite } from "./sysctls.ts";

export interface PlanOptions {
  readonly managed?: GivenPages;
  /** Writes after boot; the plan is then of the moment "settled". */
  readonly sysctls?: readonly SysctlWrite[];
  /** Asks for a moment even without writes. */
  readonly moment?: Moment;
}

/** The plan; null, with the errors among the issues, where no layout follows from the input. */
export function planMachine(input: MachineInput, options: PlanOptions = {}): Outcome<Plan | null> {
  const issues: Issue[] = [...input.issues];
  const layout = layoutOf(input, issues);
  if (layout === null || issues.some((issue) => issue.severity === "error")) {
    return { value: null, issues };
  }
  const { hardware, commandLine, era, log } = input;
  const pools = planPools(hardware, commandLine, layout, era.policy, log);
  issues.push(...pools.issues);
  const managed = managedOf(input, layout, pools.value, options.managed, issues);
  const timeline: TimelineInput = {
    layout,
    managed: managed.zones,
    build: hardware.build,
    cpus: hardware.cpus,
    policy: era.policy,
    arch: hardware.arch,
    thpAtBoot: commandLine.transparentHugepage ?? hardware.build.thpDefault,
  };
  const { numbers, moment } = numbersOf(timeline, input, options, issues);
  if (issues.some((issue) => issue.severity === "error")) return { value: null, issues };
  const ram = ramByZone(layout);
  const nodes = plannedNodes(input, layout, managed, numbers, ram);
  const memory = reachMemory(input, layout, pools.value, ram);
  const devices = devicesOf(input, pools.value).map((device) => deviceReach(device, memory));
  const plan: Plan = {
    machine: input.name,
    kernel: era.kernel,
    era: { name: era.policy.name, basis: era.basis, verified: era.verified },
    arch: hardware.arch,
    pageSize: hardware.build.pageSize,
    layoutFrom: layout.from,
    moment,
    nodes,
    sysctls: numbers.settings,
    pools: pools.value,
    devices,
    issues,
  };
  return { value: plan, issues };
}

function numbersOf(
  timeline: TimelineInput,
  input: MachineInput,
  options: PlanOptions,
  issues: Issue[],
): { numbers: Numbers; moment: Moment } {
  let numbers = bootNumbers(timeline);
  if (input.thpAtRuntime === "never") numbers = thpSwitchedOffNumbers(timeline, numbers);
  const writes = options.sysctls ?? [];
  if (writes.length === 0 && options.moment !== "settled") return { numbers, moment: "boot" };
  const change = applySysctls(writes, numbers.settings, input.era.policy);
  issues.push(...change.issues);
  return { numbers: settledNumbers(timeline, numbers, change.value), moment: "settled" };
}
