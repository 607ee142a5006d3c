/**
 * The document of `zonewright explain --json`: what was found in a log, each with its cause, what the
 * cause rests on, and what to do. Counts of pages unless a name says otherwise; null is "not in the
 * report", never a guess.
 */
import * as z from "zod";
import type { Finding, ZoneAnswer } from "../explain/index.ts";

const count = z.number().int().min(0);
const known = z.number().nullable();

export interface ExplainZone {
  readonly node: number;
  readonly name: string;
  readonly line: number;
  readonly eligible: boolean;
  readonly free: number | null;
  readonly usable: number | null;
  readonly needs: number | null;
  readonly short: number | null;
  readonly mark: "min";
  readonly markPages: number | null;
  readonly reserve: number | null;
  readonly boost: number | null;
  readonly highatomic: number | null;
  readonly cma: number | null;
  readonly managed: number | null;
  readonly watermarkOk: boolean | null;
  readonly blockOk: boolean | null;
  readonly factors: readonly string[];
  readonly because: string;
}

export interface ExplainFinding {
  readonly kind: string;
  readonly rule: string;
  readonly line: number;
  readonly endLine: number;
  readonly count: number;
  readonly lastLine: number;
  readonly time: string | null;
  readonly lastTime: string | null;
  readonly comm: string | null;
  readonly device: string | null;
  readonly order: number | null;
  readonly gfp: readonly string[];
  readonly kernel: string | null;
  readonly era: string | null;
  readonly eraBasis: string | null;
  readonly pageKib: number | null;
  readonly sentence: string;
  readonly cause: string;
  readonly also: readonly string[];
  readonly confidence: string;
  readonly harmless: string | null;
  readonly zones: readonly ExplainZone[];
  readonly evidence: readonly { readonly line: number; readonly text: string }[];
  readonly advice: readonly {
    readonly change: string;
    readonly why: string;
    readonly basis: "computed" | "reasoned";
  }[];
  readonly noHelp: readonly { readonly change: string; readonly why: string }[];
  readonly missing: readonly string[];
}

export interface ExplainDocument {
  readonly schema: "zonewright/explain/1";
  readonly log: string;
  readonly lines: number;
  readonly findings: readonly ExplainFinding[];
  /** Findings beyond what is kept, by number only. */
  readonly dropped: number;
  /** What was taken out, by kind; null without --redact. */
  readonly redacted: Readonly<Record<string, number>> | null;
  /** What to say of a log without findings; null otherwise. */
  readonly note: string | null;
}

const zone: z.ZodType<ExplainZone> = z.object({
  node: count,
  name: z.string(),
  line: count,
  eligible: z.boolean().describe("the request may use it, and it has memory"),
  free: known,
  usable: known.describe("free, without the rest of the block and what the request may not have"),
  needs: known.describe("what usable must be above: markPages + reserve"),
  short: known.describe("pages missing; 0 where the watermark holds"),
  mark: z.literal("min"),
  markPages: known.describe("the mark as low as the request may go"),
  reserve: known,
  boost: known,
  highatomic: known,
  cma: known,
  managed: known,
  watermarkOk: z.boolean().nullable(),
  blockOk: z.boolean().nullable(),
  factors: z.array(z.string()).describe("each alone would turn the answer"),
  because: z.string(),
});

const finding: z.ZodType<ExplainFinding> = z.object({
  kind: z.string(),
  rule: z.string().describe("the rule that spoke, as in docs/explain.md"),
  line: count,
  endLine: count,
  count: count.describe("how often the same was found"),
  lastLine: count,
  time: z.string().nullable(),
  lastTime: z.string().nullable(),
  comm: z.string().nullable(),
  device: z.string().nullable(),
  order: z.number().int().nullable(),
  gfp: z.array(z.string()),
  kernel: z.string().nullable(),
  era: z.string().nullable(),
  eraBasis: z.string().nullable(),
  pageKib: known,
  sentence: z.string(),
  cause: z.string(),
  also: z.array(z.string()).describe("other causes that fit as well"),
  confidence: z.enum(["proven", "consistent", "hint", "unconfirmed"]),
  harmless: z.string().nullable().describe("why nothing may be wrong"),
  zones: z.array(zone),
  evidence: z.array(z.object({ line: count, text: z.string() })),
  advice: z.array(
    z.object({ change: z.string(), why: z.string(), basis: z.enum(["computed", "reasoned"]) }),
  ),
  noHelp: z.array(z.object({ change: z.string(), why: z.string() })),
  missing: z.array(z.string()),
});

export const explainSchema: z.ZodType<ExplainDocument> = z.object({
  schema: z.literal("zonewright/explain/1"),
  log: z.string(),
  lines: count,
  findings: z.array(finding),
  dropped: count,
  redacted: z.record(z.string(), count).nullable(),
  note: z.string().nullable(),
});

/** What was read, and how. */
export interface ExplainOrigin {
  readonly log: string;
  readonly lines: number;
  readonly dropped: number;
  readonly redacted: ReadonlyMap<string, number> | null;
  readonly note: string | null;
}

export function explainDocument(
  findings: readonly Finding[],
  origin: ExplainOrigin,
): ExplainDocument {
  const { log, lines, dropped, redacted, note } = origin;
  return {
    schema: "zonewright/explain/1",
    log,
    lines,
    findings: findings.map(findingDocument),
    dropped,
    redacted: redacted === null ? null : Object.fromEntries(redacted),
    note,
  };
}

function findingDocument(finding: Finding): ExplainFinding {
  return {
    kind: finding.kind,
    rule: finding.rule,
    line: finding.line,
    endLine: finding.endLine,
    count: finding.count,
    lastLine: finding.lastLine,
    time: finding.time,
    lastTime: finding.lastTime,
    comm: finding.comm,
    device: finding.device,
    order: finding.order,
    gfp: finding.gfp,
    kernel: finding.kernel,
    era: finding.era,
    eraBasis: finding.eraBasis,
    pageKib: finding.pageKib,
    sentence: finding.sentence,
    cause: finding.cause,
    also: finding.also,
    confidence: finding.confidence,
    harmless: finding.harmless ?? null,
    zones: finding.zones.map(zoneDocument),
    evidence: finding.evidence,
    advice: finding.advice,
    noHelp: finding.noHelp,
    missing: finding.missing,
  };
}

function zoneDocument({
  mark,
  blocks: _,
  low: _low,
  high: _high,
  ...rest
}: ZoneAnswer): ExplainZone {
  return { ...rest, mark: "min", markPages: mark };
}
