/**
 * The document of `zonewright replay --json`.
 *
 * The counts at the top are those of the repaired run, whose assumptions are
 * counted beside them; `freeRunning` has those of the blind one, which never
 * looked at a recorded page that it had to answer with.
 */
import * as z from "zod";
import type { Issue } from "../base/issue.ts";
import {
  allocatorOf,
  type Divergence,
  type DmaReplay,
  type FreePages,
  type IovaScore,
  type ListCount,
  type Replay,
  type ReplayAllocator,
  type Run,
  type StartKind,
} from "../replay/index.ts";
import { issueList, issueSchema } from "./common.ts";
import { type DmaDocument, dmaDocument, dmaSchema } from "./dma-document.ts";
import { type TranslatedDocument, translatedDocument, translatedSchema } from "./iova-document.ts";
import { type WhatIfDocument, whatIfDocument, whatIfSchema } from "./what-if-document.ts";

const count = z.number().int().min(0);
const checked = z.object({ recorded: count, equal: count });
const lists = z.object({ lists: count, equal: count, sameSet: count });

const finalSchema = z
  .object({
    freeListsEqual: z.boolean().nullable().describe("null where no lists were told"),
    pcpEqual: z.boolean().nullable(),
    buddyinfoEqual: z.boolean(),
    freeLists: lists.nullable(),
    pcpLists: lists.nullable(),
    pageblocks: z.object({ blocks: count, equal: count }).nullable(),
    freePages: z
      .object({ ours: count, recorded: count, both: count })
      .nullable()
      .describe("pages on free lists, where no lists were told"),
  })
  .nullable();

const divergenceSchema = z.object({
  line: count,
  allocations: count.describe("mm_page_alloc events before it"),
  kind: z.enum(["page", "refill", "drain", "extfrag", "bulk"]),
  ours: z.string(),
  theirs: z.string(),
  differs: z.string(),
  path: z.array(z.string()).describe("what each zone said to the request"),
  list: z.object({ name: z.string(), pages: z.array(z.string()) }).nullable(),
  recorded: z.string().nullable().describe("where the recorded page lay in the model"),
});

interface Checked {
  readonly recorded: number;
  readonly equal: number;
}

/** How the lists compare with the snapshot at the end. */
export interface ReplayFinal {
  readonly freeListsEqual: boolean | null;
  readonly pcpEqual: boolean | null;
  readonly buddyinfoEqual: boolean;
  readonly freeLists: ListCount | null;
  readonly pcpLists: ListCount | null;
  readonly pageblocks: { readonly blocks: number; readonly equal: number } | null;
  readonly freePages: FreePages | null;
}

export interface ReplayDocument {
  readonly schema: "zonewright/replay/1";
  readonly trace: string;
  readonly kernel: string;
  readonly era: string;
  /** The page allocator's rules, which have eras of their own. */
  readonly allocator: ReplayAllocator | null;
  /** What the memory started from. */
  readonly start: StartKind;
  readonly events: number;
  readonly allocations: number;
  readonly failures: Checked;
  readonly frees: number;
  readonly lostEvents: number;
  readonly zoneEqual: number;
  readonly pfnEqual: number;
  readonly repairs: number;
  readonly refills: Checked;
  readonly drains: Checked;
  readonly fallbacks: Checked;
  /** Wake-ups of kswapd, by node and order, that the engine's requests asked for too. */
  readonly kswapdWakes: Checked;
  /** Direct reclaims whose requests find nothing in the engine either. */
  readonly directReclaims: Checked;
  /** Runs of kswapd, by order; where nobody woke it, its node lacks memory in the engine too. */
  readonly kswapdRuns: Checked;
  /** kswapd falls asleep, or sleeps on while requests ask for it; nor would it be awake by the engine. */
  readonly kswapdSleeps: Checked;
  readonly inputs: Readonly<Record<string, number>>;
  readonly assumptions: Readonly<Record<string, number>>;
  readonly freeRunning: {
    readonly zoneEqual: number;
    readonly pfnEqual: number;
    readonly misses: number;
    readonly firstDivergence: Divergence | null;
    readonly final: ReplayFinal | null;
  };
  /** null without a snapshot of the end. */
  readonly final: ReplayFinal | null;
  /** null without --set, or when the run was stopped. */
  readonly whatIf: WhatIfDocument | null;
  /** null where no driver's calls were recorded; addresses only where an IOMMU translated them. */
  readonly dma: DmaDocument | TranslatedDocument | null;
  /** The run was stopped: the counts are of what was done. */
  readonly stopped: boolean;
  readonly issues: readonly Issue[];
}

