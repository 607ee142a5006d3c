// The machine and the kernel build of a capture, put together from the capture's own files by plain
// regular expressions: the first lines of the log, the configuration, and for arm and arm64, whose
// logs name no memory map, where QEMU's "virt" board puts its RAM.
import type { Build, Cpus, Hardware } from "../../src/boot/hardware.ts";
import type { FirmwareRange, SratRange } from "../../src/formats/boot-log.ts";
import { fdtTextReader } from "../../src/formats/fdt-text.ts";
import { readText } from "../../src/formats/reader.ts";
import { resolveEra } from "../../src/kernels/eras.ts";
import type { Arch, Policy } from "../../src/kernels/policy.ts";
import { boardOf } from "../../src/plan/dt-tree.ts";
import { boardFacts } from "../../src/plan/machine-from-devicetree.ts";
import { corpusFiles } from "./corpus.ts";

export interface CapturedBoot {
  readonly name: string;
  readonly files: ReadonlyMap<string, string>;
  readonly hardware: Hardware;
  readonly commandLine: string;
  readonly policy: Policy;
}

interface Meta {
  readonly arch: string;
  readonly kernel: string;
  readonly flavour: string;
  readonly memory: string;
  readonly smp: string;
  readonly numa: string;
}

/** Everything that a prediction of the capture's layout may look at, and the files to compare with. */
export function bootOf(name: string): CapturedBoot {
  const files = corpusFiles(name);
  const meta: Meta = JSON.parse(text(files, "meta.json"));
  const arch = archOf(meta.arch);
  const log = text(files, "dmesg");
  const build = buildOf(meta, arch, text(files, "config"));
  const isPc = arch === "x86_64" || arch === "i386";
  const efi = isPc ? [] : dumpedByEfi(log);
  const affinity = isPc ? sratOf(log) : nodesEndToEnd(meta);
  const hardware: Hardware = {
    arch,
    build,
    memory: isPc ? e820Of(log) : efi.length > 0 ? efi : virtRam(meta),
    unmapped: efi.filter(({ unmapped }) => unmapped),
    affinity,
    nodes: [...new Set([...affinity.map(({ node }) => node), ...cpuNodes(log, meta)])].sort(),
    cpus: cpusOf(log, meta),
    dmaLimit: null,
    ...devicetreeOf(files, arch),
    armDmaZoneBytes: null,
    customZones: [],
  };
  const policy = resolveEra(meta.kernel, arch)?.policy;
  if (policy === undefined) throw new Error(`no policy for ${meta.kernel}`);
  return { name, files, hardware, commandLine: text(files, "cmdline").trim(), policy };
}

/** What a devicetree of the capture's own says beyond RAM, whose place is the same on all virt boards. */
function devicetreeOf(files: ReadonlyMap<string, string>, arch: Arch): Partial<Hardware> {
  const { value } = readText(fdtTextReader(), files.get("fdt") ?? "");
  if (value === null) return {};
  const { dmaLimit, reserved, devicetreeBytes } = boardFacts(boardOf(value), arch, []);
  return {
    dmaLimit,
    ...(reserved === undefined ? {} : { reserved }),
    ...(devicetreeBytes === undefined ? {} : { devicetreeBytes }),
  };
}

function text(files: ReadonlyMap<string, string>, path: string): string {
  const content = files.get(path);
  if (content === undefined) throw new Error(`the capture has no ${path}`);
  return content;
}

function archOf(word: string): Arch {
  if (word === "x86_64" || word === "i386" || word === "arm" || word === "arm64") return word;
  throw new Error(`unknown architecture ${word}`);
}

function buildOf(meta: Meta, arch: Arch, config: string): Build {
  const has = (option: string): boolean => `\n${config}`.includes(`\nCONFIG_${option}=y\n`);
  const number = (option: string): number | null => {
    const value = new RegExp(`^CONFIG_${option}=(\\w+)$`, "m").exec(config)?.[1];
    return value === undefined ? null : Number(value);
  };
  // Up to 6.3 the option counts orders, later it is the highest one.
  const orders = number("ARCH_FORCE_MAX_ORDER");
  const isLate =
    Number(/^(\d+)\.(\d+)/.exec(meta.kernel)?.[2]) >= 4 && !meta.kernel.startsWith("5");
  // Debian's armmp kernels have 12 orders; the captures leave the option out.
  const usual = arch === "arm" ? 2048 : 1024;
  const maxOrderPages = orders === null ? usual : 2 ** (isLate ? orders : orders - 1);
  const physicalExtension = has("X86_PAE") || has("ARM_LPAE");
  return {
    release: meta.kernel,
    flavour: meta.flavour,
    pageSize: 4096,
    physicalExtension,
    zoneDma: has("ZONE_DMA"),
    zoneDma32: has("ZONE_DMA32"),
    highmem: has("HIGHMEM"),
    zoneDevice: has("ZONE_DEVICE"),
    cma: has("CMA"),
    cmaDefaultBytes: (number("CMA_SIZE_MBYTES") ?? 0) * 2 ** 20,
    thp: has("TRANSPARENT_HUGEPAGE"),
    thpDefault: has("TRANSPARENT_HUGEPAGE_MADVISE") ? "madvise" : "always",
    numa: has("NUMA"),
    pageblockPages: has("HUGETLB_PAGE")
      ? arch === "i386" && !physicalExtension
        ? 1024
        : 512
      : maxOrderPages,
    maxOrderPages,
    vmallocEnd: arch !== "i386" ? null : physicalExtension ? 0xfeffe000 : 0xfebfe000,
    pageOffset: number("PAGE_OFFSET"),
  };
}

