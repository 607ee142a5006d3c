/** A recording's DMA calls through the engine, and through that of a changed machine. */
import type { Issue, Outcome } from "../../base/issue.ts";
import type { DmaCall } from "./call.ts";
import type { DmaSources } from "./collect.ts";
import { DmaDriver } from "./driver.ts";
import type { DmaFacts } from "./facts.ts";
import type { DmaScore } from "./score.ts";
import type { SwiotlbChange } from "./variant.ts";
import { type DmaWhatIf, DmaWhatIfRun } from "./what-if.ts";

export interface DmaReplay {
  readonly facts: DmaFacts;
  readonly sources: DmaSources;
  readonly score: DmaScore;
  /** Slots in use at the end, and at most. */
  readonly used: number;
  readonly highWater: number;
  readonly whatIf: DmaWhatIf | null;
}

export interface DmaTask {
  readonly facts: DmaFacts;
  readonly sources: DmaSources;
  /** The calls, a block at a time. */
  readonly calls: AsyncIterable<readonly DmaCall[]>;
  readonly whatIf: SwiotlbChange | null;
}

/** Null where the recording has no call, or where an IOMMU translates. */
export async function replayDma(task: DmaTask): Promise<Outcome<DmaReplay | null>> {
  const { facts, sources, calls } = task;
  const issues: Issue[] = [];
  if (sources.translated || !sources.any) return { value: null, issues: untold(task) };
  const driver = new DmaDriver(facts, facts);
  if (task.whatIf?.force === true && !facts.force && !sources.tracepoints) issues.push(NOT_TOLD);
  const asked = issues.length > 0 ? null : task.whatIf;
  const whatIf = asked === null ? null : new DmaWhatIfRun(facts, driver, asked);
  let seen = 0;
  for await (const block of calls) {
    for (const call of block) {
      driver.take(call);
      whatIf?.take(call);
      if (call.kind !== "phase") seen++;
    }
  }
  if (seen === 0) return { value: null, issues: untold(task) };
  driver.end();
  const { score, used, peak: highWater } = driver;
  if (score.missing > 0) issues.push(cutLists(score.missing));
  if (score.unplaced > 0) issues.push(unplaced(score.unplaced));
  const value = { facts, sources, score, used, highWater, whatIf: whatIf?.end() ?? null };
  return { value, issues };
}

/** A what-if needs something to go by. */
function untold({ whatIf, sources }: DmaTask): Issue[] {
  if (whatIf === null) return [];
  const message = sources.translated
    ? "an IOMMU translated, so what bounces without it is not told"
    : "the recording has no DMA calls";
  return [{ severity: "warning", source: "swiotlb", message, mend: RECORD }];
}

const RECORD = "record the events dma:* (6.12), or with probes as scripts/lab sets them";

const NOT_TOLD: Issue = {
  severity: "warning",
  source: "swiotlb",
  message: "which mappings did not bounce is not told for scatterlists, so force is not asked",
  mend: "record a kernel with the events dma:* (6.12)",
};

function cutLists(missing: number): Issue {
  return {
    severity: "warning",
    message: `${missing} entries of scatterlists are not listed: the kernel prints 128 of each`,
    mend: "slots are exact up to the first of them",
  };
}

function unplaced(count: number): Issue {
  return {
    severity: "warning",
    message: `${count} mappings are left out: their pages' addresses or their sizes are not told`,
    mend: "boot with nokaslr, or record the events dma:* (6.12)",
  };
}
