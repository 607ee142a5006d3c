/** `zonewright audit DIR|FILE…`: who in a C tree uses low memory, and what to use instead. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import {
  type Cost,
  costOf,
  identities,
  isFinding,
  markdownOf,
  sarifOf,
  type Use,
} from "../../audit/index.ts";
import { type AuditOrigin, auditDocument } from "../../documents/index.ts";
import {
  type AuditResult,
  auditTree,
  inputErrorOf,
  patchTree,
  writeScenarios,
} from "../../host/index.ts";
import type { Context } from "../context.ts";
import { EXIT_FINDINGS, EXIT_FINE, EXIT_INPUT, Failure, usage } from "../failure.ts";
import { auditProgress, auditScreen } from "../render/audit-screen.ts";

interface AuditFlags {
  readonly json?: boolean;
  readonly sarif?: boolean;
  readonly markdown?: boolean;
  readonly patch?: boolean;
  readonly scenario?: string;
  readonly all?: boolean;
  readonly baseline?: string;
  readonly config?: string;
  readonly cache: boolean;
}

const EXAMPLES = `
Reads every .c and .h file below the folders. Flags are followed through variables, fields, macros,
arguments and wrappers, across files by name. Below a kernel tree its Kconfig and Makefiles say
where a file can be built, and whether at all; files are then named from the tree's root.

Each use has a verdict: needed by limited hardware, redundant, misuse of a plain buffer, block layer,
dead, or unknown; with the reason, what to use instead, and how sure that is. Comments are listed in
--json only.

Exit code 0 when nothing is to do, 1 when something is (with --baseline: something new).

Examples:
  zonewright audit drivers sound
  zonewright audit drivers --json > before.json     later: zonewright audit drivers --baseline before.json
  zonewright audit drivers --patch | git apply
  zonewright audit drivers --scenario try/          node try/all.ts runs them
  zonewright audit drivers/net --sarif > audit.sarif
  zonewright audit drivers --config .config         what this kernel's build uses`;

export function addAudit(program: Command, context: Context): void {
  program
    .command("audit")
    .description(
      "find who uses low memory or a narrow DMA mask in C sources, and what to use instead",
    )
    .argument("<path...>", "folders or files of C")
    .option("--json", "print every use as a JSON document")
    .option("--sarif", "print a SARIF 2.1.0 log")
    .option("--markdown", "print the findings as Markdown")
    .option("--patch", "print the mechanical fixes as one diff")
    .option("--scenario <dir>", "write a runnable DMA scenario for each fix of --patch")
    .option("--all", "list every use, not only what is to do")
    .option("--baseline <file>", "an earlier --json: only what is new counts")
    .option("--config <file>", "a kernel's .config: only what it builds costs memory")
    .option("--no-cache", "read and parse everything anew, keep nothing")
    .addHelpText("after", EXAMPLES)
    .action(async (paths: string[], flags: AuditFlags) => {
      context.exitCode = await run(paths, flags, context);
    });
}

async function run(paths: readonly string[], flags: AuditFlags, context: Context): Promise<number> {
  const outputs = [flags.json, flags.sarif, flags.markdown, flags.patch, flags.scenario];
  if (outputs.filter(Boolean).length > 1) {
    throw usage(
      "--json, --sarif, --markdown, --patch, --scenario",
      "only one of them can be printed",
    );
  }
  const known = flags.baseline === undefined ? null : readBaseline(flags.baseline);
  const result = await audit(paths, flags, context);
  const { uses } = result;
  const ids = identities(uses);
  const fresh = uses.filter((_, i) => known === null || !known.has(ids[i] ?? ""));
  const origin = originOf(paths, result, known, flags.config !== undefined);
  if (flags.scenario !== undefined) writeScenario(flags.scenario, result, context);
  else print(result, fresh, origin, flags, context);
  return fresh.some(isFinding) ? EXIT_FINDINGS : EXIT_FINE;
}

function print(
  result: AuditResult,
  fresh: readonly Use[],
  origin: AuditOrigin,
  flags: AuditFlags,
  context: Context,
): void {
  const { uses, files, unparsed } = result;
  if (flags.json === true) context.print(auditDocument(uses, origin));
  else if (flags.sarif === true) {
    const log = sarifOf(uses, { version: context.version, known: origin.known, unparsed });
    context.print(`${JSON.stringify(log, null, 2)}\n`);
  } else if (flags.markdown === true) context.print(markdownOf(fresh, files));
  else if (flags.patch === true) context.print(patchTree(result));
  else context.print(auditScreen(context.style(), fresh, origin, flags.all === true));
}

function writeScenario(folder: string, result: AuditResult, { print }: Context): void {
  try {
    const { files, flags } = writeScenarios(folder, result);
    print(`${flags} flags of ${files} files; run them with: node ${join(folder, "all.ts")}\n`);
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    const message = `cannot be written: ${String(error.code)}`;
    const mend = "give a folder that can be written";
    throw new Failure(EXIT_INPUT, [{ severity: "error", source: folder, message, mend }]);
  }
}

async function audit(
  paths: readonly string[],
  flags: AuditFlags,
  { terminal, style }: Context,
): Promise<AuditResult> {
  const isShown = (terminal.errColumns ?? null) !== null;
  let shown = 0;
  const progress = (done: number, all: number): void => {
    if (!isShown || done - shown < all / 200) return;
    shown = done;
    terminal.err(`\r${auditProgress(style(), done, all)}`);
  };
  try {
    const config = flags.config ?? null;
    return await auditTree(paths, { useCache: flags.cache, config, progress });
  } catch (error) {
    const { message, mend } = inputErrorOf(error);
    const issue = { severity: "error" as const, message };
    throw new Failure(EXIT_INPUT, [mend === undefined ? issue : { ...issue, mend }]);
  } finally {
    if (shown > 0) terminal.err("\r\u001b[K");
  }
}

function originOf(
  given: readonly string[],
  { root, files, parsed, unparsed, failures, uses, architectures }: AuditResult,
  known: ReadonlySet<string> | null,
  hasConfig: boolean,
): AuditOrigin {
  const unread = failures.map(({ name, message }) => ({ file: name, line: null, text: message }));
  return {
    given,
    root,
    files,
    parsed,
    unparsed: [...unparsed, ...unread],
    known,
    costs: costsOf(uses, hasConfig ? [] : architectures),
  };
}

/** In all, and for each architecture on which something is asked for. */
function costsOf(uses: readonly Use[], architectures: readonly string[]): Cost[] {
  const each = architectures.map((name) => costOf(uses, name));
  return [costOf(uses, null), ...each.filter(({ rows }) => rows.length > 0)];
}

/** Ids of an earlier document. */
function readBaseline(path: string): ReadonlySet<string> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { message } = inputErrorOf(error);
    const mend = "make one with audit --json";
    throw new Failure(EXIT_INPUT, [{ severity: "error", source: path, message, mend }]);
  }
  const ids = idsIn(text);
  if (ids !== null) return ids;
  const message = "not a document of audit --json";
  const mend = "make one with audit --json";
  throw new Failure(EXIT_INPUT, [{ severity: "error", source: path, message, mend }]);
}

function idsIn(text: string): ReadonlySet<string> | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null || !("uses" in value)) return null;
  if (!Array.isArray(value.uses)) return null;
  const uses: unknown[] = value.uses;
  const ids = uses.map((use) =>
    typeof use === "object" && use !== null && "id" in use && typeof use.id === "string"
      ? use.id
      : null,
  );
  return new Set(ids.filter((id) => id !== null));
}
