/**
 * What reclaim, compaction and migration count: a row of numbers in the image for
 * each CPU that is a worker, so that nobody's counting disturbs anybody else's.
 *
 * Linux: vm_event_states, count_vm_event(), include/linux/vmstat.h; all_vm_events(), mm/vmstat.c
 */
import type { Pages } from "./pages.ts";

/** In this order in the image. Names of /proc/vmstat, but for the last three. */
export const COUNT_NAMES = [
  "pgscanKswapd",
  "pgscanDirect",
  "pgstealKswapd",
  "pgstealDirect",
  /** Passed over by scans: of zones that were too high. */
  "pgscanSkip",
  "pswpin",
  "pswpout",
  "pgmigrateSuccess",
  "pgmigrateFail",
  "compactStall",
  "compactSuccess",
  "compactFail",
  "compactMigrateScanned",
  "compactFreeScanned",
  "compactIsolated",
  "compactDaemonWake",
  "compactDaemonMigrateScanned",
  "compactDaemonFreeScanned",
  "cmaAllocSuccess",
  "cmaAllocFail",
  /** Times that kswapd of a node was woken. */
  "kswapdWakes",
  /** Requests that reclaimed, and that waited for kswapd first. */
  "allocstall",
  "pgscanDirectThrottle",
] as const;

/** What /proc/vmstat counts, since the memory was given pages that may go. */
export type ReclaimCounts = Record<(typeof COUNT_NAMES)[number], number>;

/** The row of a CPU, by name: reading and writing goes to the image. */
export function countsOf(events: Float64Array, cpu: number): ReclaimCounts {
  const counts = zeros();
  COUNT_NAMES.forEach((name, i) => {
    const at = cpu * COUNT_NAMES.length + i;
    Object.defineProperty(counts, name, {
      enumerable: true,
      get: () => events[at],
      set: (value: number) => {
        events[at] = value;
      },
    });
  });
  return counts;
}

/** What all workers have counted. Linux: all_vm_events(), mm/vmstat.c */
export function totalCounts({ events }: Pages): ReclaimCounts {
  const sums = zeros();
  events.forEach((count, at) => {
    const name = COUNT_NAMES[at % COUNT_NAMES.length];
    if (name !== undefined) sums[name] += count;
  });
  return sums;
}

function zeros(): ReclaimCounts {
  return {
    pgscanKswapd: 0,
    pgscanDirect: 0,
    pgstealKswapd: 0,
    pgstealDirect: 0,
    pgscanSkip: 0,
    pswpin: 0,
    pswpout: 0,
    pgmigrateSuccess: 0,
    pgmigrateFail: 0,
    compactStall: 0,
    compactSuccess: 0,
    compactFail: 0,
    compactMigrateScanned: 0,
    compactFreeScanned: 0,
    compactIsolated: 0,
    compactDaemonWake: 0,
    compactDaemonMigrateScanned: 0,
    compactDaemonFreeScanned: 0,
    cmaAllocSuccess: 0,
    cmaAllocFail: 0,
    kswapdWakes: 0,
    allocstall: 0,
    pgscanDirectThrottle: 0,
  };
}
