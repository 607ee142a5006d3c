/**
 * Sysctls written to a memory that is in use: marks, reserves and pageset
 * sizes as the kernel's handlers compute them then.
 *
 *   min_free_kbytes, watermark_scale_factor   marks, boost gone; then pageset sizes
 *   lowmem_reserve_ratio                      reserves
 *   percpu_pagelist_high_fraction             pageset sizes
 *
 * Linux: min_free_kbytes_sysctl_handler() and its neighbours,
 * __setup_per_zone_wmarks(), zone_pcp_update(), mm/page_alloc.c
 */
import type { Policy } from "../kernels/policy.ts";
import { driftThreshold, setReserves, specialZones } from "../mm/marks.ts";
import {
  P_BATCH,
  P_HIGH,
  P_HIGH_MAX,
  P_HIGH_MIN,
  PCP_WORDS,
  Z_BOOST,
  Z_LOW,
  Z_MANAGED,
  Z_MIN,
  Z_NODE,
  Z_THRESHOLD,
  ZONE_WORDS,
} from "../mm/memory.ts";
import { pagesetSize } from "../mm/pageset.ts";
import { zoneMarks } from "../mm/watermark.ts";
import { bareSettings, type Change } from "./change.ts";
import type { StartState } from "./start-state.ts";

/** Writes what `change` says; after a change of zones everything is computed anew. */
export function writeChange(state: StartState, change: Change, policy: Policy): void {
  const { sysctls } = change;
  const anew = change.zoneEnds.size > 0;
  const settings = { ...bareSettings(state.facts), ...sysctls };
  const marks =
    sysctls.minFreeKbytes !== undefined || sysctls.watermarkScaleFactor !== undefined || anew;
  if (marks) writeMarks(state, settings);
  if (anew) writeThresholds(state);
  if (sysctls.lowmemReserveRatio !== undefined || anew) {
    setReserves(state.m, managedOf(state), settings.lowmemReserveRatio);
  }
  if (marks || sysctls.pagelistFraction !== undefined) {
    writePagesets(state, settings.pagelistFraction, policy);
  }
}

function managedOf({ m }: StartState): number[] {
  return m.names.map((_, zone) => m.zone[zone * ZONE_WORDS + Z_MANAGED]);
}

function writeMarks(
  state: StartState,
  settings: { readonly minFreeKbytes: number; readonly watermarkScaleFactor: number },
): void {
  const { m } = state;
  const managed = managedOf(state);
  const special = specialZones(m, managed);
  const marks = zoneMarks(
    managed.map((pages, zone) => ({ managed: pages, special: special[zone] })),
    { ...settings, pageSize: m.pageSize, rule: m.rule.marks },
  );
  for (const [zone, { min, low, high, promo }] of marks.entries()) {
    m.zone.set([min, low, high, promo], zone * ZONE_WORDS + Z_MIN);
    m.zone[zone * ZONE_WORDS + Z_BOOST] = 0;
  }
}

/** A zone that was empty had no threshold. */
function writeThresholds(state: StartState): void {
  const { m } = state;
  for (const [zone, pages] of managedOf(state).entries()) {
    const at = zone * ZONE_WORDS + Z_THRESHOLD;
    if (m.zone[at] === 0 && pages > 0) m.zone[at] = driftThreshold(m, pages);
  }
}

function writePagesets(state: StartState, fraction: number, policy: Policy): void {
  const { m } = state;
  const cpus = state.facts.cpuNode;
  for (const [zone, managed] of managedOf(state).entries()) {
    const at = zone * ZONE_WORDS;
    const own = cpus.filter((node) => node === m.zone[at + Z_NODE]).length;
    const input = {
      managed,
      lowMark: m.zone[at + Z_LOW],
      cpus: own > 0 ? own : m.cpuCount,
      pageSize: m.pageSize,
      fraction,
    };
    const { high, batch, tunedTo } = pagesetSize(input, policy);
    for (let cpu = 0; cpu < m.cpuCount; cpu++) {
      const words = (zone * m.cpuCount + cpu) * PCP_WORDS;
      m.pcp[words + P_BATCH] = batch;
      m.pcp[words + P_HIGH_MIN] = tunedTo?.min ?? high;
      m.pcp[words + P_HIGH_MAX] = tunedTo?.max ?? high;
      // A tuned high stays, and is brought between its bounds at the next use.
      if (tunedTo === null || m.pcp[words + P_HIGH] === 0) m.pcp[words + P_HIGH] = high;
    }
  }
}
