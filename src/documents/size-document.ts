/**
 * The document of `zonewright size --json`: for each parameter the smallest
 * value that carried the recorded workload, and every value that was tried.
 */
import * as z from "zod";
import type { Issue } from "../base/issue.ts";
import type { SizeRefusal, SizeTrial, SizeWorkload, Sizing } from "../replay/index.ts";
import { issueList, issueSchema } from "./common.ts";

const count = z.number().int().min(0);

const value = {
  value: count.describe("in the parameter's unit, as the kernel rounds it"),
  bytes: count,
  set: z.string().describe("as replay --set takes it, and where the sizing's where says"),
};
const moment = {
  line: count.describe("1-based, in the trace"),
  time: z.number().describe("the trace's clock, microseconds"),
};

const refusal: z.ZodType<SizeRefusal> = z.object({
  ...moment,
  by: z.string().describe("who asked; empty where nobody tells"),
  bytes: count,
  because: z.array(z.string()),
  never: z.boolean().describe("no value of the parameter would serve it"),
});

const peak = z.object({ ...moment, amount: count.describe("slots, or bytes"), by: z.string() });

const trial: z.ZodType<SizeTrial> = z.object({
  ...value,
  carries: z.boolean(),
  refused: count.describe("requests that go without"),
  mayWait: count.describe("of those the ones that a kernel would reclaim for"),
  first: refusal.nullable(),
  peak: peak.nullable().describe("most in use at once"),
});

const sizing: z.ZodType<Sizing> = z.object({
  name: z.enum(["swiotlb", "cma", "dma", "dma32", "min_free_kbytes", "lowmem_reserve_ratio"]),
  status: z
    .enum(["sized", "zero", "none", "untold", "stopped"])
    .describe("zero: none of it is needed; none: no value carries; untold: nothing to go by"),
  unit: z
    .enum(["slots", "bytes", "KiB", "ratio"])
    .describe(
      "bytes: of an area, or up to where a zone ends; ratio: the reserve is so much of the zones above",
    ),
  where: z.enum(["command line", "sysctl", "replay --set"]).describe("where set goes"),
  criterion: z.string().describe('what "carries" means'),
  because: z.string().nullable().describe("why there is no value, or why 0 is enough"),
  answer: z.object(value).nullable().describe("the smallest value that carries"),
  alternatives: z.array(z.object({ ...value, why: z.string() })),
  margin: z
    .object({ percent: z.number(), ...value })
    .nullable()
    .describe("the answer with --margin, rounded anew"),
  peak: peak.nullable().describe("most in use at once by those whom the parameter is for"),
  holdsTo: count.nullable().describe("largest tried value up to which all tried ones carry"),
  monotonic: z.boolean().describe("nothing tried carries below something that does not"),
  recorded: trial.nullable().describe("the recorded machine's value"),
  below: trial.nullable().describe("one step below the answer"),
  trials: z.array(trial).describe("every value that was tried, ascending"),
  notes: z.array(z.string()).describe("what the answer is good for, what is not modelled"),
});

export interface SizeDocument {
  readonly schema: "zonewright/size/1";
  readonly trace: string;
  readonly kernel: string;
  /** Name of the rules that it was replayed by; null where none are known. */
  readonly era: string | null;
  readonly workloads: readonly SizeWorkload[];
  readonly sizings: readonly Sizing[];
  readonly stopped: boolean;
  readonly issues: readonly Issue[];
}

export const sizeSchema: z.ZodType<SizeDocument> = z.object({
  schema: z.literal("zonewright/size/1"),
  trace: z.string(),
  kernel: z.string(),
  era: z.string().nullable().describe("the rules that it was replayed by"),
  workloads: z
    .array(z.object({ length: z.number().describe("microseconds"), words: z.string() }))
    .describe("what was replayed: drivers' calls, requests for pages"),
  sizings: z.array(sizing),
  stopped: z.boolean().describe("interrupted: what is there is what was known by then"),
  issues: z.array(issueSchema),
});

export interface SizeOrigin {
  readonly trace: string;
  readonly kernel: string;
  /** Name of the rules that it was replayed by; null where none are known. */
  readonly era: string | null;
  readonly workloads: readonly SizeWorkload[];
  readonly stopped: boolean;
  readonly issues: readonly Issue[];
}

export function sizeDocument(sizings: readonly Sizing[], origin: SizeOrigin): SizeDocument {
  const { trace, kernel, era, workloads, stopped } = origin;
  const issues = issueList(origin.issues);
  return { schema: "zonewright/size/1", trace, kernel, era, workloads, sizings, stopped, issues };
}
