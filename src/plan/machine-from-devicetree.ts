/**
 * A board from its devicetree: RAM, what is set aside of it, nodes, CPUs, devices with their windows,
 * and the DMA limit that follows from them. The kernel and its parameters are the user's.
 *
 * What no devicetree tells: which kernel runs (--kernel), whether 32-bit or 64-bit on cores that do
 * both (--arch), and how it was built.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { Build, Cpus, Hardware } from "../boot/hardware.ts";
import type { DeviceSpec } from "../dma/device.ts";
import type { Devicetree, FdtNode } from "../formats/fdt.ts";
import type { Arch } from "../kernels/policy.ts";
import { devicesIn } from "./dt-devices.ts";
import { crowdedBuses, lowestReach } from "./dt-ranges.ts";
import { affinityOf, banksOf, memoryBase, reservedOf } from "./dt-reserved.ts";
import { ARM_DMA_ZONES, archOfCore } from "./dt-tables.ts";
import {
  type Board,
  baseName,
  boardOf,
  cell,
  cells,
  cellsBelow,
  childNamed,
  isAvailable,
  pathOf,
  text,
  texts,
} from "./dt-tree.ts";
import {
  buildFor,
  commandLineWith,
  configWith,
  eraFor,
  type MachineInput,
  type MachineOptions,
} from "./machine.ts";
import { ARCHES } from "./machine-from-description.ts";
import { memoryOfSize, resizeMemory } from "./memory-size.ts";

/** The kernel that is planned where none is named. */
const KERNEL_DEFAULT = "6.1";
/** Linux: the largest NR_CPUS of arm64, arch/arm64/Kconfig */
const CPUS_MAX = 4096;
const DISTANCE_MAP = "numa-distance-map-v1";
/** All pairs of 256 nodes, four times what arm64 has. */
const DISTANCES_MAX = 65536;

/** What a devicetree tells of the hardware, whatever kernel runs on it. */
export type BoardFacts = Pick<
  Hardware,
  "memory" | "affinity" | "nodes" | "reserved" | "devicetreeBytes" | "dmaLimit"
>;

export function machineFromDevicetree(
  tree: Devicetree,
  name: string,
  options: MachineOptions = {},
): Outcome<MachineInput | null> {
  const issues: Issue[] = [];
  const board = boardOf(tree);
  const known = archFor(board, name, options, issues);
  if ("severity" in known) return { value: null, issues: [known] };
  const { arch, extended } = known;
  const kernel = options.kernel ?? KERNEL_DEFAULT;
  if (options.kernel === undefined) {
    const message = `no devicetree names a kernel: ${kernel} is planned; --kernel names another`;
    issues.push({ severity: "note", source: "kernel", message });
  }
  const era = eraFor(kernel, arch);
  if ("severity" in era) return { value: null, issues: [era] };
  if (era.remark !== null) issues.push({ severity: "note", source: "kernel", message: era.remark });
  const build = buildFor(kernel, arch, extended, configWith(null, options), era, true);
  const { commandLine, issues: more } = commandLineWith(
    bootArguments(board),
    options,
    arch,
    build.pageSize,
  );
  issues.push(...more);
  const facts = boardFacts(board, arch, issues);
  const memory = memoryOf(board, facts, options, arch);
  if (memory.length === 0) {
    const mend = "give --ram, or /sys/firmware/fdt of the running board";
    const message = `${name} names no memory: firmware fills it in when the board starts`;
    return { value: null, issues: [{ severity: "error", source: "memory", message, mend }] };
  }
  const hardware: Hardware = {
    arch,
    build,
    ...facts,
    memory,
    cpus: cpusOf(board, options),
    armDmaZoneBytes: armDmaZone(board, build, arch),
    customZones: [],
  };
  const devices = boardDevices(board, facts, commandLine.text, issues);
  const input: MachineInput = {
    name: text(board.root, "model") ?? name,
    hardware,
    commandLine,
    log: null,
    before: null,
    era,
    devices: [...devices, ...(options.devices ?? [])],
    thpAtRuntime: null,
    distances: distancesOf(board),
    issues,
  };
  return { value: input, issues };
}

/** The facts of a board, and what is odd about them. */
export function boardFacts(board: Board, arch: Arch, issues: Issue[]): BoardFacts {
  const banks = banksOf(board);
  const last = arch === "arm64" ? lowestReach(board) : null;
  for (const bus of crowdedBuses(board)) {
    const message = "dma-ranges has more windows than are looked at";
    issues.push({ severity: "warning", source: pathOf(bus), message });
  }
  return {
    memory: banks.map(({ start, end }) => ({ start, end, type: "usable" })),
    affinity: affinityOf(banks),
    nodes: [...new Set(banks.map(({ node }) => node))].sort((a, b) => a - b),
    reserved: reservedOf(board, arch, issues),
    ...(board.tree.bytes === 0 ? {} : { devicetreeBytes: board.tree.bytes }),
    dmaLimit: last === null ? null : last + 1,
  };
}

