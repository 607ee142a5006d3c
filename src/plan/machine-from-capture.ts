/**
 * A machine from a capture of a real one: what its firmware, its log and its
 * /proc and /sys say about hardware and parameters. Never looks at zoneinfo,
 * buddyinfo or pagetypeinfo: those are what the plan predicts.
 */
import { type Issue, issuesIn, type Outcome } from "../base/issue.ts";
import { type Range, rangeList, subtract } from "../base/range.ts";
import type { CommandLine } from "../boot/command-line.ts";
import type { Cpus, Hardware } from "../boot/hardware.ts";
import { type DeviceSpec, simpleDevice } from "../dma/device.ts";
import type { BootLog, FirmwareRange, MemblockRegion, SratRange } from "../formats/boot-log.ts";
import type { Capture } from "../formats/capture.ts";
import { iomemNamed } from "../formats/iomem.ts";
import { archOfRelease } from "../kernels/flavours.ts";
import type { Arch } from "../kernels/policy.ts";
import { type Board, boardOf } from "./dt-tree.ts";
import {
  buildFor,
  commandLineWith,
  configWith,
  eraFor,
  type MachineInput,
  type MachineOptions,
} from "./machine.ts";
import {
  armDmaZone,
  type BoardFacts,
  boardDevices,
  boardFacts,
} from "./machine-from-devicetree.ts";
import { resizeMemory } from "./memory-size.ts";

/** Value null, with an error that says what is missing, when no machine can be made of the capture. */
export function machineFromCapture(
  capture: Capture,
  options: MachineOptions = {},
): Outcome<MachineInput | null> {
  const issues: Issue[] = [];
  const ownRelease = capture.version?.release ?? null;
  const release = options.kernel ?? ownRelease;
  if (release === null) {
    const mend = "add the machine's /proc/version or dmesg, or give --kernel";
    return failed(`which kernel the machine runs is not in ${capture.name}`, mend);
  }
  const arch = archOf(capture, ownRelease);
  if (arch === null) {
    const mend = "add cpuinfo, a config or a complete dmesg";
    return failed(`which architecture the machine has is not in ${capture.name}`, mend);
  }
  const era = eraFor(release, arch);
  if ("severity" in era) return { value: null, issues: [era] };
  if (era.remark !== null) issues.push({ severity: "note", source: "kernel", message: era.remark });

  const cpu = capture.cpuinfo;
  // Of an unknown 32-bit build: what the CPU can do. A known flavour or a config file overrules it.
  const extended = arch === "i386" ? (cpu?.pae ?? false) : (cpu?.lpae ?? false);
  const config = configWith(capture.config, options);
  const isExcerpt = capture.config === null;
  const build = buildFor(ownRelease ?? release, arch, extended, config, era, isExcerpt);
  const log = capture.bootLog;
  const text = capture.commandLine ?? log?.commandLine ?? "";
  const parsed = commandLineWith(text, options, arch, build.pageSize);
  issues.push(...parsed.issues);

  const board = boardIn(capture, arch, text, issues);
  const seen = memoryOf(capture, arch, issues);
  const memory = seen.length > 0 ? seen : (board?.facts.memory ?? []);
  if (memory.length === 0) {
    const mend = "add dmesg, /sys/firmware/memmap or, read as root, /proc/iomem or fdt";
    return failed(`the memory map of the machine is not in ${capture.name}`, mend);
  }
  const changed = isChanged(options);
  const hardware: Hardware = {
    arch,
    build,
    memory: options.ramBytes === undefined ? memory : resizeMemory(memory, options.ramBytes, arch),
    affinity: affinityOf(log, parsed.commandLine.numa.kind !== "auto", board),
    nodes: capture.nodes?.online ?? [],
    cpus: cpusOf(capture, parsed.commandLine, options),
    ...(board === null ? {} : setAside(board.facts)),
    dmaLimit: board?.facts.dmaLimit ?? null,
    armDmaZoneBytes: board === null ? null : armDmaZone(board.tree, build, arch),
    customZones: [],
    unmapped: unmappedIn(capture, arch),
    image: changed ? null : imageOf(capture),
  };
  if (parsed.commandLine.numa.kind === "auto") tellsNodes(capture, hardware, issues);
  const input: MachineInput = {
    name: capture.name,
    hardware,
    commandLine: parsed.commandLine,
    log: changed ? null : log,
    before: changed ? unchanged(capture) : null,
    era,
    devices: [...devicesOf(capture), ...(board?.devices ?? []), ...(options.devices ?? [])],
    thpAtRuntime: changed ? null : capture.thpEnabled,
    distances: distancesOf(capture),
    cpusKnown: tellsCpus(capture, options, issues),
    issues,
  };
  return { value: input, issues };
}

