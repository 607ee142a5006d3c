/**
 * What a what-if changes about a machine: `NAME=VALUE` as a user types it,
 * judged against the recorded machine.
 *
 *   min_free_kbytes, watermark_scale_factor,      written at the moment of the snapshot,
 *   watermark_boost_factor, lowmem_reserve_ratio, as the kernel's handlers would
 *   percpu_pagelist_high_fraction
 *   dma=SIZE, dma32=SIZE                          the address where the zone ends; 0: no such zone
 *   cma=SIZE                                      an area for movable pages; 0: none
 *   swiotlb=…                                     as on the command line: another bounce pool
 *
 * A value that the machine had anyway changes nothing at all.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import { parseSize } from "../base/units.ts";
import { parseCommandLine } from "../boot/command-line.ts";
import type { SettingsChange } from "../boot/timeline.ts";
import { resolveEra } from "../kernels/eras.ts";
import type { Policy } from "../kernels/policy.ts";
import { applySysctls } from "../plan/sysctls.ts";
import type { SwiotlbChange } from "./dma/variant.ts";
import type { MachineFacts } from "./snapshot.ts";

/** One thing that was asked for. */
export interface Setting {
  readonly name: string;
  readonly value: string;
  /** What the recorded machine had; null where its capture does not tell. */
  readonly before: string | null;
}

export interface Change {
  readonly settings: readonly Setting[];
  /** Sysctls that differ from the recorded ones. */
  readonly sysctls: SettingsChange;
  /** Ten-thousandths; null for the recorded one. */
  readonly boostFactor: number | null;
  /** First pfn above the zone, by the zone's name. */
  readonly zoneEnds: ReadonlyMap<string, number>;
  /** Pages of CMA areas; null for the recorded ones. */
  readonly cma: number | null;
  /** null for the recorded one. */
  readonly swiotlb: SwiotlbChange | null;
}

const PAGE_SIZE = 4096;
const BOOST = "watermark_boost_factor";
const SYSCTLS: readonly string[] = [
  "min_free_kbytes",
  "watermark_scale_factor",
  "lowmem_reserve_ratio",
  "percpu_pagelist_high_fraction",
  "percpu_pagelist_fraction",
  BOOST,
];
/** Zones whose end can be moved, by the word that moves it. */
const ENDS: ReadonlyMap<string, string> = new Map([
  ["dma", "DMA"],
  ["dma32", "DMA32"],
]);

const SWIOTLB = "swiotlb";

/** Every name that `parseChange` takes. */
export const SETTING_NAMES: readonly string[] = [...SYSCTLS, ...ENDS.keys(), "cma", SWIOTLB];

/** What is said of any other name. */
export const NOT_SETTABLE = "is nothing that a replay can change";

/** int. Linux: do_proc_dointvec_conv(), kernel/sysctl.c */
const INT_MAX = 2 ** 31 - 1;

/** Null, with errors whose source is the name, where a setting cannot be. */
export function parseChange(texts: readonly string[], facts: MachineFacts): Outcome<Change | null> {
  const issues: Issue[] = [];
  const draft = new Draft(facts);
  for (const text of texts) issues.push(...draft.take(text));
  const change = draft.change();
  issues.push(...untold(change, facts));
  const bad = issues.some(({ severity }) => severity === "error");
  return { value: bad ? null : change, issues };
}

/** Marks are computed from all of their settings at once. */
function untold({ sysctls, zoneEnds }: Change, { sysctls: told }: MachineFacts): Issue[] {
  const needed = sysctls.watermarkScaleFactor !== undefined || zoneEnds.size > 0;
  if (!needed || sysctls.minFreeKbytes !== undefined || told.has("min_free_kbytes")) return [];
  const message = "what it was is not told, and the marks are computed from it anew";
  return [error("min_free_kbytes", message, "give it with --set, too")];
}

class Draft {
  readonly #facts: MachineFacts;
  readonly #settings: Setting[] = [];
  readonly #ends: Map<string, number> = new Map();
  #sysctls: SettingsChange = {};
  #boost: number | null = null;
  #cma: number | null = null;
  #swiotlb: SwiotlbChange | null = null;

  constructor(facts: MachineFacts) {
    this.#facts = facts;
  }

  change(): Change {
    return {
      settings: this.#settings,
      sysctls: this.#sysctls,
      boostFactor: this.#boost,
      zoneEnds: this.#ends,
      cma: this.#cma,
      swiotlb: this.#swiotlb,
    };
  }

  /** What is wrong with it. */
  take(text: string): Issue[] {
    const at = text.indexOf("=");
    const name = (at < 0 ? text : text.slice(0, at)).trim().replace(/^vm[./]/, "");
    const value = at < 0 ? "" : text.slice(at + 1).trim();
    if (!SETTING_NAMES.includes(name)) {
      return [error(cut(name), NOT_SETTABLE, MEND[name] ?? KNOWN)];
    }
    if (value === "") return [error(name, "has no value", `e.g. ${name}=${EXAMPLE[name] ?? 0}`)];
    if (this.#settings.some((own) => own.name === name)) {
      return [error(name, "is there twice", "give it once")];
    }
    if (name === SWIOTLB) return this.#bounces(value);
    return SYSCTLS.includes(name) ? this.#sysctl(name, value) : this.#size(name, value);
  }

