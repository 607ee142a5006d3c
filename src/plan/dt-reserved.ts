/**
 * What a devicetree says about RAM: banks with their nodes, and what is set aside of them.
 *
 *   memory@…            device_type "memory": reg, numa-node-id
 *   /reserved-memory    one child a region: reg, or size with alignment and alloc-ranges
 *   /memreserve/        ranges in the blob's own list
 *   /chosen             linux,usable-memory-range, linux,elfcorehdr: a crash kernel's
 *
 * Linux: early_init_dt_scan_memory(), fdt_scan_reserved_mem(), drivers/of/fdt.c
 */
import type { Issue } from "../base/issue.ts";
import { clip, type Range, rangeList } from "../base/range.ts";
import type { ReservedKind, ReservedRequest } from "../boot/hardware.ts";
import type { SratRange } from "../formats/boot-log.ts";
import type { FdtNode } from "../formats/fdt.ts";
import type { Arch } from "../kernels/policy.ts";
import {
  type Board,
  type Cells,
  cell,
  cellsBelow,
  childNamed,
  has,
  isAvailable,
  isCompatible,
  number,
  pairs,
  pathOf,
  text,
} from "./dt-tree.ts";

/** Regions that the kernel can keep in mind. Linux: MAX_RESERVED_REGIONS, drivers/of/of_reserved_mem.c */
const REGIONS_MAX = 64;
/** Banks and ranges beyond this are no board's. */
const RANGES_MAX = 4096;

export interface MemoryBank extends Range {
  /** 0 where none is named. */
  readonly node: number;
}

/** RAM in the tree's order, bytes. */
export function banksOf({ root }: Board): MemoryBank[] {
  const cells = rootCells(root);
  const banks: MemoryBank[] = [];
  for (const node of root.children) {
    if (text(node, "device_type") !== "memory" || !isAvailable(node)) continue;
    const reg = node.properties.get("linux,usable-memory") ?? node.properties.get("reg");
    for (const { address, size } of pairs(reg ?? new Uint8Array(), cells)) {
      if (size === 0 || banks.length >= RANGES_MAX) continue;
      const end = Math.min(address + size, Number.MAX_SAFE_INTEGER);
      banks.push({ start: address, end, node: cell(node, "numa-node-id") ?? 0 });
    }
  }
  return usable(banks, root, cells);
}

/** Where RAM starts by a node whose size firmware fills in; null without one. */
export function memoryBase({ root }: Board): number | null {
  const node = root.children.find((child) => text(child, "device_type") === "memory");
  const reg = node?.properties.get("reg");
  return reg === undefined ? null : (pairs(reg, rootCells(root))[0]?.address ?? null);
}

/** What a crash kernel may use of it. Linux: early_init_dt_check_for_usable_mem_range() */
function usable(banks: readonly MemoryBank[], root: FdtNode, cells: Cells): MemoryBank[] {
  const chosen = childNamed(root, "chosen");
  const bytes = chosen?.properties.get("linux,usable-memory-range");
  if (bytes === undefined) return [...banks];
  const ranges = rangeList(
    pairs(bytes, cells).map(({ address, size }) => ({ start: address, end: address + size })),
  );
  return banks.flatMap((bank) =>
    clip(ranges, bank.start, bank.end).map((r) => ({ ...bank, ...r })),
  );
}

/** Affinity of the banks; empty where all are one node's. */
export function affinityOf(banks: readonly MemoryBank[]): SratRange[] {
  if (new Set(banks.map(({ node }) => node)).size < 2) return [];
  return banks.map(({ start, end, node }) => ({ start, end, node, hotplug: false }));
}

