/**
 * The smallest `swiotlb=` that refuses none of the recorded mappings. What the
 * recorded pool itself refused counts as well, as far as the recording tells it.
 */
import { formatBytes, formatCount } from "../../base/units.ts";
import type { SwiotlbRule } from "../../kernels/swiotlb.ts";
import type { DmaCall } from "../dma/call.ts";
import type { DmaSources } from "../dma/collect.ts";
import type { DmaVariant } from "../dma/driver.ts";
import type { DmaFacts } from "../dma/facts.ts";
import type { Completion } from "../dma/reshape.ts";
import { isNewForce, MOST_SLOTS, SEGMENT, SLOT_BYTES, variantOf } from "../dma/variant.ts";
import { answersOf, type Ladder, type Tried, trialOf } from "./ladder.ts";
import {
  emptySizing,
  type SizeAlternative,
  type SizePause,
  type SizeStatus,
  type SizeValue,
  type SizeWorkload,
  type Sizing,
} from "./result.ts";
import { type Found, searchSmallest } from "./search.ts";
import { tryPool } from "./swiotlb-trial.ts";

export interface SwiotlbSizingTask {
  readonly facts: DmaFacts;
  readonly sources: DmaSources;
  readonly calls: readonly DmaCall[];
  /** Areas of the pool; null for the recorded machine's. */
  readonly areas: number | null;
  /** Every mapping bounces, also where the recorded machine did not force that. */
  readonly force: boolean;
  /** Per cent; null for none. */
  readonly margin: number | null;
  /** Slots of the largest pool that is tried; 1 GiB by default. */
  readonly most?: number;
  readonly pause: SizePause;
}

export function dmaWorkload(calls: readonly DmaCall[]): SizeWorkload {
  const devices = new Set<string>();
  let maps = 0;
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (const call of calls) {
    if (call.kind === "phase") continue;
    first = Math.min(first, call.time);
    last = Math.max(last, call.time);
    if (call.kind === "map" || call.kind === "bounced") maps++;
    else if (call.kind === "map-sg") maps += call.parts.length;
    else continue;
    devices.add(call.device);
  }
  const words = `${counted(maps, "mapping")} by ${counted(devices.size, "device")}`;
  return { length: Math.max(0, last - first), words };
}

export async function sizeSwiotlb(task: SwiotlbSizingTask): Promise<Sizing> {
  const { facts, calls, margin } = task;
  const because = untold(task);
  if (because !== null) return emptySizing({ ...ASKED, because });
  const areas = areasOf(task);
  const { ladder, found } = await searchPools(task, areas, "recorded");
  const answers = answersOf(ladder, found, margin);
  const top = found.tried.at(-1)?.result;
  const status = statusOf(found, answers.answer);
  const recorded = tryPool(facts, facts, "recorded", calls);
  const { pool } = facts;
  const own = found.tried.find(({ rung }) => rung === found.rung)?.result ?? recorded;
  return {
    ...ASKED,
    ...answers,
    status,
    peak: own.peak,
    because: becauseOf(status, top?.first ?? null, ladder),
    alternatives: found.stopped ? [] : await alternativesOf(task, areas, answers.answer),
    recorded:
      pool === null
        ? null
        : trialOf(poolValue(task, areas, pool.slots), { ...recorded, mayWait: 0 }),
    notes: notesOf(task, recorded.driver.score),
  };
}

const ASKED = {
  name: "swiotlb",
  unit: "slots",
  where: "command line",
  criterion: "no mapping is refused, not even those that the recorded pool refused",
} as const;

function untold({ sources, calls, facts, force }: SwiotlbSizingTask): string | null {
  if (sources.translated) return "an IOMMU translated: what would bounce without it is not told";
  const any = calls.some(({ kind }) => kind === "map" || kind === "map-sg" || kind === "bounced");
  if (!any)
    return "the recording has no mappings: record the events dma:* (6.12), or probes as scripts/lab sets them";
  if (force && !facts.force && !sources.tracepoints) {
    return "which entries of scatterlists did not bounce is not told, so force cannot be asked: record the events dma:* (6.12)";
  }
  return null;
}

function areasOf({ facts, areas }: SwiotlbSizingTask): number {
  return facts.rule.areas ? (areas ?? facts.pool?.areas ?? 1) : 1;
}

interface Pools {
  readonly ladder: Ladder;
  readonly found: Found<Tried>;
}

async function searchPools(
  task: SwiotlbSizingTask,
  areas: number,
  completion: Completion,
): Promise<Pools> {
  const { facts, calls, pause } = task;
  const forced = task.force || facts.force;
  const values = [...(forced ? [] : [0]), ...sizesOf(facts.rule, areas, task.most ?? MOST_SLOTS)];
  const ladder: Ladder = { amounts: values, show: (slots) => poolValue(task, areas, slots) };
  let tries = 0;
  const found = await searchSmallest<Tried>({
    rungs: values.length,
    first: facts.pool === null ? [] : [values.indexOf(facts.pool.slots)],
    width: 1,
    tryAll: async ([rung]) => {
      if (!(await pause("swiotlb", tries))) return null;
      tries++;
      const { refused, first, never, peak } = tryPool(
        facts,
        variantAt(task, areas, values[rung]),
        completion,
        calls,
      );
      return [{ carries: refused === 0, refused, mayWait: 0, first: never ?? first, peak }];
    },
    carries: (tried) => tried.carries,
  });
  return { ladder, found };
}

