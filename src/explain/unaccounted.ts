/**
 * Memory that no counter of the report names: pages of drivers, balloons, zram, leaks of pages.
 */
import type { MemoryCase } from "./memory-case.ts";

export interface Unaccounted {
  /** Pages. */
  readonly pages: number;
  readonly share: number;
}

const NAMED = [
  "active_anon",
  "inactive_anon",
  "isolated_anon",
  "active_file",
  "inactive_file",
  "isolated_file",
  "unevictable",
  "slab_reclaimable",
  "slab_unreclaimable",
  "pagetables",
  "sec_pagetables",
  "kernel_misc_reclaimable",
  "free",
  "free_pcp",
  "bounce",
];
/** Below these it is the kernel's usual overhead. */
const SHARE_LEAST = 0.1;
const BYTES_LEAST = 200 * 2 ** 20;

/** null where it is little, or where a number of the sum is not in the report. */
export function unaccounted({ report, judgement }: MemoryCase): Unaccounted | null {
  if (judgement === null || report.zones.length === 0) return null;
  let managed = 0;
  for (const { row } of judgement.zones) {
    if (row.managed === null) return null;
    managed += row.managed;
  }
  const counters = ["active_anon", "active_file", "slab_unreclaimable", "free"];
  if (counters.some((name) => !report.counters.has(name))) return null;
  const named = NAMED.reduce((sum, name) => sum + (report.counters.get(name)?.value ?? 0), 0);
  const stacks = report.zones.reduce(
    (sum, { fields }) => sum + (fields.get("kernel_stack")?.value ?? 0) / judgement.pageKib,
    0,
  );
  const pages = Math.round(managed - named - stacks - report.hugeKib / judgement.pageKib);
  const share = pages / managed;
  const bytes = pages * judgement.pageKib * 1024;
  return share > SHARE_LEAST && bytes > BYTES_LEAST ? { pages, share } : null;
}
