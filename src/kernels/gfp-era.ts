/**
 * What a GFP era is: the bits a request is made of, and the names the kernel prints for them.
 * The eras themselves are data in the files beside this one; gfp.ts chooses among them.
 *
 * A gfp_t is 32 bits. Flags that exist only in debugging configurations (lockdep, KASAN with
 * hardware tags, object extensions) share bits from release to release and are not named: they
 * stay as hexadecimal rest, as in a kernel that lacks the name.
 */
import type { Basis } from "./policy.ts";

/** A name and the bits it stands for. */
export type GfpName = readonly [name: string, bits: number];

export interface GfpEra {
  /** The kernel people know it by, e.g. "2.6.11" or "6.1". */
  readonly name: string;
  /** The first release with these values, e.g. "2.6.9" or "5.14". */
  readonly since: string;
  readonly basis: Basis;
  /** Single flags as sources name them: "__GFP_DMA" to its bit. */
  readonly bits: ReadonlyMap<string, number>;
  /** Names of more than one flag and of zones, in the order in which printing tries them. */
  readonly composites: readonly GfpName[];
  /** Names that printing tries after the composites, in its order and spelling. */
  readonly singles: readonly GfpName[];
  /** Names that sources use and printing does not. */
  readonly unprinted: readonly GfpName[];
  /** What printing says of no bit at all. */
  readonly none: "none" | "GFP_NOWAIT";
  /** Where the era's kernels print names: nowhere, in trace events, or in reports as well. */
  readonly prints: "nowhere" | "traces" | "everywhere";
  /** Number of each mobility: none before 2.6.24; Movable is 2 up to 4.3, 1 since 4.4. */
  readonly migratetypes: "none" | "movable-2" | "movable-1";
  /** How zone bits choose: by a table of 16, or the first of DMA, DMA32, HIGHMEM that is set. */
  readonly zoneRule: "table" | "first-match";
}

/** The bits of `names` together; every name must be one of `bits`. */
export function gfpBits(bits: ReadonlyMap<string, number>, ...names: string[]): number {
  let sum = 0;
  for (const name of names) sum |= bits.get(name) ?? 0;
  return sum;
}
