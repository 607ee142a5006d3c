/**
 * What a replay counts, and its first difference. A score is plain numbers: one
 * for each way to drive (see drive.ts).
 */
import type { CheckCount } from "./checks.ts";
import type { ReplayEvent } from "./event.ts";

/** The first thing that the engine did otherwise. */
export interface Miss {
  readonly event: ReplayEvent;
  /** Events before it. */
  readonly events: number;
  /** mm_page_alloc events before it. */
  readonly allocations: number;
  readonly kind: "page" | "refill" | "drain" | "extfrag" | "bulk";
  /** In words, pfns in hexadecimal. */
  readonly ours: string;
  readonly theirs: string;
}

/** What a run was told beyond requests and frees, by kind. */
export interface InputCounts {
  /** Bulk calls and the pages they took. */
  bulkCalls: number;
  bulkPages: number;
  /** Ranges that somebody took by their pfns. */
  contigCalls: number;
  /** Free blocks that compaction took: ranges and single finds. */
  compaction: number;
  remoteDrains: number;
  decays: number;
  /** Frees in an interrupt between two frees of a batch: this CPU's lists were locked. */
  lockedFrees: number;
  /** Pages freed while our lists held them: taken by somebody unrecorded. */
  unseenTakers: number;
}

/** What a repaired run assumed after a look at recorded pages, by name. */
export interface AssumptionCounts {
  /** A request got its page before the interrupt that was recorded before it. */
  early: number;
  /** Pages taken before the first event of a boot. */
  takenBefore: number;
  /** An interrupt's frees went past the per-CPU lists, which were locked. */
  locked: number;
  /** Pages of bulk calls that no probe recorded. */
  hiddenBulkPages: number;
  hiddenBulkRefills: number;
  /** alloc_factor of a tuned pageset, read off the length of a recorded refill. */
  allocFactors: number;
  /** Where a tuned pageset is full, read off drains that came, or did not come, after a free. */
  loweredHighs: number;
  raisedHighs: number;
  /** Whether frees of larger blocks empty a pageset of less than a batch, read off the same. */
  smallDrains: number;
  /** What a CPU keeps back of counts, read off the types of a recorded refill's pages. */
  counterFolds: number;
  /** What a CPU kept back of a zone's count was added up. */
  drift: number;
  /** Requests that found their node's limit of dirty pages passed. */
  dirtyLimit: number;
  /** Writes to watermarks. */
  marks: number;
  /** Such pages that were noticed only at the end. */
  hiddenAtEnd: number;
}

export interface Score {
  events: number;
  /** mm_page_alloc with a page. */
  allocations: number;
  zoneEqual: number;
  /** Not with pages that a repair had put on their list, as a recorded refill showed them. */
  pfnEqual: number;
  /** mm_page_alloc without a page, and how many of them the engine refused too. */
  failed: number;
  failedEqual: number;
  frees: number;
  /** State mended after a wrong answer. */
  repairs: number;
  /** Pages of bulk calls that a vmap probe told, and those that we took in the same place. */
  bulkTold: number;
  bulkEqual: number;
  /** Drains that no list of ours explains. */
  strangeDrains: number;
  /** Events that cannot be: pages in no zone, CPUs that are not there. The first one's line, 0 for none. */
  strange: number;
  strangeLine: number;
  /** Line of the first free that counts in `inputs.unseenTakers`; 0 for none. */
  unseenLine: number;
  firstMiss: Miss | null;
  misses: number;
  refills: CheckCount;
  drains: CheckCount;
  extfrags: CheckCount;
  /** Wake-ups of kswapd that the engine's request asked for too. */
  readonly wakes: CheckCount;
  /** Direct reclaims of requests that the engine has nothing for either. */
  readonly reclaims: CheckCount;
  /** Runs of kswapd: of the order that was asked for, and where nobody woke it because its node lacks memory. */
  readonly runs: CheckCount;
  /** kswapd falls asleep where its node has enough, or is given up; and sleeps on, whoever asks, while it has. */
  readonly sleeps: CheckCount;
  readonly inputs: InputCounts;
  readonly assumptions: AssumptionCounts;
}

export function emptyScore(): Score {
  return {
    events: 0,
    allocations: 0,
    zoneEqual: 0,
    pfnEqual: 0,
    failed: 0,
    failedEqual: 0,
    frees: 0,
    repairs: 0,
    bulkTold: 0,
    bulkEqual: 0,
    strangeDrains: 0,
    strange: 0,
    strangeLine: 0,
    unseenLine: 0,
    firstMiss: null,
    misses: 0,
    refills: { recorded: 0, equal: 0 },
    drains: { recorded: 0, equal: 0 },
    extfrags: { recorded: 0, equal: 0 },
    wakes: { recorded: 0, equal: 0 },
    reclaims: { recorded: 0, equal: 0 },
    runs: { recorded: 0, equal: 0 },
    sleeps: { recorded: 0, equal: 0 },
    inputs: {
      bulkCalls: 0,
      bulkPages: 0,
      contigCalls: 0,
      compaction: 0,
      remoteDrains: 0,
      decays: 0,
      lockedFrees: 0,
      unseenTakers: 0,
    },
    assumptions: {
      early: 0,
      takenBefore: 0,
      locked: 0,
      hiddenBulkPages: 0,
      hiddenBulkRefills: 0,
      allocFactors: 0,
      loweredHighs: 0,
      raisedHighs: 0,
      smallDrains: 0,
      counterFolds: 0,
      hiddenAtEnd: 0,
      marks: 0,
      dirtyLimit: 0,
      drift: 0,
    },
  };
}

/** An event names a page or a CPU that is not there. */
export function noteStrange(score: Score, line: number): void {
  score.strange++;
  if (score.strangeLine === 0) score.strangeLine = line;
}

/** An answer was wrong at event `e`, the last that is counted. */
export function noteMiss(
  score: Score,
  e: ReplayEvent,
  kind: Miss["kind"],
  ours: string,
  theirs: string,
): void {
  score.misses++;
  if (score.firstMiss !== null) return;
  const allocations = score.allocations + score.failed - (kind === "page" ? 1 : 0);
  score.firstMiss = { event: e, events: score.events - 1, allocations, kind, ours, theirs };
}
