/**
 * Managed pages from parameters alone: a best guess for every zone, and bounds
 * that hold the truth.
 *
 * Every part of what the kernel takes (`estimate-parts.ts`) has the zones it may
 * lie in. memblock gives out the top of RAM first, so a part lies in the highest
 * stretch of its node that surely has room; where that is not sure, the next
 * stretch down is a candidate too. A part with one candidate is subtracted from
 * both bounds, one with several only from the lower bound of each. KASLR puts the
 * image anywhere above 16 MiB, so most of the doubt of a machine with two zones
 * is the size of the image.
 *
 * Not modelled, and not in the bounds of a known build: firmware that keeps RAM
 * for itself without saying so in its map, and debugging options that cost memory.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import { type Range, rangeList, subtract } from "../base/range.ts";
import { is32Bit, type Policy } from "../kernels/policy.ts";
import type { CommandLine } from "./command-line.ts";
import { typicalLate } from "./estimate-late.ts";
import type { Constants } from "./estimate-parts.ts";
import { allocatedParts, constantsFor, doubtOf, exactly } from "./estimate-parts.ts";
import type { Taken } from "./estimate-place.ts";
import { addDoubt, nothingTaken, takeFrom, takePart } from "./estimate-place.ts";
import type { Build, Hardware, Layout, Managed, ManagedCounts, Pools } from "./hardware.ts";
import { isGigantic } from "./managed-late.ts";
import type { ZoneStretch } from "./placement.ts";
import { countPages, zoneStretches } from "./placement.ts";

/** x86: the image lies here or above. Linux: CONFIG_PHYSICAL_START */
const KERNEL_START = 2 ** 24;
/** i386: KASLR keeps the image below this. Linux: KERNEL_IMAGE_SIZE */
const KASLR_LIMIT_32BIT = 2 ** 29;
const FIRST_MIB = 2 ** 20;
/** Room that something we do not know of (an initrd, mostly) may take in a stretch. */
const UNKNOWN_BYTES = 2 ** 24;

/**
 * Managed pages of every zone of `layout`, computed without a boot log. Always
 * 0 <= low <= end <= high <= present; `m0`, `t1`, `t2` are typical.
 */
export function managedFromParameters(
  hardware: Hardware,
  commandLine: CommandLine,
  layout: Layout,
  pools: Pools,
  policy: Policy,
): Outcome<Managed> {
  const { build, arch } = hardware;
  const constants = constantsFor(build, arch);
  const issues: Issue[] = [];
  if (constants.known !== "release") issues.push(unknownBuild(build, constants.known));
  const value = estimate(hardware, commandLine, layout, pools, policy, constants);
  return { value, issues };
}

/** The same with constants of the caller's. */
export function estimate(
  hardware: Hardware,
  commandLine: CommandLine,
  layout: Layout,
  pools: Pools,
  policy: Policy,
  constants: Constants,
): Managed {
  const stretches = zoneStretches(layout);
  const image = imagePlaces(hardware, commandLine.kaslr, stretches, constants);
  const taken = takeAll(hardware, commandLine, layout, pools, policy, constants, image);
  const late = typicalLate(hardware, layout, pools, constants, {
    stretches,
    imageSlot: image.best,
    initcall: policy.marksInitcall,
  });
  const zones = layout.zones.map((zone, slot): ManagedCounts => {
    const { node, index, present } = zone;
    const bound = (pages: number): number => Math.min(present, Math.max(0, pages));
    const low = Math.floor(bound(present - at(taken.possible, slot)));
    const high = Math.ceil(bound(present - at(taken.sure, slot)));
    const end = Math.max(low, Math.min(high, Math.round(present - at(taken.best, slot))));
    const t2 = Math.max(0, end - at(late.end, slot));
    const t1 = Math.max(0, t2 - at(late.t2, slot));
    const m0 = Math.max(0, t1 - at(late.t1, slot));
    return { node, index, m0, t1, t2, end, low, high, exact: low === high };
  });
  return { zones, source: "parameters" };
}

function takeAll(
  hardware: Hardware,
  commandLine: CommandLine,
  layout: Layout,
  pools: Pools,
  policy: Policy,
  constants: Constants,
  image: ImagePlaces,
): Taken {
  const { pageSize } = hardware.build;
  const is32 = is32Bit(hardware.arch);
  // High memory is not mapped yet, so nothing is taken of it.
  const everywhere = zoneStretches(layout);
  const stretches = everywhere
    .filter((one) => !is32 || one.start < layout.maxLowPfn)
    .map((one) => (is32 ? { ...one, end: Math.min(one.end, layout.maxLowPfn) } : one));
  let elsewhere = UNKNOWN_BYTES;
  for (const area of pools.cma) elsewhere += area.bytes;
  for (const { pageBytes, count } of pools.hugePages) {
    if (isGigantic(pageBytes, hardware)) elsewhere += pageBytes * count;
  }
  const margin = image.span + elsewhere / pageSize;
  const nodeOf = layout.zones.map((zone) => zone.node);
  const taken = nothingTaken(stretches, nodeOf, margin, commandLine.movableNode);
  // 5.10 keeps all of it for a crash kernel. Linux: crash_reserve_low_1M(), arch/x86/kernel/crash.c
  const firstMib = commandLine.crashkernel.length > 0 ? null : constants.values.firstMib;
  takeFirstMib(taken, hardware, firstMib);
  takeFrom(taken, image.pages, image.slots, image.best);
  for (const { start, end } of hardware.unmapped ?? []) {
    takeFixed(taken, "unmapped", { start: start / pageSize, end: end / pageSize });
  }
  for (const { kind, start, bytes } of pools.reserved ?? []) {
    // What the kernel found a place for may lie lower than computed, but hardly in another zone.
    if (kind === "cma" || start === null) continue;
    const range = { start, end: start + bytes };
    // What is seen not to be mapped was taken above.
    for (const own of subtract([range], rangeList(hardware.unmapped ?? []))) {
      takeFixed(taken, kind, { start: own.start / pageSize, end: own.end / pageSize }, everywhere);
    }
  }
  for (const range of pools.crashkernel) takeCrashkernel(taken, range, commandLine, pageSize);
  const parts = allocatedParts(hardware, commandLine, layout, pools, policy, constants);
  for (const part of parts) takePart(taken, part);
  const doubt = doubtOf(hardware, layout, constants);
  for (const slot of new Set(stretches.map((one) => one.slot))) addDoubt(taken, slot, doubt, doubt);
  return taken;
}

