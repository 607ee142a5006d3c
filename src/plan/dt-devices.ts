/**
 * The devices of a devicetree that do DMA, under the names that Linux gives them, with the masks and
 * the windows that they start with.
 *
 * A devicetree does not say who does DMA. Listed are nodes with a property that only makes sense for
 * DMA, nodes whose generic name is that of a bus master, and PCI buses as "behind …": what is plugged
 * in there is found at run time.
 *
 * Linux: of_dma_configure_id(), of_device_make_bus_id(), drivers/of/{device,platform}.c
 */
import type { Issue } from "../base/issue.ts";
import type { ReservedKind, ReservedRequest } from "../boot/hardware.ts";
import type { DeviceRegion, DeviceSpec } from "../dma/device.ts";
import type { DmaWindow } from "../dma/dma-device.ts";
import type { FdtNode } from "../formats/fdt.ts";
import { dmaParent, dmaWindows, isPci, registerAddress } from "./dt-ranges.ts";
import { DRIVER_MASKS, MASTER_NAMES, MASTER_PROPERTIES, PLATFORM_MASK_BITS } from "./dt-tables.ts";
import {
  type Board,
  baseName,
  cell,
  has,
  isAvailable,
  nodesBelow,
  phandleList,
  texts,
} from "./dt-tree.ts";

/** More would not be read by anyone. */
const DEVICES_MAX = 512;
const REGION_KINDS: ReadonlyMap<ReservedKind, DeviceRegion["kind"]> = new Map([
  ["coherent", "declared"],
  ["cma", "cma"],
  ["restricted", "restricted"],
]);

/** Devices in the tree's order. `reserved` is the tree's; `passthrough`: IOMMUs do not translate. */
export function devicesIn(
  board: Board,
  reserved: readonly ReservedRequest[],
  passthrough: boolean,
  issues: Issue[],
): DeviceSpec[] {
  const masters: FdtNode[] = [];
  for (const node of nodesBelow(board.root)) if (isMaster(node)) masters.push(node);
  if (masters.length > DEVICES_MAX) {
    const message = `it has ${masters.length} devices: the first ${DEVICES_MAX} are shown`;
    issues.push({ severity: "warning", message });
  }
  return masters
    .slice(0, DEVICES_MAX)
    .map((node) => deviceOf(board, node, reserved, passthrough, issues));
}

function isMaster(node: FdtNode): boolean {
  if (node.parent === null || !isThere(node) || texts(node, "compatible").length === 0)
    return false;
  if (has(node, "#iommu-cells") || isPci(node.parent)) return false;
  return (
    MASTER_NAMES.has(baseName(node)) ||
    isPci(node) ||
    texts(node, "compatible").some((name) => DRIVER_MASKS.has(name)) ||
    MASTER_PROPERTIES.some((name) => has(node, name))
  );
}

/** Whether it and all above it are enabled. */
function isThere(node: FdtNode): boolean {
  for (let at: FdtNode | null = node; at !== null; at = at.parent) {
    if (!isAvailable(at)) return false;
  }
  return true;
}

function deviceOf(
  board: Board,
  node: FdtNode,
  reserved: readonly ReservedRequest[],
  passthrough: boolean,
  issues: Issue[],
): DeviceSpec {
  const pci = isPci(node);
  const bus = pci ? node : dmaParent(board, node);
  const windows = bus === null ? null : dmaWindows(board, bus);
  const name = pci ? `behind ${linuxName(board, node)}` : linuxName(board, node);
  const last = windows === null ? null : lastAddress(windows, name, issues);
  const own = texts(node, "compatible").flatMap((text) => DRIVER_MASKS.get(text) ?? []);
  // What is plugged in drives what it likes: the bus is what limits it.
  const bits = pci ? 64 : (own[0] ?? startBits(last));
  const regions = regionsOf(board, node, reserved);
  return {
    name,
    dmaBits: bits,
    coherentBits: bits,
    busLimit: last,
    iommu: !passthrough && isTranslated(board, node),
    node: numaNode(node),
    coherent: isCoherent(board, node),
    ...(windows === null ? {} : { windows }),
    ...(regions.length === 0 ? {} : { regions }),
  };
}

/**
 * The last address of the bus, inclusive. A size that was written as a mask is one too small.
 * Linux: of_dma_configure_id()
 */
function lastAddress(windows: readonly DmaWindow[], name: string, issues: Issue[]): number {
  const start = Math.min(...windows.map(({ dmaStart }) => dmaStart));
  const end = Math.max(...windows.map(({ dmaStart, size }) => dmaStart + size));
  const odd = (end - start) % 2 === 1;
  if (odd && end < Number.MAX_SAFE_INTEGER) {
    const message = "the size in dma-ranges is odd: the kernel takes it for a mask and adds one";
    issues.push({ severity: "note", source: name, message });
  }
  return Math.min(odd ? end : end - 1, Number.MAX_SAFE_INTEGER);
}

/** 32 bits, or what the bus leaves of them. */
function startBits(last: number | null): number {
  if (last === null || last < 1) return PLATFORM_MASK_BITS;
  return Math.min(PLATFORM_MASK_BITS, last.toString(2).length);
}

/** Whether an IOMMU stands before it. Linux: of_iommu_configure() */
function isTranslated(board: Board, node: FdtNode): boolean {
  if (has(node, "iommu-map")) return true;
  const targets = phandleList(board, node, "iommus", "#iommu-cells");
  return targets.some((target) => target !== null && isAvailable(target));
}

/** Linux: of_dma_is_coherent() */
function isCoherent(board: Board, node: FdtNode): boolean {
  let at: FdtNode | null = node;
  for (let i = 0; at !== null && i < 64; i++) {
    if (has(at, "dma-coherent")) return true;
    if (has(at, "dma-noncoherent")) return false;
    at = dmaParent(board, at);
  }
  return false;
}

function numaNode(node: FdtNode): number | null {
  for (let at: FdtNode | null = node; at !== null; at = at.parent) {
    const own = cell(at, "numa-node-id");
    if (own !== null) return own;
  }
  return null;
}

/** Regions with a place of their own; where the kernel finds the place, only the size is told. */
function regionsOf(
  board: Board,
  node: FdtNode,
  reserved: readonly ReservedRequest[],
): DeviceRegion[] {
  return phandleList(board, node, "memory-region", null).flatMap((target): DeviceRegion[] => {
    const region = reserved.find(({ name }) => name === target?.name);
    const kind = region === undefined ? undefined : REGION_KINDS.get(region.kind);
    if (region === undefined || kind === undefined) return [];
    return [{ kind, start: region.start ?? 0, size: region.bytes, name: region.name }];
  });
}

/** "fd580000.ethernet", or the names down to it where it has no address. Linux: of_device_make_bus_id() */
function linuxName(board: Board, node: FdtNode): string {
  const address = registerAddress(board, node);
  if (address !== null) return `${address.toString(16)}.${baseName(node)}`;
  const { parent } = node;
  if (parent === null || parent.parent === null) return node.name;
  return `${linuxName(board, parent)}:${node.name}`;
}
