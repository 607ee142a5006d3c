/**
 * What both PC architectures share: the e820 map with `mem=` and `memmap=`
 * applied, and its end as the kernel computes it.
 */
import type { Issue } from "../../base/issue.ts";
import { type Range, subtract } from "../../base/range.ts";
import type { Policy } from "../../kernels/policy.ts";
import type { CommandLine } from "../command-line.ts";
import type { Hardware } from "../hardware.ts";
import {
  applyEdits,
  entriesOf,
  mergeByType,
  overlapNotes,
  ramOf,
  trimBiosRange,
} from "../memory-map.ts";
import { reportNoRam } from "./bounds.ts";

/** The ISA bus reaches 16 MiB. Linux: MAX_DMA_PFN, arch/x86/include/asm/dma.h */
export const ISA_LIMIT_BYTES = 0x1000000;

/** RAM in bytes after parameters, without its first pages and the BIOS range; null when none is left. */
export function pcRam(
  hardware: Hardware,
  commandLine: CommandLine,
  policy: Policy,
  issues: Issue[],
): Range[] | null {
  const { pageSize } = hardware.build;
  const entries = entriesOf(hardware.memory, issues);
  issues.push(...overlapNotes(entries));
  const firmware = mergeByType(entries);
  const edited = applyEdits(firmware, commandLine.edits);
  const { x86TrimsLow: low } = policy.boot;
  const whole = ramOf(edited);
  const ram =
    low === 0 ? whole : subtract(trimBiosRange(whole, pageSize), [{ start: 0, end: low }]);
  if (ram.every(({ start, end }) => Math.floor(end / pageSize) <= Math.ceil(start / pageSize))) {
    return reportNoRam(ramOf(firmware), issues);
  }
  return ram;
}

/**
 * First pfn above RAM, at most `limitPfn`. A partial last page does not count,
 * and RAM that starts above the limit is not looked at.
 * Linux: e820__end_of_ram_pfn(), arch/x86/kernel/e820.c
 */
export function endOfRamPfn(ram: readonly Range[], pageSize: number, limitPfn: number): number {
  let last = 0;
  for (const { start, end } of ram) {
    if (Math.floor(start / pageSize) >= limitPfn) continue;
    last = Math.max(last, Math.min(Math.floor(end / pageSize), limitPfn));
  }
  return last;
}
