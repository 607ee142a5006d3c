/**
 * A capture: a folder with files named as in /proc and /sys, read into records.
 * Every file is optional; what is absent, empty or skipped is null or empty.
 *
 *   zoneinfo buddyinfo pagetypeinfo vmstat meminfo iomem cmdline version cpuinfo
 *   dmesg config devices thp_enabled firmware_memmap fdt
 *   vm/NAME  node/…  hugepages/hugepages-NkB/…  debug/swiotlb/…
 *   sysctl/VARIANT/{set,zoneinfo,buddyinfo,vm/NAME}    the same after a write
 *
 * Where the files come from is the caller's: `CaptureFiles` opens them. Each is
 * opened at most once and streamed; files of other names are not opened.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { BootLog, FirmwareRange } from "./boot-log.ts";
import type { Buddyinfo } from "./buddyinfo.ts";
import { captureOf } from "./capture-draft.ts";
import { readFiles } from "./capture-files.ts";
import type { KernelConfig } from "./config.ts";
import type { Cpuinfo } from "./cpuinfo.ts";
import type { DeviceLine } from "./devices.ts";
import type { Devicetree } from "./fdt.ts";
import type { Iomem } from "./iomem.ts";
import type { Meminfo } from "./meminfo.ts";
import type { Nodes } from "./nodes.ts";
import type { Pagetypeinfo } from "./pagetypeinfo.ts";
import type { KernelVersion } from "./version.ts";
import type { Vmstat } from "./vmstat.ts";
import type { Zoneinfo } from "./zoneinfo.ts";

/** Files by path below the capture's folder, with "/" between the parts. */
export interface CaptureFiles {
  readonly name: string;
  readonly paths: readonly string[];
  /** What could not be read on the machine, and why, where the capture tells. */
  readonly missing?: readonly { readonly path: string; readonly why: string }[];
  /** The text of a file in chunks of any size. */
  open(path: string): AsyncIterable<string>;
}

export interface Capture {
  readonly name: string;
  /** Of the file `version`, or else of the boot log. */
  readonly version: KernelVersion | null;
  /** Of the file `cmdline`, or else of the boot log. */
  readonly commandLine: string | null;
  readonly bootLog: BootLog | null;
  readonly zoneinfo: Zoneinfo | null;
  readonly buddyinfo: Buddyinfo | null;
  readonly pagetypeinfo: Pagetypeinfo | null;
  /** KiB and counts. */
  readonly meminfo: Meminfo | null;
  readonly vmstat: Vmstat | null;
  readonly iomem: Iomem | null;
  /** Half-open ranges of bytes; type words as in sysfs ("System RAM"). */
  readonly firmwareMemmap: readonly FirmwareRange[] | null;
  /** Numeric sysctls of vm/ by name, e.g. lowmem_reserve_ratio. */
  readonly sysctls: ReadonlyMap<string, readonly number[]>;
  /** The sysctls of vm/ whose values are words. */
  readonly sysctlWords: ReadonlyMap<string, string>;
  readonly cpuinfo: Cpuinfo | null;
  /** The board's devicetree. */
  readonly devicetree: Devicetree | null;
  readonly nodes: Nodes | null;
  /** What transparent_hugepage/enabled had chosen. */
  readonly thpEnabled: "always" | "madvise" | "never" | null;
  readonly config: KernelConfig | null;
  /** Slots of the pool (2 KiB each), how many were in use, and at most so far (6.4). */
  readonly swiotlb: {
    readonly slots: number;
    readonly used: number;
    readonly highWater: number | null;
  } | null;
  /** Attributes (nr_hugepages …) by huge page size in bytes. */
  readonly hugepages: ReadonlyMap<number, ReadonlyMap<string, number>>;
  readonly devices: readonly DeviceLine[];
  /** Names of the folders below sysctl/, in the order of the files. */
  readonly variants: readonly string[];
}

/** What a sysctl write led to. */
export interface CaptureVariant {
  /** What was written, e.g. "min_free_kbytes=1024"; "" when the file is absent. */
  readonly set: string;
  readonly sysctls: ReadonlyMap<string, readonly number[]>;
  readonly zoneinfo: Zoneinfo | null;
  readonly buddyinfo: Buddyinfo | null;
}

export interface CaptureOptions {
  /** Paths that must not be opened. */
  readonly skip?: (path: string) => boolean;
}

/**
 * Reads what is known of `files`. Issues have the path as source; a file that
 * cannot be opened or read to its end is an error among them, never an exception.
 */
export async function readCapture(
  files: CaptureFiles,
  options: CaptureOptions = {},
): Promise<Outcome<Capture>> {
  const wanted = (path: string): boolean =>
    !path.startsWith("sysctl/") && options.skip?.(path) !== true;
  const { draft, issues } = await readFiles(files, "", wanted);
  const capture = captureOf(files.name, draft, issues);
  const variants = new Set<string>();
  for (const path of files.paths) {
    const [, variant] = /^sysctl\/([^/]+)\/./.exec(path) ?? [];
    if (variant !== undefined) variants.add(variant);
  }
  return { value: { ...capture, variants: [...variants] }, issues };
}

/** Reads the folder sysctl/`variant`; an error when there is none. */
export async function readVariant(
  files: CaptureFiles,
  variant: string,
): Promise<Outcome<CaptureVariant>> {
  const folder = `sysctl/${variant}/`;
  const { draft, issues } = await readFiles(files, folder, (path) => path.startsWith(folder));
  if (!files.paths.some((path) => path.startsWith(folder))) {
    const missing: Issue = {
      severity: "error",
      message: `the capture has no variant "${variant}"`,
      source: folder,
    };
    issues.push(missing);
  }
  const { set, sysctls, zoneinfo, buddyinfo } = draft;
  return { value: { set: set ?? "", sysctls, zoneinfo, buddyinfo }, issues };
}
