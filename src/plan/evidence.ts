/**
 * Layout and managed pages from the best evidence that the input holds: counts
 * that are given, the boot's own log, parameters alone.
 */
import type { Issue } from "../base/issue.ts";
import type { Layout, Managed, ManagedCounts, Pools } from "../boot/hardware.ts";
import { layOut } from "../boot/layout.ts";
import { layoutFromLog } from "../boot/layout-from-log.ts";
import { managedFromLog, managedFromParameters, managedGiven } from "../boot/managed.ts";
import { planPools } from "../boot/pools.ts";
import type { MachineInput } from "./machine.ts";

/** Pages of a zone at the end of boot, by "N0/DMA32", or "DMA32" on a machine of one node. */
export type GivenPages = ReadonlyMap<string, number>;

/** CPUs that bounds allow for where nothing tells their number: each takes its percpu pages. */
const CROWD = 64;

/** The log's own zone lines where there is a log, else computed from parameters. */
export function layoutOf(input: MachineInput, issues: Issue[]): Layout | null {
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
export function managedOf(
  input: MachineInput,
  layout: Layout,
  pools: Pools,
  given: GivenPages | undefined,
  issues: Issue[],
): Managed {
  const { hardware, commandLine, era, log } = input;
  if (given !== undefined) {
    const counts = managedGiven(given, layout, hardware, era.policy, log);
    issues.push(...counts.issues);
    if (counts.value !== null) return counts.value;
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
  const { zones } = managedOf(input, layout, pools, undefined, issues);
  const nameOf = (i: number): string => layout.zones[i]?.name ?? "";
  return new Map(zones.map((counts, i) => [`${counts.node}/${nameOf(i)}`, counts]));
}
