/**
 * Managed pages from an ordinary boot log: the `Memory:` line gives the sum over
 * all zones exactly, the estimate (`estimate.ts`) gives bounds of each, and each
 * narrows the other.
 *
 *   at that line      (total - reserved - cma-reserved)
 *   at the end        (total - reserved) + everything freed later
 *
 * "available" is no help: it counts free pages, and most are not initialised yet.
 * Not counted, because no line tells: boot services memory of EFI.
 *
 * Linux: mem_init_print_info(), mm/page_alloc.c; from 6.4 mm/mm_init.c
 */
import type { Outcome } from "../base/issue.ts";
import type { BootLog } from "../formats/boot-log.ts";
import type { Policy } from "../kernels/policy.ts";
import { type CommandLine, parseCommandLine } from "./command-line.ts";
import { estimate } from "./estimate.ts";
import { type Constants, constantsFor } from "./estimate-parts.ts";
import type { Hardware, Layout, Managed, ManagedCounts } from "./hardware.ts";
import { isGigantic, reachesInit } from "./managed-late.ts";
import { lateFromLog } from "./managed-late-place.ts";
import { planPools } from "./pools.ts";

const KIB = 1024;

/** Pages of all zones together at the end of boot; null without a `Memory:` line. */
export function managedSum(log: BootLog, hardware: Hardware, policy: Policy): number | null {
  if (log.memory === null) return null;
  const { pageSize } = hardware.build;
  const isX86 = hardware.arch === "x86_64" || hardware.arch === "i386";
  const counted = isX86 && policy.boot.memoryLineAfterAlternatives ? "SMP alternatives" : null;
  let bytes = (log.memory.totalKib - log.memory.reservedKib) * KIB;
  for (const { what, kib } of log.freed) if (what !== counted) bytes += kib * KIB;
  for (const { pageBytes, count } of log.hugePages) {
    if (isGigantic(pageBytes, hardware)) bytes += pageBytes * count;
  }
  return Math.floor(bytes / pageSize);
}

/** Bounds of every zone around the exact sum; null without a `Memory:` line. */
export function managedFromSum(
  log: BootLog,
  layout: Layout,
  hardware: Hardware,
  policy: Policy,
): Outcome<Managed | null> {
  const sum = managedSum(log, hardware, policy);
  if (sum === null) return { value: null, issues: [] };
  const { arch, build } = hardware;
  const commandLine = parseCommandLine(log.commandLine ?? "", arch, build.pageSize).value;
  const pools = planPools(hardware, commandLine, layout, policy, log).value;
  const constants = constantsSeen(log, constantsFor(build, arch));
  const guess = estimate(hardware, commandLine, layout, pools, policy, constants);
  const zones = guess.zones.map((zone, slot) =>
    isSettled(zone, layout, slot, commandLine, log, hardware, constants) ? pinned(zone) : zone,
  );
  // A log that was cut lacks some of what was given back: its sum is too small.
  const narrowed = reachesInit(log) ? narrow(zones, sum) : zones;
  const widest = indexOfMost(narrowed.map((zone) => zone.end));
  const late = lateFromLog(log, layout, hardware, widest);
  const value = narrowed.map((zone, slot): ManagedCounts => {
    const t2 = Math.max(0, zone.end - (late.end[slot] ?? 0));
    const t1 = Math.max(0, t2 - (late.t2[slot] ?? 0));
    return { ...zone, t2, t1, m0: Math.max(0, t1 - (late.t1[slot] ?? 0)) };
  });
  return { value: { zones: value, source: "boot log" }, issues: [] };
}

/** What the log tells of a build that was never measured: the size of its image. */
function constantsSeen(log: BootLog, constants: Constants): Constants {
  const { memory } = log;
  if (constants.known === "release" || memory === null) return constants;
  const { kernelCodeKib, rwdataKib, rodataKib, bssKib } = memory;
  const kept = Math.ceil((kernelCodeKib + rwdataKib + rodataKib) / 4);
  const bss = Math.ceil(bssKib / 4);
  // Sections are aligned to 2 MiB on x86-64, and brk comes after bss.
  const imageMax = kept + bss + 4 * 512;
  const values = { ...constants.values, image: kept + Math.round(bss / 2) };
  return { ...constants, values, imageMin: kept, imageMax };
}

/**
 * The DMA zone of x86 holds nothing but the first MiB: memblock allocates from
 * the top, the image lies above 16 MiB. Of a machine that does otherwise, and of
 * builds that were not measured, only bounds are told.
 */
function isSettled(
  zone: ManagedCounts,
  layout: Layout,
  slot: number,
  commandLine: CommandLine,
  log: BootLog,
  hardware: Hardware,
  constants: Constants,
): boolean {
  const isX86 = hardware.arch === "x86_64" || hardware.arch === "i386";
  if (!isX86 || constants.known !== "release" || commandLine.movableNode) return false;
  if (layout.zones[slot]?.name !== "DMA" || log.efiMap.length > 0 || zone.high === 0) return false;
  const enough = 2 ** 27 / hardware.build.pageSize; // so that the top always has room
  if (layout.maxPfn < enough) return false;
  const dmaEnd = 2 ** 24;
  return ![...log.crashkernel, log.ramdisk, log.ramdiskMoved].some(
    (range) => range !== null && range.start < dmaEnd,
  );
}

function pinned(zone: ManagedCounts): ManagedCounts {
  return { ...zone, low: zone.end, high: zone.end, exact: true };
}

/** Bounds that the sum leaves, and guesses that add up to it. */
function narrow(zones: readonly ManagedCounts[], sum: number): ManagedCounts[] {
  let low = 0;
  let high = 0;
  for (const zone of zones) {
    low += zone.low;
    high += zone.high;
  }
  // A sum that no zones add up to tells of RAM that the layout does not have.
  if (sum < low || sum > high) return zones.map((zone) => ({ ...zone, exact: false }));
  const bounded = zones.map((zone) => {
    const least = Math.max(zone.low, sum - (high - zone.high));
    const most = Math.min(zone.high, sum - (low - zone.low));
    const end = Math.max(least, Math.min(most, zone.end));
    return { ...zone, low: least, high: most, end, exact: least === most };
  });
  let left = sum - bounded.reduce((total, zone) => total + zone.end, 0);
  const byRoom = [...bounded.keys()].sort((a, b) => widthOf(bounded[b]) - widthOf(bounded[a]));
  for (const slot of byRoom) {
    const zone = bounded[slot];
    if (zone === undefined || left === 0) continue;
    const end = Math.max(zone.low, Math.min(zone.high, zone.end + left));
    left -= end - zone.end;
    bounded[slot] = { ...zone, end };
  }
  return bounded;
}

function widthOf(zone: ManagedCounts | undefined): number {
  return zone === undefined ? 0 : zone.high - zone.low;
}

function indexOfMost(values: readonly number[]): number {
  return values.reduce((best, value, i) => (value > (values[best] ?? -1) ? i : best), -1);
}
