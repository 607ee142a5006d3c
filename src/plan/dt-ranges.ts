/**
 * What a device on a bus sees of memory: windows of `dma-ranges`, translated bus by bus up to the
 * CPU's addresses. Bytes.
 *
 *   dma-ranges = <address on this bus, address on the parent's bus, size> …
 *
 * Empty or absent `dma-ranges` translate one to one. On a PCI bus the first cell of an address says
 * which space it is in, and is no part of the number.
 *
 * Linux: of_dma_get_range(), of_dma_get_max_cpu_address(), __of_translate_address(),
 * of_pci_range_parser_one(), drivers/of/address.c
 */
import type { DmaWindow } from "../dma/dma-device.ts";
import type { FdtNode } from "../formats/fdt.ts";
import {
  type Board,
  baseName,
  cellsBelow,
  cellsOf,
  isAvailable,
  nodesBelow,
  number,
  phandleList,
  sound,
  text,
  texts,
} from "./dt-tree.ts";

/** Buses above a node; a tree whose interconnects go in a circle ends here. */
const BUSES_MAX = 64;
/** Windows of one bus that are looked at; boards have a handful, and each is looked up bus by bus. */
const WINDOWS_MAX = 128;
/** Memory or I/O space. Linux: of_bus_pci_get_flags() */
const PCI_SPACE = 0x0300_0000;
const PCI_TYPES: readonly string[] = ["pci", "pciex", "vci", "ht"];

type ParentOf = (node: FdtNode) => FdtNode | null;

interface Address {
  readonly value: number;
  /** First cell of a PCI address; 0 elsewhere. */
  readonly flags: number;
}

/** Linux: of_bus_pci_match() */
export function isPci(node: FdtNode): boolean {
  return PCI_TYPES.includes(text(node, "device_type") ?? "") || baseName(node) === "pcie";
}

/** The bus that carries the node's DMA: its parent, or an interconnect named "dma-mem". */
export function dmaParent(board: Board, node: FdtNode): FdtNode | null {
  const at = texts(node, "interconnect-names").indexOf("dma-mem");
  if (at < 0) return node.parent;
  return phandleList(board, node, "interconnects", "#interconnect-cells")[at] ?? node.parent;
}

/**
 * The windows of the devices on `bus`: of the first bus upward with any. Null for no limit: there
 * are none, or a bus in between does not say that it passes DMA on.
 *
 * Linux: of_dma_get_range()
 */
export function dmaWindows(board: Board, bus: FdtNode): DmaWindow[] | null {
  let node: FdtNode | null = bus;
  let below = false;
  for (let i = 0; node !== null && i < BUSES_MAX; i++) {
    const ranges = node.properties.get("dma-ranges");
    if (ranges !== undefined && ranges.length > 0) {
      const windows = windowsOf(board, node);
      return windows.length === 0 ? null : windows;
    }
    if (below && ranges === undefined) return null;
    below = true;
    node = dmaParent(board, node);
  }
  return null;
}

/** The windows that `node` itself names, neighbours joined; those that no bus above carries are left out. */
export function windowsOf(board: Board, node: FdtNode): DmaWindow[] {
  const bytes = node.properties.get("dma-ranges");
  if (bytes === undefined) return [];
  const own = cellsBelow(node);
  const above = cellsOf(node);
  if (!sound(own) || !sound(above)) return [];
  const flagCells = isPci(node) ? 1 : 0;
  const step = own.address + above.address + own.size;
  const windows: (DmaWindow & { readonly flags: number })[] = [];
  const end = Math.min(bytes.length / 4, step * WINDOWS_MAX);
  for (let at = 0; at + step <= end; at += step) {
    const flags = flagCells === 0 ? 0 : number(bytes, at, 1);
    const dmaStart = number(bytes, at + flagCells, own.address - flagCells);
    const parent = addressAt(bytes, at + own.address, above.address, node.parent);
    const cpuStart = translated(board, node, parent, "dma-ranges");
    const size = number(bytes, at + own.address + above.address, own.size);
    if (cpuStart === null || size === 0) continue;
    const last = windows.at(-1);
    const follows =
      last?.flags === flags &&
      last.dmaStart + last.size === dmaStart &&
      last.cpuStart + last.size === cpuStart;
    if (last === undefined || !follows) windows.push({ flags, dmaStart, cpuStart, size });
    else windows[windows.length - 1] = { ...last, size: last.size + size };
  }
  return windows.map(({ dmaStart, cpuStart, size }) => ({ cpuStart, dmaStart, size }));
}

