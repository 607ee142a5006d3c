/** Options of every command that plans a machine. */
import { type Command, Option } from "commander";
import type { MachineOptions } from "../../plan/index.ts";
import {
  parseConfig,
  parseCpus,
  parseDeviceOption,
  parseKernel,
  parseParameter,
  parseRam,
} from "../values.ts";

export interface MachineFlags {
  readonly set?: readonly string[];
  readonly ram?: string;
  readonly kernel?: string;
  readonly cpus?: string;
  readonly device?: readonly string[];
  readonly config?: readonly string[];
  readonly cmdline?: string;
  readonly arch?: string;
}

/** Collects an option that may be repeated. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

export function addMachineOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--set <parameter>", "add or replace a kernel parameter, e.g. cma=128M").argParser(
        collect,
      ),
    )
    .addOption(
      new Option(
        "--config <option>",
        "an option of the kernel's configuration, e.g. CMA=n, or a file of them (.config)",
      ).argParser(collect),
    )
    .option("--cmdline <parameters>", "the kernel's whole command line, in place of the machine's")
    .option("--arch <name>", "of a devicetree, where its CPUs do not tell: arm64, arm-lpae, arm")
    .option("--ram <size>", "another amount of RAM, e.g. 8G")
    .option("--kernel <version>", "another kernel, e.g. 6.1")
    .option("--cpus <number>", "another number of CPUs")
    .addOption(
      new Option("--device <name:bits>", "a device more, e.g. nic:32 or nic:32:24").argParser(
        collect,
      ),
    );
}

export function machineOptions(flags: MachineFlags): MachineOptions {
  return {
    ...(flags.kernel === undefined ? {} : { kernel: parseKernel(flags.kernel) }),
    ...(flags.set === undefined ? {} : { set: flags.set.map(parseParameter) }),
    ...(flags.ram === undefined ? {} : { ramBytes: parseRam(flags.ram) }),
    ...(flags.cpus === undefined ? {} : { cpus: parseCpus(flags.cpus) }),
    ...(flags.config === undefined ? {} : { config: parseConfig(flags.config) }),
    ...(flags.cmdline === undefined ? {} : { commandLine: flags.cmdline }),
    ...(flags.arch === undefined ? {} : { arch: flags.arch }),
    ...(flags.device === undefined ? {} : { devices: flags.device.map(parseDeviceOption) }),
  };
}
