/**
 * Which policy a kernel version gets, and how sure that is.
 *
 * A listed era speaks for itself and for the versions after it up to the next one. How its rules are
 * known depends on the architecture too: *captured* where captures of it are reproduced, *read* where
 * the source of the era was read, *inferred* everywhere else. A version older than the oldest era has
 * no policy at all. What came to a stable series later is taken back for earlier releases of it, where
 * the version tells the release.
 */
import { versionRank } from "./gfp.ts";
import type { Arch, Basis, Policy } from "./policy.ts";
import { V2_6_9 } from "./v2_6_9.ts";
import { V2_6_11 } from "./v2_6_11.ts";
import { V2_6_18 } from "./v2_6_18.ts";
import { V2_6_39 } from "./v2_6_39.ts";
import { V3_10 } from "./v3_10.ts";
import { V4_9 } from "./v4_9.ts";
import { V4_19 } from "./v4_19.ts";
import { V5_4 } from "./v5_4.ts";
import { V5_10 } from "./v5_10.ts";
import { V5_15 } from "./v5_15.ts";
import { V6_1 } from "./v6_1.ts";
import { V6_6 } from "./v6_6.ts";
import { V6_12 } from "./v6_12.ts";
import { V6_18 } from "./v6_18.ts";

/** Oldest first. */
export const ERAS: readonly Policy[] = [
  V2_6_9,
  V2_6_11,
  V2_6_18,
  V2_6_39,
  V3_10,
  V4_9,
  V4_19,
  V5_4,
  V5_10,
  V5_15,
  V6_1,
  V6_6,
  V6_12,
  V6_18,
];

export interface ResolvedEra {
  readonly policy: Policy;
  /** What was asked for, e.g. "6.1.0-50-amd64" or "6.1". */
  readonly kernel: string;
  readonly basis: Basis;
  /** True when captures of this era on this architecture are reproduced. */
  readonly verified: boolean;
  /** What to tell the user about the choice; null when there is nothing to say. */
  readonly remark: string | null;
}

/** Names of the eras, oldest first. */
export function eraNames(): string[] {
  return ERAS.map((policy) => policy.name);
}

/** Releases between which Linux ran on an architecture; absent: all of the eras here. */
const LIVED: Partial<Record<Arch, { readonly from?: string; readonly until?: string }>> = {
  arm64: { from: "3.7" },
  riscv: { from: "4.15" },
  ia64: { until: "6.7" },
};

/**
 * The era for a kernel `version` such as "6.1.0-50-amd64", "2.6.18" or "v6.6".
 * Returns null when `version` is not a version or older than all eras.
 */
export function resolveEra(version: string, arch: Arch): ResolvedEra | null {
  const kernel = version.trim();
  const wanted = versionRank(kernel);
  if (wanted === null) return null;
  const era = ERAS.findLast((policy) => rankOf(policy.name) <= wanted);
  if (era === undefined) return null;
  const exact = seriesOf(kernel) === era.name;
  const verified = exact && era.capturedOn.includes(arch);
  const read = exact && (arch === "custom" || era.readOn.includes(arch));
  const missing = exact ? backportsMissing(era, kernel, arch) : [];
  const policy = missing.reduce((before, backport) => backport.without(before), era);
  const basis = verified ? "captured" : read ? "read" : "inferred";
  const remarks = [
    remarkOn(era, kernel, arch, exact, basis),
    ...missing.map(absence),
    ghost(kernel, arch),
  ];
  const said = remarks.filter((remark) => remark !== null);
  return { policy, kernel, basis, verified, remark: said.length === 0 ? null : said.join("; ") };
}

/** "2.6.18" of "2.6.18-398.el5", "6.1" of "6.1.0-50-amd64": three numbers up to 2.6, then two. */
function seriesOf(version: string): string {
  const name = /^v?(2\.\d{1,3}\.\d{1,3}|\d{1,3}\.\d{1,3})/.exec(version)?.[1];
  return name ?? version;
}

function rankOf(version: string): number {
  return versionRank(version) ?? 0;
}

/**
 * What `version` does not have yet. Two numbers mean the series as it is today; so does a third one of
 * 0 with an extension, which distributions freeze ("6.1.0-50-amd64").
 */
function backportsMissing(
  era: Policy,
  version: string,
  arch: Arch,
): NonNullable<Policy["backports"]> {
  const release = /^v?\d+\.\d+\.(\d+)(.*)$/.exec(version);
  if (release === null || (release[1] === "0" && release[2] !== "")) return [];
  const rank = rankOf(version);
  const own = era.backports ?? [];
  return own.filter(({ since, arches }) => arches.includes(arch) && rank < rankOf(since));
}

function absence({ name, since }: NonNullable<Policy["backports"]>[number]): string {
  return `without what came in ${since}: ${name}`;
}

function remarkOn(
  era: Policy,
  version: string,
  arch: Arch,
  exact: boolean,
  basis: Basis,
): string | null {
  if (basis === "captured") return null;
  if (arch === "custom")
    return `no kernel has this machine: rules of ${era.name} applied to its zones`;
  if (!exact)
    return `${seriesOf(version)} is unverified: the rules of ${era.name}, the nearest older era, are used (inferred)`;
  if (basis === "read") {
    const source = era.readIn === null ? "" : ` in the source of ${era.readIn}`;
    return `${era.name} on ${arch} is unverified: its rules were read${source}, no capture of it has been reproduced`;
  }
  return `${era.name} on ${arch} is unverified: its rules are inferred from other architectures and eras`;
}

/** Says so where there never was such a kernel. */
function ghost(version: string, arch: Arch): string | null {
  const lived = LIVED[arch];
  const rank = versionRank(version) ?? 0;
  if (lived?.from !== undefined && rank < rankOf(lived.from))
    return `Linux runs on ${arch} since ${lived.from} only`;
  if (lived?.until !== undefined && rank >= rankOf(lived.until))
    return `Linux left ${arch} in ${lived.until}`;
  return null;
}
