/**
 * Managed pages that the user gives, as /proc/zoneinfo prints them at the end of
 * boot. Earlier counts follow by taking away what was freed late: as the boot log
 * says, or as a known build typically frees it.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { BootLog } from "../formats/boot-log.ts";
import type { Policy } from "../kernels/policy.ts";
import { parseCommandLine } from "./command-line.ts";
import { estimate, imagePlaces } from "./estimate.ts";
import { typicalLate } from "./estimate-late.ts";
import { constantsFor } from "./estimate-parts.ts";
import type { Hardware, Layout, Managed, ManagedCounts, ZoneSpan } from "./hardware.ts";
import { lateFromLog } from "./managed-late-place.ts";
import { piecesLost } from "./managed-lost.ts";
import { zoneStretches } from "./placement.ts";
import { planPools } from "./pools.ts";

/**
 * `given` holds pages by "N0/DMA32", or by "DMA32" where one node only has RAM in
 * that zone. Null, with an error, when a zone with RAM is missing or a count is
 * no number of pages that the zone has.
 */
export function managedGiven(
  given: ReadonlyMap<string, number>,
  layout: Layout,
  hardware: Hardware,
  policy: Policy,
  log: BootLog | null,
): Outcome<Managed | null> {
  const issues = strangers(given, layout);
  const missing: string[] = [];
  const ends = layout.zones.map((zone) => endOf(zone, given, layout, { missing, issues }));
  // Somebody who misspelt one name need not be told that its zone is missing.
  if (missing.length > 0 && issues.length === 0) {
    const message = `the managed pages of ${missing.join(", ")} are missing`;
    issues.push(wrong(message, "give every zone that has memory"));
  }
  if (issues.some((issue) => issue.severity === "error")) return { value: null, issues };
  const late = lateOf(ends, layout, hardware, policy, log, issues);
  const zones = layout.zones.map((zone, slot): ManagedCounts => {
    const end = ends[slot] ?? 0;
    const t2 = Math.max(0, end - (late?.end[slot] ?? 0));
    const t1 = Math.max(0, t2 - (late?.t2[slot] ?? 0));
    const m0 = Math.max(0, t1 - (late?.t1[slot] ?? 0));
    const { node, index } = zone;
    return { node, index, m0, t1, t2, end, low: end, high: end, exact: true };
  });
  return { value: { zones, source: "given" }, issues };
}

function keyOf(zone: ZoneSpan): string {
  return `N${zone.node}/${zone.name}`;
}

function endOf(
  zone: ZoneSpan,
  given: ReadonlyMap<string, number>,
  layout: Layout,
  { missing, issues }: { readonly missing: string[]; readonly issues: Issue[] },
): number {
  const sharing = layout.zones.filter((one) => one.name === zone.name && one.present > 0);
  const short = sharing.length <= 1 && zone.present > 0 ? given.get(zone.name) : undefined;
  const pages = given.get(keyOf(zone)) ?? short;
  if (pages === undefined) {
    if (zone.present > 0) missing.push(keyOf(zone));
    return 0;
  }
  if (!Number.isInteger(pages) || pages < 0 || pages > zone.present) {
    const range = `0 to ${zone.present}, the pages present`;
    issues.push(wrong(`${keyOf(zone)} cannot have ${pages} managed pages`, `give ${range}`));
    return 0;
  }
  return pages;
}

function strangers(given: ReadonlyMap<string, number>, layout: Layout): Issue[] {
  const known = new Set(layout.zones.flatMap((zone) => [keyOf(zone), zone.name]));
  const names = layout.zones.filter((zone) => zone.present > 0).map(keyOf);
  return [...given.keys()]
    .filter((key) => !known.has(key))
    .slice(0, 1)
    .map((key) => wrong(`the machine has no zone "${key}"`, `zones are ${names.join(", ")}`));
}

function wrong(message: string, mend: string): Issue {
  return { severity: "error", message, mend, source: "managed" };
}

interface Late {
  readonly t1: Float64Array;
  readonly t2: Float64Array;
  readonly end: Float64Array;
}

function lateOf(
  ends: readonly number[],
  layout: Layout,
  hardware: Hardware,
  policy: Policy,
  log: BootLog | null,
  issues: Issue[],
): Late | null {
  const { arch, build } = hardware;
  const constants = constantsFor(build, arch);
  const commandLine = parseCommandLine(log?.commandLine ?? "", arch, build.pageSize).value;
  const pools = planPools(hardware, commandLine, layout, policy, log).value;
  const stretches = zoneStretches(layout);
  const places = imagePlaces(hardware, commandLine.kaslr, stretches, constants);
  // Of what the rest of the kernel takes, the zone with the image misses most.
  const values = { ...constants.values, image: 0 };
  const bare = { ...constants, values, imageMin: 0, imageMax: 0 };
  const rest = estimate(hardware, commandLine, layout, pools, policy, bare).zones;
  const missing = (slot: number): number => (rest[slot]?.end ?? 0) - (ends[slot] ?? 0);
  const imageSlot = [...places.slots].sort((a, b) => missing(b) - missing(a))[0] ?? places.best;
  if (log !== null && log.memory !== null && piecesLost(log, arch).length === 0) {
    const late = lateFromLog(log, layout, hardware, imageSlot, policy.marksInitcall);
    issues.push(...late.issues);
    return late;
  }
  if (constants.known === "no") {
    const message =
      "the build was never measured: boot-time marks are computed from the pages managed at the end";
    issues.push({ severity: "note", message, source: "managed" });
    return null;
  }
  const where = { stretches, imageSlot, initcall: policy.marksInitcall };
  return typicalLate(hardware, layout, pools, constants, where);
}
