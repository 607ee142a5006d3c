/**
 * Whether a few pages in a zone of their own keep kswapd awake. Up to 4.11 it went to sleep only when
 * every zone with memory was above its high mark; a zone that a balloon or a hole in the memory map
 * left with a handful of pages never is, and has nothing to reclaim.
 *
 * Linux: zone_balanced(), prepare_kswapd_sleep(), mm/vmscan.c
 */
import type { Claim, Confidence, Evidence } from "./finding.ts";
import { pages } from "./words.ts";

/** Pages. */
export interface SmallZone {
  readonly label: string;
  readonly managed: number;
  readonly free: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** Pages; and the share of the machine's memory below which a zone is an accident. */
const FEW = 1024;
const SHARE = 1024;

/** The zone that is never balanced while all others are; null for none. */
export function tinyOf(all: readonly SmallZone[]): SmallZone | null {
  const zones = all.filter(({ managed }) => managed > 0);
  const total = zones.reduce((sum, { managed }) => sum + managed, 0);
  const tiny = zones.find(({ managed, free, high }) => {
    if (free === null || high === null) return false;
    return managed <= FEW && managed * SHARE <= total && free <= high;
  });
  if (tiny === undefined) return null;
  const others = zones.filter((zone) => zone !== tiny);
  const fine = others.every(({ free, high }) => free !== null && high !== null && free > high);
  return fine && others.length > 0 ? tiny : null;
}

export function spinningClaim(
  { label, managed, free, high }: SmallZone,
  confidence: Confidence,
  evidence: readonly Evidence[],
): Claim {
  return {
    cause: "tiny-zone",
    sentence: `${label} has only ${pages(managed)} and is not above its high mark (${free} free, high ${high}), while all other zones are: up to 4.11 kswapd stays awake for it, because nothing in it can be reclaimed.`,
    confidence,
    evidence,
    advice: [
      {
        change: `let ${label} have no page or many: where a balloon or hot-plugged memory put them there, move its limit; or a kernel since 4.12`,
        why: "kswapd sleeps when every zone with memory is above its high mark, since 4.12 when one is",
        basis: "reasoned",
      },
    ],
    noHelp: [{ change: "more free memory", why: "it lies in the other zones" }],
  };
}
