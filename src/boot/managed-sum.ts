/**
 * Managed pages from an ordinary boot log: the `Memory:` line gives the sum over
 * all zones exactly, the estimate (`estimate.ts`) gives bounds of each, and each
 * narrows the other.
 *
 *   at that line      (total - reserved - cma-reserved)
 *   at the end        (total - reserved) + everything freed later
 *
 * "available" is no help: it counts free pages, and most are not initialised yet.
 * EFI's boot services memory, which x86 gives back, is in the sum where a line
 * tells how much that was; of older kernels the sum is the least there can be.
 *
 * Linux: mem_init_print_info(), mm/page_alloc.c; from 6.4 mm/mm_init.c
 */
import type { Outcome } from "../base/issue.ts";
import type { BootLog } from "../formats/boot-log.ts";
import type { Policy } from "../kernels/policy.ts";
import { type CommandLine, parseCommandLine } from "./command-line.ts";
import { estimate, imagePlaces } from "./estimate.ts";
import { type Constants, constantsFor } from "./estimate-parts.ts";
import type { Hardware, Layout, Managed, ManagedCounts } from "./hardware.ts";
import { BOOT_SERVICES, isGigantic } from "./managed-late.ts";
import { lateFromLog } from "./managed-late-place.ts";
import { piecesLost } from "./managed-lost.ts";
import { zoneStretches } from "./placement.ts";
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
  const narrowed = narrow(zones, layout, { least: sum, most: isWhole(log, hardware) ? sum : null });
  const places = imagePlaces(hardware, commandLine.kaslr, zoneStretches(layout), constants);
  const widest = indexOfMost(narrowed.map((zone) => zone.end));
  const late = lateFromLog(
    log,
    layout,
    hardware,
    hardware.image == null ? widest : places.best,
    policy.marksInitcall,
  );
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
  if (layout.zones[slot]?.name !== "DMA" || isEfi(log) || zone.high === 0) return false;
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

function isEfi(log: BootLog): boolean {
  return log.efi !== null || log.efiMap.length > 0;
}

/** Whether the sum has everything that was given back late. */
function isWhole(log: BootLog, { arch }: Hardware): boolean {
  if (piecesLost(log, arch).length > 0) return false;
  const isX86 = arch === "x86_64" || arch === "i386";
  return !isX86 || !isEfi(log) || log.freed.some(({ what }) => what === BOOT_SERVICES);
}

/** Pages of all zones together; `most` is null when the log does not tell. */
interface Sum {
  readonly least: number;
  readonly most: number | null;
}

/** Bounds that the sum leaves, and guesses that add up to it. */
function narrow(zones: readonly ManagedCounts[], layout: Layout, sum: Sum): ManagedCounts[] {
  const settled = zones.map((zone) => ({ ...zone, exact: false }));
  const present = layout.zones.reduce((total, zone) => total + zone.present, 0);
  // A sum that no zones add up to tells of RAM that the layout does not have.
  if (sum.least > present || 8 * sum.least < present) return settled;
  let low = zones.reduce((total, zone) => total + zone.low, 0);
  let high = zones.reduce((total, zone) => total + zone.high, 0);
  const most = sum.most ?? Math.max(sum.least, high);
  let bounds = zones;
  // Firmware or an option took what no estimate knows of, or less was taken: the sum is right.
  if (most < low) {
    bounds = settled.map((zone) => ({ ...zone, low: 0 }));
    low = 0;
  } else if (sum.least > high) {
    bounds = settled.map((zone, i) => ({ ...zone, high: layout.zones[i]?.present ?? zone.high }));
    high = present;
  }
  const bounded = bounds.map((zone) => {
    const floor = Math.max(zone.low, sum.least - (high - zone.high));
    const ceiling = Math.min(zone.high, most - (low - zone.low));
    const end = Math.max(floor, Math.min(ceiling, zone.end));
    return { ...zone, low: floor, high: ceiling, end, exact: floor === ceiling };
  });
  return sum.most === null ? bounded : addedUp(bounded, sum.most);
}

/**
 * Guesses moved inside their bounds until they add up: the least certain first,
 * of equals the highest, for small things are taken from the top of RAM.
 */
function addedUp(zones: readonly ManagedCounts[], sum: number): ManagedCounts[] {
  const bounded = [...zones];
  let left = sum - bounded.reduce((total, zone) => total + zone.end, 0);
  const byRoom = [...bounded.keys()].sort(
    (a, b) => widthOf(bounded[b]) - widthOf(bounded[a]) || b - a,
  );
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
