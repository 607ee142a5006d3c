/**
 * This machine as a capture: the same files, read from /proc and /sys now.
 *
 * Works without root, in a container and where /sys is thin: what could not be
 * had is remembered with the reason, so that a screen can say it. Addresses
 * that the kernel hides (zeros in /proc/iomem) count as not there.
 */

import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import type { CaptureFiles } from "../formats/capture.ts";
import { fdtText } from "../formats/fdt-text.ts";
import { unpackWhole } from "./bytes.ts";
import { readDevices } from "./live-devices.ts";
import { readKernelLog } from "./live-log.ts";
import { namesIn, textOf } from "./sysfs.ts";

/** Where one file of the capture came from, or why it is missing. */
export interface LiveSource {
  /** Path in the capture, e.g. "firmware_memmap". */
  readonly path: string;
  /** Where it was read, e.g. "/sys/firmware/memmap". */
  readonly from: string;
  /** null when it was read. */
  readonly missing: string | null;
}

export interface LiveCapture {
  readonly files: CaptureFiles;
  readonly sources: readonly LiveSource[];
}

const PROC_FILES: readonly string[] = [
  "zoneinfo",
  "buddyinfo",
  "pagetypeinfo",
  "vmstat",
  "meminfo",
  "iomem",
  "cmdline",
  "version",
  "cpuinfo",
];
/** Optional everywhere: their absence is not worth a line on the screen. */
const QUIET: ReadonlySet<string> = new Set(["pagetypeinfo", "vmstat"]);
/** By name: reading some others, such as stat_refresh, makes the kernel work. */
const SYSCTLS: readonly string[] = [
  "lowmem_reserve_ratio",
  "min_free_kbytes",
  "nr_hugepages",
  "numa_zonelist_order",
  "percpu_pagelist_fraction",
  "percpu_pagelist_high_fraction",
  "watermark_boost_factor",
  "watermark_scale_factor",
];
const SWIOTLB = "/sys/kernel/debug/swiotlb";
const HUGEPAGES = "/sys/kernel/mm/hugepages";
const NODES = "/sys/devices/system/node";

/** Whether this machine runs Linux at all. */
export async function isLinux(): Promise<boolean> {
  return (await textOf("/proc/version")).text?.startsWith("Linux") ?? false;
}

/** Reads everything now; takes at most about two seconds, for the log. */
export async function liveCapture(): Promise<LiveCapture> {
  const texts = new Map<string, string>();
  const sources: LiveSource[] = [];
  const put = (path: string, from: string, text: string | null, why: string): void => {
    if (text !== null) texts.set(path, text);
    sources.push({ path, from, missing: text === null ? why : null });
  };
  for (const file of PROC_FILES) {
    const { text, why } = await textOf(`/proc/${file}`);
    const hidden = file === "iomem" && text !== null && addressesHidden(text);
    if (hidden) put(file, "/proc/iomem", null, "addresses are zeros: not root");
    else if (text !== null || !QUIET.has(file)) put(file, `/proc/${file}`, text, why);
  }
  const memmap = await firmwareMemmap();
  put("firmware_memmap", "/sys/firmware/memmap", memmap, "not there");
  for (const name of SYSCTLS) {
    const { text } = await textOf(`/proc/sys/vm/${name}`);
    if (text !== null) texts.set(`vm/${name}`, text);
  }
  await nodeFiles(texts);
  for (const size of await namesIn(HUGEPAGES)) {
    const { text } = await textOf(`${HUGEPAGES}/${size}/nr_hugepages`);
    if (text !== null) texts.set(`hugepages/${size}/nr_hugepages`, text);
  }
  const thp = await textOf("/sys/kernel/mm/transparent_hugepage/enabled");
  put("thp_enabled", "/sys/kernel/mm/transparent_hugepage/enabled", thp.text, thp.why);
  const config = await kernelConfig();
  put("config", config.from, config.text, "no /boot/config and no /proc/config.gz");
  const log = await readKernelLog();
  put("dmesg", log.from, log.text, log.why);
  for (const file of ["io_tlb_nslabs", "io_tlb_used"]) {
    const { text, why } = await textOf(`${SWIOTLB}/${file}`);
    // Both are missing for the same reason, which is worth one mention.
    if (text !== null || file === "io_tlb_nslabs") {
      put(`debug/swiotlb/${file}`, `${SWIOTLB}/${file}`, text, why);
    }
  }
  const tree = await devicetree();
  if (tree !== null) texts.set("fdt", tree);
  const devices = await readDevices();
  put("devices", "/sys/bus/*/devices/*/dma_mask_bits", devices, "no device shows a DMA mask");
  return { files: captureOf(texts), sources };
}

function captureOf(texts: ReadonlyMap<string, string>): CaptureFiles {
  return {
    name: "this machine",
    paths: [...texts.keys()],
    open(path: string): AsyncIterable<string> {
      return Readable.from([texts.get(path) ?? ""]);
    },
  };
}

function addressesHidden(iomem: string): boolean {
  return !/^\s*[0-9a-f]*[1-9a-f][0-9a-f]*-|-[0-9a-f]*[1-9a-f]/m.test(iomem);
}

/** Entries in the order of the map, as lines `0xstart 0xend Type`. Linux: drivers/firmware/memmap.c */
async function firmwareMemmap(): Promise<string | null> {
  const lines: string[] = [];
  for (const entry of await namesIn("/sys/firmware/memmap")) {
    const parts: string[] = [];
    for (const file of ["start", "end", "type"]) {
      parts.push(((await textOf(`/sys/firmware/memmap/${entry}/${file}`)).text ?? "").trim());
    }
    if (parts.every((part) => part !== "")) lines.push(parts.join(" "));
  }
  return lines.length === 0 ? null : `${lines.join("\n")}\n`;
}

/** The board's devicetree in hexadecimal; null on machines without one, and for all but root. */
async function devicetree(): Promise<string | null> {
  try {
    return [...fdtText(await readFile("/sys/firmware/fdt"))].join("");
  } catch {
    return null;
  }
}

async function nodeFiles(texts: Map<string, string>): Promise<void> {
  for (const name of await namesIn(NODES)) {
    if (!/^node\d+$/.test(name)) {
      const { text } = await textOf(`${NODES}/${name}`);
      if (text !== null) texts.set(`node/${name}`, text);
      continue;
    }
    for (const file of ["cpulist", "distance", "meminfo"]) {
      const { text } = await textOf(`${NODES}/${name}/${file}`);
      if (text !== null) texts.set(`node/${name}/${file}`, text);
    }
  }
}

async function kernelConfig(): Promise<{ text: string | null; from: string }> {
  const release = ((await textOf("/proc/sys/kernel/osrelease")).text ?? "").trim();
  const boot = `/boot/config-${release}`;
  const { text } = await textOf(boot);
  if (text !== null) return { text, from: boot };
  try {
    const bytes = await unpackWhole(await readFile("/proc/config.gz"));
    return { text: new TextDecoder().decode(bytes), from: "/proc/config.gz" };
  } catch {
    return { text: null, from: boot };
  }
}
