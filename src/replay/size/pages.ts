/** Parameters of the page allocator, sized by one recording: it is looked through once, then asked one by one. */
import type { Issue } from "../../base/issue.ts";
import type { Recording } from "../recording.ts";
import type { ListSnapshot, MachineFacts } from "../snapshot.ts";
import { PageEvidence } from "./page-evidence.ts";
import { type PageQuestion, sizePages } from "./page-search.ts";
import { PageTrials } from "./page-trials.ts";
import { minFreeQuestion, reserveRatioQuestion } from "./reserve.ts";
import {
  emptySizing,
  type SizeName,
  type SizePause,
  type SizeWorkload,
  type Sizing,
} from "./result.ts";
import { zoneEndQuestion } from "./zone-end.ts";

export type PageSizeName = Exclude<SizeName, "swiotlb" | "cma">;

export interface PageSizingTask {
  readonly from: ListSnapshot;
  readonly facts: MachineFacts;
  /** Read once for each run: keep it in memory where there is room. */
  readonly recording: Recording;
  readonly names: readonly PageSizeName[];
  /** The user named them: also what nobody asks for is looked at. */
  readonly isNamed: boolean;
  /** Per cent; null for none. */
  readonly margin: number | null;
  readonly pause: SizePause;
}

export interface PageSizings {
  readonly sizings: readonly Sizing[];
  readonly workload: SizeWorkload;
  /** Why nothing can be replayed. */
  readonly issue: Issue | null;
}

export async function sizePageParameters(task: PageSizingTask): Promise<PageSizings> {
  const { names, pause, from } = task;
  const evidence = new PageEvidence();
  const [first] = names;
  const empty = { sizings: [], workload: evidence.workload, issue: null };
  if (first === undefined) return empty;
  if (!from.exact) {
    const none = names.map((name) => emptySizing({ ...BARE[name], name, because: NO_LISTS }));
    return { ...empty, sizings: none };
  }
  let name = first;
  let tries = 0;
  const pages = { ...task, pause: () => pause(name, tries) };
  const trials = await PageTrials.begin(pages, evidence.look);
  if (trials !== null && "severity" in trials) return { ...empty, issue: trials };
  const sizings: Sizing[] = [];
  for (name of names) {
    tries = 0;
    const question = trials === null ? null : questionOf(name, task, evidence);
    if (trials === null || question === null) sizings.push(stoppedAt(name));
    else if (typeof question === "string") {
      sizings.push(emptySizing({ ...BARE[name], name, because: question }));
    } else {
      const tried = (count: number): void => {
        tries = count;
      };
      sizings.push(await sizePages(trials, question, tried));
    }
  }
  return { sizings, workload: evidence.workload, issue: null };
}

function questionOf(
  name: PageSizeName,
  task: PageSizingTask,
  evidence: PageEvidence,
): PageQuestion | string {
  switch (name) {
    case "dma":
    case "dma32":
      return zoneEndQuestion(name, task, evidence, task.margin, task.isNamed);
    case "min_free_kbytes":
      return minFreeQuestion(task, evidence, task.margin);
    case "lowmem_reserve_ratio":
      return reserveRatioQuestion(task, evidence, task.margin);
  }
}

function stoppedAt(name: PageSizeName): Sizing {
  return { ...emptySizing({ ...BARE[name], name, because: null }), status: "stopped" };
}

const ZONE = { unit: "bytes", where: "replay --set", criterion: "" } as const;

const BARE: Readonly<Record<PageSizeName, Pick<Sizing, "unit" | "where" | "criterion">>> = {
  dma: ZONE,
  dma32: ZONE,
  min_free_kbytes: { unit: "KiB", where: "sysctl", criterion: "" },
  lowmem_reserve_ratio: { unit: "ratio", where: "sysctl", criterion: "" },
};

const NO_LISTS =
  "a changed machine starts from the kernel's own free lists, and this capture has none (snap/freelists)";