/** Everything that is set aside, in the order in which the kernel meets it. */
export function reservedOf(board: Board, arch: Arch, issues: Issue[]): ReservedRequest[] {
  const { root, tree } = board;
  const requests = tree.reservations.map(({ start, end }) =>
    fixedRegion("/memreserve/", "reserved", start, end - start),
  );
  const chosen = childNamed(root, "chosen");
  const core = chosen?.properties.get("linux,elfcorehdr");
  for (const { address, size } of core === undefined ? [] : pairs(core, rootCells(root))) {
    requests.push(fixedRegion("linux,elfcorehdr", "reserved", address, size));
  }
  const folder = root.children.find(({ name }) => name === "reserved-memory");
  if (folder === undefined) return requests;
  const cells = rootCells(root);
  if (!isReadable(folder, cells)) {
    const message =
      "its cells are not the root's, or ranges is missing: the kernel ignores all of it";
    issues.push({ severity: "warning", source: "/reserved-memory", message });
    return requests;
  }
  const own = folder.children
    .filter(isAvailable)
    .flatMap((node) => regionsOf(node, cells, arch, issues));
  if (own.length > REGIONS_MAX) {
    const message = `it has ${own.length} regions, and the kernel keeps ${REGIONS_MAX} in mind`;
    issues.push({ severity: "warning", source: "/reserved-memory", message });
  }
  return [...requests, ...own.slice(0, RANGES_MAX)];
}

/** Linux: __reserved_mem_check_root() */
function isReadable(folder: FdtNode, { address, size }: Cells): boolean {
  const same = cell(folder, "#address-cells") === address && cell(folder, "#size-cells") === size;
  return same && has(folder, "ranges");
}

function regionsOf(node: FdtNode, cells: Cells, arch: Arch, issues: Issue[]): ReservedRequest[] {
  const kind = kindOf(node, arch);
  if (kind === null) {
    const message = "the kernel does not take such a region: it is ordinary memory";
    issues.push({ severity: "note", source: pathOf(node), message });
    return [];
  }
  const reg = node.properties.get("reg");
  if (reg !== undefined) {
    const found = pairs(reg, cells).filter(({ size }) => size > 0);
    const [first, ...rest] = found.map(({ address, size }) =>
      regionOf(node, kind, { start: address, bytes: size }),
    );
    // Only the first range is the region; the others are set aside without a use.
    const others = rest.map(
      (one) => ({ ...one, listed: false, kind: one.noMap ? "no-map" : "reserved" }) as const,
    );
    return first === undefined ? [] : [first, ...others];
  }
  const size = node.properties.get("size");
  if (size === undefined || size.length !== 4 * cells.size) return [];
  return [regionOf(node, kind, { start: null, bytes: number(size, 0, cells.size) })].map((one) => ({
    ...one,
    align: alignmentOf(node, cells),
    within: allowedOf(node, cells),
  }));
}

function alignmentOf(node: FdtNode, cells: Cells): number {
  const bytes = node.properties.get("alignment");
  return bytes?.length === 4 * cells.address ? number(bytes, 0, cells.address) : 0;
}

function allowedOf(node: FdtNode, cells: Cells): Range[] {
  const bytes = node.properties.get("alloc-ranges");
  if (bytes === undefined) return [];
  return pairs(bytes, cells).map(({ address, size }) => ({ start: address, end: address + size }));
}

/** null where the kernel gives the region back, because it contradicts itself. */
function kindOf(node: FdtNode, arch: Arch): ReservedKind | null {
  const noMap = has(node, "no-map");
  const reusable = has(node, "reusable");
  if (isCompatible(node, "shared-dma-pool")) {
    if (reusable) return noMap ? null : "cma";
    // Linux: rmem_dma_setup(), which on arm wants no-map
    return arch === "arm" && !noMap ? null : "coherent";
  }
  if (isCompatible(node, "restricted-dma-pool")) {
    const wrong = ["reusable", "linux,cma-default", "linux,dma-default", "no-map"];
    return wrong.some((name) => has(node, name)) ? null : "restricted";
  }
  return noMap ? "no-map" : "reserved";
}

function regionOf(
  node: FdtNode,
  kind: ReservedKind,
  place: { readonly start: number | null; readonly bytes: number },
): ReservedRequest {
  return {
    name: node.name,
    kind,
    noMap: has(node, "no-map"),
    ...place,
    align: 0,
    within: [],
    listed: true,
    isDefault: kind === "cma" && has(node, "linux,cma-default"),
  };
}

function fixedRegion(
  name: string,
  kind: ReservedKind,
  start: number,
  bytes: number,
): ReservedRequest {
  return {
    name,
    kind,
    noMap: false,
    start,
    bytes,
    align: 0,
    within: [],
    listed: false,
    isDefault: false,
  };
}

function rootCells(root: FdtNode): Cells {
  return cellsBelow(root);
}
