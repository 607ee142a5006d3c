/**
 * A kernel's own numbers against its own formulas, where nothing tells the machine: a lone
 * /proc/zoneinfo, or the zone lines of a failure report. Sizes are taken as printed; marks, reserves
 * and pagesets are computed from them and compared.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { Settings } from "../boot/timeline.ts";
import type { Capture } from "../formats/capture.ts";
import type { MemoryReport } from "../formats/memory-report.ts";
import { ERAS, type ResolvedEra, resolveEra } from "../kernels/eras.ts";
import { archOfRelease, typicalFacts } from "../kernels/flavours.ts";
import type { Arch, Policy } from "../kernels/policy.ts";
import type { Check, Difference } from "./check.ts";
import type { Plan, PlannedNode, PlannedZone } from "./plan.ts";
import { equalIn, type Fit, fieldsOf, fitPrinted } from "./printed-fit.ts";
import type { PrintedInput } from "./printed-input.ts";
import {
  type Compared,
  comparedMarks,
  comparedPagesets,
  comparedReserve,
  hiddenBoost,
  printedMarks,
  printedPageset,
  printedReserves,
} from "./printed-numbers.ts";
import { type PrintedZone, zonesOfReport, zonesOfZoneinfo } from "./printed-zones.ts";

/** What a check without a machine takes as printed. */
export const SIZES = "sizes of zones";

export interface PrintedOptions {
  /** The kernel, where the text does not tell. */
  readonly kernel?: string;
}

/** Compares a capture's zoneinfo with the formulas. Null, with an error, where it has none. */
export function checkZoneinfo(
  capture: Capture,
  options: PrintedOptions = {},
): Outcome<Check | null> {
  const { zoneinfo, version, name, sysctls, nodes } = capture;
  if (zoneinfo === null || zoneinfo.zones.length === 0) return nothing(name);
  const zones = zonesOfZoneinfo(zoneinfo);
  const kernel = options.kernel ?? version?.release ?? null;
  const arch = archOf(kernel, zones, capture.cpuinfo?.arch ?? null);
  const told = nodes !== null && nodes.cpus.size > 0;
  const cpus = told ? new Map([...nodes.cpus].map(([node, own]) => [node, own.length])) : null;
  const kib = capture.meminfo?.get("MemTotal") ?? null;
  const pageSize = pageSizeOf(zones, kib, arch);
  return checkPrinted({ name, zones, kernel, arch, pageSize, sysctls, cpus });
}

/** Compares the zone lines of a report with the formulas. Null, with an error, where it has none whole. */
export function checkReport(
  report: MemoryReport,
  name: string,
  options: PrintedOptions = {},
): Outcome<Check | null> {
  const zones = zonesOfReport(report);
  if (zones.length === 0) return nothing(name);
  const kernel = options.kernel ?? report.upstream ?? report.release;
  const arch = archOf(kernel, zones, null);
  const pageSize = (report.pageKib ?? 4) * 1024;
  const sysctls = new Map<string, readonly number[]>();
  return checkPrinted({ name, zones, kernel, arch, pageSize, sysctls, cpus: null });
}

function nothing(name: string): Outcome<null> {
  const message = `${name} has no zones with their marks to compare with`;
  const mend = "give /proc/zoneinfo, or a report with its Mem-Info lines whole";
  return { value: null, issues: [{ severity: "error", message, mend }] };
}

export function checkPrinted(input: PrintedInput): Outcome<Check | null> {
  const issues: Issue[] = [];
  const chosen = chooseEra(input, issues);
  if (chosen === null) {
    const message = `no rules for kernel "${input.kernel ?? ""}"`;
    const mend = "give its version with --kernel, e.g. --kernel 5.10";
    return { value: null, issues: [{ severity: "error", source: "kernel", message, mend }] };
  }
  const { era, fit } = chosen;
  const rows = rowsOf(input.zones, fit);
  const differences = rows.flatMap(({ zone, fields }) =>
    fields
      .filter(({ predicted, kernel }) => predicted !== kernel)
      .map((field) => differenceIn(zone, field)),
  );
  const plan = planOf(input, era, fit, rows, issues);
  const check: Check = {
    plan,
    fields: fieldsOf(fit),
    equal: equalIn(fit),
    differences,
    notPredicted: [...chosen.said, ...saidOf(input, fit)],
    moments: {
      watermarks: fit.marks.moment === "now" ? "settled" : "boot",
      protection: fit.reserves.moment === "now" ? "settled" : "boot",
    },
    managedFrom: "given",
  };
  return { value: check, issues };
}

interface Chosen {
  readonly era: ResolvedEra;
  readonly fit: Fit;
  /** What was inferred about the kernel. */
  readonly said: Check["notPredicted"];
}

/**
 * The era that the kernel tells. Where it is no listed one, the next newer era is asked too, and where
 * nothing tells the kernel all are, newest first: what fits better is taken, and said.
 */
