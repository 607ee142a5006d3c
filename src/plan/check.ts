/**
 * Prediction against the kernel's own words: every field of a capture's
 * zoneinfo that the model predicts, compared.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { ManagedSource } from "../boot/hardware.ts";
import type { Capture } from "../formats/capture.ts";
import type { Zoneinfo, ZoneinfoZone } from "../formats/zoneinfo.ts";
import { checkZoneinfo, SIZES } from "./check-printed.ts";
import type { MachineInput, MachineOptions } from "./machine.ts";
import { machineFromCapture } from "./machine-from-capture.ts";
import type { Moment, Plan, PlannedZone } from "./plan.ts";
import { type PlanOptions, planMachine } from "./plan-machine.ts";
import type { SysctlWrite } from "./sysctls.ts";

export interface Difference {
  readonly node: number;
  readonly zone: string;
  /** e.g. "spanned", "managed", "min", "protection[2]", "pageset.high". */
  readonly field: string;
  readonly predicted: number | null;
  readonly kernel: number | null;
  /** Why they may differ, where it is known. */
  readonly why: string | null;
}

export interface Check {
  readonly plan: Plan;
  /** Fields compared; those "not predicted" are not counted. */
  readonly fields: number;
  readonly equal: number;
  readonly differences: readonly Difference[];
  /** Fields left out of the comparison, with the reason (e.g. managed given, pageset high tuned at run time). */
  readonly notPredicted: readonly { readonly field: string; readonly why: string }[];
  /** Which moment the kernel's marks and reserves belong to, as found by comparing. */
  readonly moments: { readonly watermarks: Moment; readonly protection: Moment };
  readonly managedFrom: ManagedSource;
}

export interface CheckOptions extends MachineOptions {
  /** Pages of zones given by the user instead of the log's. */
  readonly managed?: ReadonlyMap<string, number>;
  /** Where no machine can be made of the capture: its numbers against the formulas, sizes as printed. */
  readonly numbersAlone?: boolean;
}

/**
 * Compares the plan of a capture's machine with the capture's zoneinfo. Where
 * the log does not give managed pages exactly, the kernel's own are taken as
 * given: marks and reserves are still predicted from them, managed is not.
 * Value null, with an error, when the capture has no zoneinfo or no plan follows.
 */
export function checkCapture(capture: Capture, options: CheckOptions = {}): Outcome<Check | null> {
  const { zoneinfo } = capture;
  if (zoneinfo === null || zoneinfo.zones.length === 0) {
    const mend = "add the machine's /proc/zoneinfo, or use plan";
    const message = `${capture.name} has no zoneinfo to compare with`;
    return { value: null, issues: [{ severity: "error", message, mend }] };
  }
  const machine = machineFromCapture(capture, options);
  if (machine.value === null) {
    const wanted = options.numbersAlone === true && options.managed === undefined;
    if (!wanted) return { value: null, issues: machine.issues };
    // Without the machine its numbers can still be asked about: they follow from what zoneinfo prints.
    const { value, issues } = checkZoneinfo(capture, options);
    const why = machine.issues.map((issue): Issue => ({ ...issue, severity: "note" }));
    return { value, issues: [...why, ...issues] };
  }
  const planned = planForCheck(machine.value, zoneinfo, options);
  if (planned.plan === null) return { value: null, issues: planned.issues };
  const writes = writesSinceBoot(capture, planned.plan);
  const settled = planned.replan({ moment: "settled", sysctls: writes });
  const comparison = new Comparison(planned.plan, settled ?? planned.plan, planned.given);
  for (const zone of zoneinfo.zones) comparison.zone(zone);
  comparison.rest(zoneinfo);
  const issues = planned.issues;
  const result = comparison.result(writes);
  const { managed, cpus, ramBytes, set } = options;
  const asked =
    managed !== undefined || cpus !== undefined || ramBytes !== undefined || set !== undefined;
  if (!planned.given || asked || result.differences.length === 0) return { value: result, issues };
  // Nothing tells what the zones held when the boot set their numbers: these themselves may.
  const printed = checkZoneinfo(capture, options);
  const better = printed.value === null ? null : comparison.withNumbersOf(printed.value, result);
  if (better === null) return { value: result, issues };
  return { value: better, issues: [...issues, ...printed.issues] };
}

