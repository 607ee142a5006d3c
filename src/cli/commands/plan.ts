/** `zonewright plan MACHINE`: boots a machine on paper. */
import { type Command, Option } from "commander";
import { planDocument } from "../../documents/index.ts";
import { type PlanOptions, resolveShares } from "../../plan/index.ts";
import type { Context } from "../context.ts";
import { EXIT_FINE } from "../failure.ts";
import { loadMachine, makePlan } from "../load.ts";
import { planScreen } from "../render/plan-screen.ts";
import { parseManaged, parseMaskPool, parseSysctls } from "../values.ts";
import {
  addMachineOptions,
  collect,
  type MachineFlags,
  machineOptions,
} from "./machine-options.ts";

interface PlanFlags extends MachineFlags {
  readonly json?: boolean;
  readonly managed?: string;
  readonly sysctl?: readonly string[];
  readonly maskPool?: string;
}

const EXAMPLES = `
MACHINE is a capture (a folder of files named as in /proc and /sys, a .tar.gz of one, or what collect
wrote), a devicetree (.dtb, or .dts where dtc is installed) or a description in YAML; - reads any but a
folder from standard input. What is predicted (zoneinfo, buddyinfo, pagetypeinfo) is never read.

Examples:
  zonewright plan examples/machines/desktop-8G.yaml
  zonewright plan board.dtb --kernel 6.1 --cmdline 'cma=128M'
  zonewright plan capture/ --set swiotlb=65536 --device sound:29
  zonewright plan capture/ --sysctl min_free_kbytes=65536 --json
  zonewright plan capture/ --managed N0/DMA=3840,N0/DMA32=754602
  zonewright plan capture/ --mask-pool 4M --device sound:29`;

export function addPlan(program: Command, context: Context): void {
  const command = program
    .command("plan")
    .description("which zones, watermarks, reserves and pools a machine will have")
    .argument("<machine>", "capture, devicetree or description")
    .option("--json", "print the plan as a JSON document")
    .option(
      "--managed <zones>",
      "pages the zones hold after boot, e.g. N0/DMA=3840,N0/Normal=50000",
    )
    .option(
      "--mask-pool <size>",
      "ZONE_DMA out of the zonelists, a pool for limited requests in its place (as planned in 2006)",
    );
  addMachineOptions(command)
    .addOption(
      new Option(
        "--sysctl <name=value>",
        "a write after boot, e.g. min_free_kbytes=16384 or =5%",
      ).argParser(collect),
    )
    .addHelpText("after", EXAMPLES)
    .action(async (path: string, flags: PlanFlags) => {
      context.exitCode = await plan(path, flags, context);
    });
}

async function plan(path: string, flags: PlanFlags, context: Context): Promise<number> {
  const options = machineOptions(flags);
  const managed: PlanOptions = {
    ...(flags.managed === undefined ? {} : { managed: parseManaged(flags.managed) }),
    ...(flags.maskPool === undefined ? {} : { maskPoolBytes: parseMaskPool(flags.maskPool) }),
  };
  const writes = parseSysctls(flags.sysctl ?? []);
  const machine = await loadMachine(path, options, context.terminal);
  const booted = makePlan(machine, path, options, managed);
  const sysctls = resolveShares(writes, booted);
  const result =
    writes.length === 0 ? booted : makePlan(machine, path, options, { ...managed, sysctls });
  context.print(flags.json === true ? planDocument(result) : planScreen(context.style(), result));
  return EXIT_FINE;
}
