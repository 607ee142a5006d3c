/**
 * Whose rules a report is judged by. The kernel's release is printed in most reports or in the log
 * before them; distributions backport, so the names of the flags overrule the release where the two
 * do not fit. Without a release the bits of the request say which tables are possible.
 */
import type { MemoryReport, ReportGfp } from "../formats/index.ts";
import { findGfpEra, GFP_ERAS, type GfpEra, gfpEra, versionRank } from "../kernels/gfp.ts";
import { type AllocRule, allocRule, allocRuleOf } from "../kernels/gfp-alloc.ts";
import { type WatermarkRule, watermarkRuleOf } from "../kernels/watermark.ts";
import { parseGfp } from "../mm/gfp-text.ts";
import { type VersionBounds, versionBounds, within } from "./guess-version.ts";

export interface ReportEra {
  /** "6.1.176"; null where nothing tells. */
  readonly version: string | null;
  readonly basis: "printed" | "flags" | "guessed";
  readonly gfp: GfpEra;
  readonly alloc: AllocRule;
  readonly marks: WatermarkRule;
  /** Boosted marks: none before 5.0, hidden in the marks up to 5.13, printed since. */
  readonly boost: "none" | "hidden" | "printed";
  /** The highatomic reserve: none before 4.4, not printed up to 5.4. */
  readonly highatomic: "none" | "hidden" | "printed";
  /** Pages of CMA are counted apart (3.7). */
  readonly cma: boolean;
  /** The column of lowmem_reserve is the highest zone's that has memory (up to 5.7). */
  readonly columnOfPopulated: boolean;
  /** Up to 4.11 kswapd sleeps only when every zone is balanced; since then one that is suffices. */
  readonly everyZoneBalanced: boolean;
  /** Zone Movable exists (2.6.23). */
  readonly movable: boolean;
}

/** Where no release is printed and no flag tells: the newest rules. */
const NEWEST = "6.12";

const OLDEST_MARKS: WatermarkRule = {
  harderAlone: true,
  watermark: "orders",
  lessFree: 0,
  atomicSkipsBoost: false,
};

/** Logs repeat the kernel and its requests: so many answers are kept. */
const KNOWN_MAX = 64;
const KNOWN = new Map<string, ReportEra>();

export function eraOf(report: MemoryReport): ReportEra {
  const printed = report.upstream ?? report.release;
  // Without a release the shape of the report counts as well.
  if (printed === null || versionRank(printed) === null) return eraBy(report);
  const key = `${printed} ${report.gfp?.bits} ${report.gfp?.names}`;
  const known = KNOWN.get(key);
  if (known !== undefined) return known;
  const own = findGfpEra(printed);
  const era = eraBy(report);
  if (own !== null && KNOWN.size < KNOWN_MAX) KNOWN.set(key, era);
  return era;
}

function eraBy(report: MemoryReport): ReportEra {
  const printed = report.upstream ?? report.release;
  const version = printed !== null && versionRank(printed) !== null ? printed : null;
  const own = version === null ? null : findGfpEra(version);
  const bounds = versionBounds(report);
  const gfp = own === null ? guessed(report.gfp, bounds) : ownOrFitting(own, report.gfp);
  const rules = version ?? ruleVersion(gfp, bounds);
  const rank = versionRank(rules) ?? 0;
  const at = (edge: string): boolean => rank >= (versionRank(edge) ?? 0);
  const alloc = allocRuleOf(rules) ?? allocRule("2.6.9");
  // The slip of some releases is not assumed where the release is only guessed.
  const marks = watermarkRuleOf(rules) ?? OLDEST_MARKS;
  return {
    version,
    basis: version !== null ? "printed" : gfp === null ? "guessed" : "flags",
    gfp: gfp ?? gfpEra(NEWEST),
    alloc,
    marks: version === null ? { ...marks, lessFree: 0 } : marks,
    boost: at("5.14") ? "printed" : at("5.0") ? "hidden" : "none",
    highatomic: at("5.5") ? "printed" : at("4.4") ? "hidden" : "none",
    cma: at("3.7"),
    columnOfPopulated: !at("5.8"),
    everyZoneBalanced: !at("4.12"),
    movable: at("2.6.23"),
  };
}

/** The release's table unless the printed names belong to another one. */
function ownOrFitting(own: GfpEra, gfp: ReportGfp | null): GfpEra {
  if (gfp === null || gfp.names === null || fits(own, gfp)) return own;
  return GFP_ERAS.findLast((era) => fits(era, gfp)) ?? own;
}

/** The newest table within the bounds that the request fits; null where none does. */
function guessed(gfp: ReportGfp | null, bounds: VersionBounds): GfpEra | null {
  const open = GFP_ERAS.filter(
    ({ since }, i) =>
      within(since, { from: null, before: bounds.before }) &&
      // An era that ends before the bound begins is out.
      (bounds.from === null ||
        within(GFP_ERAS[i + 1]?.since ?? NEWEST, { ...bounds, before: null })),
  );
  return (
    open.findLast((era) => gfp === null || (fits(era, gfp) && usual(era, gfp.bits))) ??
    open.findLast((era) => gfp === null || fits(era, gfp)) ??
    open.at(-1) ??
    null
  );
}

/** Rights to start I/O are of use only to who may reclaim. */
function usual(era: GfpEra, bits: number): boolean {
  const of = (name: string): number => era.bits.get(`__GFP_${name}`) ?? 0;
  const starts = of("IO") | of("FS");
  const reclaims = of("WAIT") | of("DIRECT_RECLAIM");
  return (bits & starts) === 0 || (bits & reclaims) !== 0;
}

/** The later of the table's first release and what the shape asks for. */
function ruleVersion(gfp: GfpEra | null, { from }: VersionBounds): string {
  const since = gfp?.since ?? NEWEST;
  return from !== null && (versionRank(from) ?? 0) > (versionRank(since) ?? 0) ? from : since;
}

function fits(era: GfpEra, gfp: ReportGfp): boolean {
  if (gfp.names === null) return possible(era, gfp.bits);
  const names = parseGfp(gfp.names, era);
  return names.issues.length === 0 && names.value === gfp.bits;
}

/**
 * Whether a caller of the era could have asked with these bits: none unknown, and the two rights to
 * reclaim go together but in GFP_ATOMIC, GFP_NOWAIT and bare zones.
 */
function possible(era: GfpEra, bits: number): boolean {
  let known = 0;
  for (const mask of era.bits.values()) known |= mask;
  if ((bits & ~known) !== 0) return false;
  const direct = era.bits.get("__GFP_DIRECT_RECLAIM") ?? 0;
  const kswapd = era.bits.get("__GFP_KSWAPD_RECLAIM") ?? 0;
  if (direct === 0) return true;
  return (bits & direct) === 0 || (bits & kswapd) !== 0;
}
