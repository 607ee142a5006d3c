/**
 * What an architecture decides before zones are sized: which RAM there is, in
 * pfns, and up to which pfn each of its zones may reach.
 */
import type { Issue } from "../../base/issue.ts";
import type { Range } from "../../base/range.ts";
import type { Policy } from "../../kernels/policy.ts";
import type { CommandLine } from "../command-line.ts";
import type { Hardware } from "../hardware.ts";

/** A zone and the first pfn above it, as max_zone_pfns[] has them; without Movable and Device. */
export interface ZoneBound {
  readonly name: string;
  readonly limitPfn: number;
}

export interface Bounds {
  /** RAM in pfns, a range list: what memblock would hold. */
  readonly ram: readonly Range[];
  /** Lowest first. */
  readonly zones: readonly ZoneBound[];
  readonly maxLowPfn: number;
  readonly maxPfn: number;
  readonly maxPossiblePfn: number;
  readonly dmaLimitPfn: number | null;
}

/** Null, with an issue, when there is no RAM or the rules cannot be applied. */
export type FindBounds = (
  hardware: Hardware,
  commandLine: CommandLine,
  policy: Policy,
  issues: Issue[],
) => Bounds | null;

/** End of the last range, 0 for none. */
export function endOf(ram: readonly Range[]): number {
  return ram.at(-1)?.end ?? 0;
}

/** Reports that nothing is left to boot with, and what took it. */
export function reportNoRam(before: readonly Range[], issues: Issue[]): null {
  issues.push(
    before.length === 0
      ? {
          severity: "error",
          message: "the machine has no usable RAM",
          mend: "give at least one usable memory range of a whole page",
        }
      : {
          severity: "error",
          message: "the memory map, mem= and memmap= leave no RAM to boot with",
          mend: "give more RAM, raise mem=, or check the start and size of each memmap= piece",
        },
  );
  return null;
}
