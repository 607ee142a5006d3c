/**
 * Memory set aside at boot for one purpose: the bounce pool, CMA areas, the
 * crash kernel and huge pages. What the boot log says counts; the rest is
 * computed from parameters, and a place that only a log can tell stays null.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { BootLog } from "../formats/boot-log.ts";
import type { Policy } from "../kernels/policy.ts";
import { planCma } from "./cma.ts";
import type { CommandLine } from "./command-line.ts";
import type { Hardware, Layout, Pools } from "./hardware.ts";
import { planCrashkernel } from "./pools-crashkernel.ts";
import { planReserved } from "./reserved-memory.ts";
import { planSwiotlb } from "./swiotlb.ts";

/** All pools of a boot; sizes in bytes. Issues name what was ignored or is a guess. */
export function planPools(
  hardware: Hardware,
  commandLine: CommandLine,
  layout: Layout,
  policy: Policy,
  log: BootLog | null,
): Outcome<Pools> {
  const swiotlb = planSwiotlb(hardware, commandLine, layout, policy, log);
  const reserved = planReserved(hardware, commandLine, layout, policy, log);
  const cma = planCma(hardware, commandLine, layout, log, reserved.value);
  const crashkernel = planCrashkernel(hardware, commandLine, layout, log, cma.value);
  const issues: Issue[] = [...reserved.issues, ...cma.issues, ...crashkernel.issues];
  const value: Pools = {
    swiotlb: swiotlb.pool,
    swiotlbWhyNot: swiotlb.whyNot,
    cma: cma.value,
    crashkernel: crashkernel.value,
    ...(reserved.value.length === 0 ? {} : { reserved: reserved.value }),
    hugePages: hugePages(hardware, commandLine, log),
  };
  return { value, issues };
}

/** Huge pages taken at boot: those the log counts, which may be fewer than asked for. */
function hugePages(
  hardware: Hardware,
  commandLine: CommandLine,
  log: BootLog | null,
): { readonly pageBytes: number; readonly count: number }[] {
  if (log !== null && log.hugePages.length > 0) {
    return log.hugePages
      .filter((pool) => pool.count > 0)
      .map(({ pageBytes, count }) => ({ pageBytes, count }));
  }
  const { pageblockPages, pageSize } = hardware.build;
  return commandLine.hugePages
    .filter((pool) => pool.count > 0)
    .map(({ pageBytes, count }) => ({ pageBytes: pageBytes ?? pageblockPages * pageSize, count }));
}
