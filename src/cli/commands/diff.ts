/** `zonewright diff A B`: who is affected by a change of machine, kernel or parameters. */
import type { Command } from "commander";
import { diffDocument } from "../../documents/index.ts";
import { diffPlans, EFFECTS, type Plan } from "../../plan/index.ts";
import type { Context } from "../context.ts";
import { EXIT_FINDINGS, EXIT_FINE } from "../failure.ts";
import { loadMachine, makePlan } from "../load.ts";
import { diffScreen } from "../render/diff-screen.ts";
import { parseEffects } from "../values.ts";
import { addMachineOptions, type MachineFlags, machineOptions } from "./machine-options.ts";

interface DiffFlags extends MachineFlags {
  readonly json?: boolean;
  readonly failOn?: string;
}

const EXAMPLES = `
The options apply to B. Exit code 1 when an effect that --fail-on names is found.

Effects: ${EFFECTS.join(", ")}

Examples:
  zonewright diff capture/ capture/ --set mem=3G        the same machine with a parameter more
  zonewright diff old.yaml new.yaml --fail-on bounce,unreachable,cma-shrunk`;

export function addDiff(program: Command, context: Context): void {
  const command = program
    .command("diff")
    .description("what changes from machine A to machine B, and who is affected")
    .argument("<a>", "capture or description before")
    .argument("<b>", "capture or description after")
    .option("--json", "print the differences as a JSON document")
    .option("--fail-on <effects>", "exit with 1 on any of these effects, joined by commas");
  addMachineOptions(command)
    .addHelpText("after", EXAMPLES)
    .action(async (a: string, b: string, flags: DiffFlags) => {
      context.exitCode = await diff(a, b, flags, context);
    });
}

async function diff(a: string, b: string, flags: DiffFlags, context: Context): Promise<number> {
  const failOn = flags.failOn === undefined ? [] : parseEffects(flags.failOn);
  const options = machineOptions(flags);
  const planOf = async (path: string, changes: typeof options): Promise<Plan> =>
    makePlan(await loadMachine(path, changes, context.terminal), path, changes);
  // A device that is asked about exists on both sides, or nothing about it could change.
  const same = options.devices === undefined ? {} : { devices: options.devices };
  const before = await planOf(a, same);
  const after = await planOf(b, options);
  const found = diffPlans(before, after);
  const document = diffDocument(found, failOn);
  const screen = (): string => diffScreen(context.style(), found, document.failed);
  context.print(flags.json === true ? document : screen());
  return document.failed.length === 0 ? EXIT_FINE : EXIT_FINDINGS;
}
