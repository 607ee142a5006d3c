/** `zonewright explain LOG`: why memory was refused, computed from what the kernel reported. */
import type { Command } from "commander";
import { type ExplainOrigin, explainDocument } from "../../documents/index.ts";
import { Explainer, redact } from "../../explain/index.ts";
import { FailureReader } from "../../formats/index.ts";
import { inputErrorOf, openLog, yieldTurn } from "../../host/index.ts";
import type { Context } from "../context.ts";
import { EXIT_FINDINGS, EXIT_FINE, EXIT_INPUT, Failure } from "../failure.ts";
import { explainProgress, explainScreen } from "../render/explain-screen.ts";

interface ExplainFlags {
  readonly json?: boolean;
  readonly all?: boolean;
  readonly redact?: boolean;
}

const EXAMPLES = `
LOG is what dmesg, journalctl -k, syslog, a serial console or a mail holds, of any size, wrapped or
quoted (.gz and .zst too, - for standard input), or the file that collect wrote. Kernels from 2.6.9 on.

Page allocation failures and OOM reports are judged by the engine's own checks on the zones they
print. Sentences of swiotlb, CMA, DMA masks, DMA-API debugging and IOMMUs are classified by their
numbers. What the report does not say is not guessed.

Exit code 0 when nothing was found, 1 when something was.

Examples:
  dmesg | zonewright explain -
  zonewright explain /var/log/kern.log.1.gz --all
  zonewright explain report.txt --redact --json | jq '.findings[].cause'`;

export function addExplain(program: Command, context: Context): void {
  program
    .command("explain")
    .description("say why memory was refused, from a kernel's log")
    .argument("<log>", "the log, or - for standard input")
    .option("--json", "print the findings as a JSON document")
    .option("--all", "count equal reports instead of showing each")
    .option("--redact", "take out names of tasks, devices and groups, and addresses")
    .addHelpText("after", EXAMPLES)
    .action(async (path: string, flags: ExplainFlags) => {
      context.exitCode = await run(path, flags, context);
    });
}

async function run(path: string, flags: ExplainFlags, context: Context): Promise<number> {
  const explainer = new Explainer({ grouped: flags.all === true });
  const lines = await read(path, explainer, context);
  const found = explainer.findings();
  const clean = flags.redact === true ? redact(found) : null;
  const findings = clean?.findings ?? found;
  const origin: ExplainOrigin = {
    log: path === "-" ? "standard input" : clean === null ? path : "the log",
    lines,
    dropped: explainer.dropped,
    redacted: clean?.removed ?? null,
    note: findings.length > 0 ? null : noteOf(explainer),
  };
  const grouped = flags.all === true;
  context.print(
    flags.json === true
      ? explainDocument(findings, origin)
      : explainScreen(context.style(), findings, origin, grouped),
  );
  return findings.length === 0 ? EXIT_FINE : EXIT_FINDINGS;
}

/** Bytes between two looks at the clock of whoever waits. */
const PROGRESS_CHARS = 2 ** 24;

async function read(path: string, explainer: Explainer, context: Context): Promise<number> {
  const { terminal } = context;
  const reader = new FailureReader(explainer);
  let chars = 0;
  let shown = 0;
  try {
    for await (const chunk of openLog(path, terminal.stdin)) {
      reader.push(chunk);
      chars += chunk.length;
      if (terminal.columns === null || chars - shown < PROGRESS_CHARS) continue;
      shown = chars;
      terminal.err(`\r${explainProgress(context.style(), chars, explainer.seen)}`);
      await yieldTurn();
    }
  } catch (error) {
    const { message, mend } = inputErrorOf(error);
    const issue = { severity: "error" as const, source: path, message };
    throw new Failure(EXIT_INPUT, [mend === undefined ? issue : { ...issue, mend }]);
  } finally {
    if (shown > 0) terminal.err("\r\u001b[K");
  }
  reader.end();
  return reader.lines;
}

function noteOf({ context }: Explainer): string {
  const { tableLine } = context;
  if (tableLine === null) return "no report of refused memory is in it";
  return `no report of refused memory is in it, but tables of /proc (line ${tableLine}): zonewright inspect reads those`;
}
