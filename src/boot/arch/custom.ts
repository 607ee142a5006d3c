/**
 * A machine no kernel has: any zones with any limits, lowest first. One limit
 * at 2^30 is the ZONE_BIGDMA that was once proposed, one at 1 MiB the machine
 * whose devices reach nothing else.
 *
 * Limits must not go down: a kernel would silently make such a zone empty, and
 * here it is taken for the mistake that it is.
 */
import type { Issue } from "../../base/issue.ts";
import type { Policy } from "../../kernels/policy.ts";
import type { CommandLine } from "../command-line.ts";
import type { CustomZone, Hardware } from "../hardware.ts";
import { applyEdits, hex, mergeByType, plainRam, ramOf, wholePages } from "../memory-map.ts";
import { type Bounds, endOf, reportNoRam, type ZoneBound } from "./bounds.ts";

/** Zones whose pages have no permanent mapping, or whose place the layout decides. */
const NOT_LOW = new Set(["HighMem", "Movable", "Device"]);

export function boundsCustom(
  hardware: Hardware,
  commandLine: CommandLine,
  _policy: Policy,
  issues: Issue[],
): Bounds | null {
  const page = hardware.build.pageSize;
  const firmware = plainRam(hardware.memory, issues);
  const entries = mergeByType(firmware.map((range) => ({ ...range, type: 1 })));
  const ram = wholePages(ramOf(applyEdits(entries, commandLine.edits)), page);
  if (ram.length === 0) return reportNoRam(wholePages(firmware, page), issues);
  const maxPfn = endOf(ram);
  const listed = hardware.customZones.filter(({ name }) => name !== "Movable" && name !== "Device");
  if (!acceptable(listed, ram[0]?.start ?? 0, page, issues)) return null;

  const zones: ZoneBound[] = listed.map(({ name, limit }) => ({
    name,
    limitPfn: Math.min(Math.floor(limit / page), maxPfn),
  }));
  const top = zones.at(-1)?.limitPfn ?? 0;
  if (top < maxPfn) {
    issues.push({
      severity: "warning",
      message: `no zone takes the RAM above ${hex(top * page)}`,
      mend: "give the last zone no limit: rest in YAML, Infinity in code",
    });
  }
  const maxLowPfn = zones.findLast(({ name }) => !NOT_LOW.has(name))?.limitPfn ?? maxPfn;
  return { ram, zones, maxLowPfn, maxPfn, maxPossiblePfn: maxPfn, dmaLimitPfn: null };
}

function acceptable(
  zones: readonly CustomZone[],
  firstPfn: number,
  page: number,
  issues: Issue[],
): boolean {
  const before = issues.length;
  const names = new Set<string>();
  let last = 0;
  for (const { name, limit } of zones) {
    if (names.has(name)) {
      issues.push({ severity: "error", message: `there are two zones of the name ${name}` });
    }
    names.add(name);
    if (!(limit > 0)) {
      issues.push({
        severity: "error",
        message: `zone ${name} has no limit above 0`,
        mend: "limits are exclusive, in bytes; Infinity for the rest",
      });
    } else if (limit < last) {
      issues.push({
        severity: "error",
        message: `zone ${name} ends at ${hex(limit)}, below the zone before it`,
        mend: "list zones lowest first, with limits that do not go down",
      });
    }
    if (limit > last) last = limit;
  }
  if (zones.length === 0) {
    issues.push({
      severity: "error",
      message: "the machine has no zones",
      mend: "give at least one zone, for instance Normal with no limit (rest)",
    });
  } else if (last <= firstPfn * page) {
    issues.push({ severity: "error", message: "all zones end below the first RAM" });
  }
  return issues.length === before;
}
