/**
 * Boots a machine on paper: zones from hardware and parameters, pools, managed
 * pages, then marks, reserves and pagesets in the kernel's own order of time,
 * and what each device reaches.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import { clip, type Range } from "../base/range.ts";
import type { Layout, Managed, ManagedCounts, Pools, ZoneSpan } from "../boot/hardware.ts";
import { layOut } from "../boot/layout.ts";
import { layoutFromLog } from "../boot/layout-from-log.ts";
import { managedFromLog, managedFromParameters, managedGiven } from "../boot/managed.ts";
import { planPools } from "../boot/pools.ts";
import {
  bootNumbers,
  type Numbers,
  settledNumbers,
  type TimelineInput,
  thpSwitchedOffNumbers,
} from "../boot/timeline.ts";
import { type DeviceSpec, simpleDevice } from "../dma/device.ts";
import { deviceReach, type ReachMemory } from "../dma/reach.ts";
import { nodeFallbackOrders, zonelist } from "../mm/zonelist.ts";
import type { MachineInput } from "./machine.ts";
import type { Moment, Plan, PlannedNode, PlannedZone } from "./plan.ts";
import { applySysctls, type SysctlWrite } from "./sysctls.ts";

export interface PlanOptions {
  /** Pages of a zone at the end of boot, by "N0/DMA32", or "DMA32" on a machine of one node. */
  readonly managed?: ReadonlyMap<string, number>;
  /** Writes after boot; the plan is then of the moment "settled". */
  readonly sysctls?: readonly SysctlWrite[];
  /** Asks for a moment even without writes. */
  readonly moment?: Moment;
}

/** CPUs that bounds allow for where nothing tells their number: each takes its percpu pages. */
const CROWD = 64;

/** Masks that every plan shows, besides the machine's own devices: the classic ones. */
const CLASSIC_MASK_BITS = [24, 29, 30, 32, 64];

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
  const managed = managedOf(input, layout, pools.value, options, issues);
  const timeline: TimelineInput = {
    layout,
    managed: managed.zones,
    build: hardware.build,
    cpus: hardware.cpus,
    policy: era.policy,
    thpAtBoot: commandLine.transparentHugepage ?? hardware.build.thpDefault,
  };
  const { numbers, moment } = numbersOf(timeline, input, options, issues);
  if (issues.some((issue) => issue.severity === "error")) return { value: null, issues };
  const ram = ramByZone(layout);
  const nodes = plannedNodes(input, layout, managed, numbers, ram);
  const memory = reachMemory(input, layout, pools.value, ram);
  const devices = devicesOf(input).map((device) => deviceReach(device, memory));
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

/** The log's own zone lines where there is a log, else computed from parameters. */
function layoutOf(input: MachineInput, issues: Issue[]): Layout | null {
  if (input.log !== null) {
    const seen = layoutFromLog(input.log, input.hardware);
    issues.push(...seen.issues);
    if (seen.value !== null) return seen.value;
  }
  const computed = layOut(input.hardware, input.commandLine, input.era.policy);
  issues.push(...computed.issues);
  return computed.issues.some((issue) => issue.severity === "error") ? null : computed.value;
}

/** Given counts, the memblock log, the ordinary log, parameters: the best there is. */
function managedOf(
  input: MachineInput,
  layout: Layout,
  pools: Pools,
  options: PlanOptions,
  issues: Issue[],
): Managed {
  const { hardware, commandLine, era, log } = input;
  if (options.managed !== undefined) {
    const given = managedGiven(options.managed, layout, hardware, era.policy, log);
    issues.push(...given.issues);
    if (given.value !== null) return given.value;
  }
  if (log !== null) {
    const seen = managedFromLog(log, layout, hardware, era.policy);
    issues.push(...seen.issues);
    if (seen.value !== null) return seen.value;
  }
  const guessed = managedFromParameters(hardware, commandLine, layout, pools, era.policy);
  issues.push(...guessed.issues);
  if (input.cpusKnown === false) {
    const cpus = { ...hardware.cpus, possible: CROWD };
    const crowd = { ...hardware, cpus };
    const least = managedFromParameters(crowd, commandLine, layout, pools, era.policy).value;
    return { ...guessed.value, zones: lowered(guessed.value.zones, least.zones) };
  }
  return input.before === null ? guessed.value : calibrated(input.before, layout, guessed.value);
}