function isChanged({ kernel, ramBytes, cpus, commandLine, set }: MachineOptions): boolean {
  const given = [kernel, ramBytes, cpus, commandLine].some((option) => option !== undefined);
  return given || (set ?? []).length > 0;
}

interface BoardInCapture {
  readonly tree: Board;
  readonly facts: BoardFacts;
  readonly devices: readonly DeviceSpec[];
}

/** What the capture's devicetree tells; null where there is none, or not of this kind of machine. */
function boardIn(
  { devicetree }: Capture,
  arch: Arch,
  parameters: string,
  issues: Issue[],
): BoardInCapture | null {
  if (devicetree === null || (arch !== "arm64" && arch !== "arm")) return null;
  const tree = boardOf(devicetree);
  const own: Issue[] = [];
  const facts = boardFacts(tree, arch, own);
  const devices = boardDevices(tree, facts, parameters, own);
  issues.push(...issuesIn("fdt", own));
  return { tree, facts, devices };
}

function setAside({ reserved, devicetreeBytes }: BoardFacts): Partial<Hardware> {
  return {
    ...(reserved === undefined ? {} : { reserved }),
    ...(devicetreeBytes === undefined ? {} : { devicetreeBytes }),
  };
}

/** The machine as it was, where its log can tell what its zones held. */
function unchanged(capture: Capture): MachineInput | null {
  return capture.bootLog === null ? null : machineFromCapture(capture).value;
}

function failed(message: string, mend: string): Outcome<null> {
  return { value: null, issues: [{ severity: "error", message, mend }] };
}

/** Options that name an architecture. */
const CONFIGURED: readonly (readonly [option: string, arch: Arch])[] = [
  ["X86_64", "x86_64"],
  ["X86_32", "i386"],
  ["ARM64", "arm64"],
  ["ARM", "arm"],
  ["RISCV", "riscv"],
  ["PPC64", "powerpc"],
  ["PPC32", "powerpc32"],
  ["S390", "s390"],
  ["IA64", "ia64"],
];

/** By the flavour in the release, then the configuration, then what cpuinfo and log look like. */
function archOf(capture: Capture, release: string | null): Arch | null {
  const named = release === null ? null : archOfRelease(release);
  if (named !== null) return named;
  const config = capture.config;
  for (const [option, arch] of CONFIGURED) if (config?.get(`CONFIG_${option}`) === "y") return arch;
  if (config?.get("CONFIG_MIPS") === "y")
    return config.get("CONFIG_64BIT") === "y" ? "mips64" : "mips";
  if (capture.cpuinfo?.arch != null) return capture.cpuinfo.arch;
  return (capture.bootLog?.e820.length ?? 0) > 0 ? "x86_64" : null;
}

/**
 * The map before parameters where firmware tells it; otherwise what the boot
 * made of it, with a note. Bytes.
 */
function memoryOf(capture: Capture, arch: Arch, issues: Issue[]): readonly FirmwareRange[] {
  const log = capture.bootLog;
  if (log !== null && log.e820.length > 0) return log.e820;
  const x86 = arch === "x86_64" || arch === "i386";
  if (x86 && capture.firmwareMemmap !== null) return capture.firmwareMemmap.map(asE820);
  const seen = log === null ? [] : memoryInLog(log);
  if (seen.length > 0) return seen;
  const iomem =
    capture.iomem === null || capture.iomem.redacted ? [] : iomemNamed(capture.iomem, "System RAM");
  if (iomem.length > 0 && x86) {
    const message = "memory map taken from /proc/iomem, which already has mem= and memmap= applied";
    issues.push({ severity: "note", source: "iomem", message });
  }
  return iomem.map(({ start, end }) => ({ start, end, type: "usable" }));
}