/** Plans, with managed from the kernel where the log does not tell it exactly. */
function planForCheck(
  machine: MachineInput,
  zoneinfo: Zoneinfo,
  options: CheckOptions,
): {
  plan: Plan | null;
  issues: readonly Issue[];
  given: boolean;
  replan(more: PlanOptions): Plan | null;
} {
  const managed = options.managed === undefined ? {} : { managed: options.managed };
  const first = planMachine(machine, managed);
  const exact = first.value?.nodes.every((node) => node.zones.every((zone) => zone.managed.exact));
  if (options.managed !== undefined || exact === true) {
    const replan = (more: PlanOptions): Plan | null =>
      planMachine(machine, { ...managed, ...more }).value;
    return {
      plan: first.value,
      issues: first.issues,
      given: options.managed !== undefined,
      replan,
    };
  }
  const seen = new Map<string, number>();
  for (const node of first.value?.nodes ?? []) {
    for (const zone of node.zones) {
      const kernel = zoneinfo.zones.find((z) => z.node === node.node && z.name === zone.name);
      // A zone that only one side has, or that is too small, is a difference, not a wrong argument.
      const pages = Math.min(kernel?.managed ?? zone.managed.pages, zone.present);
      seen.set(`N${node.node}/${zone.name}`, Math.max(0, pages));
    }
  }
  const second = planMachine(machine, { managed: seen });
  const replan = (more: PlanOptions): Plan | null =>
    planMachine(machine, { managed: seen, ...more }).value;
  return { plan: second.value, issues: second.issues, given: true, replan };
}

/** Sysctls of the capture that differ from what its boot leaves behind: somebody wrote them. */
function writesSinceBoot(capture: Capture, plan: Plan): SysctlWrite[] {
  const { sysctls } = plan;
  const booted: ReadonlyMap<string, readonly number[]> = new Map([
    ["min_free_kbytes", [sysctls.minFreeKbytes]],
    ["watermark_scale_factor", [sysctls.watermarkScaleFactor]],
    ["lowmem_reserve_ratio", sysctls.lowmemReserveRatio],
    ["percpu_pagelist_high_fraction", [sysctls.pagelistFraction]],
    ["percpu_pagelist_fraction", [sysctls.pagelistFraction]],
  ]);
  const writes: SysctlWrite[] = [];
  for (const [name, before] of booted) {
    const now = capture.sysctls.get(name);
    if (now === undefined) continue;
    // The ratio vector of the file may be shorter than the zones: Device has no entry in it.
    if (now.some((value, i) => value !== (before[i] ?? value))) writes.push({ name, values: now });
  }
  return writes;
}

/** Collects the comparison of both moments, and keeps for each group the one that fits better. */
class Comparison {
  readonly #boot: Plan;
  readonly #settled: Plan;
  readonly #given: boolean;
  readonly #fixed: Tally = newTally();
  readonly #marks: Record<Moment, Tally> = { boot: newTally(), settled: newTally() };
  readonly #reserves: Record<Moment, Tally> = { boot: newTally(), settled: newTally() };
  readonly #tuned = new Set<string>();

  constructor(boot: Plan, settled: Plan, given: boolean) {
    this.#boot = boot;
    this.#settled = settled;
    this.#given = given;
  }

