/**
 * Memory that a devicetree sets aside: regions with a place of their own first, then those that only
 * say how much, each at the highest free place that it allows.
 *
 * What else is taken by then (the kernel's image, an initrd, the devicetree) is not in a devicetree,
 * so a computed place may be too high: an issue says so.
 *
 * Linux: early_init_fdt_scan_reserved_mem(), drivers/of/fdt.c; fdt_init_reserved_mem(),
 * __reserved_mem_alloc_size(), drivers/of/of_reserved_mem.c; rmem_cma_setup(), kernel/dma/contiguous.c
 */
import type { Issue, Outcome } from "../base/issue.ts";
import { intersect, type Range, rangeList, subtract } from "../base/range.ts";
import { formatBytes } from "../base/units.ts";
import type { BootLog } from "../formats/boot-log.ts";
import type { Policy } from "../kernels/policy.ts";
import type { CommandLine } from "./command-line.ts";
import type {
  Hardware,
  Layout,
  ReservedKind,
  ReservedRegion,
  ReservedRequest,
} from "./hardware.ts";
import { heapSorted } from "./heap-sort.ts";

/** Linux: SMP_CACHE_BYTES, which is asked for where no alignment is given */
const ALIGN_DEFAULT = 64;

/** Every region that stays, in the devicetree's order. Issues name those that do not. */
export function planReserved(
  hardware: Hardware,
  commandLine: CommandLine,
  layout: Layout,
  policy: Policy,
  log: BootLog | null,
): Outcome<ReservedRegion[]> {
  const issues: Issue[] = [];
  const { pageSize } = hardware.build;
  const seen = log === null ? [] : regionsInLog(log);
  const requests = (hardware.reserved ?? [])
    .map((request) => withPlace(request, seen, hardware.unmapped ?? []))
    .filter((request) => stays(request, hardware, commandLine, policy, issues));
  const fixed = requests.flatMap(({ start, bytes }) =>
    start === null ? [] : [{ start, end: start + bytes }],
  );
  const ram = rangeList(
    layout.memory.map(({ start, end }) => ({ start: start * pageSize, end: end * pageSize })),
  );
  // The first page is never given out.
  const page = { start: 0, end: pageSize };
  let free = subtract(ram, rangeList([...fixed, ...(hardware.unmapped ?? []), page]));
  const found = new Map<ReservedRequest, number>();
  for (const request of placingOrder(requests, policy)) {
    const start = highestPlace(free, request, alignOf(request, hardware, policy));
    if (start === null) {
      issues.push(nowhere(request));
      continue;
    }
    found.set(request, start);
    free = subtract(free, [{ start, end: start + request.bytes }]);
  }
  const regions = requests.map((request): ReservedRegion => {
    const { name, kind, bytes, start } = request;
    return { name, kind, start: start ?? found.get(request) ?? null, bytes, fixed: start !== null };
  });
  const computed = regions.filter((region) => !region.fixed && region.start !== null);
  if (computed.length > 0) issues.push(placesComputed(computed));
  const told = seen.filter(({ start }) => !regions.some((region) => region.start === start));
  return { value: [...regions, ...told], issues };
}

/** Those that need a place, in the order in which they get one. */
function placingOrder(
  requests: readonly ReservedRequest[],
  { boot }: Policy,
): readonly ReservedRequest[] {
  if (boot.sortsReservedMemory !== true) return requests.filter(({ start }) => start === null);
  const listed = requests.filter((request) => request.listed);
  // Without a place they count as of size 0 at 0, all alike: the sort leaves them in an order of its own.
  const sorted = heapSorted(listed, (a, b) => {
    const at = (a.start ?? 0) - (b.start ?? 0);
    return at !== 0 ? at : (a.start === null ? 0 : a.bytes) - (b.start === null ? 0 : b.bytes);
  });
  return sorted.filter(({ start }) => start === null);
}