/** /sys/firmware/memmap has words of its own. Linux: e820_type_to_string(), arch/x86/kernel/e820.c */
const LOG_WORDS: ReadonlyMap<string, string> = new Map([
  ["system ram", "usable"],
  ["reserved", "reserved"],
  ["acpi tables", "ACPI data"],
  ["acpi non-volatile storage", "ACPI NVS"],
  ["unusable memory", "unusable"],
  ["persistent memory", "persistent (type 7)"],
  ["persistent memory (legacy)", "persistent (type 12)"],
  ["soft reserved", "soft reserved"],
]);

function asE820(range: FirmwareRange): FirmwareRange {
  return { ...range, type: LOG_WORDS.get(range.type.toLowerCase()) ?? range.type };
}

/** MEMBLOCK_NOMAP */
const NOMAP = 4;

/**
 * What memblock holds and never hands over, bytes: a dump marks it, and arm64's
 * /proc/iomem calls it reserved, not System RAM.
 * Linux: request_standard_resources(), arch/arm64/kernel/setup.c
 */
function unmappedIn({ bootLog: log, iomem }: Capture, arch: Arch): Range[] {
  const dump = log === null ? null : lastDump(log);
  if (dump !== null) return dump.filter(({ flags }) => (flags & NOMAP) !== 0);
  if (arch !== "arm64" || log === null || iomem === null || iomem.ram.length === 0) return [];
  return subtract(rangeList(log.nodeRanges), rangeList(iomem.ram));
}

function lastDump(log: BootLog): readonly MemblockRegion[] | null {
  const dump = log.memblock.findLast((event) => event.kind === "dump" && event.complete);
  return dump?.kind === "dump" ? dump.memory : null;
}

/** RAM as memblock or the node lines show it: for machines whose firmware map is not printed. */
function memoryInLog(log: BootLog): FirmwareRange[] {
  const ranges: readonly Range[] = lastDump(log) ?? log.nodeRanges;
  return ranges.map(({ start, end }) => ({ start, end, type: "usable" }));
}

/** From the first byte of code to the last of bss. Linux: setup_arch(), arch/x86/kernel/setup.c */
function imageOf({ iomem }: Capture): Range | null {
  if (iomem === null || iomem.redacted) return null;
  const parts = ["code", "rodata", "data", "bss"].flatMap((part) =>
    iomemNamed(iomem, `Kernel ${part}`),
  );
  if (parts.length === 0) return null;
  const start = Math.min(...parts.map((part) => part.start));
  return { start, end: Math.max(...parts.map((part) => part.end)) };
}

/** SRAT, or the nodes of the log's early ranges where they come from a devicetree. */
function affinityOf(
  log: BootLog | null,
  overridden: boolean,
  board: BoardInCapture | null,
): readonly SratRange[] {
  if (log === null) return overridden ? [] : (board?.facts.affinity ?? []);
  if (log.sratRanges.length > 0) return log.sratRanges;
  const nodes = new Set([...log.nodeRanges, ...log.nodeSpans].map((range) => range.node));
  if (nodes.size < 2 || overridden || log.e820.length > 0) return [];
  return log.nodeRanges.map((range) => ({ ...range, hotplug: false }));
}

/** Says so where there are nodes, but nothing tells their memory. */
function tellsNodes({ name }: Capture, hardware: Hardware, issues: Issue[]): void {
  const online = hardware.nodes.length;
  if (online < 2 || hardware.affinity.length > 0) return;
  const message = `${online} nodes are online, but which memory is whose is not in ${name}`;
  const mend = "add dmesg; until then all memory is planned as one node";
  issues.push({ severity: "warning", source: "node", message, mend });
}