  zone(seen: ZoneinfoZone): void {
    const planned = findZone(this.#boot, seen);
    if (planned === null) {
      const why = "the model has no such zone";
      this.#fixed.differences.push(difference(seen, "zone", null, seen.present, why));
      this.#fixed.fields++;
      return;
    }
    compare(this.#fixed, seen, "startPfn", planned.startPfn, seen.startPfn);
    compare(this.#fixed, seen, "spanned", planned.spanned, seen.spanned);
    compare(this.#fixed, seen, "present", planned.present, seen.present);
    if (!this.#given && seen.managed !== null) {
      compare(this.#fixed, seen, "managed", planned.managed.pages, seen.managed);
    }
    for (const moment of ["boot", "settled"] as const) {
      const plan = moment === "boot" ? this.#boot : this.#settled;
      const zone = findZone(plan, seen);
      if (zone !== null) this.#numbers(moment, seen, zone);
    }
  }

  /** Zones with memory that the kernel does not print; empty ones it may leave out. */
  rest(zoneinfo: Zoneinfo): void {
    for (const { node, zones } of this.#boot.nodes) {
      for (const { name, present } of zones) {
        const isSeen = zoneinfo.zones.some((zone) => zone.node === node && zone.name === name);
        if (isSeen || present === 0) continue;
        const why = "the kernel has no such zone";
        this.#fixed.differences.push(difference({ node, name }, "zone", present, null, why));
        this.#fixed.fields++;
      }
    }
  }

  #numbers(moment: Moment, seen: ZoneinfoZone, planned: PlannedZone): void {
    const marks = this.#marks[moment];
    // A boost is a passing state: the kernel adds it to every mark that it prints.
    const boost = seen.boost ?? 0;
    for (const mark of ["min", "low", "high"] as const) {
      compare(marks, seen, mark, planned.watermarks[mark], seen[mark] - boost);
    }
    if (seen.promo !== null && planned.watermarks.promo !== null) {
      compare(marks, seen, "promo", planned.watermarks.promo, seen.promo - boost);
    }
    seen.protection.forEach((pages, i) => {
      compare(
        this.#reserves[moment],
        seen,
        `protection[${i}]`,
        planned.protection[i] ?? null,
        pages,
      );
    });
    const { pageset } = planned;
    for (const own of pageset === null ? [] : seen.pagesets) {
      compare(marks, seen, `pageset[${own.cpu}].batch`, pageset?.batch ?? null, own.batch);
      if (pageset?.tunedTo != null) this.#tuned.add("pageset high");
      else compare(marks, seen, `pageset[${own.cpu}].high`, pageset?.high ?? null, own.high);
    }
  }

  /** `result` with the numbers of `printed` in place of its own, where they explain more; else null. */
  withNumbersOf(printed: Check, result: Check): Check | null {
    const differences = [...this.#fixed.differences, ...printed.differences];
    if (differences.length >= result.differences.length) return null;
    const fixed = this.#fixed.fields - this.#fixed.differences.length;
    const said = printed.notPredicted.filter(({ field }) => field !== SIZES);
    return {
      ...result,
      fields: this.#fixed.fields + printed.fields,
      equal: fixed + printed.equal,
      differences,
      notPredicted: [...result.notPredicted, ...said],
      moments: printed.moments,
    };
  }

  result(writes: readonly SysctlWrite[]): Check {
    const marks = better(this.#marks);
    const reserves = better(this.#reserves);
    const tallies = [this.#fixed, this.#marks[marks], this.#reserves[reserves]];
    const notPredicted = [...this.#tuned].map((field) => ({
      field,
      why: "tuned at run time inside its bounds (6.7 and later)",
    }));
    if (this.#given) {
      const why = "no log tells it exactly: taken from the kernel, marks predicted from it";
      notPredicted.push({ field: "managed", why });
    }
    for (const { name, values } of writes) {
      const why = `${values.join(" ")} is not what the boot leaves: taken as written since`;
      notPredicted.push({ field: `sysctl ${name}`, why });
    }
    const plan = marks === "settled" || reserves === "settled" ? this.#settled : this.#boot;
    return {
      plan,
      fields: tallies.reduce((sum, tally) => sum + tally.fields, 0),
      equal: tallies.reduce((sum, tally) => sum + tally.fields - tally.differences.length, 0),
      differences: tallies.flatMap((tally) => tally.differences),
      notPredicted,
      moments: { watermarks: marks, protection: reserves },
      managedFrom: plan.nodes[0]?.zones[0]?.managed.from ?? "parameters",
    };
  }
}

interface Tally {
  fields: number;
  readonly differences: Difference[];
}

function newTally(): Tally {
  return { fields: 0, differences: [] };
}

function better(tallies: Record<Moment, Tally>): Moment {
  const { boot, settled } = tallies;
  return settled.differences.length < boot.differences.length ? "settled" : "boot";
}

function compare(
  tally: Tally,
  seen: ZoneinfoZone,
  field: string,
  predicted: number | null,
  kernel: number | null,
): void {
  tally.fields++;
  if (predicted === kernel) return;
  tally.differences.push(difference(seen, field, predicted, kernel, null));
}

function difference(
  seen: Pick<ZoneinfoZone, "node" | "name">,
  field: string,
  predicted: number | null,
  kernel: number | null,
  why: string | null,
): Difference {
  return { node: seen.node, zone: seen.name, field, predicted, kernel, why };
}

function findZone(plan: Plan, seen: ZoneinfoZone): PlannedZone | null {
  const node = plan.nodes.find((candidate) => candidate.node === seen.node);
  return node?.zones.find((zone) => zone.name === seen.name) ?? null;
}
