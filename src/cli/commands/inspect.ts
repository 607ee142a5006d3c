/** `zonewright inspect [CAPTURE]`: what a machine's memory is to its devices, now. */
import type { Command } from "commander";
import type { Inspection } from "../../documents/index.ts";
import { inspectDocument } from "../../documents/index.ts";
import { readCapture } from "../../formats/capture.ts";
import { isLinux, liveCapture } from "../../host/index.ts";
import type { Context } from "../context.ts";
import { EXIT_FINE, EXIT_INPUT, Failure } from "../failure.ts";
import { inspectCapture } from "../inspection.ts";
import { loadCapture } from "../load.ts";
import { inspectScreen } from "../render/inspect-screen.ts";
import type { Terminal } from "../terminal.ts";

interface InspectFlags {
  readonly json?: boolean;
}

const EXAMPLES = `
Without CAPTURE it is this machine; root is not needed, but lets it read more.

Examples:
  zonewright inspect
  zonewright inspect capture.tar.gz --json | jq '.zones[] | {name, free, min}'`;

export function addInspect(program: Command, context: Context): void {
  program
    .command("inspect")
    .description("zones, free pages, reserves and reach of this machine or a capture")
    .argument("[capture]", "folder, archive or what collect wrote; this machine when left out")
    .option("--json", "print everything as a JSON document")
    .addHelpText("after", EXAMPLES)
    .action(async (path: string | undefined, flags: InspectFlags) => {
      const inspection =
        path === undefined ? await inspectLive() : await inspectPath(path, context.terminal);
      const screen = (): string => inspectScreen(context.style(), inspection);
      context.print(flags.json === true ? inspectDocument(inspection) : screen());
      context.exitCode = EXIT_FINE;
    });
}

async function inspectLive(): Promise<Inspection> {
  if (!(await isLinux())) {
    const message = "this machine does not run Linux";
    const mend = "give a capture, e.g. zonewright inspect capture.tar.gz";
    throw new Failure(EXIT_INPUT, [{ severity: "error", source: "inspect", message, mend }]);
  }
  const live = await liveCapture();
  const { value, issues } = await readCapture(live.files);
  return inspectCapture(value, live.sources, issues);
}

export async function inspectPath(path: string, terminal: Terminal): Promise<Inspection> {
  const { capture, issues, sources } = await loadCapture(path, terminal);
  const whole = inspectCapture(capture, sources, issues);
  if (whole.zoneinfo !== null || whole.plan !== null) return whole;
  const message = whole.checkWhyNot ?? "nothing in it can be shown";
  throw new Failure(EXIT_INPUT, [{ severity: "error", source: path, message }]);
}