/** Whether the number of CPUs is known; says so where it is not. */
function tellsCpus(capture: Capture, options: MachineOptions, issues: Issue[]): boolean {
  const { bootLog, cpuinfo, name } = capture;
  if ((options.cpus ?? bootLog?.broughtUp?.cpus ?? cpuinfo?.processors ?? 0) > 0) return true;
  const message = `how many CPUs the machine has is not in ${name}: one is planned`;
  const mend = "add /proc/cpuinfo or give --cpus; until then the bounds of managed allow for 64";
  issues.push({ severity: "warning", source: "cpuinfo", message, mend });
  return false;
}

function cpusOf(capture: Capture, commandLine: CommandLine, options: MachineOptions): Cpus {
  const log = capture.bootLog;
  const inLog = log?.broughtUp?.cpus;
  const online = options.cpus ?? inLog ?? capture.cpuinfo?.processors ?? 1;
  const groups = log?.percpuGroups.flatMap((group) => group.cpus) ?? [];
  const asked = Math.min(commandLine.possibleCpus ?? online, commandLine.nrCpus ?? Infinity);
  const counted = groups.length > 0 ? groups.length : Math.max(online, asked);
  const possible = options.cpus ?? log?.possibleCpus ?? counted;
  if (options.cpus !== undefined) return { online, possible, byNode: null };
  const told = capture.nodes?.cpus;
  const known = told !== undefined && told.size > 0;
  return { online, possible, byNode: known ? told : cpusInLog(log, commandLine.numa.kind, online) };
}

/** CPUs of each node as the log tells it: SRAT or the start of CPUs on x86, percpu groups elsewhere. */
function cpusInLog(
  log: BootLog | null,
  numa: string,
  online: number,
): ReadonlyMap<number, readonly number[]> | null {
  if (log === null || numa === "off") return null;
  const all = Array.from({ length: online }, (_, cpu) => cpu);
  // A CPU of a faked machine belongs to every fake node.
  if (log.fakeNodes.length > 0) return new Map(log.fakeNodes.map((range) => [range.node, all]));
  const byNode = new Map<number, number[]>();
  const add = (node: number, cpu: number): void => {
    if (cpu < online) byNode.set(node, [...(byNode.get(node) ?? []), cpu]);
  };
  const { sratCpus, startedCpus, percpuGroups } = log;
  if (sratCpus.length > 0) for (const [cpu, { node }] of sratCpus.entries()) add(node, cpu);
  else if (startedCpus.length > 0) {
    // The boot CPU starts nobody tells of; it is CPU 0, and of the first node.
    const nodeOf = new Map([[0, 0]]);
    for (const { node, cpus } of startedCpus) for (const cpu of cpus) nodeOf.set(cpu, node);
    // Messages of a starting CPU break the list, and the rest of it stands on lines of its own:
    // CPUs are started node by node, so one that is not named is on the node of the one before.
    for (let cpu = 0, node = 0; cpu < online; cpu++) {
      node = nodeOf.get(cpu) ?? node;
      add(node, cpu);
    }
  } else for (const { group, cpus } of percpuGroups) for (const cpu of cpus) add(group, cpu);
  // One percpu group is not a node's: it is just that all CPUs are near each other.
  const named = sratCpus.length > 0 || startedCpus.length > 0;
  return byNode.size > (named ? 0 : 1) ? byNode : null;
}

/** Distances by node number: sysfs prints a row for the online nodes in their order. */
function distancesOf(capture: Capture): MachineInput["distances"] {
  const { nodes } = capture;
  if (nodes === null) return null;
  const rows = [...nodes.distances].map(([from, row]): [number, Map<number, number>] => {
    const to = nodes.online.map((node, i): [number, number] => [node, row[i] ?? 20]);
    return [from, new Map(to)];
  });
  return new Map(rows);
}

function devicesOf(capture: Capture): DeviceSpec[] {
  return capture.devices.map((device) => ({
    ...simpleDevice(device.name, device.dmaMaskBits),
    coherentBits: device.coherentMaskBits ?? device.dmaMaskBits,
    iommu: device.iommu,
    node: device.node,
  }));
}