/** `zones` with the lower bounds of `least`, the same zones of a machine with more CPUs. */
function lowered(
  zones: readonly ManagedCounts[],
  least: readonly ManagedCounts[],
): readonly ManagedCounts[] {
  return zones.map((zone, i) => {
    const low = Math.min(zone.low, least[i]?.low ?? zone.low);
    return { ...zone, low, exact: low === zone.high };
  });
}

/**
 * A what-if on a machine whose log is known: the estimate is corrected, zone by
 * zone, by how far the same estimate is off for the machine as it was. What
 * parameters cannot tell (where the image lies, what firmware took) then cancels
 * out. The bounds stay those of the estimate.
 */
function calibrated(before: MachineInput, layout: Layout, estimate: Managed): Managed {
  const was = managedBefore(before);
  // As little is known of the machine that is asked about: its image may lie elsewhere.
  const hardware = { ...before.hardware, image: null };
  const guessed = managedBefore({ ...before, hardware, log: null });
  if (was === null || guessed === null) return estimate;
  const zones = estimate.zones.map((counts, i): ManagedCounts => {
    const name = layout.zones[i]?.name ?? "";
    const exact = was.get(`${counts.node}/${name}`);
    const guess = guessed.get(`${counts.node}/${name}`);
    if (exact === undefined || guess === undefined) return counts;
    const corrected = (moment: "m0" | "t1" | "t2" | "end"): number => {
      const pages = counts[moment] + exact[moment] - guess[moment];
      return Math.max(0, Math.min(counts.high, pages));
    };
    const end = Math.max(counts.low, corrected("end"));
    return { ...counts, m0: corrected("m0"), t1: corrected("t1"), t2: corrected("t2"), end };
  });
  return { zones, source: "log and parameters" };
}

