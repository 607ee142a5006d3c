/** From sentences of one kind and device to their finding. */
import type { FailureMessage } from "../formats/index.ts";
import type { Claim, Evidence, Finding, FindingKind } from "./finding.ts";
import type { LogContext, MessageCase, Series } from "./message-case.ts";
import { MESSAGE_RULES } from "./message-rules.ts";
import { SEGMENT_BYTES } from "./swiotlb-numbers.ts";

/** Sentences that say what boot did, and are no failures. */
export function isContext({ kind }: FailureMessage): boolean {
  return CONTEXT.has(kind);
}

const CONTEXT: ReadonlySet<FailureMessage["kind"]> = new Set([
  "command-line",
  "memory-encryption",
  "memory-size",
  "proc-table",
  "swiotlb-pool",
]);

/** Messages with the same key are one finding. */
export function messageKey(message: FailureMessage): string {
  const key = [message.kind, message.device ?? ""];
  switch (message.kind) {
    case "swiotlb-full":
      key.push(message.total === null ? "?" : String(message.total));
      key.push(message.size > SEGMENT_BYTES ? "large" : message.size === SEGMENT_BYTES ? "=" : "");
      break;
    case "dma-api":
      key.push(message.mistake);
      break;
    case "cma-alloc-failed":
      key.push(message.area ?? "", String(message.error));
      break;
    case "iommu-fault":
      key.push(
        message.vendor,
        String(message.code),
        message.code === null ? (message.reason ?? "") : "",
        String(message.stream ?? ""),
      );
      break;
    case "dma-overflow":
      key.push(message.of, message.mask.toString(16), message.limit.toString(16));
      break;
    case "oom-kill":
      key.push(String(message.memcg), message.constraint ?? "", message.group ?? "");
      break;
    case "unknown-report":
      key.push(message.text.replace(/\d+/g, "#").slice(0, 80));
      break;
    default:
      break;
  }
  return key.join("\n");
}

/** What grows while the same is said again. */
export class MessageGroup {
  readonly first: FailureMessage;
  /** The one that shows most: a pool at its fullest. */
  #worst: FailureMessage;
  #last: FailureMessage;
  #count = 1;
  #rising = true;
  #smallest: number | null;
  #largest: number | null;

  constructor(first: FailureMessage) {
    this.first = first;
    this.#worst = first;
    this.#last = first;
    this.#smallest = sizeOf(first);
    this.#largest = this.#smallest;
  }

  add(message: FailureMessage): void {
    this.#count++;
    const used = usedOf(message);
    if (used !== null && used < (usedOf(this.#last) ?? used)) this.#rising = false;
    if ((used ?? 0) > (usedOf(this.#worst) ?? 0)) this.#worst = message;
    const size = sizeOf(message);
    if (size !== null) {
      this.#smallest = Math.min(this.#smallest ?? size, size);
      this.#largest = Math.max(this.#largest ?? size, size);
    }
    this.#last = message;
  }

  finding(context: LogContext): Finding {
    const series: Series = {
      count: this.#count,
      firstUsed: usedOf(this.first),
      lastUsed: usedOf(this.#last),
      mostUsed: usedOf(this.#worst),
      rising: this.#rising,
      smallest: this.#smallest,
      largest: this.#largest,
    };
    const found: MessageCase = { message: this.#worst, series, context };
    for (const rule of MESSAGE_RULES) {
      const claim = rule.claim(found);
      if (claim !== null) return this.#findingOf(rule.kind, rule.name, claim);
    }
    return this.#findingOf("unknown", "none", {
      cause: "not-in-report",
      sentence:
        "An unknown report: memory was refused, and the line has nothing to compute a verdict from.",
      confidence: "hint",
    });
  }

  #findingOf(kind: FindingKind, rule: string, claim: Claim): Finding {
    const { first } = this;
    const evidence: Evidence[] = [{ line: first.line, text: first.text }];
    if (this.#worst !== first) evidence.push({ line: this.#worst.line, text: this.#worst.text });
    return {
      ...claim,
      kind,
      rule,
      line: first.line,
      endLine: first.line,
      count: this.#count,
      lastLine: this.#last.line,
      time: first.time,
      lastTime: this.#last.time,
      comm: "comm" in first ? first.comm : null,
      device: first.device,
      order: null,
      gfp: [],
      kernel: null,
      era: null,
      eraBasis: null,
      pageKib: null,
      zones: [],
      evidence: [...evidence, ...(claim.evidence ?? [])],
      advice: claim.advice ?? [],
      noHelp: claim.noHelp ?? [],
      missing: claim.missing ?? [],
      also: claim.also ?? [],
    };
  }
}

function usedOf(message: FailureMessage): number | null {
  return message.kind === "swiotlb-full" ? message.used : null;
}

function sizeOf(message: FailureMessage): number | null {
  if (message.kind === "cma-reserve-failed") return message.mib;
  return "size" in message ? message.size : null;
}
