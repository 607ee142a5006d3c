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
import { FLAVOURS, flavourOf, typicalFlavour } from "../kernels/flavours.ts";
import type { Arch } from "../kernels/policy.ts";

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
  /** Of a devicetree: x86_64, arm64, arm-lpae …; its CPUs tell otherwise. */
  readonly arch?: string;
}

const MIB = 1024 * 1024;

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
  const facts = FLAVOURS.get(named ?? typicalFlavour(arch, physicalExtension));
  if (facts === undefined) throw new TypeError("typicalFlavour() names no flavour");
  const arm64 = arch === "arm64";
  const base: Build = {
    release,
    flavour: named,
    pageSize: 4096,
    ...facts,
    zoneDevice: arm64 ? era.policy.boot.arm64ZoneDevice : facts.zoneDevice && arch !== "custom",
  };
  if (config === null || config.size === 0) return base;
  return configured(base, arch, config, excerpt || named !== null);
}

/**
 * `base` corrected by what the configuration says. An option that it does not
 * name is off in a whole file, and as in `base` where it is an excerpt.
 */
function configured(base: Build, arch: Arch, config: KernelConfig, excerpt: boolean): Build {
  const on = (name: string, otherwise: boolean): boolean => {
    const value = config.get(`CONFIG_${name}`);
    if (value === undefined) return excerpt && otherwise;
    return value === "y" || value === "m";
  };
  const is32Bit = arch === "i386" || arch === "arm";
  const pae = arch === "i386" ? "X86_PAE" : "ARM_LPAE";
  const cma = on("CMA", base.cma) && on("DMA_CMA", base.cma);
  const offset = config.get("CONFIG_PAGE_OFFSET");
  const megabytes = config.get("CONFIG_CMA_SIZE_MBYTES");
  return {
    ...base,
    ...pageSizes(config),
    physicalExtension: is32Bit && on(pae, base.physicalExtension),
    zoneDma: on("ZONE_DMA", base.zoneDma),
    zoneDma32: on("ZONE_DMA32", base.zoneDma32),
    highmem: is32Bit && on("HIGHMEM", base.highmem),
    zoneDevice: on("ZONE_DEVICE", base.zoneDevice),
    cma,
    cmaDefaultBytes: cma
      ? megabytes === undefined
        ? base.cmaDefaultBytes
        : Number(megabytes) * MIB
      : 0,
    thp: on("TRANSPARENT_HUGEPAGE", base.thp),
    thpDefault: on("TRANSPARENT_HUGEPAGE_NEVER", base.thpDefault === "never")
      ? "never"
      : on("TRANSPARENT_HUGEPAGE_MADVISE", base.thpDefault === "madvise")
        ? "madvise"
        : "always",
    numa: on("NUMA", base.numa),
    pageOffset: offset === undefined ? base.pageOffset : Number(offset),
  };
}

/**
 * arm64 chooses its page size at build time; the huge page that a pageblock is,
 * and the largest block, follow from it.
 *
 * Linux: ARCH_FORCE_MAX_ORDER, arch/arm64/Kconfig
 */
function pageSizes(config: KernelConfig): Partial<Build> {
  const order = Number(config.get("CONFIG_ARCH_FORCE_MAX_ORDER") ?? Number.NaN);
  if (config.get("CONFIG_ARM64_64K_PAGES") === "y") {
    return { pageSize: 65536, pageblockPages: 8192, maxOrderPages: 8192 };
  }
  if (config.get("CONFIG_ARM64_16K_PAGES") === "y") {
    return { pageSize: 16384, pageblockPages: 2048, maxOrderPages: 2048 };
  }
  // The option counts orders up to 6.3 and names the largest one later; with 4 KiB pages 11 and
  // 10 mean the same, so only arm's 12 of the older form is told apart by its size.
  return order === 12 ? { maxOrderPages: 2048 } : {};
}
