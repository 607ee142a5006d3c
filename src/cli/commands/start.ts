/**
 * `zonewright start`, and `zonewright` alone: one screen of this machine for
 * someone who has never seen the tool. Where there is no Linux it shows the
 * capture that comes with the program.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import type { Inspection } from "../../documents/index.ts";
import { readCapture } from "../../formats/capture.ts";
import { isLinux, liveCapture } from "../../host/index.ts";
import { nearest } from "../../io/quantity.ts";
import type { Context } from "../context.ts";
import { EXIT_FINE, type Failure, usage } from "../failure.ts";
import { inspectCapture } from "../inspection.ts";
import { startScreen } from "../render/start-screen.ts";
import type { Terminal } from "../terminal.ts";
import { inspectPath } from "./inspect.ts";

const BUNDLED = "examples/captures/x86_64-6.1-8G.tar.gz";

export function addStart(program: Command, context: Context): void {
  program
    .command("start", { isDefault: true, hidden: true })
    .description("one screen of this machine, and what to try next")
    .argument("[words...]")
    .action(async (words: readonly string[]) => {
      // The default command gets every word that is no command.
      if (words[0] !== undefined) throw unknownCommand(words[0], program);
      const inspection = await look(context.terminal);
      context.print(startScreen(context.style(), inspection));
      context.exitCode = EXIT_FINE;
    });
}

function unknownCommand(word: string, program: Command): Failure {
  const known = program.commands
    .map((command) => command.name())
    .filter((name) => name !== "start");
  const near = nearest(word, known);
  const mend = near === null ? `known are ${known.join(", ")}` : `did you mean ${near}?`;
  return usage(word.slice(0, 60), "there is no such command", mend);
}

async function look(terminal: Terminal): Promise<Inspection> {
  if (await isLinux()) {
    const live = await liveCapture();
    const { value, issues } = await readCapture(live.files);
    const inspection = inspectCapture(value, live.sources, issues);
    if (inspection.zoneinfo !== null || inspection.plan !== null) return inspection;
  }
  const inspection = await inspectPath(bundledCapture(), terminal);
  return {
    ...inspection,
    name: `${inspection.name}, a capture: nothing can be read of this machine`,
  };
}

/** The program runs as src/cli/commands/start.ts or, bundled, as dist/cli/zonewright.js. */
export function bundledCapture(): string {
  const places = ["../../", "../../../"].map((up) =>
    fileURLToPath(new URL(up + BUNDLED, import.meta.url)),
  );
  return places.find(existsSync) ?? BUNDLED;
}