/** What the kernel can make, ascending: powers of two where it rounds to them, else whole segments. */
function sizesOf(rule: SwiotlbRule, areas: number, most: number): number[] {
  const sizes: number[] = [];
  for (let slots = SEGMENT * areas; slots <= most; ) {
    sizes.push(slots);
    slots = rule.areas ? slots * 2 : slots + SEGMENT;
  }
  return sizes;
}

function variantAt({ facts, force }: SwiotlbSizingTask, areas: number, slots: number): DmaVariant {
  const unit = facts.rule.unit === "pages" ? 2 : 1;
  const noforce = slots === 0;
  return variantOf(facts, { text: "", slots: slots / unit, areas, force, noforce });
}

function poolValue(
  { facts, areas: asked, force }: SwiotlbSizingTask,
  areas: number,
  slots: number,
): SizeValue {
  const bytes = slots * SLOT_BYTES;
  if (slots === 0) return { value: 0, bytes, set: "swiotlb=noforce" };
  const number = facts.rule.unit === "pages" ? slots / 2 : slots;
  const areaWords = asked !== null || areas !== (facts.pool?.areas ?? 1) ? `,${areas}` : "";
  const forceWords = force || facts.force ? ",force" : "";
  return { value: slots, bytes, set: `swiotlb=${number}${areaWords}${forceWords}` };
}

function statusOf(found: Found<Tried>, answer: SizeValue | null): SizeStatus {
  if (found.stopped) return "stopped";
  if (answer === null) return "none";
  return answer.value === 0 ? "zero" : "sized";
}

function becauseOf(status: SizeStatus, first: Tried["first"], { amounts }: Ladder): string | null {
  if (status === "zero")
    return "no mapping of the recording bounces: its devices reach all that they were given";
  if (status !== "none") return null;
  if (first?.never === true) {
    return `${first.by} maps ${formatBytes(first.bytes)} at once: ${first.because.join(", ")}. Limit the driver's segments, not the pool`;
  }
  const most = formatBytes((amounts.at(-1) ?? 0) * SLOT_BYTES);
  return `a pool of ${most}, the largest that was tried, refuses mappings, too`;
}

/** With one area; and where force is new, for requests that end as early and as late as they may. */
async function alternativesOf(
  task: SwiotlbSizingTask,
  areas: number,
  answer: SizeValue | null,
): Promise<SizeAlternative[]> {
  const { facts } = task;
  const alternatives: SizeAlternative[] = [];
  const add = async (why: string, among: number, completion: Completion): Promise<void> => {
    const { ladder, found } = await searchPools(task, among, completion);
    if (found.rung < 0 || found.stopped) return;
    const value = ladder.show(ladder.amounts[found.rung]);
    if (value.value !== answer?.value) alternatives.push({ ...value, why });
  };
  if (areas > 1) await add("with one area for all CPUs", 1, "recorded");
  if (isNewForce(facts, variantAt(task, areas, SEGMENT))) {
    await add("if each request ended before the next began", areas, "alone");
    await add("if no request ended before its burst was over", areas, "together");
  }
  return alternatives;
}

function notesOf(
  { facts, areas }: SwiotlbSizingTask,
  score: {
    readonly missing: number;
    readonly unplaced: number;
    readonly devices: ReadonlyMap<string, { readonly refusals: number }>;
  },
): string[] {
  const notes: string[] = [];
  const refusals = [...score.devices.values()].reduce((sum, own) => sum + own.refusals, 0);
  if (refusals > 0) {
    notes.push(
      `the recorded pool refused ${counted(refusals, "call")} itself: of a list that was refused only the entries up to the refused one are told, and these are given back at once`,
    );
  }
  if ((facts.usedBefore ?? 0) > 0) {
    notes.push(
      `${counted(facts.usedBefore ?? 0, "slot")} were in use before the recording began, and are not in these numbers`,
    );
  }
  if (score.missing > 0) {
    notes.push(
      `${counted(score.missing, "entry", "entries")} of scatterlists are not listed in the recording: the need is higher by theirs`,
    );
  }
  if (score.unplaced > 0)
    notes.push(
      `${counted(score.unplaced, "mapping")} are left out: their address or size is not told`,
    );
  if (facts.rule.areas && areas === null) {
    notes.push(
      "a kernel makes an area for each possible CPU, each of at least 128 slots: on a machine with more CPUs than the recorded one give --areas",
    );
  }
  notes.push(
    "what a driver does when a mapping is refused is not modelled: it asks again as in the recording",
  );
  return notes;
}

function counted(count: number, one: string, many: string = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
