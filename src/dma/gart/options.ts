/**
 * `iommu=` of x86-64 in 2004 to 2010, and where the aperture comes from.
 *
 * Linux: iommu_setup(), arch/x86_64/kernel/pci-gart.c; iommu_hole_init(), allocate_aperture(),
 * arch/x86_64/kernel/aperture.c
 */
import type { Range } from "../../base/range.ts";
import { parseSize } from "../../base/units.ts";

export interface GartOptions {
  /** Bytes that the IOMMU takes of the aperture; null for its share. */
  readonly size: number | null;
  readonly off: boolean;
  readonly force: boolean;
  readonly merge: boolean;
  readonly panic: boolean;
  /** Flush at each map rather than when the search wraps. */
  readonly fullflush: boolean;
  /** No AGP: the whole aperture is the IOMMU's. */
  readonly noagp: boolean;
  /** Swiotlb instead. */
  readonly soft: boolean;
  /** Masks of 40 bits and more are refused, so that drivers try 32. */
  readonly forcesac: boolean;
  /** An aperture over RAM even where firmware has one; its size is 32 MiB << order. */
  readonly memaper: boolean;
  readonly order: number;
}

export const GART_DEFAULTS: GartOptions = {
  size: null,
  off: false,
  force: false,
  merge: true,
  panic: false,
  fullflush: true,
  noagp: false,
  soft: false,
  forcesac: false,
  memaper: false,
  order: 1,
};

type Change = Partial<{ -readonly [Name in keyof GartOptions]: GartOptions[Name] }>;

/** The kernel compares beginnings, in this order, and takes all that fit. */
const WORDS: readonly (readonly [string, Change])[] = [
  ["noagp", { noagp: true }],
  ["off", { off: true }],
  ["force", { force: true }],
  ["noforce", { merge: false, force: false }],
  ["biomerge", { merge: true, force: true }],
  ["panic", { panic: true }],
  ["nopanic", { panic: false }],
  ["merge", { merge: true, force: true }],
  ["nomerge", { merge: false }],
  ["forcesac", { forcesac: true }],
  ["fullflush", { fullflush: true }],
  ["nofullflush", { fullflush: false }],
  ["soft", { soft: true }],
];

/** Reads the value of `iommu=`; words it does not know are passed over, as the kernel does. */
export function parseGartOptions(text: string, defaults: GartOptions = GART_DEFAULTS): GartOptions {
  let options = defaults;
  for (const word of text.split(",")) {
    for (const [name, change] of WORDS) {
      if (word.startsWith(name)) options = { ...options, ...change };
    }
    const [, order] = /^memaper(?:=(\d+))?/.exec(word) ?? [];
    if (word.startsWith("memaper")) {
      options = { ...options, memaper: true, order: Math.min(7, Number(order ?? options.order)) };
    }
    if (/^\d/.test(word)) options = { ...options, size: parseSize(word) ?? options.size };
  }
  return options;
}

export interface Aperture {
  readonly base: number;
  readonly size: number;
  /** Firmware left a hole for it, or RAM is lost to it. */
  readonly over: "hole" | "ram";
}

const MIB = 2 ** 20;
const SMALLEST = 64 * MIB;
const TOP = 0xffffffff;

/** What the firmware set in the northbridges, if anything. */
export interface ApertureAsk {
  readonly firmware: { readonly base: number; readonly size: number } | null;
  /** RAM, bytes, ascending; and what of it is free while the kernel boots. */
  readonly ram: readonly Range[];
  readonly free: readonly Range[];
  readonly options: GartOptions;
}

/** The aperture, and what the kernel says about it; null for none, or where the kernel panics. */
export function findAperture(ask: ApertureAsk): {
  readonly aperture: Aperture | null;
  readonly log: readonly string[];
  readonly panic: string | null;
} {
  const { firmware, ram, options } = ask;
  const log = ["Checking aperture..."];
  if (firmware !== null) {
    const { base, size } = firmware;
    log.push(`CPU 0: aperture @ ${base.toString(16)} size ${size / MIB} MB`);
    const wrong = whatIsWrong(base, size, ram);
    if (wrong !== null && wrong !== "") log.push(wrong);
    if (wrong === null && !options.memaper)
      return { aperture: { base, size, over: "hole" }, log, panic: null };
  }
  const end = Math.max(0, ...ram.map((range) => range.end));
  const wanted = (!options.off && end > TOP) || options.force || options.memaper;
  if (!wanted) return { aperture: null, log, panic: null };
  const size = 32 * MIB * 2 ** options.order;
  log.push("Your BIOS doesn't leave a aperture memory hole");
  log.push("Please enable the IOMMU option in the BIOS setup");
  log.push(`This costs you ${size / MIB} MB of RAM`);
  const base = alignedPlace(ask.free, size);
  if (base === null) {
    log.push(`Cannot allocate aperture memory hole (0,${size / 1024}K)`);
    return { aperture: null, log, panic: "Not enough memory for aperture" };
  }
  log.push(`Mapping aperture over ${size / 1024} KB of RAM @ ${base.toString(16)}`);
  return { aperture: { base, size, over: "ram" }, log, panic: null };
}

/** In the kernel's words, none where it has none; null where nothing is. Linux: aperture_valid() */
function whatIsWrong(base: number, size: number, ram: readonly Range[]): string | null {
  const name = "northbridge cpu 0";
  if (base === 0) return "";
  if (size < SMALLEST) return `Aperture from ${name} too small (${size / MIB} MB)`;
  if (base + size >= TOP) return `Aperture from ${name} beyond 4GB. Ignoring.`;
  const onRam = ram.some(({ start, end }) => start < base + size && base < end);
  return onRam ? `Aperture from ${name} pointing to e820 RAM. Ignoring.` : null;
}

/** The lowest place, aligned to its size, below 4 GiB. */
function alignedPlace(free: readonly Range[], size: number): number | null {
  for (const { start, end } of free) {
    const base = Math.ceil(start / size) * size;
    if (base + size <= end && base + size <= TOP) return base;
  }
  return null;
}
