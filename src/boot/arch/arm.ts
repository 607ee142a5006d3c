/**
 * arm (32-bit): all low memory is DMA unless the machine description narrows
 * it, what the narrow window leaves is Normal, HighMem follows or is truncated.
 *
 * `mem=` replaces the firmware's banks by its own. Without LPAE physical
 * addresses have 32 bits and the last page below 4 GiB is lost.
 */
import type { Issue } from "../../base/issue.ts";
import { clip, type Range, rangeList, subtract } from "../../base/range.ts";
import type { Policy } from "../../kernels/policy.ts";
import type { CommandLine } from "../command-line.ts";
import type { Hardware, ReservedRequest } from "../hardware.ts";
import { plainRam, wholePages } from "../memory-map.ts";
import { type Bounds, endOf, reportNoRam, type ZoneBound } from "./bounds.ts";

const MIB = 2 ** 20;
/** Linux: early_vmalloc(), arch/arm/mm/mmu.c */
const VMALLOC_LEAST_BYTES = 16 * MIB;
/** Low memory that `vmalloc=` must leave, same place. */
const LOWMEM_LEAST_BYTES = 32 * MIB;
const PAGE_OFFSET_DEFAULT = 0xc0000000;
/** PMD_SIZE, with and without LPAE. */
const SECTION_PAIR_BYTES = 2 * MIB;
/** arm_dma_limit of machines that name none: the last byte below 4 GiB. */
const DMA_LIMIT_DEFAULT = 0xffffffff;
/** PHYS_ADDR_MAX without LPAE: memblock cannot hold a range that ends above it. */
const PHYSICAL_END_32 = 0xffffffff;

/**
 * Linux: adjust_lowmem_bounds(), setup_dma_zone(), zone_sizes_init(), arch/arm/mm/
 */
export function boundsArm(
  hardware: Hardware,
  commandLine: CommandLine,
  policy: Policy,
  issues: Issue[],
): Bounds | null {
  const { build } = hardware;
  const page = build.pageSize;
  const firmware = plainRam(hardware.memory, issues);
  const banks = banksOf(firmware, hardware, commandLine, issues);
  const all = wholePages(banks, page);
  const first = all[0];
  if (first === undefined) return reportNoRam(wholePages(firmware, page), issues);

  const physOffset = Math.floor((first.start * page) / SECTION_PAIR_BYTES) * SECTION_PAIR_BYTES;
  const lowEnd = lowMemoryEnd(banks, physOffset, hardware, commandLine, policy, issues);
  const maxLowPfn = Math.floor(lowEnd / page);
  const ram = build.highmem ? all : truncated(all, lowEnd, page, issues);
  const maxPfn = endOf(ram);
  const window = hardware.armDmaZoneBytes;
  // The limit is the last byte that is reached. Since 5.8 it is taken for the exclusive pfn, so the
  // window's last page falls to Normal; before, the zone was as long as the window.
  const lastDmaByte = window === null ? DMA_LIMIT_DEFAULT : physOffset + window - 1;
  const dmaLimitPfn = Math.max(0, Math.floor(lastDmaByte / page));
  const dmaEnd = policy.boot.armWindowLosesPage || window === null ? dmaLimitPfn : dmaLimitPfn + 1;
  const zones: ZoneBound[] = [];
  if (build.zoneDma) zones.push({ name: "DMA", limitPfn: Math.min(dmaEnd, maxLowPfn) });
  zones.push({ name: "Normal", limitPfn: maxLowPfn });
  if (build.highmem) zones.push({ name: "HighMem", limitPfn: maxPfn });
  return { ram, zones, maxLowPfn, maxPfn, maxPossiblePfn: maxPfn, dmaLimitPfn };
}

/** RAM in bytes: the firmware's, or what `mem=` names. Linux: early_mem() */
function banksOf(
  firmware: readonly Range[],
  { build }: Hardware,
  { edits }: CommandLine,
  issues: Issue[],
): Range[] {
  const base = firmware[0]?.start ?? 0;
  const given: Range[] = [];
  for (const edit of edits) {
    if (edit.kind !== "mem") continue;
    const start = edit.start ?? base;
    given.push({ start, end: Math.min(start + edit.bytes, Number.MAX_SAFE_INTEGER) });
  }
  const banks = edits.some(({ kind }) => kind === "mem") ? rangeList(given) : [...firmware];
  if (given.length > 0 && banks.some((bank) => !firmware.some((r) => holds(r, bank)))) {
    issues.push({
      severity: "warning",
      message: "mem= names memory that the machine does not have; the kernel believes it",
      mend: "keep mem= inside the RAM that the firmware describes",
    });
  }
  if (build.physicalExtension) return banks;
  if (banks.some(({ end }) => end > PHYSICAL_END_32 + 1)) {
    issues.push({
      severity: "warning",
      message: "without LPAE the kernel does not see RAM above 4 GiB",
      mend: "use an LPAE kernel",
    });
  }
  return clip(banks, 0, PHYSICAL_END_32);
}

function holds(outer: Range, inner: Range): boolean {
  return outer.start <= inner.start && inner.end <= outer.end;
}

/** End of low memory in bytes. Linux: early_vmalloc(), adjust_lowmem_bounds() */
function lowMemoryEnd(
  banks: readonly Range[],
  physOffset: number,
  { build, reserved }: Hardware,
  { vmallocBytes }: CommandLine,
  policy: Policy,
  issues: Issue[],
): number {
  const area = policy.boot.armVmalloc;
  const pageOffset = build.pageOffset ?? PAGE_OFFSET_DEFAULT;
  // What `vmalloc=` names includes the hole before the area up to 5.13.
  const hole = vmallocBytes === null || policy.boot.armVmallocAddsHole ? area.hole : 0;
  const most = area.end - (pageOffset + LOWMEM_LEAST_BYTES + hole);
  const wanted = vmallocBytes ?? area.reserve - area.hole;
  const reserve = Math.max(VMALLOC_LEAST_BYTES, Math.min(wanted, most));
  if (vmallocBytes !== null && reserve !== vmallocBytes) {
    issues.push({
      severity: "warning",
      message: `vmalloc= is limited by the kernel to ${reserve / MIB} MiB`,
    });
  }
  const mappedEnd = area.end - reserve - hole - pageOffset + physOffset;
  let lowEnd = 0;
  for (const { start, end } of subtract(banks, notMapped(reserved ?? []))) {
    if (start < mappedEnd) lowEnd = Math.max(lowEnd, Math.min(mappedEnd, end));
  }
  return lowEnd;
}

/** What the devicetree takes out of the map: low memory does not end in it. */
function notMapped(reserved: readonly ReservedRequest[]): Range[] {
  return rangeList(
    reserved.flatMap(({ noMap, start, bytes }) =>
      noMap && start !== null ? [{ start, end: start + bytes }] : [],
    ),
  );
}

/** Without HIGHMEM what lies above low memory is removed. */
function truncated(all: readonly Range[], lowEnd: number, page: number, issues: Issue[]): Range[] {
  if (endOf(all) * page <= lowEnd) return [...all];
  const end = Math.floor(lowEnd / SECTION_PAIR_BYTES) * SECTION_PAIR_BYTES;
  const lost = Math.round((endOf(all) * page - end) / MIB);
  issues.push({
    severity: "warning",
    message: `built without HIGHMEM, the kernel ignores ${lost} MiB above low memory`,
    mend: "use a kernel with HIGHMEM",
  });
  return clip(all, 0, Math.floor(end / page));
}
