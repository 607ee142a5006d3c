/**
 * GFP flags since 4.4: the right to reclaim directly and the right to wake kswapd are bits of their
 * own, and the names printed are those of the sources. The bits were renumbered in 4.4, 4.10, 4.18
 * and, for good, in 5.0. The edge between the tables of 4.10 and 4.18 is inferred: 4.15 is known to
 * have the older one, 4.18 the newer.
 *
 * The traces of Debian 6.1.176 and 6.12.95 print every name by the tables here.
 *
 * Linux: include/linux/gfp.h, include/linux/gfp_types.h, include/trace/events/mmflags.h
 */
import { type GfpEra, type GfpName, gfpBits } from "./gfp-era.ts";

/** What never moved. */
const FIXED: readonly GfpName[] = [
  ["__GFP_DMA", 0x01],
  ["__GFP_HIGHMEM", 0x02],
  ["__GFP_DMA32", 0x04],
  ["__GFP_MOVABLE", 0x08],
  ["__GFP_RECLAIMABLE", 0x10],
  ["__GFP_HIGH", 0x20],
  ["__GFP_IO", 0x40],
  ["__GFP_FS", 0x80],
];

/** What 4.x took over from 2.6. */
const FIXED_4: readonly GfpName[] = [
  ...FIXED,
  ["__GFP_NOWARN", 0x200],
  ["__GFP_NOFAIL", 0x800],
  ["__GFP_NORETRY", 0x1000],
  ["__GFP_MEMALLOC", 0x2000],
  ["__GFP_COMP", 0x4000],
  ["__GFP_ZERO", 0x8000],
  ["__GFP_NOMEMALLOC", 0x10000],
  ["__GFP_HARDWALL", 0x20000],
  ["__GFP_THISNODE", 0x40000],
  ["__GFP_ATOMIC", 0x80000],
  ["__GFP_ACCOUNT", 0x100000],
];

const BITS_4_4: ReadonlyMap<string, number> = new Map([
  ...FIXED_4,
  ["__GFP_COLD", 0x100],
  ["__GFP_REPEAT", 0x400],
  ["__GFP_NOTRACK", 0x200000],
  ["__GFP_DIRECT_RECLAIM", 0x400000],
  ["__GFP_OTHER_NODE", 0x800000],
  ["__GFP_WRITE", 0x1000000],
  ["__GFP_KSWAPD_RECLAIM", 0x2000000],
]);

const BITS_4_10: ReadonlyMap<string, number> = new Map([
  ...FIXED_4,
  ["__GFP_COLD", 0x100], // up to 4.14
  ["__GFP_RETRY_MAYFAIL", 0x400], // __GFP_REPEAT up to 4.12
  ["__GFP_NOTRACK", 0x200000], // up to 4.14
  ["__GFP_DIRECT_RECLAIM", 0x400000],
  ["__GFP_WRITE", 0x800000],
  ["__GFP_KSWAPD_RECLAIM", 0x1000000],
]);

const BITS_4_18: ReadonlyMap<string, number> = new Map([
  ...FIXED_4,
  ["__GFP_RETRY_MAYFAIL", 0x400],
  ["__GFP_DIRECT_RECLAIM", 0x200000],
  ["__GFP_KSWAPD_RECLAIM", 0x400000],
  ["__GFP_WRITE", 0x800000],
]);

const BITS_6_3: ReadonlyMap<string, number> = new Map([
  ...FIXED,
  ["__GFP_ZERO", 0x100],
  ["__GFP_DIRECT_RECLAIM", 0x400],
  ["__GFP_KSWAPD_RECLAIM", 0x800],
  ["__GFP_WRITE", 0x1000],
  ["__GFP_NOWARN", 0x2000],
  ["__GFP_RETRY_MAYFAIL", 0x4000],
  ["__GFP_NOFAIL", 0x8000],
  ["__GFP_NORETRY", 0x10000],
  ["__GFP_MEMALLOC", 0x20000],
  ["__GFP_COMP", 0x40000],
  ["__GFP_NOMEMALLOC", 0x80000],
  ["__GFP_HARDWALL", 0x100000],
  ["__GFP_THISNODE", 0x200000],
  ["__GFP_ACCOUNT", 0x400000],
  ["__GFP_ZEROTAGS", 0x800000], // 5.14; unnamed before, a debugging configuration's bit
]);

const BITS_6_1: ReadonlyMap<string, number> = new Map([...BITS_6_3, ["__GFP_ATOMIC", 0x200]]);

const BITS_5_0: ReadonlyMap<string, number> = new Map(
  [...BITS_6_1].filter(([name]) => name !== "__GFP_ZEROTAGS"),
);

const RECLAIM = ["__GFP_DIRECT_RECLAIM", "__GFP_KSWAPD_RECLAIM"];
const KERNEL = [...RECLAIM, "__GFP_IO", "__GFP_FS"];
const USER = [...KERNEL, "__GFP_HARDWALL"];