/** The board's devices. IOMMUs do not translate where the parameters say so. */
export function boardDevices(
  board: Board,
  { reserved }: BoardFacts,
  parameters: string,
  issues: Issue[],
): DeviceSpec[] {
  // Linux: iommu_set_def_domain_type(), drivers/iommu/iommu.c
  const passthrough = /(?:^|\s)iommu\.passthrough=(?:1|y|on)/i.test(parameters);
  return devicesIn(board, reserved ?? [], passthrough, issues);
}

/** From the option, else from the cores. */
function archFor(
  board: Board,
  name: string,
  { arch: asked }: MachineOptions,
  issues: Issue[],
): { readonly arch: Arch; readonly extended: boolean } | Issue {
  if (asked !== undefined) {
    const known = ARCHES.get(asked);
    if (known !== undefined) return known;
    const message = `"${asked}" is not an architecture`;
    const mend = `use one of ${[...ARCHES.keys()].join(", ")}`;
    return { severity: "error", source: "arch", message, mend };
  }
  const cores = coresOf(board);
  for (const core of cores) {
    for (const compatible of texts(core, "compatible")) {
      const arch = archOfCore(compatible);
      if (arch !== null) return { arch, extended: false };
    }
  }
  if (cores.length === 0) {
    // Excerpts and old 32-bit boards have none; addresses of two cells are those of 64-bit ones.
    const arch = cellsBelow(board.root).address > 1 ? "arm64" : "arm";
    const message = `it names no CPU: ${arch} is planned, by the width of its addresses; --arch names another`;
    issues.push({ severity: "warning", source: "arch", message });
    return { arch, extended: false };
  }
  const message = `which architecture ${name} has does not follow from its CPUs`;
  const mend = "say which kernel it runs: --arch arm64, arm-lpae or arm";
  return { severity: "error", source: "arch", message, mend };
}

/** Linux: of_parse_and_init_cpus(), arch/arm64/kernel/smp.c */
function coresOf({ root }: Board): FdtNode[] {
  const folder = childNamed(root, "cpus");
  return (folder?.children ?? []).filter(
    (node) => (text(node, "device_type") ?? baseName(node)) === "cpu" && isAvailable(node),
  );
}

function cpusOf(board: Board, options: MachineOptions): Cpus {
  const cores = coresOf(board).slice(0, CPUS_MAX);
  const online = options.cpus ?? Math.max(1, cores.length);
  const byNode = new Map<number, number[]>();
  for (const [cpu, core] of cores.entries()) {
    const node = cell(core, "numa-node-id");
    if (node !== null) byNode.set(node, [...(byNode.get(node) ?? []), cpu]);
  }
  const known = options.cpus === undefined && byNode.size > 1;
  return { online, possible: online, byNode: known ? byNode : null };
}

function bootArguments({ root }: Board): string {
  const chosen = childNamed(root, "chosen");
  return (chosen === null ? null : text(chosen, "bootargs")) ?? "";
}

/** The banks, of another size where that is asked for; without banks from where the memory node says. */
function memoryOf(
  board: Board,
  { memory }: BoardFacts,
  { ramBytes }: MachineOptions,
  arch: Arch,
): BoardFacts["memory"] {
  if (ramBytes === undefined) return memory;
  return memory.length > 0
    ? resizeMemory(memory, ramBytes, arch)
    : memoryOfSize(ramBytes, arch, memoryBase(board));
}

/** Linux: setup_dma_zone(), arch/arm/mm/init.c */
export function armDmaZone({ root }: Board, build: Build, arch: Arch): number | null {
  if (arch !== "arm" || !build.zoneDma) return null;
  for (const compatible of texts(root, "compatible")) {
    const zone = ARM_DMA_ZONES.get(compatible);
    if (zone !== undefined) return zone.lpae && !build.physicalExtension ? null : zone.bytes;
  }
  return null;
}

/** Rows of node, node, distance. Linux: of_numa_parse_distance_map_v1(), drivers/of/of_numa.c */
function distancesOf({ root }: Board): MachineInput["distances"] {
  const map = root.children.find((node) => texts(node, "compatible").includes(DISTANCE_MAP));
  const list = map === undefined ? null : cells(map, "distance-matrix");
  if (list === null) return null;
  const distances = new Map<number, Map<number, number>>();
  const put = (from: number, to: number, distance: number): void => {
    const row = distances.get(from) ?? new Map<number, number>();
    if (!row.has(to)) distances.set(from, row.set(to, distance));
  };
  for (let i = 0; i + 2 < Math.min(list.length, 3 * DISTANCES_MAX); i += 3) {
    const [from = 0, to = 0, distance = 0] = list.slice(i, i + 3);
    put(from, to, distance);
    // One direction stands for both.
    put(to, from, distance);
  }
  return distances;
}
