/**
 * What printed numbers were computed from: settings that are not told, and counts of an earlier moment.
 *
 * Three things are tried, each only where the one before does not explain everything: what zones hold
 * now, settings that the numbers themselves tell (min_free_kbytes, watermark_scale_factor), and counts
 * as they were when the boot computed the numbers, inside the windows that reserves and gaps leave.
 * Whatever was inferred is said, with its value.
 */
import type { Policy } from "../kernels/policy.ts";
import { countsWithin, countWindows, type SumWindow } from "./count-windows.ts";
import type { PrintedInput } from "./printed-input.ts";
import {
  comparedMarks,
  comparedPagesets,
  comparedReserve,
  equalOf,
  hiddenBoost,
  isSpecialZone,
  type PrintedSettings,
  printedMarks,
  printedPageset,
  printedReserves,
} from "./printed-numbers.ts";
import {
  boostsIn,
  cpusPrinted,
  type Inferred,
  inferredBy,
  minFrees,
  NO_MARKS,
  scaleFactors,
  settingsFor,
} from "./printed-settings.ts";
import { countsByShares } from "./printed-shares.ts";
import { nameLists, type PrintedZone } from "./printed-zones.ts";

/** Numbers of one group, and the counts that explain them best. */
export interface Explained {
  readonly counts: readonly number[];
  /** "now": what the zones hold as printed. "before": what they held when these were computed. */
  readonly moment: "now" | "before";
  readonly equal: number;
  readonly fields: number;
}

export interface Fit {
  readonly policy: Policy;
  readonly settings: PrintedSettings;
  readonly marks: Explained;
  readonly reserves: Explained;
  readonly pagesets: { readonly equal: number; readonly fields: number };
  /** Settings that were not told: by name, with where they come from. */
  readonly inferred: readonly Inferred[];
}

export function equalIn({ marks, reserves, pagesets }: Fit): number {
  return marks.equal + reserves.equal + pagesets.equal;
}

export function fieldsOf({ marks, reserves, pagesets }: Fit): number {
  return marks.fields + reserves.fields + pagesets.fields;
}

/** How the numbers of `input` follow from the rules of `policy`. */
export function fitPrinted(input: PrintedInput, policy: Policy): Fit {
  const now = countsNow(input.zones, policy);
  const columns = Math.max(0, ...input.zones.map((zone) => zone.protection.length));
  const printed = [...new Set(input.zones.map((zone) => zone.name))];
  const tries = nameLists(printed, columns).map((names) => {
    const settings = settingsFor(input, policy, names);
    return { settings, reserves: explainReserves(input.zones, now, settings) };
  });
  const first = tries.reduce((a, b) => (b.reserves.equal > a.reserves.equal ? b : a));
  const { reserves } = first;
  const found = explainMarks(input, now, first.settings, reserves);
  const sized = explainPagesets(input, found.marks.counts, found.settings);
  return {
    policy,
    settings: sized.settings,
    marks: found.marks,
    reserves,
    pagesets: sized.pagesets,
    inferred: [...found.inferred, ...sized.inferred],
  };
}

function countsNow(zones: readonly PrintedZone[], policy: Policy): number[] {
  if (policy.counts === "present") return zones.map((zone) => zone.present);
  return zones.map((zone) => zone.managed ?? zone.present);
}

function explainReserves(
  zones: readonly PrintedZone[],
  now: readonly number[],
  settings: PrintedSettings,
): Explained {
  const score = (counts: readonly number[]): Explained => {
    const rows = printedReserves(zones, counts, settings, []);
    const fields = zones.flatMap((zone, i) =>
      comparedReserve(zone, rows[i] ?? [], settings.names, zones),
    );
    return { counts, moment: "now", equal: equalOf(fields), fields: fields.length };
  };
  const plain = score(now);
  if (plain.equal === plain.fields || settings.policy.counts === "present") return plain;
  const sums = reserveWindows(zones, settings);
  const windows = countWindows(now, sums);
  if (windows === null) return plain;
  let best = plain;
  for (const counts of countsWithin(windows, sums)) {
    const tried = score(counts);
    if (tried.equal > best.equal) best = { ...tried, moment: "before" };
    if (best.equal === best.fields) break;
  }
  return best;
}

/** What each reserve says of the zones above: a sum within one ratio's width. */
function reserveWindows(
  zones: readonly PrintedZone[],
  { names, ratios }: PrintedSettings,
): SumWindow[] {
  const windows: SumWindow[] = [];
  for (const zone of zones) {
    const index = names.indexOf(zone.name);
    const ratio = ratios[index] ?? 0;
    const keepsNothing = zone.protection.every((pages) => pages === 0);
    if (ratio === 0 || keepsNothing) continue;
    for (let j = index + 1; j < zone.protection.length; j++) {
      // Reserves never fall; one that does is no sum at all.
      if ((zone.protection[j] ?? 0) < (zone.protection[j - 1] ?? 0)) break;
      const between = names.slice(index + 1, j + 1);
      const terms = between.flatMap((name) => {
        const at = zones.findIndex((other) => other.node === zone.node && other.name === name);
        return at === -1 ? [] : [at];
      });
      const lo = (zone.protection[j] ?? 0) * ratio;
      if (terms.length > 0) windows.push({ terms, lo, hi: lo + ratio - 1 });
    }
  }
  return windows;
}

