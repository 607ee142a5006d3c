/**
 * Boots a machine on paper: zones from hardware and parameters, pools, managed
 * pages, then marks, reserves and pagesets in the kernel's own order of time,
 * and what each device reaches.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { Layout, Managed, Pools } from "../boot/hardware.ts";
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
import { takeMaskPool, withBouncePages } from "./mask-pool.ts";
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
  /** Bytes of a mask pool in place of ZONE_DMA, which no kernel has. */
  readonly maskPoolBytes?: number;
}

/** The plan; null, with the errors among the issues, where no layout follows from the input. */
export function planMachine(input: MachineInput, options: PlanOptions = {}): Outcome<Plan | null> {
  const issues: Issue[] = [...input.issues];
  const booted = layoutOf(input, issues);
  if (booted === null || issues.some((issue) => issue.severity === "error")) {
    return { value: null, issues };
  }
  const { hardware, commandLine, era, log } = input;
  const pools = planPools(hardware, commandLine, booted, era.policy, log);
  issues.push(...pools.issues);
  const handedOver = managedOf(input, booted, pools.value, options.managed, issues);
  const timelineOf = (own: Layout, counts: Managed): TimelineInput => ({
    layout: own,
    managed: counts.zones,
    build: hardware.build,
    cpus: hardware.cpus,
    policy: era.policy,
    arch: hardware.arch,
    thpAtBoot: commandLine.transparentHugepage ?? hardware.build.thpDefault,
  });
  const { maskPoolBytes } = options;
  const pooled =
    maskPoolBytes === undefined
      ? null
      : takeMaskPool(
          booted,
          withBouncePages(handedOver, booted, pools.value.swiotlb, hardware.build.pageSize),
          maskPoolBytes,
          hardware.build.pageSize,
          bootNumbers(timelineOf(booted, handedOver)).zones.map((zone) => zone.protection),
          issues,
        );
  const layout = pooled?.layout ?? booted;
  const managed = pooled?.managed ?? handedOver;
  const timeline = timelineOf(layout, managed);
  const { numbers, moment } = numbersOf(timeline, input, options, issues);
  if (issues.some((issue) => issue.severity === "error")) return { value: null, issues };
  const ram = ramByZone(layout);
  const nodes = plannedNodes(input, layout, managed, numbers, ram);
  const maskPool = pooled?.pool ?? null;
  const used = maskPool === null ? pools.value : withoutSwiotlb(pools.value);
  const memory = reachMemory(input, layout, used, ram, maskPool);
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
    pools: used,
    maskPool,
    devices,
    issues,
  };
  return { value: plan, issues };
}

/** Bounce buffers come from the mask pool: nothing is set aside for them. */
function withoutSwiotlb(pools: Pools): Pools {
  return { ...pools, swiotlb: null, swiotlbWhyNot: "bounce buffers come from the mask pool" };
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
