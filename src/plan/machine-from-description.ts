/**
 * A machine from a description: what a person writes down who has no capture,
 * or who wants a machine that no kernel has.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { Range } from "../base/range.ts";
import type { CustomZone, Hardware } from "../boot/hardware.ts";
import type { DeviceSpec } from "../dma/device.ts";
import type { FirmwareRange, SratRange } from "../formats/boot-log.ts";
import type { KernelConfig } from "../formats/config.ts";
import type { Arch } from "../kernels/policy.ts";
import {
  buildFor,
  commandLineWith,
  configWith,
  eraFor,
  type MachineInput,
  type MachineOptions,
} from "./machine.ts";
import { memoryOfSize, resizeMemory } from "./memory-size.ts";

/** Architectures by the names a description uses; the suffix says which addresses a 32-bit one has. */
export const ARCHES: ReadonlyMap<string, { readonly arch: Arch; readonly extended: boolean }> =
  new Map([
    ["x86_64", { arch: "x86_64", extended: false }],
    ["i386", { arch: "i386", extended: false }],
    ["i386-pae", { arch: "i386", extended: true }],
    ["arm", { arch: "arm", extended: false }],
    ["arm-lpae", { arch: "arm", extended: true }],
    ["arm64", { arch: "arm64", extended: false }],
    ["ia64", { arch: "ia64", extended: false }],
    ["riscv", { arch: "riscv", extended: false }],
    ["powerpc", { arch: "powerpc", extended: false }],
    ["powerpc32", { arch: "powerpc32", extended: false }],
    ["s390", { arch: "s390", extended: false }],
    ["mips", { arch: "mips", extended: false }],
    ["mips64", { arch: "mips64", extended: false }],
    ["custom", { arch: "custom", extended: false }],
  ]);

export interface DescribedNode {
  readonly id: number;
  /** Bytes, half-open. */
  readonly memory: readonly Range[];
  readonly cpus: readonly number[];
}

/** Bytes everywhere; what is absent takes the usual value of the architecture. */
export interface MachineDescription {
  readonly name: string;
  /** x86_64, i386, i386-pae, arm, arm-lpae, arm64, ia64, riscv, powerpc, powerpc32, s390, mips, mips64 or custom. */
  readonly arch: string;
  /** A version or era, e.g. "6.1" or "6.1.0-50-amd64". */
  readonly kernel: string;
  /** All of RAM, laid out as firmware usually does; not together with `memory`. */
  readonly ram?: number;
  /** Where RAM starts, with `ram`. */
  readonly base?: number;
  readonly memory?: readonly FirmwareRange[];
  readonly nodes?: readonly DescribedNode[];
  readonly cmdline?: string;
  readonly cpus?: number;
  /** First address that some restricted bus cannot reach (devicetree dma-ranges). */
  readonly dmaLimit?: number;
  /** arm: size of the DMA zone that the board asks for. */
  readonly armDmaZone?: number;
  readonly devices?: readonly DeviceSpec[];
  /** Zones of arch custom, lowest first. */
  readonly zones?: readonly CustomZone[];
  readonly config?: KernelConfig;
}

export function machineFromDescription(
  description: MachineDescription,
  options: MachineOptions = {},
): Outcome<MachineInput | null> {
  const issues: Issue[] = [];
  const known = ARCHES.get(description.arch);
  if (known === undefined) {
    const mend = `use one of ${[...ARCHES.keys()].join(", ")}`;
    return failed(`"${description.arch}" is not an architecture`, mend, "arch");
  }
  const { arch, extended } = known;
  const kernel = options.kernel ?? description.kernel;
  const era = eraFor(kernel, arch);
  if ("severity" in era) return { value: null, issues: [era] };
  if (era.remark !== null) issues.push({ severity: "note", source: "kernel", message: era.remark });
  const config = configWith(description.config ?? null, options);
  const build = buildFor(kernel, arch, extended, config, era, true);
  const parsed = commandLineWith(description.cmdline ?? "", options, arch, build.pageSize);
  issues.push(...parsed.issues);
  const memory = describedMemory(description, options, arch);
  if (memory === null) {
    return failed("the machine has no memory", "give ram: 4G, or a list memory:", "memory");
  }
  if (arch === "custom" && (description.zones ?? []).length === 0) {
    return failed(
      "a custom machine needs its zones",
      "give zones: [{name: DMA, limit: 1M}, …]",
      "zones",
    );
  }
  const cpus = describedCpus(description, options);
  const hardware: Hardware = {
    arch,
    build,
    memory,
    affinity: describedAffinity(description),
    nodes: (description.nodes ?? []).map((node) => node.id).sort((a, b) => a - b),
    cpus,
    dmaLimit: description.dmaLimit ?? null,
    armDmaZoneBytes: description.armDmaZone ?? null,
    customZones: description.zones ?? [],
  };
  const input: MachineInput = {
    name: description.name,
    hardware,
    commandLine: parsed.commandLine,
    log: null,
    before: null,
    era,
    devices: [...(description.devices ?? []), ...(options.devices ?? [])],
    thpAtRuntime: null,
    distances: null,
    issues,
  };
  return { value: input, issues };
}

function failed(message: string, mend: string, source: string): Outcome<null> {
  return { value: null, issues: [{ severity: "error", source, message, mend }] };
}

/** The list as given, the nodes' memory, or RAM of a size; null when there is none of these. */
function describedMemory(
  description: MachineDescription,
  options: MachineOptions,
  arch: Arch,
): readonly FirmwareRange[] | null {
  const ram = options.ramBytes ?? description.ram;
  const listed = description.memory ?? [];
  if (listed.length > 0) {
    return options.ramBytes === undefined ? listed : resizeMemory(listed, options.ramBytes, arch);
  }
  const ofNodes = (description.nodes ?? []).flatMap((node) => node.memory);
  if (ofNodes.length > 0 && ram === undefined) {
    return ofNodes.map((range) => ({ ...range, type: "usable" }));
  }
  return ram === undefined ? null : memoryOfSize(ram, arch, description.base ?? null);
}

function describedAffinity(description: MachineDescription): SratRange[] {
  const nodes = description.nodes ?? [];
  return nodes.flatMap(({ id, memory }) =>
    memory.map((range) => ({ ...range, node: id, hotplug: false })),
  );
}

function describedCpus(description: MachineDescription, options: MachineOptions): Hardware["cpus"] {
  const nodes = description.nodes ?? [];
  const listed = nodes.flatMap((node) => node.cpus);
  const count = options.cpus ?? description.cpus ?? Math.max(1, listed.length);
  const byNode =
    options.cpus === undefined && listed.length > 0
      ? new Map(nodes.map((node) => [node.id, node.cpus]))
      : null;
  return { online: count, possible: count, byNode };
}
