/** `zonewright replay TRACE`: what a kernel did, run through the engine page by page. */
import type { Command } from "commander";
import { replayDocument } from "../../documents/index.ts";
import {
  InputError,
  interruption,
  type LineWriter,
  lineWriter,
  yieldTurn,
} from "../../host/index.ts";
import {
  isSame,
  type MachineFacts,
  type ReplayTask,
  type Run,
  replay,
} from "../../replay/index.ts";
import type { Context } from "../context.ts";
import { EXIT_FINDINGS, EXIT_FINE, unreadable, usage } from "../failure.ts";
import { loadTrace } from "../load-trace.ts";
import { progressWords, replayScreen } from "../render/replay-screen.ts";

interface ReplayFlags {
  readonly from?: string;
  readonly to?: string;
  readonly boot?: boolean;
  readonly json?: boolean;
  readonly decisions?: string;
}

const EXAMPLES = `
TRACE is the text of /sys/kernel/tracing/trace (.gz and .zst too, - for standard input), or
a folder with trace.txt, before/ and after/ as scripts/lab records them.

Two runs are scored. The blind run is driven by requests, frees and what no allocator
can know; no recorded page that is to be predicted is looked at. Where it differs from
the kernel, a repaired run mends each wrong answer and says what it assumed.
--decisions writes the answers of the blind run as it gives them.

--boot replays a trace that begins with the boot: from what memblock hands over, as the
plan of the capture's machine predicts it. The capture needs its boot log with
memblock=debug; its zoneinfo, buddyinfo and pagetypeinfo are not opened.

Exit code 0 when one of the runs equals the kernel in every page and every list, else 1.

Examples:
  zonewright replay trace/
  zonewright replay trace.txt.gz --from trace/before --json | jq .freeRunning
  zonewright replay trace/ --boot
  zonewright replay trace/ --decisions decisions.csv`;

export function addReplay(program: Command, context: Context): void {
  program
    .command("replay")
    .description("run a recorded kernel's allocations through the engine, page by page")
    .argument("<trace>", "trace text, or folder of one")
    .option("--from <capture>", "capture with the snapshot to start from; before/ by default")
    .option("--to <capture>", "capture with the snapshot to end with; after/ by default")
    .option("--boot", "start with the boot's first event, from what memblock hands over as planned")
    .option("--json", "print the scores as a JSON document")
    .option("--decisions <file>", "write a CSV row for each mm_page_alloc")
    .addHelpText("after", EXAMPLES)
    .action(async (path: string, flags: ReplayFlags) => {
      context.exitCode = await run(path, flags, context);
    });
}

async function run(path: string, flags: ReplayFlags, context: Context): Promise<number> {
  const paths = {
    trace: path,
    boot: flags.boot === true,
    ...(flags.from === undefined ? {} : { from: flags.from }),
    ...(flags.to === undefined ? {} : { to: flags.to }),
  };
  const { issues, ...task } = await loadTrace(paths, context.terminal.stdin);
  const { recording } = task;
  const decisions = flags.decisions === undefined ? null : await openDecisions(flags.decisions);
  const stop = interruption();
  try {
    const { value, issues: more } = await replay({
      ...task,
      ...(decisions === null ? {} : { decide: rowsOf(decisions, task.facts) }),
      pause: async (done, all) => {
        await decisions?.flush();
        showProgress(context, done, all);
        await yieldTurn();
        return !stop.asked();
      },
    });
    hideProgress(context);
    if (value === null) throw unreadable(more);
    const { lost } = recording;
    const origin = { trace: path, lost, issues: [...issues, ...recording.issues, ...more] };
    const screen = (): string => replayScreen(context.style(), value, origin);
    context.print(flags.json === true ? replayDocument(value, origin) : screen());
    return !value.stopped && isEqual(value.repaired) ? EXIT_FINE : EXIT_FINDINGS;
  } finally {
    stop.end();
    await decisions?.close();
    await recording.close();
  }
}

/** Every answer is the kernel's, and so are all lists at the end where they are known. */
function isEqual({ score, comparison }: Run): boolean {
  const { pfnEqual, allocations, failedEqual, failed } = score;
  if (pfnEqual !== allocations || failedEqual !== failed) return false;
  if (comparison === null) return true;
  return isSame(comparison);
}

async function openDecisions(path: string): Promise<LineWriter> {
  try {
    const file = await lineWriter(path);
    file.write("seq,pfn_recorded,pfn_predicted,zone_predicted\n");
    return file;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw usage("--decisions", `${path}: ${error.message}`, error.mend);
  }
}

/** One row a decision, numbers decimal; -1 and an empty zone stand for a refusal. */
function rowsOf(file: LineWriter, { zones }: MachineFacts): NonNullable<ReplayTask["decide"]> {
  const nodes = new Set(zones.map(({ node }) => node)).size;
  const labels = zones.map(({ node, name }) => (nodes > 1 ? `N${node}/${name}` : name));
  let seq = 0;
  return (e, pfn, zone) => {
    file.write(`${seq},${e.pfn},${pfn},${labels[zone] ?? ""}\n`);
    seq++;
  };
}

/** On a terminal only: elsewhere nobody watches. */
function showProgress({ terminal, style }: Context, done: number, all: number | null): void {
  if (terminal.columns !== null) terminal.err(`\r${progressWords(style(), done, all)}`);
}

function hideProgress({ terminal }: Context): void {
  if (terminal.columns !== null) terminal.err("\r\u001b[K");
}
