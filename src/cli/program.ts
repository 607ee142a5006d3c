/**
 * The command line: commands, exit codes, and what happens when something goes
 * wrong. Data on standard output, everything else on standard error, one line
 * each, never a stack trace.
 *
 *   0 fine   1 findings   2 wrong usage   3 unreadable input   70 a bug of ours   74 no room for output
 */
import { Command, CommanderError, Option } from "commander";
import { formatIssue } from "../base/issue.ts";
import { addAudit } from "./commands/audit.ts";
import { addCheck } from "./commands/check.ts";
import { addCollect } from "./commands/collect.ts";
import { addDiff } from "./commands/diff.ts";
import { addExplain } from "./commands/explain.ts";
import { addInspect } from "./commands/inspect.ts";
import { addPlan } from "./commands/plan.ts";
import { addReplay } from "./commands/replay.ts";
import { addSchema } from "./commands/schema.ts";
import { addSize } from "./commands/size.ts";
import { addStart } from "./commands/start.ts";
import type { Context } from "./context.ts";
import { EXIT_BUG, EXIT_FINE, EXIT_USAGE, Failure } from "./failure.ts";
import { type ColourChoice, styleOf, type Terminal } from "./terminal.ts";

/** The first errors explain the rest. */
const ERRORS_SHOWN = 5;
const HELP = `
Start here:
  zonewright                                   this machine on one screen
  zonewright plan examples/machines/desktop-8G.yaml
                                               boot a described machine on paper
  zonewright check examples/captures/x86_64-6.1-8G.tar.gz
                                               does the model say what the kernel said?

A capture is a folder of files named as in /proc and /sys, a .tar.gz of one, or what this makes on
any machine with a shell:
  zonewright collect > collect.sh && sh collect.sh capture.txt

Exit codes: 0 fine, 1 findings, 2 wrong usage, 3 unreadable input.`;

/** Runs `args` (without node and script) and gives the exit code. Never throws. */
export async function main(
  args: readonly string[],
  terminal: Terminal,
  version: string,
): Promise<number> {
  const program = new Command("zonewright");
  const context: Context = {
    terminal,
    style: () => styleOf(terminal, program.opts<{ color: ColourChoice }>().color),
    print: (result) =>
      terminal.out(typeof result === "string" ? result : `${JSON.stringify(result, null, 2)}\n`),
    version,
    exitCode: EXIT_FINE,
  };
  program
    .description("Linux's zones, watermarks, reserves and DMA reach: computed, and checked")
    .version(version, "-V, --version", "print the version")
    .addOption(
      new Option("--color <when>", "colours").choices(["auto", "always", "never"]).default("auto"),
    )
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", HELP)
    .exitOverride()
    .configureOutput({
      writeOut: terminal.out,
      writeErr: () => undefined,
      getOutHelpWidth: () => Math.min(terminal.columns ?? 100, 100),
    });
  addPlan(program, context);
  addCheck(program, context);
  addInspect(program, context);
  addDiff(program, context);
  addReplay(program, context);
  addSize(program, context);
  addExplain(program, context);
  addAudit(program, context);
  addCollect(program, context);
  addSchema(program, context);
  addStart(program, context);
  for (const command of program.commands) {
    command.exitOverride().copyInheritedSettings(program);
  }
  try {
    await program.parseAsync([...args], { from: "user" });
    return context.exitCode;
  } catch (error) {
    return report(error, terminal);
  }
}

function report(error: unknown, { err, env }: Terminal): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT_FINE;
    err(`zonewright: ${usageLine(error.message)}\n`);
    return EXIT_USAGE;
  }
  if (error instanceof Failure) {
    const shown = error.issues.slice(0, ERRORS_SHOWN);
    for (const issue of shown) err(`zonewright: ${formatIssue(issue)}\n`);
    const more = error.issues.length - shown.length;
    if (more > 0) err(`zonewright: and ${more} more errors\n`);
    return error.exitCode;
  }
  const words = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const line = words.split("\n")[0] ?? "";
  err(`zonewright: this is a bug (${line}); please report it with the command you ran\n`);
  if (env["ZONEWRIGHT_DEBUG"] === "1" && error instanceof Error) err(`${error.stack ?? ""}\n`);
  return EXIT_BUG;
}

/** Commander's words on one line, with the way to the help. */
function usageLine(message: string): string {
  const words = message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
  return `${words}; see zonewright --help`;
}
