/**
 * A machine to plan: hardware, build, parameters and whatever log of a real
 * boot there is. `machine-from-capture.ts` and `machine-from-description.ts`
 * make one.
 */
import type { Issue } from "../base/issue.ts";
import type { CommandLine } from "../boot/command-line.ts";
import { parseCommandLine } from "../boot/command-line.ts";
import type { Build, Hardware } from "../boot/hardware.ts";
import type { DeviceSpec } from "../dma/device.ts";
import type { BootLog } from "../formats/boot-log.ts";
import type { KernelConfig } from "../formats/config.ts";
import { eraNames, type ResolvedEra, resolveEra } from "../kernels/eras.ts";
import { FLAVOURS, flavourOf, typicalFacts } from "../kernels/flavours.ts";
import type { Arch } from "../kernels/policy.ts";
import { configured } from "./build-config.ts";

export interface MachineInput {
  readonly name: string;
  readonly hardware: Hardware;
  readonly commandLine: CommandLine;
  /** The log of the very boot that is planned; null when something was changed since. */
  readonly log: BootLog | null;
  readonly era: ResolvedEra;
  readonly devices: readonly DeviceSpec[];
  /** The machine with its log, where `log` is null because something was changed; null otherwise. */
  readonly before: MachineInput | null;
  /** What transparent_hugepage/enabled says on the running machine; null when not known. */
  readonly thpAtRuntime: "always" | "madvise" | "never" | null;
  /** SLIT distances from node to node, where known; 10 and 20 otherwise. */
  readonly distances: ReadonlyMap<number, ReadonlyMap<number, number>> | null;
  /** False where nothing tells how many CPUs there are and one is assumed; absent for known. */
  readonly cpusKnown?: boolean;
  readonly issues: readonly Issue[];
}

/** What the user changes: with anything but a device the log of the old boot no longer counts. */
export interface MachineOptions {
  /** A version or era in place of the machine's own. */
  readonly kernel?: string;
  /** Kernel parameters to add or, where the name is already there, to replace: "cma=128M". */
  readonly set?: readonly string[];
  /** All of RAM, bytes: the top range is cut or grown. */
  readonly ramBytes?: number;
  /** Online and possible CPUs. */
  readonly cpus?: number;
  readonly devices?: readonly DeviceSpec[];
  /** The whole command line, in place of the machine's own. */
  readonly commandLine?: string;
  /** Options of the kernel's configuration, over the machine's own: CONFIG_CMA → "n". */
  readonly config?: KernelConfig;
  /** Of a devicetree: x86_64, arm64, arm-lpae …; its CPUs tell otherwise. */
  readonly arch?: string;
}

/** Parameters that are given as often as one likes; `set` adds another one. */
const REPEATED = new Set(["memmap", "hugepagesz", "hugepages", "crashkernel"]);

/** `text` with each of `set` put in place of the parameter of its name, or added at the end. */
export function changeParameters(text: string, set: readonly string[]): string {
  let words = text.split(/\s+/).filter((word) => word !== "");
  for (const parameter of set) {
    const name = parameter.split("=", 1)[0] ?? "";
    if (!REPEATED.has(name)) words = words.filter((word) => word.split("=", 1)[0] !== name);
    words.push(parameter);
  }
  return words.join(" ");
}

/** Parses the command line with the changes of `options`, and says what is wrong with either. */
export function commandLineWith(
  text: string,
  options: MachineOptions,
  arch: Arch,
  pageSize: number,
): { readonly commandLine: CommandLine; readonly issues: readonly Issue[] } {
  const changed = changeParameters(options.commandLine ?? text, options.set ?? []);
  const parsed = parseCommandLine(changed, arch, pageSize);
  return { commandLine: parsed.value, issues: parsed.issues };
}

/** The era for `version`, or an issue that names the eras there are. */
export function eraFor(version: string, arch: Arch): ResolvedEra | Issue {
  const era = resolveEra(version, arch);
  if (era !== null) return era;
  return {
    severity: "error",
    source: "kernel",
    message: `no rules for kernel "${version}"`,
    mend: `give one of ${eraNames().join(", ")} or a later version, e.g. --kernel 6.1`,
  };
}

/** The configuration of a machine with the changes of `options`; null where neither names an option. */
export function configWith(
  own: KernelConfig | null,
  { config }: MachineOptions,
): KernelConfig | null {
  return config === undefined ? own : new Map([...(own ?? []), ...config]);
}

/**
 * Build facts: from the kernel's own configuration where there is one, else
 * from the flavour named in the release, else what is typical of the architecture.
 * `excerpt`: the configuration names a few options only. Known flavours' files may be cut so too.
 */
export function buildFor(
  release: string | null,
  arch: Arch,
  physicalExtension: boolean,
  config: KernelConfig | null,
  era: ResolvedEra,
  excerpt = false,
): Build {
  const named = release === null ? null : flavourOf(release);
  const facts =
    (named === null ? undefined : FLAVOURS.get(named)) ?? typicalFacts(arch, physicalExtension);
  const arm64 = arch === "arm64";
  const base: Build = {
    release,
    flavour: named,
    ...facts,
    zoneDevice: arm64 ? era.policy.boot.arm64ZoneDevice : facts.zoneDevice && arch !== "custom",
  };
  const build =
    config === null || config.size === 0
      ? base
      : configured(base, arch, config, excerpt || named !== null);
  return { ...build, zoneDevice: build.zoneDevice && era.policy.boot.hasDeviceZone };
}
