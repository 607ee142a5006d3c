/** `zonewright collect`: a shell script for machines without Node. */
import type { Command } from "commander";
import { COLLECT_SCRIPT } from "../collect-script.ts";
import type { Context } from "../context.ts";
import { EXIT_FINE } from "../failure.ts";

const EXAMPLES = `
The script is POSIX shell (busybox will do) and only reads. It writes one text file of what plan,
inspect, check and explain can use; root is not needed, but lets it read more.

Examples:
  zonewright collect | ssh board 'sh -s -- -' > board.txt
  zonewright collect > collect.sh     then, on the board:  sh collect.sh board.txt
  zonewright inspect board.txt`;

export function addCollect(program: Command, context: Context): void {
  program
    .command("collect")
    .description("print a shell script that collects a machine's files into one text file")
    .addHelpText("after", EXAMPLES)
    .action(() => {
      context.print(COLLECT_SCRIPT);
      context.exitCode = EXIT_FINE;
    });
}