export const replaySchema: z.ZodType<ReplayDocument> = z.object({
  schema: z.literal("zonewright/replay/1"),
  trace: z.string(),
  kernel: z.string(),
  era: z.string(),
  allocator: z
    .object({
      rule: z.string(),
      basis: z.enum(["captured", "read", "inferred"]),
      differs: z.array(z.string()).describe("what such kernels have and the engine does not"),
    })
    .nullable(),
  start: z
    .enum(["exact lists", "flags and counts", "boot"])
    .describe("with flags and counts the order of lists and the per-CPU pages are unknown"),
  events: count,
  allocations: count.describe("mm_page_alloc with a page"),
  failures: checked.describe("mm_page_alloc without a page"),
  frees: count,
  lostEvents: count,
  zoneEqual: count,
  pfnEqual: count,
  repairs: count,
  refills: checked,
  drains: checked,
  fallbacks: checked,
  kswapdWakes: checked,
  directReclaims: checked,
  kswapdRuns: checked,
  kswapdSleeps: checked,
  inputs: z.record(z.string(), count).describe("told beyond requests and frees, by kind"),
  assumptions: z
    .record(z.string(), count)
    .describe("read off recorded pages by the repaired run; the blind one has none"),
  freeRunning: z.object({
    zoneEqual: count,
    pfnEqual: count,
    misses: count,
    firstDivergence: divergenceSchema.nullable(),
    final: finalSchema,
  }),
  final: finalSchema,
  whatIf: whatIfSchema.nullable().describe("the same demand on a changed machine: --set"),
  dma: z
    .union([dmaSchema, translatedSchema])
    .nullable()
    .describe("null where no calls were recorded; only iova where an IOMMU translated"),
  stopped: z.boolean(),
  issues: z.array(issueSchema),
});

/** What the replay was of. */
export interface ReplayOrigin {
  readonly trace: string;
  readonly lost: number;
  readonly dma: DmaReplay | null;
  /** null where no IOMMU translated. */
  readonly iova: IovaScore | null;
  readonly issues: readonly Issue[];
}

export function replayDocument(replay: Replay, origin: ReplayOrigin): ReplayDocument {
  const { blind, repaired, divergence, facts } = replay;
  const { score } = repaired;
  return {
    schema: "zonewright/replay/1",
    trace: origin.trace,
    kernel: facts.upstream,
    era: facts.era,
    allocator: allocatorOf(facts),
    start: replay.start,
    events: score.events,
    allocations: score.allocations,
    failures: { recorded: score.failed, equal: score.failedEqual },
    frees: score.frees,
    lostEvents: origin.lost,
    zoneEqual: score.zoneEqual,
    pfnEqual: score.pfnEqual,
    repairs: score.repairs,
    refills: { ...score.refills },
    drains: { ...score.drains },
    fallbacks: { ...score.extfrags },
    kswapdWakes: { ...score.wakes },
    directReclaims: { ...score.reclaims },
    kswapdRuns: { ...score.runs },
    kswapdSleeps: { ...score.sleeps },
    inputs: { ...score.inputs },
    assumptions: { ...score.assumptions },
    freeRunning: {
      zoneEqual: blind.score.zoneEqual,
      pfnEqual: blind.score.pfnEqual,
      misses: blind.score.misses,
      firstDivergence: divergence,
      final: finalOf(blind),
    },
    final: finalOf(repaired),
    whatIf: replay.whatIf === null ? null : whatIfDocument(replay.whatIf),
    dma: dmaOf(origin),
    stopped: replay.stopped,
    issues: issueList(origin.issues),
  };
}

function dmaOf({ dma, iova }: ReplayOrigin): ReplayDocument["dma"] {
  if (dma !== null) return dmaDocument(dma);
  return iova === null ? null : translatedDocument(iova);
}

function finalOf({ comparison }: Run): ReplayFinal | null {
  if (comparison === null) return null;
  const { free, pcp, pageblocks, freePages, buddyinfoEqual } = comparison;
  return {
    freeListsEqual: free === null ? null : free.equal === free.lists,
    pcpEqual: pcp === null ? null : pcp.equal === pcp.lists,
    buddyinfoEqual,
    freeLists: free,
    pcpLists: pcp,
    pageblocks,
    freePages,
  };
}
