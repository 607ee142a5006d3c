/**
 * Devices in a machine description, and on the command line: `nic:32`,
 * `nic:32:24`, or a mapping with name, bits, coherentBits, busLimit, iommu, node.
 */
import type { YamlScalars } from "./yaml-scalars.ts";
import type { YamlNode } from "./yaml-tree.ts";

/** What `DeviceSpec` in src/dma takes. */
export interface DescribedDevice {
  readonly name: string;
  readonly dmaBits: number;
  readonly coherentBits: number;
  /** Last DMA address the bus carries, inclusive bytes. */
  readonly busLimit: number | null;
  readonly iommu: boolean;
  readonly node: number | null;
}

const MAX_DMA_BITS = 64;

/** null where the node is no list of devices; devices that are wrong are left out. */
export function readDevices(scalars: YamlScalars, node: YamlNode): DescribedDevice[] | null {
  const items = scalars.tree.items(node);
  if (items === null) return null;
  const devices: DescribedDevice[] = [];
  for (const item of items) {
    const device = scalars.tree.isMapping(item)
      ? longDevice(scalars, item)
      : shortDevice(scalars, item);
    if (device !== null) devices.push(device);
  }
  return devices;
}

/** `nic:32` or `nic:32:24` (streaming, coherent); the name may hold colons itself. */
export function parseDevice(text: string): DescribedDevice | null {
  const parts = /^(.+?):(\d{1,2})(?::(\d{1,2}))?$/.exec(text.trim());
  if (parts === null) return null;
  const dmaBits = Number(parts[2]);
  const coherentBits = parts[3] === undefined ? dmaBits : Number(parts[3]);
  const fits = (bits: number): boolean => bits >= 1 && bits <= MAX_DMA_BITS;
  if (!fits(dmaBits) || !fits(coherentBits)) return null;
  return { name: parts[1] ?? "", dmaBits, coherentBits, busLimit: null, iommu: false, node: null };
}

function longDevice(scalars: YamlScalars, node: YamlNode): DescribedDevice | null {
  const known = ["name", "bits", "coherentBits", "busLimit", "iommu", "node"];
  const fields = scalars.tree.fields(node, known);
  const nameField = fields?.get("name");
  const bitsField = fields?.get("bits");
  if (fields === null || nameField === undefined || bitsField === undefined) {
    return scalars.tree.error(
      node,
      "a device needs a name and bits",
      "e.g. { name: nic, bits: 32 }",
    );
  }
  const name = scalars.tree.text(nameField);
  const dmaBits = scalars.count(bitsField, 1, MAX_DMA_BITS);
  const coherentField = fields.get("coherentBits");
  const coherent =
    coherentField === undefined ? dmaBits : scalars.count(coherentField, 1, MAX_DMA_BITS);
  const busField = fields.get("busLimit");
  const iommuField = fields.get("iommu");
  const nodeField = fields.get("node");
  if (name === null || dmaBits === null || coherent === null) return null;
  return {
    name,
    dmaBits,
    coherentBits: coherent,
    busLimit: busField === undefined ? null : scalars.bytes(busField),
    iommu: iommuField === undefined ? false : (scalars.tree.boolean(iommuField) ?? false),
    node: nodeField === undefined ? null : scalars.count(nodeField, 0, 1023),
  };
}

function shortDevice(scalars: YamlScalars, node: YamlNode): DescribedDevice | null {
  const text = scalars.tree.text(node);
  if (text === null) return null;
  const device = parseDevice(text);
  if (device !== null) return device;
  const mend = "write NAME:BITS or NAME:BITS:COHERENTBITS, e.g. nic:32";
  return scalars.tree.error(node, `"${text.slice(0, 40)}" is not a device`, mend);
}