/**
 * The last CPU address that every restricted bus reaches, inclusive; null where none is restricted.
 * Of a bus counts its highest window, of the buses the lowest.
 *
 * Linux: of_dma_get_max_cpu_address()
 */
export function lowestReach(board: Board): number | null {
  let lowest: number | null = null;
  const pending = [board.root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    const ends = windowsOf(board, node).map(({ cpuStart, size }) => cpuStart + size - 1);
    if (ends.length > 0) lowest = Math.min(lowest ?? Infinity, Math.max(...ends));
    pending.push(...node.children.filter(isAvailable));
  }
  return lowest;
}

/** The CPU's address of the first `reg` of a node; null where it has none that the CPU sees. */
export function registerAddress(board: Board, node: FdtNode): number | null {
  const reg = node.properties.get("reg");
  const { parent } = node;
  const own = cellsOf(node);
  if (reg === undefined || parent === null || !sound(own) || reg.length < 4 * own.address) {
    return null;
  }
  return translated(board, node, addressAt(reg, 0, own.address, parent), "ranges");
}

/** The buses with more windows than are looked at. */
export function crowdedBuses({ root }: Board): FdtNode[] {
  return [...nodesBelow(root)].filter((node) => {
    const bytes = node.properties.get("dma-ranges");
    const step = cellsBelow(node).address + cellsOf(node).address + cellsBelow(node).size;
    return bytes !== undefined && bytes.length / 4 > step * WINDOWS_MAX;
  });
}

function addressAt(bytes: Uint8Array, at: number, count: number, bus: FdtNode | null): Address {
  if (bus === null || !isPci(bus) || count < 2)
    return { value: number(bytes, at, count), flags: 0 };
  return { value: number(bytes, at + 1, count - 1), flags: number(bytes, at, 1) };
}

/**
 * An address on the bus that `node` is on, as the CPU has it; null where a bus above does not carry it.
 *
 * Linux: __of_translate_address(), of_translate_one()
 */
function translated(
  board: Board,
  node: FdtNode,
  address: Address,
  property: "ranges" | "dma-ranges",
): number | null {
  const parentOf: ParentOf =
    property === "ranges" ? (of) => of.parent : (of) => dmaParent(board, of);
  let at = address;
  let bus = parentOf(node);
  for (let i = 0; bus !== null && i < BUSES_MAX; i++) {
    const next = parentOf(bus);
    // The root's own addresses are the CPU's.
    if (next === null) return at.value;
    const up = upOneBus(bus, at, property);
    if (up === null) return null;
    at = up;
    bus = next;
  }
  return bus === null ? at.value : null;
}

function upOneBus(bus: FdtNode, at: Address, property: "ranges" | "dma-ranges"): Address | null {
  const own = cellsBelow(bus);
  const above = cellsOf(bus);
  if (!sound(own) || !sound(above)) return null;
  const ranges = bus.properties.get(property);
  if (ranges === undefined) return property === "ranges" ? null : at;
  if (ranges.length === 0) return at;
  const step = own.address + above.address + own.size;
  const end = Math.min(ranges.length / 4, step * WINDOWS_MAX);
  for (let from = 0; from + step <= end; from += step) {
    const start = addressAt(ranges, from, own.address, bus);
    const size = number(ranges, from + own.address + above.address, own.size);
    if (((start.flags ^ at.flags) & PCI_SPACE) !== 0) continue;
    if (at.value < start.value || at.value >= start.value + size) continue;
    const parent = addressAt(ranges, from + own.address, above.address, bus.parent);
    return { value: parent.value + at.value - start.value, flags: parent.flags };
  }
  return null;
}
