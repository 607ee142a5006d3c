/**
 * The fields of a capture while its files are read, and the capture made of them.
 */
import { type Issue, issuesIn } from "../base/issue.ts";
import type { BootLog, FirmwareRange } from "./boot-log.ts";
import type { Buddyinfo } from "./buddyinfo.ts";
import type { Capture } from "./capture.ts";
import type { KernelConfig } from "./config.ts";
import type { Cpuinfo } from "./cpuinfo.ts";
import type { DeviceLine } from "./devices.ts";
import type { Devicetree } from "./fdt.ts";
import type { Iomem } from "./iomem.ts";
import type { Meminfo } from "./meminfo.ts";
import { NodesDraft } from "./nodes.ts";
import type { Pagetypeinfo } from "./pagetypeinfo.ts";
import { parseVersion } from "./version.ts";
import type { Vmstat } from "./vmstat.ts";
import type { Zoneinfo } from "./zoneinfo.ts";

/** What has been read so far. */
export class CaptureDraft {
  version: string | null = null;
  commandLine: string | null = null;
  bootLog: BootLog | null = null;
  zoneinfo: Zoneinfo | null = null;
  buddyinfo: Buddyinfo | null = null;
  pagetypeinfo: Pagetypeinfo | null = null;
  meminfo: Meminfo | null = null;
  vmstat: Vmstat | null = null;
  iomem: Iomem | null = null;
  firmwareMemmap: readonly FirmwareRange[] | null = null;
  cpuinfo: Cpuinfo | null = null;
  config: KernelConfig | null = null;
  devicetree: Devicetree | null = null;
  thpEnabled: string | null = null;
  set: string | null = null;
  devices: readonly DeviceLine[] = [];
  readonly sysctls: Map<string, readonly number[]> = new Map();
  readonly sysctlWords: Map<string, string> = new Map();
  readonly swiotlb: Map<string, number> = new Map();
  readonly hugepages: Map<number, Map<string, number>> = new Map();
  readonly memmapFolders: Map<number, Map<string, string>> = new Map();
  readonly nodes: NodesDraft = new NodesDraft();
}

/** The capture without its variants; what the boot log says fills in for absent files. */
export function captureOf(
  name: string,
  draft: CaptureDraft,
  issues: Issue[],
): Omit<Capture, "variants"> {
  const { bootLog, swiotlb, thpEnabled } = draft;
  const versionLine = draft.version ?? bootLog?.version ?? null;
  const version = versionLine === null ? null : parseVersion(versionLine);
  if (version !== null) {
    issues.push(...issuesIn(draft.version === null ? "dmesg" : "version", version.issues));
  }
  const slots = swiotlb.get("io_tlb_nslabs");
  const thp = thpEnabled === "always" || thpEnabled === "madvise" || thpEnabled === "never";
  return {
    name,
    version: version === null || version.issues.length > 0 ? null : version.value,
    commandLine: draft.commandLine ?? bootLog?.commandLine ?? null,
    bootLog,
    zoneinfo: draft.zoneinfo,
    buddyinfo: draft.buddyinfo,
    pagetypeinfo: draft.pagetypeinfo,
    meminfo: draft.meminfo,
    vmstat: draft.vmstat,
    iomem: draft.iomem,
    firmwareMemmap: draft.firmwareMemmap,
    sysctls: draft.sysctls,
    sysctlWords: draft.sysctlWords,
    cpuinfo: draft.cpuinfo,
    devicetree: draft.devicetree,
    nodes: draft.nodes.nodes(),
    thpEnabled: thp ? thpEnabled : null,
    config: draft.config,
    swiotlb:
      slots === undefined
        ? null
        : {
            slots,
            used: swiotlb.get("io_tlb_used") ?? 0,
            highWater: swiotlb.get("io_tlb_used_hiwater") ?? null,
          },
    hugepages: draft.hugepages,
    devices: draft.devices,
  };
}