function chooseEra(input: PrintedInput, issues: Issue[]): Chosen | null {
  const arch = input.arch ?? "custom";
  const note = (message: string): void => {
    issues.push({ severity: "note", source: "kernel", message });
  };
  if (input.kernel === null) {
    const counted = input.zones.some((zone) => zone.managed !== null) ? "managed" : "present";
    const able = ERAS.filter((policy) => policy.counts === counted).toReversed();
    // A series may differ from its own first releases; both are asked.
    const rules = able.flatMap((policy) => [policy, firstReleases(policy)]);
    const fits = rules.map((policy) => fitPrinted(input, policy));
    const best = fits.reduce((a, b) => (equalIn(b) > equalIn(a) ? b : a));
    const alike = fits.filter((fit) => equalIn(fit) === equalIn(best));
    const names = [...new Set(alike.map((fit) => fit.policy.name))].join(", ");
    const why = `not told: of the rules of ${names}, which fit alike, the newest are used`;
    note(why);
    const like = inferredEra(best.policy, `like ${best.policy.name}`);
    return { era: like, fit: best, said: [{ field: "kernel", why }] };
  }
  const era = resolveEra(input.kernel, arch);
  if (era === null) return null;
  let chosen: Chosen = { era, fit: fitPrinted(input, era.policy), said: [] };
  if (era.remark !== null && arch !== "custom") note(era.remark);
  const at = ERAS.findIndex(({ name }) => name === era.policy.name);
  const exact = era.kernel.startsWith(era.policy.name);
  for (const { policy, words } of neighbours(ERAS[at], exact ? undefined : ERAS[at + 1])) {
    if (equalIn(chosen.fit) === fieldsOf(chosen.fit)) break;
    const fit = fitPrinted(input, policy);
    if (equalIn(fit) <= equalIn(chosen.fit)) continue;
    const why = `the rules of ${words} fit better and are used`;
    note(why);
    chosen = { era: inferredEra(policy, input.kernel), fit, said: [{ field: "kernel", why }] };
  }
  return chosen;
}

/** An era without what came to its stable series later. */
function firstReleases(policy: Policy): Policy {
  return (policy.backports ?? []).reduce((before, backport) => backport.without(before), policy);
}

/** Rules near an era's own: as its first releases had them, and those of the next newer era. */
function neighbours(
  own: Policy | undefined,
  newer: Policy | undefined,
): { readonly policy: Policy; readonly words: string }[] {
  const list: { policy: Policy; words: string }[] = [];
  if (own !== undefined) {
    list.push({ policy: firstReleases(own), words: `the first releases of ${own.name}` });
  }
  if (newer !== undefined) {
    list.push({ policy: newer, words: `${newer.name}, the nearest newer era,` });
    list.push({ policy: firstReleases(newer), words: `the first releases of ${newer.name}` });
  }
  return list;
}

function inferredEra(policy: Policy, kernel: string): ResolvedEra {
  return { policy, kernel, basis: "inferred", verified: false, remark: null };
}

interface Row {
  readonly zone: PrintedZone;
  readonly planned: Pick<PlannedZone, "watermarks" | "protection" | "pageset">;
  readonly counted: number;
  readonly fields: readonly Compared[];
}

function rowsOf(zones: readonly PrintedZone[], { settings, marks, reserves }: Fit): Row[] {
  const predicted = printedMarks(zones, marks.counts, settings);
  const lows = predicted.map(({ low }) => low);
  const kept = printedReserves(zones, reserves.counts, settings, lows);
  return zones.map((zone, i): Row => {
    const own = predicted[i] ?? { min: 0, low: 0, high: 0, promo: 0 };
    const reserve = kept[i] ?? [];
    const size = printedPageset(zones, i, marks.counts, own.low, settings);
    const promo = settings.policy.watermarks.promo ? own.promo : null;
    const fields = [
      ...comparedMarks(zone, own, hiddenBoost(zone, own, settings)),
      ...comparedReserve(zone, reserve, settings.names, zones),
      ...comparedPagesets(zone, size),
    ];
    const watermarks = { min: own.min, low: own.low, high: own.high, promo };
    const planned = { watermarks, protection: reserve, pageset: zone.present === 0 ? null : size };
    return { zone, planned, counted: marks.counts[i] ?? 0, fields };
  });
}

function differenceIn(zone: PrintedZone, { field, predicted, kernel }: Compared): Difference {
  const { node, name } = zone;
  const why = whyWrong(zone, field);
  return { node, zone: name, field, predicted, kernel, why };
}

/** Reserves towards higher zones hold those towards lower ones: they cannot fall. */
function whyWrong({ protection }: PrintedZone, field: string): string | null {
  const column = Number(/^protection\[(\d+)\]$/.exec(field)?.[1] ?? 0);
  const fell = (protection[column] ?? 0) < (protection[column - 1] ?? 0);
  return fell ? "reserves never fall from one zone to the next: this kernel's are wrong" : null;
}

