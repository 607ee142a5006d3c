/** What the rules of sentences look at: one of the sentences, and how it went on. */
import type { FailureMessage } from "../formats/index.ts";
import type { Claim, FindingKind } from "./finding.ts";

/** The same sentence of the same device, again and again. */
export interface Series {
  readonly count: number;
  /** Slots in use by the first, the last, and the most of them; null where not printed. */
  readonly firstUsed: number | null;
  readonly lastUsed: number | null;
  readonly mostUsed: number | null;
  /** Of every line: used was never lower than before. */
  readonly rising: boolean;
  readonly smallest: number | null;
  readonly largest: number | null;
}

/** What boot said, if its lines are in the log. */
export interface LogContext {
  /** Bytes of the bounce buffer. */
  readonly poolBytes: number | null;
  readonly poolLine: number | null;
  /** A guest whose memory is encrypted. */
  readonly encrypted: boolean;
  /** RAM, of boot's "Memory:" line. */
  readonly ramKib: number | null;
  /** What the command line asks of the bounce buffer; null for nothing, or no such line. */
  readonly swiotlb: string | null;
  /** A table of /proc/zoneinfo or buddyinfo in the log. */
  readonly tableLine: number | null;
}

export interface MessageCase<M extends FailureMessage = FailureMessage> {
  readonly message: M;
  readonly series: Series;
  readonly context: LogContext;
}

export interface MessageRule {
  readonly name: string;
  readonly kind: FindingKind;
  readonly decides: string;
  readonly linux: string;
  readonly claim: (found: MessageCase) => Claim | null;
}

/** "xhci_hcd 0000:0a:00.0", or words for nobody. */
export function deviceWords({ message }: MessageCase): string {
  return message.device ?? "A device that is not named";
}
