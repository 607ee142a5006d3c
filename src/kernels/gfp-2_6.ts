/**
 * GFP flags of 2.6.9 to 4.3: one bit says whether a request may wait, every request may wake
 * kswapd, and names are printed by trace events only, without underscores.
 *
 * Linux: include/linux/gfp.h, include/trace/events/gfpflags.h
 */
import { type GfpEra, type GfpName, gfpBits } from "./gfp-era.ts";

const BITS_2_6_9: ReadonlyMap<string, number> = new Map([
  ["__GFP_DMA", 0x01],
  ["__GFP_HIGHMEM", 0x02],
  ["__GFP_WAIT", 0x10],
  ["__GFP_HIGH", 0x20],
  ["__GFP_IO", 0x40],
  ["__GFP_FS", 0x80],
  ["__GFP_COLD", 0x100],
  ["__GFP_NOWARN", 0x200],
  ["__GFP_REPEAT", 0x400],
  ["__GFP_NOFAIL", 0x800],
  ["__GFP_NORETRY", 0x1000],
  ["__GFP_COMP", 0x4000],
]);

/** Pages are zeroed by who asks for them up to 2.6.10. */
const BITS_2_6_11: ReadonlyMap<string, number> = new Map([...BITS_2_6_9, ["__GFP_ZERO", 0x8000]]);

const BITS_2_6_18: ReadonlyMap<string, number> = new Map([
  ...BITS_2_6_11,
  ["__GFP_DMA32", 0x04], // as 64-bit x86 has it; see withDma32()
  ["__GFP_NOMEMALLOC", 0x10000],
  ["__GFP_HARDWALL", 0x20000],
  ["__GFP_THISNODE", 0x40000],
]);

const BITS_2_6_24: ReadonlyMap<string, number> = new Map([
  ...BITS_2_6_18,
  ["__GFP_RECLAIMABLE", 0x80000],
  ["__GFP_MOVABLE", 0x100000],
]);

const BITS_2_6_31: ReadonlyMap<string, number> = new Map([
  ...BITS_2_6_24,
  ["__GFP_MOVABLE", 0x08],
  ["__GFP_NOTRACK", 0x200000],
]);

const BITS_2_6_39: ReadonlyMap<string, number> = new Map([
  ...BITS_2_6_31,
  ["__GFP_MEMALLOC", 0x2000], // 3.6; the bit was slab's own before
  ["__GFP_NO_KSWAPD", 0x400000],
  ["__GFP_OTHER_NODE", 0x800000],
  ["__GFP_WRITE", 0x1000000], // 3.3
]);

/** The composites every one of these eras has; THISNODE and mobility come with their bits. */
function composites(bits: ReadonlyMap<string, number>): GfpName[] {
  const kernel = ["__GFP_WAIT", "__GFP_IO", "__GFP_FS"];
  const user = [...kernel, "__GFP_HARDWALL"];
  const movable = [...user, "__GFP_HIGHMEM", "__GFP_MOVABLE"];
  const names: GfpName[] = [];
  if (bits.has("__GFP_NO_KSWAPD")) {
    const flags = ["COMP", "NOMEMALLOC", "NORETRY", "NOWARN", "NO_KSWAPD"];
    const huge = flags.map((flag) => `__GFP_${flag}`);
    names.push(["GFP_TRANSHUGE", gfpBits(bits, ...movable, ...huge)]);
  }
  if (bits.has("__GFP_MOVABLE")) names.push(["GFP_HIGHUSER_MOVABLE", gfpBits(bits, ...movable)]);
  names.push(["GFP_HIGHUSER", gfpBits(bits, ...user, "__GFP_HIGHMEM")]);
  // 2.6.9 and 2.6.11 have no cpuset flag: GFP_USER is GFP_KERNEL there, and is printed as such.
  if (bits.has("__GFP_HARDWALL")) names.push(["GFP_USER", gfpBits(bits, ...user)]);
  if (bits.has("__GFP_RECLAIMABLE")) {
    names.push(["GFP_TEMPORARY", gfpBits(bits, ...kernel, "__GFP_RECLAIMABLE")]);
  }
  names.push(["GFP_KERNEL", gfpBits(bits, ...kernel)]);
  names.push(["GFP_NOFS", gfpBits(bits, "__GFP_WAIT", "__GFP_IO")]);
  names.push(["GFP_ATOMIC", gfpBits(bits, "__GFP_HIGH")]);
  names.push(["GFP_NOIO", gfpBits(bits, "__GFP_WAIT")]);
  return names;
}