/** Managed counts by "node/zone name"; null where no layout follows. */
function managedBefore(input: MachineInput): ReadonlyMap<string, ManagedCounts> | null {
  const issues: Issue[] = [];
  const layout = layoutOf(input, issues);
  if (layout === null) return null;
  const { hardware, commandLine, era, log } = input;
  const pools = planPools(hardware, commandLine, layout, era.policy, log).value;
  const { zones } = managedOf(input, layout, pools, {}, issues);
  const nameOf = (i: number): string => layout.zones[i]?.name ?? "";
  return new Map(zones.map((counts, i) => [`${counts.node}/${nameOf(i)}`, counts]));
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

/** RAM of each zone in pfns, in the order of `layout.zones`: memory of its node inside its span. */
function ramByZone(layout: Layout): Range[][] {
  const byNode = new Map<number, Range[]>();
  for (const range of layout.memory) {
    const own = byNode.get(range.node);
    if (own === undefined) byNode.set(range.node, [range]);
    else own.push(range);
  }
  return layout.zones.map((zone) =>
    clip(byNode.get(zone.node) ?? [], zone.startPfn, zone.startPfn + zone.spanned),
  );
}

function plannedNodes(
  input: MachineInput,
  layout: Layout,
  managed: Managed,
  numbers: Numbers,
  ram: readonly Range[][],
): PlannedNode[] {
  const { cpus } = input.hardware;
  const populated = layout.zones.filter((zone) => zone.present > 0);
  const orders = fallbackOrders(input, layout, populated);
  const refs = populated.map((zone) => ({ node: zone.node, index: zone.index }));
  return layout.nodes.map((node): PlannedNode => {
    const rows = layout.zones.flatMap((zone, i) => (zone.node === node ? [i] : []));
    return {
      node,
      cpus: cpus.byNode?.get(node)?.length ?? (layout.nodes.length === 1 ? cpus.online : 0),
      zones: rows.map((i) => plannedZone(input, layout, managed, numbers, ram, i)),
      zonelist: zonelist(orders.get(node) ?? [node], refs).map((ref) => ({
        node: ref.node,
        zone: layout.zoneNames[ref.index] ?? String(ref.index),
      })),
    };
  });
}

function plannedZone(
  input: MachineInput,
  layout: Layout,
  managed: Managed,
  numbers: Numbers,
  ram: readonly Range[][],
  i: number,
): PlannedZone {
  const zone = layout.zones[i];
  const counts = managed.zones[i];
  const row = numbers.zones[i];
  if (zone === undefined || counts === undefined || row === undefined) {
    throw new TypeError("managed counts and numbers must follow the layout's zones");
  }
  const { marks } = row;
  return {
    name: zone.name,
    index: zone.index,
    startPfn: zone.spanned === 0 ? null : zone.startPfn,
    spanned: zone.spanned,
    present: zone.present,
    managed: {
      pages: counts.end,
      atWatermarks: row.atMarks,
      exact: counts.exact,
      from: managed.source,
      low: counts.low,
      high: counts.high,
    },
    watermarks: {
      min: marks.min,
      low: marks.low,
      high: marks.high,
      promo: input.era.policy.watermarks.promo ? marks.promo : null,
    },
    protection: row.protection,
    pageset: zone.present === 0 ? null : row.pageset,
    ram: ram[i] ?? [],
  };
}

/** Which node falls back to which: the log's own words, else by distance. */
function fallbackOrders(
  input: MachineInput,
  layout: Layout,
  populated: readonly ZoneSpan[],
): ReadonlyMap<number, readonly number[]> {
  const told = input.log?.fallbackOrders ?? [];
  if (told.length > 0) return new Map(told.map(({ node, order }) => [node, order]));
  return nodeFallbackOrders(layout.nodes, {
    nodes: [...new Set(populated.map((zone) => zone.node))],
    distance: (from, to) => input.distances?.get(from)?.get(to) ?? (from === to ? 10 : 20),
    // When the lists are built no CPU has been added to a node yet.
  });
}

function devicesOf(input: MachineInput): DeviceSpec[] {
  return [...CLASSIC_MASK_BITS.map((bits) => simpleDevice(`${bits}-bit`, bits)), ...input.devices];
}

function reachMemory(
  input: MachineInput,
  layout: Layout,
  pools: Pools,
  ram: readonly Range[][],
): ReachMemory {
  const { hardware, commandLine } = input;
  const { swiotlb } = pools;
  return {
    pageSize: hardware.build.pageSize,
    zones: layout.zones.map((zone, i) => ({
      node: zone.node,
      index: zone.index,
      name: zone.name,
      present: zone.present,
      ram: ram[i] ?? [],
    })),
    zoneDmaLimit: zoneDmaLimit(input, layout),
    hasDma32: layout.zoneNames.includes("DMA32"),
    swiotlb:
      swiotlb === null
        ? null
        : {
            start: swiotlb.start,
            bytes: swiotlb.bytes,
            maxMapping: swiotlb.maxMapping,
            forced: commandLine.swiotlb.force,
          },
    cma: pools.cma,
    custom: hardware.arch === "custom",
  };
}

/**
 * The last address that GFP_DMA stands for: zone_dma_bits, or zone_dma_limit.
 *
 * Linux: zone_dma_bits, kernel/dma/direct.c (24 unless the architecture sets it)
 */
function zoneDmaLimit(input: MachineInput, layout: Layout): number | null {
  const { hardware } = input;
  if (hardware.arch === "custom") {
    // The lowest zone is what such a machine keeps for its narrowest devices.
    const lowest = layout.zones.find((zone) => zone.present > 0);
    if (lowest === undefined) return null;
    return (lowest.startPfn + lowest.spanned) * hardware.build.pageSize - 1;
  }
  if (!layout.zoneNames.includes("DMA")) return null;
  if (hardware.arch !== "arm64") return 2 ** 24 - 1;
  const pfn = layout.dmaLimitPfn;
  if (pfn === null) return 2 ** 32 - 1;
  const last = pfn * hardware.build.pageSize - 1;
  // "bits" rounds up to a whole mask; "limit" is the address itself.
  if (input.era.policy.boot.arm64ZoneDma === "limit") return Math.min(last, 2 ** 32 - 1);
  return Math.min(2 ** Math.ceil(Math.log2(last + 1)) - 1, 2 ** 32 - 1);
}