/** What a log says was set aside; of two lines about one region the first tells its use. */
function regionsInLog({ reservedMemory }: BootLog): ReservedRegion[] {
  const regions = new Map<number, ReservedRegion>();
  for (const { start, end, kind: word, name, nomap, reusable } of reservedMemory) {
    const kind = LOG_KINDS.get(word) ?? (nomap ? "no-map" : reusable ? "cma" : "reserved");
    const region = { name: name ?? word, kind, start, bytes: end - start, fixed: true };
    if (!regions.has(start)) regions.set(start, region);
  }
  return [...regions.values()];
}

const LOG_KINDS: ReadonlyMap<string, ReservedKind> = new Map([
  ["CMA", "cma"],
  ["DMA", "coherent"],
  ["restricted DMA", "restricted"],
]);

/** The request with the place that the boot itself shows: in its log, or as a hole in what is mapped. */
function withPlace(
  request: ReservedRequest,
  seen: readonly ReservedRegion[],
  unmapped: readonly Range[],
): ReservedRequest {
  if (request.start !== null) return request;
  const { name, bytes, noMap } = request;
  const told = seen.find((region) => region.name === name && region.bytes === bytes);
  const hole = noMap ? unmapped.filter(({ start, end }) => end - start === bytes) : [];
  const start = told?.start ?? (hole.length === 1 ? hole[0]?.start : null) ?? null;
  return { ...request, start };
}

/** Whether the kernel keeps the region. A default CMA area gives way to `cma=`. */
function stays(
  request: ReservedRequest,
  hardware: Hardware,
  { cma }: CommandLine,
  policy: Policy,
  issues: Issue[],
): boolean {
  const { name, kind, start, bytes, isDefault } = request;
  const gone = (message: string): boolean => {
    issues.push({ severity: "note", source: name, message });
    return false;
  };
  if (kind !== "cma") return true;
  if (!hardware.build.cma) return gone("this build has no CMA: the region is ordinary memory");
  if (isDefault && cma !== null) return gone("cma= takes the place of this area");
  const align = cmaAlign(hardware, policy);
  if (start === null || (start % align === 0 && bytes % align === 0)) return true;
  return gone(`a CMA area must be aligned to ${formatBytes(align)}: the kernel gives it up`);
}

/** Linux: CMA_MIN_ALIGNMENT_BYTES, include/linux/cma.h */
function cmaAlign({ build }: Hardware, policy: Policy): number {
  const largest = Math.max(build.maxOrderPages ?? 0, build.pageblockPages);
  const pages = policy.boot.cmaAlignsToMaxOrder === true ? largest : build.pageblockPages;
  return pages * build.pageSize;
}

function alignOf(request: ReservedRequest, hardware: Hardware, policy: Policy): number {
  const least = request.kind === "cma" ? cmaAlign(hardware, policy) : 0;
  return Math.max(request.align, least) || ALIGN_DEFAULT;
}

/** Linux: memblock_phys_alloc_range(), __memblock_find_range_top_down(), mm/memblock.c */
function highestPlace(
  free: readonly Range[],
  { bytes, within }: ReservedRequest,
  align: number,
): number | null {
  const anywhere = [{ start: 0, end: Number.MAX_SAFE_INTEGER }];
  for (const allowed of within.length === 0 ? anywhere : within) {
    for (const { start, end } of intersect(free, [allowed]).toReversed()) {
      const at = Math.floor((end - bytes) / align) * align;
      if (at >= start) return at;
    }
  }
  return null;
}

function nowhere({ name, bytes }: ReservedRequest): Issue {
  const message = `no free memory where it may be is ${formatBytes(bytes)} large: the kernel reserves nothing`;
  return { severity: "warning", source: name, message };
}

function placesComputed(regions: readonly ReservedRegion[]): Issue {
  const names = regions.map(({ name }) => name).join(", ");
  const message = `the place of ${names} is computed: what firmware and the kernel's image take first may move it down`;
  return { severity: "note", source: "reserved-memory", message };
}