function unprinted(bits: ReadonlyMap<string, number>): GfpName[] {
  const names: GfpName[] = [
    ["GFP_NOWAIT", 0],
    ["GFP_DMA", gfpBits(bits, "__GFP_DMA")],
    ["GFP_USER", gfpBits(bits, "__GFP_WAIT", "__GFP_IO", "__GFP_FS", "__GFP_HARDWALL")],
  ];
  if (bits.has("__GFP_DMA32")) names.push(["GFP_DMA32", gfpBits(bits, "__GFP_DMA32")]);
  return names;
}

/** Order of the trace events' names; __GFP_FS and the zones have none. */
const TRACED = [
  "HIGH",
  "WAIT",
  "IO",
  "COLD",
  "NOWARN",
  "REPEAT",
  "NOFAIL",
  "NORETRY",
  "COMP",
  "ZERO",
  "NOMEMALLOC",
  "HARDWALL",
  "THISNODE",
  "RECLAIMABLE",
  "MOVABLE",
  "NOTRACK",
  "NO_KSWAPD",
  "OTHER_NODE",
];

function traced(bits: ReadonlyMap<string, number>): GfpName[] {
  return TRACED.filter((name) => bits.has(`__GFP_${name}`)).map((name) => [
    `GFP_${name}`,
    gfpBits(bits, `__GFP_${name}`),
  ]);
}

function era(
  bits: ReadonlyMap<string, number>,
  rest: Pick<GfpEra, "name" | "since" | "basis" | "prints" | "migratetypes" | "zoneRule">,
): GfpEra {
  return {
    ...rest,
    bits,
    composites: composites(bits),
    // Where the kernel prints no names, the sources' own stand for them.
    singles: rest.prints === "nowhere" ? [...bits] : traced(bits),
    unprinted: unprinted(bits),
    none: "GFP_NOWAIT",
  };
}

/** Oldest first. The values of 2.6.24 to 2.6.30 are those of reports; those of 2.6.31 hold to 4.3. */
export const GFP_ERAS_2_6: readonly GfpEra[] = [
  era(BITS_2_6_9, {
    name: "2.6.9",
    since: "2.6.9",
    basis: "read",
    prints: "nowhere",
    migratetypes: "none",
    zoneRule: "table",
  }),
  era(BITS_2_6_11, {
    name: "2.6.11",
    since: "2.6.11",
    basis: "read",
    prints: "nowhere",
    migratetypes: "none",
    zoneRule: "table", // two bits index the node's zonelists; both together are no list at all
  }),
  era(BITS_2_6_18, {
    name: "2.6.20",
    since: "2.6.15",
    basis: "read",
    prints: "nowhere",
    migratetypes: "none",
    zoneRule: "first-match",
  }),
  era(BITS_2_6_24, {
    name: "2.6.24",
    since: "2.6.24",
    basis: "inferred",
    prints: "nowhere",
    migratetypes: "movable-2",
    zoneRule: "first-match",
  }),
  era(BITS_2_6_31, {
    name: "2.6.32",
    since: "2.6.31",
    basis: "read",
    prints: "traces",
    migratetypes: "movable-2",
    zoneRule: "table",
  }),
  era(BITS_2_6_39, {
    name: "2.6.39",
    since: "2.6.38",
    basis: "read",
    prints: "traces",
    migratetypes: "movable-2",
    zoneRule: "table",
  }),
];
