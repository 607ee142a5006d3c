/**
 * Sysctl writes after boot, judged as the kernel's handlers judge them.
 *
 * Linux: vm_table[], kernel/sysctl.c; min_free_kbytes_sysctl_handler() and its
 * neighbours, mm/page_alloc.c
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { Settings, SettingsChange } from "../boot/timeline.ts";
import type { Policy } from "../kernels/policy.ts";
import type { Plan } from "./plan.ts";

export interface SysctlWrite {
  /** Name below vm/, e.g. "min_free_kbytes". */
  readonly name: string;
  readonly values: readonly number[];
}

/** `min_free_kbytes=5%`: a share of what a booted machine has, to be resolved before it is written. */
export interface SysctlShare {
  readonly name: string;
  /** Of MemTotal, or of LowTotal where there is high memory. */
  readonly percent: number;
}

/** `writes` with shares in KiB of the booted machine's managed pages, rounded down. */
export function resolveShares(
  writes: readonly (SysctlWrite | SysctlShare)[],
  booted: Plan,
): SysctlWrite[] {
  const pages = booted.nodes
    .flatMap((node) => node.zones)
    .filter((zone) => zone.name !== "HighMem")
    .reduce((sum, zone) => sum + zone.managed.pages, 0);
  const kib = (pages * booted.pageSize) / 1024;
  return writes.map((write) =>
    "values" in write
      ? write
      : { name: write.name, values: [Math.floor((kib * write.percent) / 100)] },
  );
}

/** MIN_PERCPU_PAGELIST_HIGH_FRACTION: smaller fractions but 0 are refused. */
const FRACTION_MIN = 8;

/** These sysctls are int. Linux: do_proc_dointvec_conv(), kernel/sysctl.c */
const INT_MAX = 2 ** 31 - 1;

/** Names that planning knows, for messages and help. */
export const KNOWN_SYSCTLS: readonly string[] = [
  "min_free_kbytes",
  "watermark_scale_factor",
  "lowmem_reserve_ratio",
  "lower_zone_protection",
  "percpu_pagelist_high_fraction",
  "percpu_pagelist_fraction",
];

/** The change that `writes` make one after the other. A write the kernel would refuse is an error. */
export function applySysctls(
  writes: readonly SysctlWrite[],
  settings: Settings,
  policy: Policy,
): Outcome<SettingsChange> {
  const issues: Issue[] = [];
  let change: SettingsChange = {};
  for (const { name, values } of writes) {
    const refuse = (message: string, mend?: string): void => {
      const source = `sysctl ${name}`;
      issues.push({ severity: "error", source, message, ...(mend === undefined ? {} : { mend }) });
    };
    const value = values[0];
    if (value === undefined || values.some((v) => !Number.isSafeInteger(v) || v < 0)) {
      refuse("needs whole numbers of 0 or more");
    } else if (values.some((v) => v > INT_MAX)) {
      refuse(`${Math.max(...values)} is refused by the kernel`, `give at most ${INT_MAX}`);
    } else if (name === "min_free_kbytes") {
      change = { ...change, minFreeKbytes: value };
    } else if (name === "watermark_scale_factor") {
      const max = policy.sysctls.watermarkScaleFactorMax;
      if (max === null) refuse(`kernel ${policy.name} has no such setting: it came in 4.6`);
      else if (value < 1 || value > max) refuse(`${value} is out of range`, `give 1 to ${max}`);
      else change = { ...change, watermarkScaleFactor: value };
    } else if (name === "lower_zone_protection") {
      if (policy.reserve.by === "ratio") refuse("only 2.6.9 and older kernels have it");
      else change = { ...change, lowerZoneProtection: value };
    } else if (name === "lowmem_reserve_ratio" && policy.reserve.by === "marks") {
      refuse(`kernel ${policy.name} has no such setting`, "it has lower_zone_protection");
    } else if (name === "lowmem_reserve_ratio") {
      const before = change.lowmemReserveRatio ?? settings.lowmemReserveRatio;
      const ratios = before.map((old, i) => reserveRatio(values[i] ?? old, policy));
      if (values.includes(0) && policy.reserve.zeroRatio === "refused") {
        refuse(`kernel ${policy.name} divides by it`, "give ratios of 1 and more");
      }
      change = { ...change, lowmemReserveRatio: ratios };
    } else if (name === policy.pageset.fractionSysctl) {
      if (value !== 0 && value < FRACTION_MIN) {
        refuse(`${value} is refused by the kernel`, `give 0, or ${FRACTION_MIN} and more`);
      } else change = { ...change, pagelistFraction: value };
    } else if (name === "percpu_pagelist_fraction" || name === "percpu_pagelist_high_fraction") {
      const own = policy.pageset.fractionSysctl;
      const called = own === null ? "it has none like it" : `its name is ${own}`;
      const message = `kernel ${policy.name} has no ${name}: ignored; ${called}`;
      issues.push({ severity: "warning", source: "sysctl", message });
    } else {
      refuse("does not change zones, marks or reserves", `known are ${KNOWN_SYSCTLS.join(", ")}`);
    }
  }
  return { value: change, issues };
}

/** A ratio of 0 is none, or 1 in eras that cannot do without. */
function reserveRatio(ratio: number, { reserve }: Policy): number {
  return ratio < 1 && reserve.zeroRatio === "one" ? 1 : ratio;
}
