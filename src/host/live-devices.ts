/**
 * Devices of this machine that show their DMA masks, one a line:
 *
 *   pci/0000:00:02.0 dma_mask_bits=64 consistent_dma_mask_bits=64 numa_node=-1 driver=virtio-pci iommu_group=3
 *
 * Linux: dma_mask_bits_show(), drivers/pci/pci-sysfs.c
 */
import { readlink } from "node:fs/promises";
import { basename } from "node:path";
import { namesIn, textOf } from "./live.ts";

const BUSES = "/sys/bus";
const MAX_DEVICES = 4096;

/** null when no device shows a mask. */
export async function readDevices(): Promise<string | null> {
  const lines: string[] = [];
  for (const bus of await namesIn(BUSES)) {
    for (const device of await namesIn(`${BUSES}/${bus}/devices`)) {
      const line = await deviceLine(bus, device);
      if (line !== null) lines.push(line);
      if (lines.length >= MAX_DEVICES) return `${lines.join("\n")}\n`;
    }
  }
  return lines.length === 0 ? null : `${lines.join("\n")}\n`;
}

async function deviceLine(bus: string, device: string): Promise<string | null> {
  const place = `${BUSES}/${bus}/devices/${device}`;
  const mask = (await textOf(`${place}/dma_mask_bits`)).text;
  if (mask === null) return null;
  const words = [`${bus}/${device}`, `dma_mask_bits=${mask.trim()}`];
  for (const name of ["consistent_dma_mask_bits", "numa_node"]) {
    const { text } = await textOf(`${place}/${name}`);
    if (text !== null) words.push(`${name}=${text.trim()}`);
  }
  for (const name of ["driver", "iommu_group"]) {
    const target = await linkTarget(`${place}/${name}`);
    if (target !== null) words.push(`${name}=${target}`);
  }
  return words.join(" ");
}

async function linkTarget(path: string): Promise<string | null> {
  try {
    return basename(await readlink(path));
  } catch {
    return null;
  }
}