/** What was taken as printed and what was inferred, for those who read the comparison. */
function saidOf(input: PrintedInput, fit: Fit): Check["notPredicted"] {
  const said: { field: string; why: string }[] = [
    { field: SIZES, why: "nothing tells the machine: taken as printed" },
    ...fit.inferred,
  ];
  for (const [what, { moment, counts }] of [
    ["marks", fit.marks],
    ["reserves", fit.reserves],
  ] as const) {
    if (moment === "now") continue;
    const otherwise = input.zones.flatMap((zone, i) => {
      const less = (zone.managed ?? zone.present) - (counts[i] ?? 0);
      const words = less > 0 ? `${less} fewer` : `${-less} more`;
      return less === 0 ? [] : [`${words} in N${zone.node}/${zone.name}`];
    });
    const why = `computed from other counts than now's: about ${otherwise.join(", ")}`;
    said.push({ field: `counts of the ${what}`, why });
  }
  return said;
}

function planOf(
  input: PrintedInput,
  era: ResolvedEra,
  { settings, policy }: Fit,
  rows: readonly Row[],
  issues: readonly Issue[],
): Plan {
  const numbers = [...new Set(input.zones.map((zone) => zone.node))];
  const nodes = numbers.map((node): PlannedNode => {
    const own = rows.filter(({ zone }) => zone.node === node);
    const zones = own.map((row) => plannedZone(row, settings.names));
    const tried = zones.filter((zone) => zone.present > 0).toReversed();
    const zonelist = tried.map(({ name }) => ({ node, zone: name }));
    return { node, cpus: settings.cpus.get(node) ?? 0, zones, zonelist };
  });
  const told = input.sysctls.has("min_free_kbytes");
  const sysctls: Settings = {
    minFreeKbytes: settings.minFreeKbytes,
    minFreeKbytesFrom: told ? "given" : "default",
    watermarkScaleFactor: settings.watermarkScaleFactor,
    lowmemReserveRatio: settings.ratios,
    pagelistFraction: settings.fraction,
  };
  return {
    machine: input.name,
    kernel: era.kernel,
    era: { name: policy.name, basis: era.basis, verified: era.verified },
    arch: input.arch ?? "custom",
    pageSize: input.pageSize,
    layoutFrom: "zoneinfo",
    moment: "settled",
    nodes,
    sysctls,
    pools: { swiotlb: null, swiotlbWhyNot: "not told", cma: [], crashkernel: [], hugePages: [] },
    maskPool: null,
    devices: [],
    issues,
  };
}

function plannedZone({ zone, planned, counted }: Row, names: readonly string[]): PlannedZone {
  const pages = zone.managed ?? zone.present;
  const managed = { pages, exact: true, from: "given", low: pages, high: pages } as const;
  return {
    name: zone.name,
    index: names.indexOf(zone.name),
    startPfn: zone.startPfn,
    spanned: zone.spanned,
    present: zone.present,
    managed: { ...managed, atWatermarks: counted },
    ...planned,
    ram: [],
  };
}

/** By cpuinfo, the release's flavour, or what only one architecture's zones look like. */
function archOf(
  kernel: string | null,
  zones: readonly PrintedZone[],
  cpu: Arch | null,
): Arch | null {
  if (cpu !== null) return cpu;
  const told = kernel === null ? null : archOfRelease(kernel);
  if (told !== null) return told;
  const dma = zones.find(({ name }) => name === "DMA");
  const first = zones.find((zone) => zone.startPfn !== null)?.startPfn ?? null;
  const isPc = dma !== undefined && (dma.startPfn ?? Infinity) < 4096 && dma.spanned <= 4096;
  if (isPc) return zones.some(({ name }) => name === "HighMem") ? "i386" : "x86_64";
  // RAM that starts high and high memory that follows: boards of 32-bit arm.
  const high = zones.some(({ name }) => name === "HighMem");
  return high && first !== null && first >= 4096 ? "arm" : null;
}

/** Page sizes that kernels have, bytes. */
const PAGE_SIZES = [4096, 8192, 16384, 65536] as const;
/** A container's MemTotal is its own, not the machine's: what is far from all sizes tells nothing. */
const TOLERANCE = 0.05;

/** By MemTotal over the pages managed; else what the architecture usually has. */
function pageSizeOf(
  zones: readonly PrintedZone[],
  totalKib: number | null,
  arch: Arch | null,
): number {
  const pages = zones.reduce((sum, zone) => sum + (zone.managed ?? 0), 0);
  const measured = totalKib === null || pages === 0 ? 0 : (totalKib * 1024) / pages;
  const near = PAGE_SIZES.find((size) => Math.abs(measured / size - 1) < TOLERANCE);
  return near ?? (arch === null ? 4096 : typicalFacts(arch, false).pageSize);
}