/** `zones` are the names of zone bits that come before the single flags. */
function composites(
  bits: ReadonlyMap<string, number>,
  nowait: readonly string[],
  zones: readonly GfpName[],
): GfpName[] {
  const movable = gfpBits(bits, ...USER, "__GFP_HIGHMEM", "__GFP_MOVABLE");
  const light =
    (movable & ~gfpBits(bits, ...RECLAIM)) |
    gfpBits(bits, "__GFP_COMP", "__GFP_NOMEMALLOC", "__GFP_NOWARN");
  return [
    ["GFP_TRANSHUGE", light | gfpBits(bits, "__GFP_DIRECT_RECLAIM")],
    ["GFP_TRANSHUGE_LIGHT", light],
    ["GFP_HIGHUSER_MOVABLE", movable],
    ["GFP_HIGHUSER", gfpBits(bits, ...USER, "__GFP_HIGHMEM")],
    ["GFP_USER", gfpBits(bits, ...USER)],
    ["GFP_KERNEL_ACCOUNT", gfpBits(bits, ...KERNEL, "__GFP_ACCOUNT")],
    ["GFP_KERNEL", gfpBits(bits, ...KERNEL)],
    ["GFP_NOFS", gfpBits(bits, ...RECLAIM, "__GFP_IO")],
    ["GFP_ATOMIC", gfpBits(bits, "__GFP_HIGH", "__GFP_ATOMIC", "__GFP_KSWAPD_RECLAIM")],
    ["GFP_NOIO", gfpBits(bits, ...RECLAIM)],
    ["GFP_NOWAIT", gfpBits(bits, ...nowait)],
    ...zones,
  ];
}

const ZONES: readonly GfpName[] = [
  ["GFP_DMA", 0x01],
  ["__GFP_HIGHMEM", 0x02],
  ["GFP_DMA32", 0x04],
];

/** Names that no table prints because an equal one comes first. */
const ALIASES: readonly GfpName[] = [
  ["__GFP_DMA", 0x01],
  ["__GFP_DMA32", 0x04],
];

/** Order of the single flags up to 6.13; __GFP_RECLAIM stands for both reclaim bits. */
const LISTED = [
  "HIGH",
  "ATOMIC",
  "IO",
  "FS",
  "COLD",
  "NOWARN",
  "REPEAT",
  "RETRY_MAYFAIL",
  "NOFAIL",
  "NORETRY",
  "COMP",
  "ZERO",
  "NOMEMALLOC",
  "MEMALLOC",
  "HARDWALL",
  "THISNODE",
  "RECLAIMABLE",
  "MOVABLE",
  "ACCOUNT",
  "NOTRACK",
  "WRITE",
  "RECLAIM",
  "DIRECT_RECLAIM",
  "KSWAPD_RECLAIM",
  "OTHER_NODE",
  "ZEROTAGS",
].map((name) => `__GFP_${name}`);

function listed(bits: ReadonlyMap<string, number>): GfpName[] {
  const all = new Map([...bits, ["__GFP_RECLAIM", gfpBits(bits, ...RECLAIM)]]);
  return LISTED.filter((name) => all.has(name)).map((name) => [name, gfpBits(all, name)]);
}

const SHARED: Pick<GfpEra, "none" | "prints" | "migratetypes" | "zoneRule"> = {
  none: "none",
  prints: "everywhere",
  migratetypes: "movable-1",
  zoneRule: "table",
};

function era(
  name: string,
  since: string,
  basis: GfpEra["basis"],
  bits: ReadonlyMap<string, number>,
  nowait: readonly string[] = ["__GFP_KSWAPD_RECLAIM"],
): GfpEra {
  return {
    ...SHARED,
    name,
    since,
    basis,
    bits,
    composites: composites(bits, nowait, ZONES),
    singles: listed(bits),
    unprinted: ALIASES,
  };
}

const QUIET_NOWAIT = ["__GFP_KSWAPD_RECLAIM", "__GFP_NOWARN"];

/** `names` as up to 4.13, which had a name for short-lived reclaimable memory. */
function withTemporary(bits: ReadonlyMap<string, number>, names: readonly GfpName[]): GfpName[] {
  const temporary: GfpName = ["GFP_TEMPORARY", gfpBits(bits, ...KERNEL, "__GFP_RECLAIMABLE")];
  return names.flatMap((name) => (name[0] === "GFP_KERNEL_ACCOUNT" ? [temporary, name] : [name]));
}

/** The composites for huge pages changed within these releases and are left to the single flags. */
const V4_4: GfpEra = {
  ...era("4.9", "4.4", "read", BITS_4_4), // reports print names since 4.6
  composites: withTemporary(BITS_4_4, era("4.9", "4.4", "read", BITS_4_4).composites).filter(
    ([name]) => !name.startsWith("GFP_TRANSHUGE"),
  ),
};

const V4_10: GfpEra = {
  ...era("4.14", "4.10", "inferred", BITS_4_10),
  composites: withTemporary(BITS_4_10, era("4.14", "4.10", "inferred", BITS_4_10).composites),
  unprinted: [...ALIASES, ["__GFP_REPEAT", 0x400]],
};

/**
 * 6.18: the list of single flags is generated, in the order of their bits, with __GFP_RECLAIM
 * before them; __GFP_HIGHMEM has become one of them.
 */
const V6_18: GfpEra = {
  ...era("6.18", "6.18", "read", BITS_6_3, QUIET_NOWAIT),
  composites: composites(BITS_6_3, QUIET_NOWAIT, [
    ["GFP_DMA", 0x01],
    ["GFP_DMA32", 0x04],
  ]),
  singles: [
    ["__GFP_RECLAIM", gfpBits(BITS_6_3, ...RECLAIM)],
    ...[...BITS_6_3].sort(([, a], [, b]) => a - b),
  ],
};

/** Oldest first. */
export const GFP_ERAS_4: readonly GfpEra[] = [
  V4_4,
  V4_10,
  era("4.19", "4.18", "read", BITS_4_18),
  era("5.10", "5.0", "read", BITS_5_0),
  era("6.1", "5.14", "captured", BITS_6_1),
  era("6.6", "6.3", "read", BITS_6_3),
  era("6.12", "6.12", "captured", BITS_6_3, QUIET_NOWAIT),
  V6_18,
];
