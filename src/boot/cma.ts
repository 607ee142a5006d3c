/**
 * Contiguous memory areas: what the boot log reserved or, without a log, what
 * `cma=` and the build's default ask for.
 *
 * An area that the devicetree calls the default one takes the place of the build's.
 *
 * Only a log tells where an area without a fixed base lies. A build without CMA
 * ignores `cma=` and `hugetlb_cma=`.
 *
 * Linux: dma_contiguous_reserve(), kernel/dma/contiguous.c; hugetlb_cma_reserve(), mm/hugetlb.c
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { BootLog } from "../formats/boot-log.ts";
import type { CommandLine } from "./command-line.ts";
import type { CmaArea, Hardware, Layout, ReservedRegion } from "./hardware.ts";

const DEFAULT_AREA = "reserved"; // the kernel's name of the default area

/** The areas of this boot, in the order they are reserved. */
export function planCma(
  hardware: Hardware,
  commandLine: CommandLine,
  layout: Layout,
  log: BootLog | null,
  reserved: readonly ReservedRegion[] = [],
): Outcome<CmaArea[]> {
  const issues: Issue[] = [];
  const own = reserved.flatMap(({ kind, name, start, bytes }) =>
    kind === "cma" && start !== null ? [{ name, start, bytes }] : [],
  );
  if (log !== null && (log.cma.length > 0 || log.memory !== null)) {
    const printed = log.cma.map(({ start, end }) => ({
      name: DEFAULT_AREA,
      start,
      bytes: end - start,
    }));
    return { value: [...own, ...printed], issues };
  }
  const { build } = hardware;
  if (!build.cma) {
    for (const [name, given] of [
      ["cma=", (commandLine.cma?.bytes ?? 0) > 0],
      ["hugetlb_cma=", commandLine.hugetlbCmaBytes > 0],
    ] as const) {
      if (!given) continue;
      const message = `this build has no CMA: ${name} is ignored`;
      issues.push({ severity: "note", message, source: "command line" });
    }
    return { value: [], issues };
  }
  const areas: CmaArea[] = [...own, ...hugetlbAreas(hardware, commandLine, layout, issues)];
  const chosen = (hardware.reserved ?? []).filter(({ isDefault }) => isDefault);
  if (chosen.some(({ name }) => own.some((area) => area.name === name))) {
    return { value: areas, issues };
  }
  const standard = defaultArea(hardware, commandLine, layout, issues);
  if (standard !== null) areas.push(standard);
  return { value: areas, issues };
}

function defaultArea(
  hardware: Hardware,
  commandLine: CommandLine,
  layout: Layout,
  issues: Issue[],
): CmaArea | null {
  const { build } = hardware;
  const alignment = build.pageblockPages * build.pageSize;
  const {
    bytes: asked,
    base,
    limit,
  } = commandLine.cma ?? {
    bytes: build.cmaDefaultBytes,
    base: 0,
    limit: 0,
  };
  if (asked === 0) return null;
  const bytes = Math.ceil(asked / alignment) * alignment;
  const fixed = base > 0 && (limit === 0 || base + asked === limit);
  if (fixed && base % alignment !== 0) {
    issues.push({
      severity: "warning",
      message: "cma=: the base is not aligned to a pageblock, so the kernel reserves nothing",
      source: "command line",
      mend: `align it to ${alignment / 2 ** 20} MiB`,
    });
    return null;
  }
  if (fixed || hasRoom(hardware, layout, bytes, limit)) {
    return { name: DEFAULT_AREA, start: fixed ? base : null, bytes };
  }
  issues.push({
    severity: "warning",
    message: `no RAM below the DMA limit has ${bytes / 2 ** 20} MiB in one piece, so the kernel reserves no CMA area`,
    source: "cma",
  });
  return null;
}

/** arm and arm64 look below what every device reaches. Linux: dma_contiguous_reserve(arm64_dma_phys_limit) */
function hasRoom(
  { arch, build }: Hardware,
  { memory, dmaLimitPfn }: Layout,
  bytes: number,
  limit: number,
): boolean {
  if (memory.length === 0 || (arch !== "arm64" && arch !== "arm")) return true;
  const ends = [dmaLimitPfn ?? Infinity, limit === 0 ? Infinity : limit / build.pageSize];
  const end = Math.min(...ends);
  return memory.some((ram) => (Math.min(ram.end, end) - ram.start) * build.pageSize >= bytes);
}

/**
 * One area a node, each a share of `hugetlb_cma=` rounded up to gigantic pages;
 * less than one such page is refused. Only arm64 and x86-64 have them.
 */
function hugetlbAreas(
  hardware: Hardware,
  commandLine: CommandLine,
  layout: Layout,
  issues: Issue[],
): CmaArea[] {
  const asked = commandLine.hugetlbCmaBytes;
  if (asked === 0 || (hardware.arch !== "arm64" && hardware.arch !== "x86_64")) return [];
  // A page table of pageSize / 8 entries maps gigantic pages: 1 GiB with 4 KiB pages.
  const entries = hardware.build.pageSize / 8;
  const unit =
    hardware.build.pageSize === 4096
      ? hardware.build.pageSize * entries * entries
      : hardware.build.pageSize * entries;
  if (asked < unit) {
    issues.push({
      severity: "warning",
      message: `hugetlb_cma= is smaller than one gigantic page of ${unit / 2 ** 20} MiB; the kernel refuses it`,
      source: "command line",
    });
    return [];
  }
  const nodes = layout.nodes.filter((node) => layout.memory.some((ram) => ram.node === node));
  const areas: CmaArea[] = [];
  const share = Math.ceil(asked / Math.max(1, nodes.length));
  let left = asked;
  for (const node of nodes) {
    if (left <= 0) break;
    const bytes = Math.ceil(Math.min(share, left) / unit) * unit;
    areas.push({ name: `hugetlb${node}`, start: null, bytes });
    left -= bytes;
  }
  return areas;
}
