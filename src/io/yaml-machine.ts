/**
 * A machine described in YAML (or JSON): what `zonewright plan` boots when
 * there is no capture. The record that comes out is what `machineFromDescription`
 * in src/plan takes.
 *
 *   name: fileserver            kernel: 6.1            arch: x86_64
 *   ram: 8G                     or a firmware map:
 *   memory:
 *     - 0x0-0x9fbff usable      the last byte belongs to it, as in /proc/iomem
 *     - { start: 0x100000, size: 3G, type: reserved }
 *   nodes:   [ { id: 0, memory: [0x0-0x7fffffff], cpus: 0-1 } ]
 *   devices: [ "nic:32", { name: sound, bits: 29 } ]
 *   zones:   [ { name: BIGDMA, limit: 1G }, { name: Normal, limit: rest } ]   arch: custom
 *   cmdline, cpus, base, dmaLimit, armDmaZone, config
 *
 * Sizes and addresses are bytes. Any error makes the value null.
 */
import { hasErrors, type Issue, type Outcome } from "../base/issue.ts";
import { type DescribedDevice, readDevices } from "./yaml-device.ts";
import { type DescribedMemory, type DescribedRange, MachineParts } from "./yaml-machine-parts.ts";
import { type YamlField, YamlTree } from "./yaml-tree.ts";

export const DESCRIBED_ARCHES = [
  "x86_64",
  "i386",
  "i386-pae",
  "arm",
  "arm-lpae",
  "arm64",
  "ia64",
  "riscv",
  "powerpc",
  "powerpc32",
  "s390",
  "mips",
  "mips64",
  "custom",
] as const;
/** What `uname -m` and distributions call them. */
const OTHER_NAMES: ReadonlyMap<string, DescribedArch> = new Map<string, DescribedArch>([
  ["amd64", "x86_64"],
  ["i686", "i386"],
  ["aarch64", "arm64"],
  ["riscv64", "riscv"],
  ["powerpc64", "powerpc"],
  ["ppc64", "powerpc"],
  ["ppc64le", "powerpc"],
  ["ppc", "powerpc32"],
  ["s390x", "s390"],
]);

export type DescribedArch = (typeof DESCRIBED_ARCHES)[number];

export interface DescribedNode {
  readonly id: number;
  readonly memory: readonly DescribedRange[];
  readonly cpus: readonly number[];
}

export interface DescribedZone {
  readonly name: string;
  /** Exclusive, bytes; Infinity for "rest". */
  readonly limit: number;
}

/** Bytes everywhere; what the text does not give is absent. */
export interface DescribedMachine {
  readonly name: string;
  readonly arch: DescribedArch;
  readonly kernel: string;
  readonly ram?: number;
  readonly base?: number;
  readonly memory?: readonly DescribedMemory[];
  readonly nodes?: readonly DescribedNode[];
  readonly cmdline?: string;
  readonly cpus?: number;
  readonly dmaLimit?: number;
  readonly devices?: readonly DescribedDevice[];
  readonly armDmaZone?: number;
  readonly zones?: readonly DescribedZone[];
  readonly config?: ReadonlyMap<string, string>;
}

const KEYS = [
  "name",
  "arch",
  "kernel",
  "ram",
  "base",
  "memory",
  "nodes",
  "cmdline",
  "cpus",
  "dmaLimit",
  "armDmaZone",
  "devices",
  "zones",
  "config",
];
/** More text than this is not a description, characters. */
const MAX_TEXT = 1024 * 1024;

/** `name` is used where the text gives none. Issues carry lines, not the file. */
export function readMachineYaml(text: string, name: string): Outcome<DescribedMachine | null> {
  if (text.length > MAX_TEXT) {
    const message = `${text.length} characters are too many for a machine description`;
    return failed([{ severity: "error", message, mend: "descriptions end at 1 MiB" }]);
  }
  const tree = new YamlTree(text);
  if (tree.root === null) return failed(tree.issues());
  const fields = tree.fields(tree.root, KEYS);
  if (fields === null) {
    const mend = "start with `name:`, `arch:`, `kernel:` and `ram:`";
    return failed(tree.issues().map((issue) => ({ ...issue, mend })));
  }
  const machine = assemble(tree, fields, name);
  const issues = tree.issues();
  return machine === null || hasErrors(issues) ? failed(issues) : { value: machine, issues };
}

function failed(issues: readonly Issue[]): Outcome<null> {
  return { value: null, issues };
}

