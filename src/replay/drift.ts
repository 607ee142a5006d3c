/**
 * Each CPU keeps back a little of a zone's count of free pages, and marks are compared
 * with the rest. A worker adds it all up now and then, also whenever a CPU goes idle,
 * and no event tells. In a repaired run, a request that was served from another zone
 * than ours, though a share within the threshold explains it, shows what was kept back.
 *
 * Linux: refresh_cpu_vm_stats(), quiet_vmstat(), mm/vmstat.c
 */
import { type Memory, P_DRIFT, PCP_WORDS, Z_FREE, Z_THRESHOLD, ZONE_WORDS } from "../mm/memory.ts";
import { type Rights, servingZone } from "./request.ts";

/**
 * What may be kept back, likeliest first: nothing, as when all was just added up; then what the
 * next page tips over, as a difference shows first where only one of the two counts has moved.
 */
function shares(threshold: number): number[] {
  const order = [0];
  for (let share = threshold; share > 0; share--) order.push(-share, share);
  return order;
}

/**
 * Sets what this CPU keeps back of one zone so that zone `real` (-1
 * for none) serves the request. Returns false, with nothing changed, where that cannot be.
 */
export function explainByDrift(
  m: Memory,
  gfp: number,
  order: number,
  rights: Rights,
  real: number,
): boolean {
  for (let zone = 0; zone < m.zoneCount; zone++) {
    const at = zone * ZONE_WORDS;
    const own = (zone * m.cpuCount + m.cpu) * PCP_WORDS + P_DRIFT;
    const threshold = m.zone[at + Z_THRESHOLD];
    const drift = m.pcp[own];
    const free = m.zone[at + Z_FREE];
    for (const other of shares(threshold)) {
      m.zone[at + Z_FREE] = free + drift - other;
      m.pcp[own] = other;
      if (servingZone(m, gfp, order, rights) === real) return true;
    }
    m.zone[at + Z_FREE] = free;
    m.pcp[own] = drift;
  }
  return false;
}
