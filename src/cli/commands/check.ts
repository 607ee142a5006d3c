/** `zonewright check CAPTURE`: the prediction against the kernel's own numbers. */
import type { Command } from "commander";
import { hasErrors } from "../../base/issue.ts";
import { checkDocument } from "../../documents/index.ts";
import { checkCapture } from "../../plan/index.ts";
import type { Context } from "../context.ts";
import { EXIT_FINDINGS, EXIT_FINE, unreadable } from "../failure.ts";
import { loadCapture, orFailure } from "../load.ts";
import { checkScreen } from "../render/check-screen.ts";
import { parseKernel, parseManaged } from "../values.ts";

interface CheckFlags {
  readonly json?: boolean;
  readonly kernel?: string;
  readonly managed?: string;
}

const EXAMPLES = `
Exit code 0 when all compared fields are equal, 1 when some differ.

Examples:
  zonewright check capture/
  zonewright check capture.tar.gz --json | jq .differences`;

export function addCheck(program: Command, context: Context): void {
  program
    .command("check")
    .description("compare the prediction with a capture's own zoneinfo")
    .argument("<capture>", "folder, archive or what collect wrote")
    .option("--json", "print the comparison as a JSON document")
    .option("--kernel <version>", "the kernel, where the capture does not tell, e.g. 6.1")
    .option("--managed <zones>", "pages the zones hold after boot, instead of the log's")
    .addHelpText("after", EXAMPLES)
    .action(async (path: string, flags: CheckFlags) => {
      context.exitCode = await check(path, flags, context);
    });
}

async function check(path: string, flags: CheckFlags, context: Context): Promise<number> {
  const options = {
    ...(flags.managed === undefined ? {} : { managed: parseManaged(flags.managed) }),
    ...(flags.kernel === undefined ? {} : { kernel: parseKernel(flags.kernel) }),
  };
  const { capture, issues } = await loadCapture(path, context.terminal);
  if (hasErrors(issues)) throw unreadable(issues);
  const outcome = checkCapture(capture, options);
  const wrapped = outcome.value === null ? null : { check: outcome.value, issues: outcome.issues };
  const { check: result } = orFailure(wrapped, outcome.issues, path, options);
  const found = { ...result, plan: { ...result.plan, issues: [...issues, ...outcome.issues] } };
  context.print(flags.json === true ? checkDocument(found) : checkScreen(context.style(), found));
  return found.differences.length === 0 ? EXIT_FINE : EXIT_FINDINGS;
}