/**
 * x86 keeps BIOS data, the trampoline of other CPUs and, since 5.13, all of the
 * first MiB. Linux: reserve_bios_regions(), reserve_real_mode(), arch/x86
 */
function takeFirstMib(taken: Taken, hardware: Hardware, known: number | null): void {
  if (hardware.arch !== "x86_64" && hardware.arch !== "i386") return;
  const below = new Float64Array(taken.best.length);
  countPages(taken.stretches, { start: 0, end: FIRST_MIB / hardware.build.pageSize }, below);
  below.forEach((pages, slot) => {
    if (pages === 0) return;
    takeFrom(taken, exactly("first MiB", Math.min(pages, known ?? pages)), [slot], slot);
  });
}

/** A crash kernel's memory: where it was asked for, else below 4 GiB or, failing that, above. */
function takeCrashkernel(
  taken: Taken,
  range: Range,
  commandLine: CommandLine,
  pageSize: number,
): void {
  const [start, end] = [range.start / pageSize, range.end / pageSize];
  if (commandLine.crashkernel.some((text) => text.includes("@"))) {
    takeFixed(taken, "crashkernel", { start, end });
    return;
  }
  const fourGib = 2 ** 32 / pageSize;
  const limitPfn = end <= fourGib ? fourGib : Infinity;
  takePart(taken, { ...exactly("crashkernel", end - start), limitPfn });
}

/** Takes pages whose place is known, in pfns; of high memory too where `stretches` has it. */
function takeFixed(
  taken: Taken,
  what: string,
  range: Range,
  stretches: readonly ZoneStretch[] = taken.stretches,
): void {
  const here = new Float64Array(taken.best.length);
  countPages(stretches, range, here);
  here.forEach((pages, slot) => {
    if (pages > 0) takeFrom(taken, exactly(what, pages), [slot], slot);
  });
}

function at(counts: Float64Array, slot: number): number {
  return counts[slot] ?? 0;
}

function unknownBuild(build: Build, known: "series" | "no"): Issue {
  const name = build.release ?? "this kernel";
  if (known === "series") {
    return {
      severity: "note",
      message: `${name}: managed pages are computed from another release of its series`,
    };
  }
  return {
    severity: "warning",
    message: `${name} was never measured: managed pages are known to some 20 to 100 MiB only`,
    mend: "give the boot log (dmesg), or the managed pages of each zone",
  };
}

/** Where the kernel image may lie: slots, and the likeliest of them (-1 without RAM). */
export interface ImagePlaces {
  readonly slots: readonly number[];
  readonly best: number;
  /** Pages that stay and pages of the whole image. */
  readonly pages: { readonly best: number; readonly min: number; readonly max: number };
  readonly span: number;
}

/**
 * Where it was seen to lie. Else x86 moves the image anywhere above 16 MiB unless
 * `nokaslr` is given; the others leave it where the boot loader put it, at the
 * start of RAM.
 * Linux: choose_random_location(), arch/x86/boot/compressed/kaslr.c
 */
export function imagePlaces(
  hardware: Hardware,
  kaslr: boolean,
  stretches: readonly ZoneStretch[],
  constants: Constants,
): ImagePlaces {
  const { values, imageMin, imageMax } = constants;
  const pages = { best: values.image, min: imageMin, max: imageMax };
  const span = imageMax + values.imageFreed + values.alternatives;
  const seen = slotsOf(hardware, stretches);
  if (seen.length > 0) return { slots: seen, best: seen[0] ?? -1, pages, span };
  const isX86 = hardware.arch === "x86_64" || hardware.arch === "i386";
  const first = isX86 ? KERNEL_START / hardware.build.pageSize : (stretches[0]?.start ?? 0);
  const top = hardware.arch === "i386" ? KASLR_LIMIT_32BIT / hardware.build.pageSize : Infinity;
  const end = isX86 && kaslr ? top : first + span;
  const room = new Map<number, number>();
  for (const { start, end: stretchEnd, slot } of stretches) {
    const inside = Math.min(stretchEnd, end) - Math.max(start, first);
    if (inside > 0) room.set(slot, (room.get(slot) ?? 0) + inside);
  }
  const slots = [...room.keys()].sort((a, b) => (room.get(b) ?? 0) - (room.get(a) ?? 0));
  return { slots, best: slots[0] ?? stretches[0]?.slot ?? -1, pages, span };
}

/** Slots that the image was seen in, the one with most of it first; none when nobody saw it. */
function slotsOf({ image, build }: Hardware, stretches: readonly ZoneStretch[]): number[] {
  if (image == null) return [];
  const pages = new Float64Array(Math.max(0, ...stretches.map(({ slot }) => slot + 1)));
  const start = Math.floor(image.start / build.pageSize);
  countPages(stretches, { start, end: Math.ceil(image.end / build.pageSize) }, pages);
  const slots = [...pages.keys()].filter((slot) => at(pages, slot) > 0);
  return slots.sort((a, b) => at(pages, b) - at(pages, a));
}
