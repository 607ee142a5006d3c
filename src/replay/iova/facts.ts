/**
 * What a capture tells about the machine's IOMMU before the first request: the
 * groups with the type of their domain, and which windows of the address space
 * nobody gets.
 *
 *   0 DMA-FQ 0000:00:00.0  0x00000000fee00000 0x00000000feefffff msi;     iommu_groups
 *   pci_bus 0000:00: root bus resource [mem 0x80000000-0xafffffff window] dmesg
 *
 * Linux: iova_reserve_pci_windows(), iova_reserve_iommu_regions(),
 * drivers/iommu/dma-iommu.c; /sys/kernel/iommu_groups/N/{type,reserved_regions}
 */
import type { Range } from "../../base/range.ts";

export type DomainMode = "strict" | "lazy" | "identity";

export interface IommuGroup {
  readonly group: number;
  /** Null for types that are not the DMA API's. */
  readonly mode: DomainMode | null;
  readonly devices: readonly string[];
  /** Bytes, end exclusive. */
  readonly reserved: readonly Range[];
}

export interface IommuFacts {
  readonly version: string;
  readonly cpus: number;
  /** Ticks a second. */
  readonly hz: number;
  readonly groups: readonly IommuGroup[];
  /** Memory windows of PCI host bridges, bytes, end exclusive. */
  readonly windows: readonly Range[];
  /** What the hardware's tables look like; null where it is not told. */
  readonly tables: TableFacts | null;
}

/** The same, with what is told of all groups at once and what was not told. */
export interface IovaEvidence extends IommuFacts {
  readonly modeOfAll: DomainMode | null;
  /** Whether `hz` was told. */
  readonly hzKnown: boolean;
}

/** Texts that a recording has beside it; null where it has not. */
export interface IovaTexts {
  /** `/sys/kernel/iommu_groups`, one group a line. */
  readonly groups: string | null;
  readonly log: string | null;
  readonly config: string | null;
}

/** Debian's on x86 and arm64. */
const USUAL_HZ = 250;

export function iovaEvidence(version: string, cpus: number, texts: IovaTexts): IovaEvidence {
  const log = texts.log ?? "";
  const [, hz] = /^CONFIG_HZ=(\d{2,4})$/m.exec(texts.config ?? "") ?? [];
  return {
    version,
    cpus,
    hz: hz === undefined ? USUAL_HZ : Number(hz),
    hzKnown: hz !== undefined,
    groups: iommuGroups(texts.groups ?? ""),
    windows: bridgeWindows(log),
    tables: tablesFromLog(log),
    modeOfAll: modeFromLog(log),
  };
}

export interface TableFacts {
  readonly levels: number;
  /** log2 of the page sizes. */
  readonly pageShifts: readonly number[];
}

const MODES: Readonly<Record<string, DomainMode>> = {
  DMA: "strict",
  "DMA-FQ": "lazy",
  identity: "identity",
};

const REGION = /(0x[\da-f]+) (0x[\da-f]+) ([\w-]+)/g;

/** Lines of another form are left out. */
function iommuGroups(text: string): IommuGroup[] {
  const groups: IommuGroup[] = [];
  for (const line of text.split("\n")) {
    const [, group, type = "", rest = ""] = /^(\d+) (\S+) (.*)$/.exec(line) ?? [];
    if (group === undefined) continue;
    const [devices = "", regions = ""] = rest.split(/ {2,}/);
    const reserved = [...regions.matchAll(REGION)].flatMap(([, start, end, kind]) =>
      // Software places that window itself, so it does not take it away.
      kind === "sw-msi" ? [] : [{ start: Number(start), end: Number(end) + 1 }],
    );
    const names = devices.split(" ").filter((name) => name !== "");
    groups.push({ group: Number(group), mode: MODES[type] ?? null, devices: names, reserved });
  }
  return groups;
}

const WINDOW = /pci_bus [\da-f:]+: root bus resource \[mem (0x[\da-f]+)-(0x[\da-f]+)/g;

/** Of a boot's log. */
function bridgeWindows(log: string): Range[] {
  return [...log.matchAll(WINDOW)].map(([, start, end]) => ({
    start: Number(start),
    end: Number(end) + 1,
  }));
}

/** How domains unmap where no group tells: what the log says of all of them. */
function modeFromLog(log: string): DomainMode | null {
  if (/iommu: Default domain type: Passthrough/.test(log)) return "identity";
  const [, mode] = /TLB invalidation policy: (lazy|strict) mode/.exec(log) ?? [];
  return mode === "lazy" || mode === "strict" ? mode : null;
}

const CAPABILITY = /DMAR: dmar\d+: reg_base_addr [\da-f]+ ver \S+ cap ([\da-f]+) ecap/;

/**
 * Intel's units tell their capability register: the widest address that all
 * levels of tables reach (SAGAW, bits 8 to 12: 1 is three levels) and large pages
 * (SLLPS, bits 34 and 35). Null without such a line.
 *
 * Linux: cap_sagaw(), cap_super_page_val(), drivers/iommu/intel/iommu.h
 */
function tablesFromLog(log: string): TableFacts | null {
  const [, cap] = CAPABILITY.exec(log) ?? [];
  if (cap === undefined) return null;
  const bits = BigInt(`0x${cap}`);
  const has = (bit: number): boolean => ((bits >> BigInt(bit)) & 1n) === 1n;
  const levels = [3, 4, 5].findLast((level) => has(8 + level - 2));
  if (levels === undefined) return null;
  const large = [21, 30].filter((_, i) => has(34 + i));
  return { levels, pageShifts: [12, ...large] };
}