  #bounces(value: string): Issue[] {
    this.#settings.push({ name: SWIOTLB, value, before: null });
    const { value: line, issues } = parseCommandLine(`swiotlb=${value}`, "x86_64", PAGE_SIZE);
    if (issues.length > 0 && line.swiotlb.slots === null && !line.swiotlb.force) {
      return [error(SWIOTLB, `"${cut(value)}" says nothing`, "e.g. swiotlb=force or swiotlb=4096")];
    }
    this.#swiotlb = { text: value, ...line.swiotlb };
    return issues.map((issue) => ({ ...issue, source: SWIOTLB }));
  }

  #sysctl(name: string, value: string): Issue[] {
    const words = value.split(/[\s_,]+/);
    if (!words.every((word) => /^\d{1,10}$/.test(word))) {
      return [error(name, `"${cut(value)}" is not a number of 0 or more`)];
    }
    const values = words.map(Number);
    if (name !== "lowmem_reserve_ratio" && values.length > 1) {
      return [error(name, `takes one number, ${values.length} are given`)];
    }
    const before = this.#facts.sysctls.get(name) ?? null;
    this.#settings.push({ name, value, before: before?.join(" ") ?? null });
    if (before !== null && values.every((own, i) => own === before[i])) return [];
    if (name === BOOST) {
      if (values[0] > INT_MAX) return [error(name, `give at most ${INT_MAX}`)];
      this.#boost = values[0];
      return [];
    }
    const policy = policyOf(this.#facts);
    if (policy === null) return [error(name, `the rules of ${this.#facts.era} are not known`)];
    const { value: change, issues } = applySysctls([{ name, values }], bareSettings(this.#facts), {
      ...policy,
    });
    this.#sysctls = { ...this.#sysctls, ...change };
    return issues.map((issue) => ({ ...issue, source: name }));
  }

  #size(name: string, value: string): Issue[] {
    const bytes = parseSize(value);
    if (bytes === null) return [error(name, `"${cut(value)}" is not a size`, "e.g. 16M or 1G")];
    const pages = bytes / PAGE_SIZE;
    if (!Number.isInteger(pages)) return [error(name, `${value} is no whole number of pages`)];
    const zone = ENDS.get(name);
    this.#settings.push({ name, value, before: null });
    if (zone === undefined) this.#cma = pages;
    else if (!this.#facts.zones.some((own) => own.name === zone)) {
      return [error(name, `this kernel has no zone ${zone}`)];
    } else this.#ends.set(zone, pages);
    return [];
  }
}

const KNOWN: string = `known are ${SETTING_NAMES.join(", ")}`;
const EXAMPLE: Readonly<Record<string, string>> = {
  min_free_kbytes: "65536",
  lowmem_reserve_ratio: "256_256_32_0_0",
  dma: "0",
  dma32: "1G",
  cma: "64M",
};
const NOT_HONEST = "pages in use at the snapshot lie in memory that would not be there";
/** What users ask for that no start state can carry. */
const MEND: Readonly<Record<string, string>> = {
  mem: `${NOT_HONEST}; plan --set mem=… says what such a machine would have`,
  ram: `${NOT_HONEST}; plan --ram … says what such a machine would have`,
  movablecore: `${KNOWN}; plan --set movablecore=… says what the zones would be`,
  kernelcore: `${KNOWN}; plan --set kernelcore=… says what the zones would be`,
};

/** What of a change concerns pages; null for nothing. */
export function pageChange(change: Change): Change | null {
  const settings = change.settings.filter(({ name }) => name !== SWIOTLB);
  return settings.length === 0 ? null : { ...change, settings };
}

function error(source: string, message: string, mend?: string): Issue {
  const issue: Issue = { severity: "error", source, message };
  return mend === undefined ? issue : { ...issue, mend };
}

function cut(text: string): string {
  return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}

/** The policy of the facts' era; null where there is none. */
export function policyOf(facts: MachineFacts): Policy | null {
  return resolveEra(facts.era, "x86_64")?.policy ?? null;
}

/** Settings as captured; defaults where the capture does not tell. */
export function bareSettings(facts: MachineFacts): {
  readonly minFreeKbytes: number;
  readonly minFreeKbytesFrom: "given";
  readonly watermarkScaleFactor: number;
  readonly lowmemReserveRatio: readonly number[];
  readonly pagelistFraction: number;
} {
  const one = (name: string, otherwise: number): number =>
    facts.sysctls.get(name)?.[0] ?? otherwise;
  const old = one("percpu_pagelist_fraction", 0);
  return {
    minFreeKbytes: one("min_free_kbytes", 0),
    minFreeKbytesFrom: "given",
    watermarkScaleFactor: one("watermark_scale_factor", 10),
    lowmemReserveRatio: facts.reserveRatios,
    pagelistFraction: one("percpu_pagelist_high_fraction", old),
  };
}
