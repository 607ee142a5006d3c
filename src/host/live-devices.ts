/**
 * Devices of this machine that show their DMA masks, one a line:
 *
 *   0000:00:02.0 dma_mask_bits=64 consistent_dma_mask_bits=64 numa_node=-1 driver=nvme iommu=DMA
 *
 * `iommu` is the type of the device's group: DMA and DMA-FQ translate, identity does not.
 *
 * Linux: dma_mask_bits_show(), drivers/pci/pci-sysfs.c; iommu_group_show_type(), drivers/iommu/iommu.c
 */
import { readlink } from "node:fs/promises";
import { basename } from "node:path";
import { namesIn, textOf } from "./sysfs.ts";

const BUSES = "/sys/bus";
const MAX_DEVICES = 4096;

/** null when no device shows a mask. */
export async function readDevices(): Promise<string | null> {
  const lines: string[] = [];
  for (const bus of await namesIn(BUSES)) {
    for (const device of await namesIn(`${BUSES}/${bus}/devices`)) {
      const line = await deviceLine(`${BUSES}/${bus}/devices/${device}`, device);
      if (line !== null) lines.push(line);
      if (lines.length >= MAX_DEVICES) return `${lines.join("\n")}\n`;
    }
  }
  return lines.length === 0 ? null : `${lines.join("\n")}\n`;
}

/** null when the device shows no mask, or one of 0 bits: it does no DMA. */
async function deviceLine(place: string, device: string): Promise<string | null> {
  const mask = (await textOf(`${place}/dma_mask_bits`)).text;
  if (mask === null || Number(mask) === 0) return null;
  const words = [device, `dma_mask_bits=${mask.trim()}`];
  for (const name of ["consistent_dma_mask_bits", "numa_node"]) {
    const { text } = await textOf(`${place}/${name}`);
    if (text !== null) words.push(`${name}=${text.trim()}`);
  }
  const driver = await linkTarget(`${place}/driver`);
  if (driver !== null) words.push(`driver=${driver}`);
  const group = await linkTarget(`${place}/iommu_group`);
  const type =
    group === null ? null : (await textOf(`/sys/kernel/iommu_groups/${group}/type`)).text;
  if (type !== null) words.push(`iommu=${type.trim()}`);
  return words.join(" ");
}

/** The last part of where a symbolic link points. */
async function linkTarget(path: string): Promise<string | null> {
  try {
    return basename(await readlink(path));
  } catch {
    return null;
  }
}
