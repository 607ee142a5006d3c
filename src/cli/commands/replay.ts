/** `zonewright replay TRACE`: what a kernel did, run through the engine page by page. */
import { type Command, Option } from "commander";
import type { Issue, Outcome } from "../../base/issue.ts";
import { replayDocument } from "../../documents/index.ts";
import { interruption, yieldTurn } from "../../host/index.ts";
import {
  type Change,
  type DmaFacts,
  type DmaReplay,
  isSame,
  type MachineFacts,
  NOT_SETTABLE,
  pageChange,
  parseChange,
  type Run,
  replay,
  replayDma,
  SETTING_NAMES,
  type SwiotlbChange,
  scoreIova,
} from "../../replay/index.ts";
import type { Context } from "../context.ts";
import {
  EXIT_FINDINGS,
  EXIT_FINE,
  EXIT_INPUT,
  EXIT_USAGE,
  Failure,
  unreadable,
} from "../failure.ts";
import { loadTrace, type TraceRecording } from "../load-trace.ts";
import { progressWords, replayScreen } from "../render/replay-screen.ts";
import { openReplayFiles, type ReplayFiles } from "../replay-files.ts";
import { collect } from "./machine-options.ts";

interface ReplayFlags {
  readonly from?: string;
  readonly to?: string;
  readonly boot?: boolean;
  readonly json?: boolean;
  readonly decisions?: string;
  readonly perfetto?: string;
  readonly set?: readonly string[];
}

const EXAMPLES = `
TRACE is the text of /sys/kernel/tracing/trace with the events of kmem (.gz, .zst,
- for standard input), or a folder with trace.txt, before/ and after/ as scripts/lab
records them: before/ has the free lists that the replay starts from, after/ those
that it is compared with. docs/lab.md says how to record one.

What it prints:
  Blind run      how many pages, zones and lists the engine found by itself, driven
                 by requests, frees and what no allocator can know
  Repaired run   where the blind run differs from the kernel: each wrong answer is
                 mended and counted, what was assumed is named
  First difference, with both sides' pages and what each zone said
  DMA            where drivers' calls were recorded: which mappings bounced, in which
                 slots, and how many were in use, against the kernel; behind an IOMMU,
                 which addresses its domains gave out
  Over time: free memory and marks, blocks by order, kswapd, reclaim, fallbacks

--set asks what the same requests and frees would meet on a changed machine; repeat
it for several. Reclaim stays the recording's: who would need more goes without, and
is counted.
  min_free_kbytes=N  watermark_scale_factor=N  watermark_boost_factor=N
  lowmem_reserve_ratio=A_B_C_D_E  percpu_pagelist_high_fraction=N
                        sysctls, written at the moment of the snapshot
  dma=SIZE  dma32=SIZE  the address where the zone ends, 0 for no such zone
  cma=SIZE              an area for movable pages, 0 for none
  swiotlb=SLOTS[,AREAS][,force]
                        another pool of bounce buffers, or every mapping through it; needs
                        the recording's DMA calls (events dma:*, or probes as scripts/lab sets)

--perfetto writes the blind run for https://ui.perfetto.dev and chrome://tracing:
counters, kswapd and reclaim as slices, fallbacks, refusals, differences. Its size
has a bound, and the file is whole after each write, also when interrupted.
--decisions writes the answers of the blind run as it gives them.

--boot replays a trace that begins with the boot: from what memblock hands over, as the
plan of the capture's machine predicts it. The capture needs its boot log with
memblock=debug; its zoneinfo, buddyinfo and pagetypeinfo are not opened.

Exit code 0 when one of the runs equals the kernel in every page and every list,
else 1. --set does not change it.

Examples:
  zonewright replay trace/
  zonewright replay trace.txt.gz --from trace/before --json | jq .freeRunning
  zonewright replay trace/ --boot
  zonewright replay trace/ --set min_free_kbytes=65536 --set watermark_boost_factor=0
  zonewright replay trace/ --set dma32=1G --json | jq .whatIf.zoneShift
  zonewright replay trace/ --set swiotlb=force --json | jq .dma.whatIf
  zonewright replay trace/ --perfetto trace.json --decisions decisions.csv`;

