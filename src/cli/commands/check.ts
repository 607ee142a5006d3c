/** `zonewright check CAPTURE`: the prediction against the kernel's own numbers. */
import type { Command } from "commander";
import { hasErrors } from "../../base/issue.ts";
import { checkDocument } from "../../documents/index.ts";
import type { MemoryReport } from "../../formats/memory-report.ts";
import { checkCapture, checkReport } from "../../plan/index.ts";
import type { Context } from "../context.ts";
import { EXIT_FINDINGS, EXIT_FINE, unreadable } from "../failure.ts";
import { loadCapture, orFailure } from "../load.ts";
import { loadText } from "../load-text.ts";
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
  zonewright check zoneinfo.txt --kernel 5.4
  zonewright check capture.tar.gz --json | jq .differences`;

export function addCheck(program: Command, context: Context): void {
  program
    .command("check")
    .description("compare the prediction with a capture's own zoneinfo")
    .argument(
      "<capture>",
      "folder, archive, what collect wrote, a lone zoneinfo, or a log with reports",
    )
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
  const text = await loadText(path, context.terminal);
  if (text?.kind === "reports") return checkReports(text.reports, path, flags, context);
  const { capture, issues } = text ?? (await loadCapture(path, context.terminal));
  if (hasErrors(issues)) throw unreadable(issues);
  const outcome = checkCapture(capture, { ...options, numbersAlone: true });
  const wrapped = outcome.value === null ? null : { check: outcome.value, issues: outcome.issues };
  const { check: result } = orFailure(wrapped, outcome.issues, path, options);
  const found = { ...result, plan: { ...result.plan, issues: [...issues, ...outcome.issues] } };
  context.print(flags.json === true ? checkDocument(found) : checkScreen(context.style(), found));
  return found.differences.length === 0 ? EXIT_FINE : EXIT_FINDINGS;
}

/** The zone lines of each report against the formulas: one screen each, one list of documents. */
function checkReports(
  reports: readonly MemoryReport[],
  path: string,
  flags: CheckFlags,
  context: Context,
): number {
  const options = flags.kernel === undefined ? {} : { kernel: parseKernel(flags.kernel) };
  const checks = reports.map((report) => {
    const { value, issues } = checkReport(report, `${path} line ${report.line}`, options);
    const wrapped = value === null ? null : { check: value, issues };
    const { check: result } = orFailure(wrapped, issues, path, options);
    return { ...result, plan: { ...result.plan, issues } };
  });
  if (flags.json === true) {
    const documents = checks.map(checkDocument);
    context.print(documents.length === 1 && documents[0] !== undefined ? documents[0] : documents);
  } else context.print(checks.map((found) => checkScreen(context.style(), found)).join(""));
  return checks.every(({ differences }) => differences.length === 0) ? EXIT_FINE : EXIT_FINDINGS;
}