interface MarksFound {
  readonly marks: Explained;
  readonly settings: PrintedSettings;
  readonly inferred: readonly Inferred[];
}

function explainMarks(
  input: PrintedInput,
  now: readonly number[],
  settings: PrintedSettings,
  reserves: Explained,
): MarksFound {
  let best = tryMarks(input, now, settings, "now");
  const whole = (found: MarksFound): boolean => found.marks.equal === found.marks.fields;
  if (whole(best) || settings.policy.counts === "present") return best;
  const told: SumWindow[][] = [reserveWindows(input.zones, settings), []];
  for (const sums of told) {
    // Where reserves hold for what is there now they were computed since, and tell nothing of the boot.
    if (sums.length > 0 && reserves.moment === "now") continue;
    const all = [...sums, ...gapWindows(input.zones, settings)];
    const windows = countWindows(now, all);
    if (windows === null) continue;
    for (const counts of countsWithin(windows, all)) {
      const tried = tryMarks(input, counts, settings, "before");
      if (tried.marks.equal > best.marks.equal) best = tried;
      if (whole(best)) return best;
    }
  }
  for (const counts of countsByShares(input, now, settings)) {
    const tried = tryMarks(input, counts, settings, "before");
    if (tried.marks.equal > best.marks.equal) best = tried;
    if (whole(best)) return best;
  }
  return best;
}

/** The gap between two marks is a share of the zone where it is more than a quarter of min. */
function gapWindows(zones: readonly PrintedZone[], settings: PrintedSettings): SumWindow[] {
  const { watermarkScaleFactor: factor, policy } = settings;
  if (policy.watermarks.marks !== "gap" || factor === 0) return [];
  return zones.flatMap((zone, i): SumWindow[] => {
    if (isSpecialZone(zone, zones, settings)) return [];
    const gap = zone.low - zone.min;
    const hi = Math.ceil(((gap + 1) * 10000) / factor) - 1;
    const lo = gap > Math.floor(zone.min / 4) ? Math.ceil((gap * 10000) / factor) : 0;
    return [{ terms: [i], lo, hi }];
  });
}

/** The best of the settings that are told or follow from the largest zone's marks. */
function tryMarks(
  input: PrintedInput,
  counts: readonly number[],
  settings: PrintedSettings,
  moment: Explained["moment"],
): MarksFound {
  let best: MarksFound | null = null;
  for (const watermarkScaleFactor of scaleFactors(input, counts, settings)) {
    for (const minFreeKbytes of minFrees(input, counts, settings)) {
      const tried = { ...settings, watermarkScaleFactor, minFreeKbytes };
      const marks = printedMarks(input.zones, counts, tried);
      const fields = input.zones.flatMap((zone, i) => {
        const own = marks[i] ?? NO_MARKS;
        return comparedMarks(zone, own, hiddenBoost(zone, own, tried));
      });
      const equal = equalOf(fields);
      if (best !== null && equal <= best.marks.equal) continue;
      const explained = { counts, moment, equal, fields: fields.length };
      const inferred = [...inferredBy(input, tried), ...boostsIn(input.zones, marks, tried)];
      best = { marks: explained, settings: tried, inferred };
    }
  }
  return best ?? { marks: { counts, moment, equal: 0, fields: 0 }, settings, inferred: [] };
}

interface Sized {
  readonly pagesets: Fit["pagesets"];
  readonly settings: PrintedSettings;
  readonly inferred: readonly Inferred[];
}

function explainPagesets(
  input: PrintedInput,
  counts: readonly number[],
  settings: PrintedSettings,
): Sized {
  const marks = printedMarks(input.zones, counts, settings);
  const score = (tried: PrintedSettings): { equal: number; fields: number } => {
    const fields = input.zones.flatMap((zone, i) => {
      const size = printedPageset(input.zones, i, counts, marks[i]?.low ?? 0, tried);
      return comparedPagesets(zone, size);
    });
    return { equal: equalOf(fields), fields: fields.length };
  };
  let best: Sized = { settings, pagesets: score(settings), inferred: [] };
  const better = (tried: PrintedSettings, field: string, why: string): void => {
    const pagesets = score(tried);
    if (pagesets.equal <= best.pagesets.equal) return;
    best = { settings: tried, pagesets, inferred: [...best.inferred, { field, why }] };
  };
  if (settings.policy.pageset.deferredStaysSmall) {
    const why =
      "struct pages of each node's last zone were set up late (CONFIG_DEFERRED_STRUCT_PAGE_INIT)";
    better({ ...settings, deferred: true }, "pageset of the last zone", why);
  }
  const nodes = new Set(input.zones.map((zone) => zone.node)).size;
  // Only since 5.14 does a node's number of CPUs matter.
  if (input.cpus === null && nodes > 1 && settings.policy.pageset.high === "low-mark") {
    for (const [node, online] of cpusPrinted(input.zones)) {
      for (let own = online - 1; own > 0; own--) {
        const cpus = new Map([...best.settings.cpus, [node, own]]);
        better({ ...best.settings, cpus }, `CPUs of node ${node}`, `not told: ${own} fit`);
      }
    }
  }
  return best;
}
