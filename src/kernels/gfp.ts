/**
 * Which GFP flags a kernel has: the values moved seven times between 2.6.9 and 6.18.
 *
 * A version gets the newest era that is not newer than it. Policy names ("6.1") are versions too.
 */
import { assert } from "../base/assert.ts";
import { GFP_ERAS_2_6 } from "./gfp-2_6.ts";
import { GFP_ERAS_4 } from "./gfp-4.ts";
import type { GfpEra, GfpName } from "./gfp-era.ts";

export type { GfpEra, GfpName } from "./gfp-era.ts";

/** Oldest first. */
export const GFP_ERAS: readonly GfpEra[] = [...GFP_ERAS_2_6, ...GFP_ERAS_4];

/**
 * The flags of a kernel `version` such as "2.6.18", "6.1.0-50-amd64" or "v6.12"; null when it is
 * no version, or older than 2.6.9.
 */
export function findGfpEra(version: string): GfpEra | null {
  const wanted = versionRank(version);
  if (wanted === null) return null;
  return GFP_ERAS.findLast((era) => (versionRank(era.since) ?? 0) <= wanted) ?? null;
}

/** The same where `version` is known to be one: a policy's name, or a constant. */
export function gfpEra(version: string): GfpEra {
  const era = findGfpEra(version);
  assert(era !== null, "no GFP era for this version");
  return era;
}

/**
 * A number that orders versions, for tables of kernels: major, minor, patch. Null for text that
 * does not start with a version.
 */
export function versionRank(version: string): number | null {
  const match = /^v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,4}))?/.exec(version.trim());
  if (match === null) return null;
  const [, major = "0", minor = "0", patch = "0"] = match;
  return (Number(major) * 1000 + Number(minor)) * 10000 + Number(patch);
}

/**
 * `era` as an architecture without a DMA32 zone of its own has it (2.6.15 to 2.6.39): "alias" on
 * ia64, where both flags are one bit and mean below 4 GiB; "absent" on 32-bit machines, where the
 * flag is no bit at all and asks for Normal.
 *
 * Linux: CONFIG_DMA_IS_DMA32, include/linux/gfp.h
 */
export function withDma32(era: GfpEra, is: "alias" | "absent"): GfpEra {
  const bit = is === "alias" ? 0x01 : 0;
  const old = era.bits.get("__GFP_DMA32") ?? 0;
  const moved = (names: readonly GfpName[]): GfpName[] =>
    names.map(([name, bits]) => [name, old !== 0 && bits === old ? bit : bits]);
  return {
    ...era,
    bits: new Map(moved([...era.bits])),
    composites: moved(era.composites),
    singles: moved(era.singles),
    unprinted: moved(era.unprinted),
  };
}