export function addReplay(program: Command, context: Context): void {
  program
    .command("replay")
    .description("run a recorded kernel's allocations through the engine, page by page")
    .argument("<trace>", "trace text, or folder of one")
    .option("--from <capture>", "capture with the snapshot to start from; before/ by default")
    .option("--to <capture>", "capture with the snapshot to end with; after/ by default")
    .option("--boot", "start with the boot's first event, from what memblock hands over as planned")
    .addOption(
      new Option("--set <name=value>", "the same demand on a changed machine").argParser(collect),
    )
    .option("--json", "print the scores as a JSON document")
    .option("--perfetto <file>", "write a trace for ui.perfetto.dev")
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
  const {
    issues,
    dma: dmaFacts,
    iova: evidence,
    ...task
  } = await loadTrace(paths, context.terminal.stdin);
  const { facts, recording } = task;
  const stop = interruption();
  let files: ReplayFiles | null = null;
  try {
    const change = flags.set === undefined ? null : changeOf(flags.set, facts);
    const pages = change === null ? null : pageChange(change.value);
    const own = await openReplayFiles(flags, facts);
    files = own;
    const { value, issues: more } = await replay({
      ...task,
      ...own.hooks,
      ...(pages === null ? {} : { whatIf: pages }),
      pause: async (done, all) => {
        await own.flush();
        showProgress(context, done, all);
        await yieldTurn();
        return !stop.asked();
      },
    });
    hideProgress(context);
    if (value === null) throw change === null ? unreadable(more) : settingFailure(more);
    const { lost } = recording;
    const swiotlb = change?.value.swiotlb ?? null;
    const dma = value.stopped ? null : await dmaOf(recording, dmaFacts, swiotlb);
    const translated = !value.stopped && recording.dmaSources.translated;
    const iova = translated ? scoreIova(await recording.iovaCalls(), evidence) : null;
    const asked = [...(change?.issues ?? []), ...(dma?.issues ?? [])];
    const all = [...issues, ...asked, ...recording.issues, ...more];
    const origin = { trace: path, lost, issues: all, dma: dma?.value ?? null, iova };
    const screen = (): string => replayScreen(context.style(), value, origin);
    context.print(flags.json === true ? replayDocument(value, origin) : screen());
    return !value.stopped && isEqual(value.repaired) ? EXIT_FINE : EXIT_FINDINGS;
  } finally {
    stop.end();
    await files?.close();
    await recording.close();
  }
}

/** The DMA calls of the same window, after the pages: these tell which events there are. */
async function dmaOf(
  recording: TraceRecording,
  facts: DmaFacts | null,
  whatIf: SwiotlbChange | null,
): Promise<Outcome<DmaReplay | null>> {
  if (facts === null) return { value: null, issues: [] };
  const { dmaSources: sources } = recording;
  return replayDma({ facts, sources, calls: recording.dmaCalls(), whatIf });
}

/** What `--set` says; wrong usage where it cannot be. */
function changeOf(
  texts: readonly string[],
  facts: MachineFacts,
): { readonly value: Change; readonly issues: readonly Issue[] } {
  const { value, issues } = parseChange(texts, facts);
  if (value === null) throw settingFailure(issues);
  return { value, issues: issues.map(named) };
}

/** A setting that is wrong, or that this snapshot cannot carry, is wrong usage. */
function settingFailure(issues: readonly Issue[]): Failure {
  const errors = issues.filter(({ severity }) => severity === "error").map(named);
  const isUsage = errors.every(({ source }) => source?.startsWith("--set") === true);
  return new Failure(isUsage ? EXIT_USAGE : EXIT_INPUT, errors);
}

function named(issue: Issue): Issue {
  const known = SETTING_NAMES.includes(issue.source ?? "") || issue.message.includes(NOT_SETTABLE);
  return known ? { ...issue, source: `--set ${issue.source ?? ""}`.trim() } : issue;
}

/** Every answer is the kernel's, and so are all lists at the end where they are known. */
function isEqual({ score, comparison }: Run): boolean {
  const { pfnEqual, allocations, failedEqual, failed } = score;
  if (pfnEqual !== allocations || failedEqual !== failed) return false;
  if (comparison === null) return true;
  return isSame(comparison);
}

/** On a terminal only: elsewhere nobody watches. */
function showProgress({ terminal, style }: Context, done: number, all: number | null): void {
  if (terminal.columns !== null) terminal.err(`\r${progressWords(style(), done, all)}`);
}

function hideProgress({ terminal }: Context): void {
  if (terminal.columns !== null) terminal.err("\r\u001b[K");
}
