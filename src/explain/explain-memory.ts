/** From a memory report to its finding. */
import type { MemoryReport } from "../formats/index.ts";
import type { Cause, Claim, Evidence, Finding, FindingKind } from "./finding.ts";
import { harmlessOf } from "./harmless.ts";
import { type MemoryCase, memoryCase } from "./memory-case.ts";
import { MEMORY_RULES } from "./memory-rules.ts";
import { type Unaccounted, unaccounted } from "./unaccounted.ts";
import { pagesAndBytes } from "./words.ts";

const KINDS: Readonly<Record<MemoryReport["kind"], FindingKind>> = {
  "mem-info": "memory-state",
  "page-allocation-failure": "page-allocation-failure",
  oom: "oom",
  stall: "allocation-stall",
};

/** Causes that somebody's use of memory stands behind. */
const SHORTAGES: ReadonlySet<Cause> = new Set<Cause>([
  "below-watermark",
  "boost-only",
  "cma-only",
  "highatomic-only",
  "lowmem-exhausted",
  "reserve",
]);
/** Where most of memory is in no counter, a leak is one reading. */
const MOST = 0.5;

const NOTHING: Claim = {
  cause: "not-in-report",
  sentence: "The report names a refusal, but nothing in it can be judged.",
  confidence: "hint",
  missing: ["the zones that the request may use"],
};

function gapWords({ judgement }: MemoryCase, { pages, share }: Unaccounted): string {
  const amount = pagesAndBytes(pages, judgement?.pageKib ?? 4);
  return `who holds ${amount}, ${Math.round(share * 100)} % of memory, that no counter names: pages of drivers, a balloon, zram, or a leak (page_owner=on tells)`;
}

/** Reports with the same signature are one finding. */
export function memorySignature(report: MemoryReport): string {
  const found = memoryCase(report, true);
  let cause: Cause = NOTHING.cause;
  for (const rule of MEMORY_RULES) {
    const claim = rule.claim(found);
    if (claim === null) continue;
    cause = claim.cause;
    break;
  }
  const { order } = report;
  const { request, judgement } = found;
  const zone = judgement?.zones.find(({ answer }) => answer.eligible)?.answer.name ?? "";
  const gfp = request?.names.join("|") ?? "";
  return [KINDS[report.kind], cause, order?.value ?? null, gfp, zone].join("\n");
}

export function explainMemory(report: MemoryReport): Finding {
  const found = memoryCase(report);
  for (const rule of MEMORY_RULES) {
    const claim = rule.claim(found);
    if (claim === null) continue;
    return findingOf(KINDS[report.kind], rule.name, found, modest(report, claim));
  }
  return findingOf(KINDS[report.kind], "none", found, NOTHING);
}

/** Of a state without a request only this can be said: what it would answer. */
function modest(report: MemoryReport, claim: Claim): Claim {
  if (report.kind !== "mem-info") return claim;
  const head =
    report.opening === "rows"
      ? "The head of this report is not in the log, so nobody knows what was asked for."
      : "Nothing was refused: this is a state without a request.";
  const sentence = `${head} Tried with GFP_KERNEL: ${claim.sentence}`;
  const confidence = claim.confidence === "unconfirmed" ? "unconfirmed" : "hint";
  return { ...claim, sentence, confidence, missing: ["a request", ...(claim.missing ?? [])] };
}

function findingOf(kind: FindingKind, rule: string, found: MemoryCase, claim: Claim): Finding {
  const { report, request, judgement, era } = found;
  const harmless = harmlessOf(found);
  const delay =
    report.kind === "stall" ? " The request was delayed and may have been served after all." : "";
  const head: Evidence = { line: report.line, text: report.text };
  const missing = [...(claim.missing ?? [])];
  const gap = SHORTAGES.has(claim.cause) ? unaccounted(found) : null;
  if (gap !== null) missing.push(gapWords(found, gap));
  if (era.version === null) missing.push("the kernel's release");
  if (judgement !== null && !judgement.pageSure) missing.push("the page size (4 KiB assumed)");
  return {
    ...claim,
    sentence: claim.sentence.charAt(0).toUpperCase() + claim.sentence.slice(1) + delay,
    ...(harmless === null ? {} : { harmless }),
    kind,
    rule,
    line: report.line,
    endLine: report.endLine,
    count: 1,
    lastLine: report.line,
    time: report.time,
    lastTime: report.time,
    comm: report.comm,
    device: null,
    order: report.order?.value ?? null,
    gfp: request?.names ?? [],
    kernel: report.upstream ?? report.release,
    era: era.gfp.name,
    eraBasis: era.basis,
    pageKib: judgement?.pageKib ?? null,
    zones: judgement?.zones.map(({ answer }) => answer) ?? [],
    evidence: onceEach([head, ...(claim.evidence ?? [])]),
    advice: claim.advice ?? [],
    noHelp: claim.noHelp ?? [],
    missing,
    also: [...(claim.also ?? []), ...(gap !== null && gap.share > MOST ? (["leak"] as const) : [])],
  };
}

function onceEach(evidence: readonly Evidence[]): Evidence[] {
  const seen = new Set<string>();
  return evidence.filter(({ line, text }) => {
    const key = `${line} ${text}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
