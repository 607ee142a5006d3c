/**
 * Which addresses devices drive, one device a line: its path and the sysfs
 * attributes of the same names.
 *
 *   0000:00:1f.2 dma_mask_bits=64 consistent_dma_mask_bits=64 numa_node=-1 driver=ahci iommu=DMA
 *
 * `iommu` is the type of its group (/sys/kernel/iommu_groups/N/type): DMA and
 * DMA-FQ translate, identity does not. Lines that start with # are comments.
 *
 * Linux: dma_mask_bits_show(), drivers/pci/pci-sysfs.c
 */
import type { Reader } from "./reader.ts";
import { excerpt, type LineLog, tableReader } from "./table.ts";

export interface DeviceLine {
  /** Path or address of the device, as given. */
  readonly name: string;
  /** 1 to 64. */
  readonly dmaMaskBits: number;
  /** Null where it was not given. */
  readonly coherentMaskBits: number | null;
  /** Null for none (-1). */
  readonly node: number | null;
  readonly driver: string | null;
  /** Whether an IOMMU translates for it. */
  readonly iommu: boolean;
  /** 1-based line. */
  readonly line: number;
}

const ATTRIBUTES: ReadonlySet<string> = new Set([
  "dma_mask_bits",
  "consistent_dma_mask_bits",
  "numa_node",
  "driver",
  "iommu",
]);

/** Lines without a usable mask are left out with a warning; unknown attributes are noted. */
export function devicesReader(): Reader<readonly DeviceLine[]> {
  const devices: DeviceLine[] = [];
  return tableReader({
    name: "devices",
    take(text: string, log: LineLog): boolean {
      const words = text.trim().split(/\s+/);
      const name = words[0] ?? "";
      if (name === "" || name.startsWith("#")) return true;
      const attributes = attributesOf(words.slice(1), log);
      const dmaMaskBits = maskBits(attributes.get("dma_mask_bits"));
      if (name.includes("=") || dmaMaskBits === null) {
        log.report("warning", `left out "${excerpt(text)}": no dma_mask_bits from 1 to 64`);
        return true;
      }
      const coherent = attributes.get("consistent_dma_mask_bits");
      const coherentMaskBits = maskBits(coherent);
      if (coherent !== undefined && coherentMaskBits === null) {
        log.report("warning", `consistent_dma_mask_bits is not 1 to 64: "${excerpt(coherent)}"`);
      }
      const node = attributes.get("numa_node") ?? "-1";
      if (!/^(-1|\d{1,4})$/.test(node)) {
        log.report("warning", `numa_node is not a node: "${excerpt(node)}"`);
      }
      devices.push({
        name,
        dmaMaskBits,
        coherentMaskBits,
        node: /^\d{1,4}$/.test(node) ? Number(node) : null,
        driver: attributes.get("driver") ?? null,
        iommu: /^DMA(-FQ)?$/.test(attributes.get("iommu") ?? ""),
        line: log.line,
      });
      return true;
    },
    finish: (): readonly DeviceLine[] => devices,
  });
}

function attributesOf(words: readonly string[], log: LineLog): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  for (const word of words) {
    const at = word.indexOf("=");
    const name = at < 0 ? word : word.slice(0, at);
    if (at < 0 || !ATTRIBUTES.has(name)) log.report("note", `unknown attribute "${excerpt(word)}"`);
    else attributes.set(name, word.slice(at + 1));
  }
  return attributes;
}

/** Bits of a mask; null where the text is no number from 1 to 64. */
function maskBits(text: string | undefined): number | null {
  if (text === undefined || !/^\d{1,2}$/.test(text)) return null;
  const bits = Number(text);
  return bits >= 1 && bits <= 64 ? bits : null;
}