function assemble(
  tree: YamlTree,
  fields: ReadonlyMap<string, YamlField>,
  fallbackName: string,
): DescribedMachine | null {
  const parts = new MachineParts(tree);
  const take = <T>(key: string, read: (field: YamlField) => T | null): T | undefined => {
    const field = fields.get(key);
    return field === undefined ? undefined : (read(field) ?? undefined);
  };
  const arch = take("arch", (field) => parts.oneOf(field, DESCRIBED_ARCHES, OTHER_NAMES));
  const kernel = take("kernel", (field) => parts.kernel(field));
  const ram = take("ram", (field) => parts.positiveBytes(field, "ram"));
  const base = take("base", (field) => parts.bytes(field));
  const memory = take("memory", (field) => parts.memory(field));
  const nodes = take("nodes", (field) => parts.nodes(field));
  const cmdline = take("cmdline", (field) => tree.text(field));
  const cpus = take("cpus", (field) => parts.count(field, 1, 8192));
  const dmaLimit = take("dmaLimit", (field) => parts.positiveBytes(field, "dmaLimit"));
  const armDmaZone = take("armDmaZone", (field) => parts.positiveBytes(field, "armDmaZone"));
  const devices = take("devices", (field) => readDevices(parts, field));
  const zones = take("zones", (field) => parts.zones(field));
  const config = take("config", (field) => parts.config(field));
  const name = take("name", (field) => tree.text(field)) ?? fallbackName;
  requireKeys(tree, fields);
  if (arch === undefined || kernel === undefined) return null;
  const zonesField = fields.get("zones");
  if (zonesField !== undefined && arch !== "custom") {
    tree.error(zonesField, `${arch} has zones of its own`, "write `arch: custom` for these zones");
  }
  if (arch === "custom" && zonesField === undefined && tree.root !== null) {
    const mend = "add `zones: [ { name: Normal, limit: rest } ]`";
    tree.error(fields.get("arch") ?? tree.root, "a custom machine needs zones", mend);
  }
  for (const [key, words, fits] of [
    ["base", "firmware says where RAM starts", !isPc(arch)],
    ["dmaLimit", fixedLimitOf(arch), !FIXED_LIMIT.has(arch)],
    ["armDmaZone", "no board asks for a DMA zone", arch.startsWith("arm") && arch !== "arm64"],
  ] as const) {
    const field = fields.get(key);
    if (field !== undefined && !fits) {
      tree.error(field, `${key} means nothing on ${arch}: ${words} there`, "leave it out");
    }
  }
  return {
    name,
    arch,
    kernel,
    ...given({ ram, base, memory, nodes, cmdline, cpus, dmaLimit, armDmaZone }),
    ...given({ devices, zones, config }),
  };
}

/** Architectures where no board moves the end of the zone that devices reach. */
const FIXED_LIMIT: ReadonlyMap<DescribedArch, string> = new Map([
  ["x86_64", "the DMA zone ends at 16 MiB"],
  ["i386", "the DMA zone ends at 16 MiB"],
  ["i386-pae", "the DMA zone ends at 16 MiB"],
  ["riscv", "the DMA32 zone ends at 4 GiB"],
  ["s390", "the DMA zone ends at 2 GiB"],
]);

function fixedLimitOf(arch: DescribedArch): string {
  return FIXED_LIMIT.get(arch) ?? "";
}

function isPc(arch: DescribedArch): boolean {
  return arch === "x86_64" || arch.startsWith("i386");
}

function requireKeys(tree: YamlTree, fields: ReadonlyMap<string, YamlField>): void {
  if (tree.root === null) return;
  if (!fields.has("arch")) {
    tree.error(tree.root, "`arch:` is missing", `add one of ${DESCRIBED_ARCHES.join(", ")}`);
  }
  if (!fields.has("kernel")) tree.error(tree.root, "`kernel:` is missing", "add `kernel: 6.1`");
  const memory = fields.get("memory");
  const ram = fields.get("ram");
  if (memory !== undefined && ram !== undefined) {
    tree.error(ram, "both `ram:` and `memory:` are given", "keep the one that is meant");
  }
  if (memory === undefined && ram === undefined && !fields.has("nodes")) {
    tree.error(tree.root, "the machine has no memory", "add `ram: 8G`, or a `memory:` map");
  }
}

/** Leaves out what was not given: `exactOptionalPropertyTypes` tells absent from undefined. */
function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
