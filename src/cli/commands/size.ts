/** `zonewright size TRACE`: the smallest value of a parameter that carries a recorded workload. */
import { type Command, Option } from "commander";
import type { Issue } from "../../base/issue.ts";
import { sizeDocument } from "../../documents/index.ts";
import { type Interruption, interruption, yieldTurn } from "../../host/index.ts";
import {
  type CmaCall,
  cmaWorkload,
  type DmaCall,
  dmaWorkload,
  keptRecording,
  type PageSizeName,
  type SizeName,
  type SizePause,
  type SizeWorkload,
  type Sizing,
  sizeCma,
  sizePageParameters,
  sizeSwiotlb,
} from "../../replay/index.ts";
import type { Context } from "../context.ts";
import { EXIT_FINDINGS, EXIT_FINE, EXIT_INPUT, unreadable, usage } from "../failure.ts";
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

  swiotlb               slots of the bounce pool (swiotlb=), for the recorded DMA mappings
  cma                   the area of cma=, for the ranges that were asked of it
  dma, dma32            where ZONE_DMA or ZONE_DMA32 may end, for who asks for that zone
  min_free_kbytes       the reserve of all zones, for requests that must not wait
  lowmem_reserve_ratio  a lower zone's reserve, for requests that can use no higher one

TRACE is what replay takes: a folder with trace.txt and before/ as scripts/lab records
it, an archive of one, or the text with --from. For swiotlb it needs the events dma:*
(6.12), or probes as scripts/lab sets them, and in before/ the version and the boot log;
for cma the events cma:*; for the others kmem:* and the kernel's free lists (snap/freelists).
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
  zonewright size trace/ --for min_free_kbytes,dma32
  zonewright size trace/ --for swiotlb --areas 64        a machine with 64 CPUs
  zonewright size trace/ --for swiotlb --force           every mapping bounces
  zonewright size trace.tar.gz --json | jq '.sizings[].answer.set'`;

const PAGE_NAMES: readonly PageSizeName[] = [
  "dma",
  "dma32",
  "min_free_kbytes",
  "lowmem_reserve_ratio",
];
const NAMES: readonly SizeName[] = ["swiotlb", "cma", ...PAGE_NAMES];

export function addSize(program: Command, context: Context): void {
  program
    .command("size")
    .description(
      "the smallest pool, zone or reserve that carries a recorded workload, with evidence",
    )
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
    const { sizings, workloads } = await sizeAll(input, asked, context, stop);
    hideProgress(context);
    const issues: Issue[] = [...input.issues, ...input.recording.issues];
    const stopped = sizings.some(({ status }) => status === "stopped");
    const { kernel, pages, dma } = input;
    const era = pages?.facts.era ?? dma?.rule.name ?? null;
    const origin = { trace: path, kernel, era, workloads, stopped, issues };
    const screen = (): string => sizeScreen(context.style(), sizings, origin);
    context.print(flags.json === true ? sizeDocument(sizings, origin) : screen());
    return exitOf(sizings);
  } finally {
    stop.end();
    await input.recording.close();
  }
}

interface Sized {
  readonly sizings: readonly Sizing[];
  readonly workloads: readonly SizeWorkload[];
}

async function sizeAll(
  input: SizeInput,
  asked: Asked,
  context: Context,
  stop: Interruption,
): Promise<Sized> {
  const pause: SizePause = async (name, tries) => {
    showProgress(context, name, tries);
    await yieldTurn();
    return !stop.asked();
  };
  const all = asked.names.length === 0;
  const wants = (name: SizeName): boolean => all || asked.names.includes(name);
  const parts: Sized[] = [];
  const isSurveyed = wants("swiotlb") || wants("cma");
  const ranges = isSurveyed ? await input.recording.survey() : [];
  if (wants("swiotlb")) parts.push(await sizedCalls(input, asked, pause));
  if (wants("cma")) parts.push(await sizedRanges(input, ranges, asked.margin, pause));
  const names = PAGE_NAMES.filter(wants);
  if (names.length > 0) parts.push(await sizedPages(input, names, asked, pause));
  const sizings = parts.flatMap((part) => part.sizings);
  const told = sizings.filter(({ status }) => status !== "untold");
  return {
    // What the recording tells nothing of is said only where it was asked for, or where nothing is told.
    sizings: all && told.length > 0 ? told : sizings,
    workloads: parts.flatMap((part) => part.workloads),
  };
}

async function sizedCalls(
  { recording, dma: facts, kernel }: SizeInput,
  { areas, force, margin }: Asked,
  pause: SizePause,
): Promise<Sized> {
  if (facts === null) throw usage("--for", `the bounce pool of kernel ${kernel} is not known`);
  if (areas !== null && areas > 1 && !facts.rule.areas) {
    throw usage("--areas", `kernel ${kernel} has no areas`, "they came with 6.0");
  }
  const sources = recording.dmaSources;
  const calls: DmaCall[] = [];
  if (sources.any) {
    for await (const block of recording.dmaCalls()) for (const call of block) calls.push(call);
  }
  const sizing = await sizeSwiotlb({ facts, sources, calls, areas, force, margin, pause });
  const workload = dmaWorkload(calls);
  return { sizings: [sizing], workloads: workload.length > 0 ? [workload] : [] };
}

async function sizedRanges(
  { kernel, areas }: SizeInput,
  calls: readonly CmaCall[],
  margin: number | null,
  pause: SizePause,
): Promise<Sized> {
  const sizing = await sizeCma({ calls, kernel, areas, margin, pause });
  return { sizings: [sizing], workloads: calls.length > 0 ? [cmaWorkload(calls)] : [] };
}

async function sizedPages(
  { recording, pages }: SizeInput,
  names: readonly PageSizeName[],
  { margin, names: named }: Asked,
  pause: SizePause,
): Promise<Sized> {
  if (pages === null) return { sizings: [], workloads: [] };
  const { from, facts } = pages;
  const isNamed = named.length > 0;
  const kept = keptRecording(recording);
  const task = { from, facts, recording: kept, names, isNamed, margin, pause };
  const found = await sizePageParameters(task);
  if (found.issue !== null) throw unreadable([found.issue]);
  return { sizings: found.sizings, workloads: [found.workload] };
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
