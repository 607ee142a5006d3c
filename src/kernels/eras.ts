/**
 * Which policy a kernel version gets, and how sure that is.
 *
 * A listed era speaks for itself and for the versions after it up to the next
 * one; a version that no capture reproduced is *unverified*, and a version
 * older than the oldest era has no policy at all.
 */
import type { Arch, Basis, Policy } from "./policy.ts";
import { V5_10 } from "./v5_10.ts";
import { V6_1 } from "./v6_1.ts";
import { V6_12 } from "./v6_12.ts";

/** Oldest first. */
const ERAS: readonly Policy[] = [V5_10, V6_1, V6_12];

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

/**
 * The era for a kernel `version` such as "6.1.0-50-amd64", "6.1" or "v6.6".
 * Returns null when `version` is not a version or older than all eras.
 */
export function resolveEra(version: string, arch: Arch): ResolvedEra | null {
  const numbers = /^v?(\d{1,3})\.(\d{1,3})/.exec(version.trim());
  if (numbers === null) return null;
  const wanted = Number(numbers[1]) * 1000 + Number(numbers[2]);
  const policy = ERAS.findLast((era) => rank(era.name) <= wanted);
  if (policy === undefined) return null;
  const exact = rank(policy.name) === wanted;
  const verified = exact && policy.capturedOn.includes(arch);
  return {
    policy,
    kernel: version.trim(),
    basis: verified ? "captured" : exact ? "read" : "inferred",
    verified,
    remark: remarkOn(policy, numbers[0], arch, exact, verified),
  };
}

function remarkOn(
  policy: Policy,
  version: string,
  arch: Arch,
  exact: boolean,
  verified: boolean,
): string | null {
  if (verified) return null;
  if (arch === "custom")
    return `no kernel has this machine: rules of ${policy.name} applied to its zones`;
  if (!exact)
    return `${version} is unverified: the rules of ${policy.name}, the nearest older era, are used`;
  return `${policy.name} on ${arch} is unverified: no capture of it has been reproduced`;
}

function rank(name: string): number {
  const [major = "0", minor = "0"] = name.split(".");
  return Number(major) * 1000 + Number(minor);
}