function virtRam(meta: Meta): FirmwareRange[] {
  return [{ ...VIRT_RAM(bytesOf(meta.memory)), type: "usable" }];
}

/** EFI on arm64 adds its own memory to the board's and keeps some unmapped: the memblock dump tells. */
function dumpedByEfi(log: string): (FirmwareRange & { readonly unmapped: boolean })[] {
  if (!log.includes("Remapping and enabling EFI services")) return [];
  const line = / memory\[0x\w+\]\s+\[(0x\w+)-(0x\w+)\].* flags: (0x\w+)/g;
  return [...log.matchAll(line)].map(([, first, last, flags]) => {
    return { ...inclusive(first, last), type: "usable", unmapped: flags === "0x4" };
  });
}

function inclusive(
  start: string | undefined,
  last: string | undefined,
): { start: number; end: number } {
  return { start: Number(start), end: Number(last) + 1 };
}

function e820Of(log: string): FirmwareRange[] {
  const line = /BIOS-e820: \[mem (0x\w+)-(0x\w+)\] (.*)$/gm;
  return [...log.matchAll(line)].map(([, a, b, type = ""]) => ({ ...inclusive(a, b), type }));
}

function sratOf(log: string): SratRange[] {
  const line = /ACPI: SRAT: Node (\d+) PXM \d+ \[mem (0x\w+)-(0x\w+)\](.*)$/gm;
  return [...log.matchAll(line)].map(([, node, a, b, rest = ""]) => ({
    node: Number(node),
    ...inclusive(a, b),
    hotplug: rest.includes("hotplug"),
  }));
}

// QEMU: VIRT_MEM in hw/arm/virt.c
const VIRT_BASE = 0x40000000;
const VIRT_RAM = (bytes: number): { start: number; end: number } => ({
  start: VIRT_BASE,
  end: VIRT_BASE + bytes,
});

function bytesOf(size: string): number {
  const [, digits, unit] = /^(\d+)([MG])$/.exec(size) ?? [];
  return Number(digits) * (unit === "G" ? 2 ** 30 : 2 ** 20);
}

interface QemuNode {
  readonly node: number;
  readonly bytes: number;
  readonly cpus: number[];
}

/** "node0: 1024M cpus [0]; node1: 0M cpus [1]" */
function qemuNodes(meta: Meta): QemuNode[] {
  return [...meta.numa.matchAll(/node(\d+): (\d+)M cpus \[([\d, ]*)\]/g)].map(
    ([, node, mib, cpus = ""]) => ({
      node: Number(node),
      bytes: Number(mib) * 2 ** 20,
      cpus: cpus === "" ? [] : cpus.split(",").map(Number),
    }),
  );
}

function nodesEndToEnd(meta: Meta): SratRange[] {
  let start = VIRT_BASE;
  return qemuNodes(meta).flatMap(({ node, bytes }) => {
    const range = { node, start, end: start + bytes, hotplug: false };
    start += bytes;
    return bytes === 0 ? [] : [range];
  });
}

function cpuNodes(log: string, meta: Meta): number[] {
  const srat = [...log.matchAll(/SRAT: PXM \d+ -> APIC 0x\w+ -> Node (\d+)/g)];
  return srat.length > 0
    ? srat.map(([, node]) => Number(node))
    : qemuNodes(meta).map(({ node }) => node);
}

function cpusOf(log: string, meta: Meta): Cpus {
  const count = Number(/^\d+/.exec(meta.smp)?.[0] ?? 1);
  const nodes = qemuNodes(meta);
  const byNode = nodes.length === 0 ? null : new Map(nodes.map(({ node, cpus }) => [node, cpus]));
  const allowed = /Allowing (\d+) CPUs/.exec(log)?.[1];
  return { possible: allowed === undefined ? count : Number(allowed), online: count, byNode };
}
