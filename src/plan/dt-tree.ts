/**
 * What every reader of a devicetree asks of a node: cells, texts, whether it is there at all, and
 * which node a phandle names. Addresses and sizes are clamped to 2^53 - 1.
 *
 * Linux: of_n_addr_cells(), of_bus_n_addr_cells(), of_device_is_available(), drivers/of/base.c
 */
import type { Devicetree, FdtNode } from "../formats/fdt.ts";

/** Linux: OF_ROOT_NODE_ADDR_CELLS_DEFAULT, OF_ROOT_NODE_SIZE_CELLS_DEFAULT, drivers/of/of_private.h */
const CELLS_DEFAULT = 1;
/** Linux: OF_MAX_ADDR_CELLS, drivers/of/address.c */
const CELLS_MAX = 4;
/** Entries of one property: no board comes near, and lists of lists must not take for ever. */
export const ENTRIES_MAX = 1024;

/** A devicetree with its phandles looked up once. */
export interface Board {
  readonly tree: Devicetree;
  readonly root: FdtNode;
  readonly phandles: ReadonlyMap<number, FdtNode>;
}

export function boardOf(tree: Devicetree): Board {
  const phandles = new Map<number, FdtNode>();
  for (const node of nodesBelow(tree.root)) {
    const own = cell(node, "phandle") ?? cell(node, "linux,phandle");
    if (own !== null && !phandles.has(own)) phandles.set(own, node);
  }
  return { tree, root: tree.root, phandles };
}

/** `node` and all below it, parents first. */
export function* nodesBelow(node: FdtNode): Generator<FdtNode> {
  const pending = [node];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    yield next;
    for (let i = next.children.length - 1; i >= 0; i--) {
      const child = next.children[i];
      if (child !== undefined) pending.push(child);
    }
  }
}

/** The child of that name, with or without its unit address. */
export function childNamed(node: FdtNode, name: string): FdtNode | null {
  return node.children.find((child) => child.name === name || baseName(child) === name) ?? null;
}

/** "ethernet" of "ethernet@7d580000". */
export function baseName({ name }: FdtNode): string {
  return name.split("@", 1)[0] ?? "";
}

export function pathOf(node: FdtNode): string {
  const names: string[] = [];
  for (let at: FdtNode | null = node; at !== null; at = at.parent) names.unshift(at.name);
  return names.length === 1 ? "/" : names.join("/");
}

/** Linux: of_device_is_available() */
export function isAvailable(node: FdtNode): boolean {
  const status = text(node, "status");
  return status === null || status === "okay" || status === "ok";
}

export function has(node: FdtNode, name: string): boolean {
  return node.properties.has(name);
}

/** The first text of a property. */
export function text(node: FdtNode, name: string): string | null {
  return texts(node, name)[0] ?? null;
}

/** A list of NUL-terminated texts. */
export function texts(node: FdtNode, name: string): string[] {
  const bytes = node.properties.get(name);
  if (bytes === undefined || bytes.length === 0) return [];
  const all = String.fromCharCode(...bytes.subarray(0, 4096));
  return all.replace(/\0$/, "").split("\0");
}

export function isCompatible(node: FdtNode, name: string): boolean {
  return texts(node, "compatible").includes(name);
}

/** The first 32-bit cell of a property. */
export function cell(node: FdtNode, name: string): number | null {
  const bytes = node.properties.get(name);
  return bytes === undefined || bytes.length < 4 ? null : number(bytes, 0, 1);
}

/** All 32-bit cells of a property; null where it is absent. What is cut at the end is left out. */
export function cells(node: FdtNode, name: string): number[] | null {
  const bytes = node.properties.get(name);
  if (bytes === undefined) return null;
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => number(bytes, i, 1));
}

/** `count` cells as one number, from cell `at` on. Linux: of_read_number() keeps the last 64 bits */
export function number(bytes: Uint8Array, at: number, count: number): number {
  if (count <= 0) return 0;
  const low = wordAt(bytes, at + count - 1);
  if (count === 1) return low;
  return Math.min(wordAt(bytes, at + count - 2) * 2 ** 32 + low, Number.MAX_SAFE_INTEGER);
}

function wordAt(bytes: Uint8Array, cellAt: number): number {
  const at = 4 * cellAt;
  const high = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
  return high * 256 + (bytes[at + 3] ?? 0);
}

/** Cells of an address or a size: those that the children of `node` have in `reg`. */
export interface Cells {
  readonly address: number;
  readonly size: number;
}

/** Linux: of_bus_n_addr_cells(), of_bus_n_size_cells() */
export function cellsBelow(node: FdtNode): Cells {
  return {
    address: inherited(node, "#address-cells"),
    size: inherited(node, "#size-cells"),
  };
}

/** Those that `node` itself has. Linux: of_n_addr_cells(), of_n_size_cells() */
export function cellsOf(node: FdtNode): Cells {
  return cellsBelow(node.parent ?? node);
}

/** Whether an address can be made of them. Linux: OF_CHECK_COUNTS() */
export function sound({ address, size }: Cells): boolean {
  return address > 0 && address <= CELLS_MAX && size > 0 && size <= CELLS_MAX;
}

function inherited(node: FdtNode, name: string): number {
  for (let at: FdtNode | null = node; at !== null; at = at.parent) {
    const own = cell(at, name);
    if (own !== null) return own;
  }
  return CELLS_DEFAULT;
}

/** Pairs of address and size of a property, with the cells that `cells` says. What is cut is left out. */
export function pairs(
  bytes: Uint8Array,
  { address, size }: Cells,
): { readonly address: number; readonly size: number }[] {
  const step = address + size;
  if (step <= 0 || address > CELLS_MAX || size > CELLS_MAX) return [];
  const count = Math.min(ENTRIES_MAX, Math.floor(bytes.length / 4 / step));
  return Array.from({ length: count }, (_, i) => ({
    address: number(bytes, i * step, address),
    size: number(bytes, i * step + address, size),
  }));
}

/** The nodes that a list of phandles with arguments names; those that are not there are null. */
export function phandleList(
  { phandles }: Board,
  node: FdtNode,
  name: string,
  cellsName: string | null,
): (FdtNode | null)[] {
  const list = cells(node, name) ?? [];
  const found: (FdtNode | null)[] = [];
  for (let i = 0; i < list.length && found.length < ENTRIES_MAX; ) {
    const target = phandles.get(list[i] ?? 0) ?? null;
    found.push(target);
    const count = target === null || cellsName === null ? 0 : (cell(target, cellsName) ?? 0);
    i += 1 + Math.min(count, list.length);
  }
  return found;
}
