/** `zonewright size TRACE`: the smallest value of a parameter that carries a recorded workload. */
import { type Command, Option } from "commander";
import type { Issue } from "../../base/issue.ts";
import { sizeDocument } from "../../documents/index.ts";
import { type Interruption, interruption, yieldTurn } from "../../host/index.ts";
import {
  type DmaCall,
  dmaWorkload,
  type SizeName,
  type SizePause,
  type Sizing,
  sizeSwiotlb,
} from "../../replay/index.ts";
import type { Context } from "../context.ts";
import { EXIT_FINDINGS, EXIT_FINE, EXIT_INPUT, usage } from "../failure.ts";
import { loadSizeInput, type SizeInput } from "../load-size.ts";
import { sizeProgress, sizeScreen } from "../render/size-screen.ts";
import { collect } from "./machine-options.ts";

interface SizeFlags {
  readonly for?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly areas?: string;
  readonly force?: boolean;
  readonly margin?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
How small may it be? size replays a recorded workload on machines with other values of
a parameter, and looks for the smallest that carries it: nobody goes without.

  swiotlb   slots of the bounce pool (swiotlb=), for the recorded DMA mappings

TRACE is what replay takes: a folder with trace.txt and before/ as scripts/lab records
it, an archive of one, or the text with --from. For swiotlb it needs the events dma:*
(6.12), or probes as scripts/lab sets them, and in before/ the version and the boot log.
docs/size.md says how to read the answer, docs/lab.md how to record.

What it prints for each parameter:
  the value, and the text for the kernel's command line
  what happens one step below: who is refused what, when, and why
  the recorded machine's value, and the most that was in use at once, with its moment
  every value that was tried: is more always better here?

One recording is one recording: a longer or heavier one may need more. --margin adds
what you choose, and is printed beside the answer.

Exit code 0 when there is an answer, 1 when no value carries the workload, or when
stopped by Ctrl-C (what is known by then is printed), 2 wrong usage, 3 unreadable
input, or a recording that tells nothing of what is asked.

Examples:
  zonewright size trace/
  zonewright size trace/ --for swiotlb --margin 25%
  zonewright size trace/ --for swiotlb --areas 64        a machine with 64 CPUs
  zonewright size trace/ --for swiotlb --force           every mapping bounces
  zonewright size trace.tar.gz --json | jq '.sizings[].answer.set'`;

const NAMES: readonly SizeName[] = ["swiotlb"];

export function addSize(program: Command, context: Context): void {
  program
    .command("size")
    .description("the smallest swiotlb= that carries a recorded workload, with evidence")
    .argument("<trace>", "folder of a recorded trace, archive of one, or its text")
    .addOption(
      new Option(
        "--for <parameter>",
        `${NAMES.join(", ")}; repeat it for several; all that the trace tells of by default`,
      ).argParser(collect),
    )
    .option("--from <capture>", "capture of the recording's start; before/ by default")
    .option("--to <capture>", "capture of its end; after/ by default")
    .option("--areas <count>", "swiotlb: areas of the pool, one for each possible CPU")
    .option("--force", "swiotlb: as with swiotlb=force, every mapping bounces")
    .option("--margin <percent>", "also print the answer and so much more")
    .option("--json", "print the result as a JSON document")
    .addHelpText("after", EXAMPLES)
    .action(async (path: string, flags: SizeFlags) => {
      context.exitCode = await run(path, flags, context);
    });
}

interface Asked {
  readonly names: readonly SizeName[];
  /** null for the recorded machine's. */
  readonly areas: number | null;
  readonly force: boolean;
  /** Per cent. */
  readonly margin: number | null;
}

async function run(path: string, flags: SizeFlags, context: Context): Promise<number> {
  const asked = askedBy(flags);
  const paths = {
    trace: path,
    ...(flags.from === undefined ? {} : { from: flags.from }),
    ...(flags.to === undefined ? {} : { to: flags.to }),
  };
  const input = await loadSizeInput(paths, context.terminal.stdin);
  const stop = interruption();
  try {
    const { sizings, workload } = await sizeAll(input, asked, context, stop);
    hideProgress(context);
    const issues: Issue[] = [...input.issues, ...input.recording.issues];
    const stopped = sizings.some(({ status }) => status === "stopped");
    const origin = { trace: path, kernel: input.kernel, workload, stopped, issues };
    const screen = (): string => sizeScreen(context.style(), sizings, origin);
    context.print(flags.json === true ? sizeDocument(sizings, origin) : screen());
    return exitOf(sizings);
  } finally {
    stop.end();
    await input.recording.close();
  }
}

async function sizeAll(
  input: SizeInput,
  { areas, force, margin }: Asked,
  context: Context,
  stop: Interruption,
): Promise<{
  readonly sizings: readonly Sizing[];
  readonly workload: ReturnType<typeof dmaWorkload>;
}> {
  const pause: SizePause = async (name, tries) => {
    showProgress(context, name, tries);
    await yieldTurn();
    return !stop.asked();
  };
  const { recording, dma: facts } = input;
  if (facts === null)
    throw usage("--for", `the bounce pool of kernel ${input.kernel} is not known`);
  if (areas !== null && areas > 1 && !facts.rule.areas) {
    throw usage("--areas", `kernel ${input.kernel} has no areas`, "they came with 6.0");
  }
  if (input.pages !== null) await recording.survey();
  const calls: DmaCall[] = [];
  for await (const block of recording.dmaCalls()) for (const call of block) calls.push(call);
  const sources = recording.dmaSources;
  const sizing = await sizeSwiotlb({ facts, sources, calls, areas, force, margin, pause });
  return { sizings: [sizing], workload: dmaWorkload(calls) };
}

/** What nothing is told of is the recording's lack, unless something else was answered. */
function exitOf(sizings: readonly Sizing[]): number {
  if (sizings.some(({ status }) => status === "none" || status === "stopped")) return EXIT_FINDINGS;
  return sizings.every(({ status }) => status === "untold") ? EXIT_INPUT : EXIT_FINE;
}

function askedBy(flags: SizeFlags): Asked {
  const names = (flags.for ?? []).flatMap((text) => text.split(",")).map((name) => name.trim());
  const known = (name: string): name is SizeName => NAMES.some((own) => own === name);
  for (const name of names) {
    if (!known(name)) {
      const message = `"${name.slice(0, 40)}" is nothing that can be sized`;
      throw usage("--for", message, `known are ${NAMES.join(", ")}`);
    }
  }
  return {
    names: names.filter(known),
    areas: flags.areas === undefined ? null : parseAreas(flags.areas),
    force: flags.force === true,
    margin: flags.margin === undefined ? null : parseMargin(flags.margin),
  };
}

/** A power of two: the kernel rounds up to one. */
function parseAreas(text: string): number {
  const areas = Number(text);
  if (!/^\d{1,5}$/.test(text) || areas < 1 || areas > 4096) {
    throw usage("--areas", `"${text.slice(0, 40)}" is no number of areas`, "e.g. --areas 64");
  }
  return 2 ** Math.ceil(Math.log2(areas));
}

function parseMargin(text: string): number {
  const percent = Number(/^(\d{1,4}(?:\.\d{1,3})?)\s*%?$/.exec(text)?.[1] ?? Number.NaN);
  if (Number.isNaN(percent)) {
    throw usage("--margin", `"${text.slice(0, 40)}" is no percentage`, "e.g. --margin 25%");
  }
  return percent;
}

/** On a terminal only: elsewhere nobody watches. */
function showProgress({ terminal, style }: Context, name: SizeName, tries: number): void {
  if (isWatched(terminal)) terminal.err(`\r${sizeProgress(style(), name, tries)}`);
}

function hideProgress({ terminal }: Context): void {
  if (isWatched(terminal)) terminal.err("\r\u001b[K");
}

function isWatched({ columns, errColumns }: Context["terminal"]): boolean {
  return (errColumns ?? columns) !== null;
}
