/**
 * A log's findings, as its records come in. Sentences of one kind and device are one finding with a
 * count; reports of the allocator are a finding each, or one for each signature when there may be
 * thousands. Memory is bounded by the number of different findings, not by the log.
 *
 *   E1  findings come in the order of their first line
 */
import type { FailureMessage, FailureSink, MemoryReport, ZoneTable } from "../formats/index.ts";
import { explainMemory, memorySignature } from "./explain-memory.ts";
import { isContext, MessageGroup, messageKey } from "./explain-message.ts";
import type { Finding } from "./finding.ts";
import type { LogContext } from "./message-case.ts";
import { tableSpeaks } from "./rules/tiny-zone-table.ts";
import { tinyOf } from "./tiny.ts";

/** Most tables of /proc tell of nothing wrong. */
function speaks({ zones, upstream }: ZoneTable): boolean {
  return (
    tableSpeaks(upstream) && tinyOf(zones.map((zone) => ({ ...zone, label: zone.name }))) !== null
  );
}

const NOTHING_KNOWN: LogContext = {
  poolBytes: null,
  poolLine: null,
  encrypted: false,
  ramKib: null,
  swiotlb: null,
  tableLine: null,
};
/** Lines from the killer's summary to its verdict, where a mail broke them. */
const KILL_LINES = 6;
/** Different findings that are kept; of further ones only the number is known. */
const GROUPS_MAX = 2000;
/** Reports of the allocator that are kept one by one. */
const SINGLE_MAX = 200;

/** Reports of one signature: the first, and what grows. */
interface Group {
  readonly finding: Finding;
  count: number;
  lastLine: number;
  lastTime: string | null;
}

export interface ExplainerOptions {
  /** Reports that say the same are one finding with a count. */
  readonly grouped?: boolean;
}

export class Explainer implements FailureSink {
  readonly #grouped: boolean;
  readonly #messages = new Map<string, MessageGroup>();
  readonly #single: Finding[] = [];
  readonly #signatures = new Map<string, Group>();
  #context: LogContext = NOTHING_KNOWN;
  /** The killer's summary line, which its next line repeats. */
  #killed: FailureMessage | null = null;
  #dropped = 0;
  #reports = 0;

  constructor(options: ExplainerOptions = {}) {
    this.#grouped = options.grouped === true;
  }

  /** Reports and sentences so far. */
  get seen(): number {
    return this.#reports;
  }

  /** Findings that were not kept, because there are too many different ones. */
  get dropped(): number {
    return this.#dropped;
  }

  report(report: MemoryReport): void {
    this.#reports++;
    if (!this.#grouped && this.#single.length < SINGLE_MAX) {
      this.#single.push(explainMemory(report));
    } else this.#group(report);
  }

  message(message: FailureMessage): void {
    if (message.kind === "zone-table" && !speaks(message)) return;
    if (isContext(message)) {
      this.#learn(message);
      return;
    }
    if (this.#repeatsKill(message)) return;
    this.#reports++;
    const key = messageKey(message);
    const group = this.#messages.get(key);
    if (group !== undefined) group.add(message);
    else if (this.#messages.size < GROUPS_MAX) this.#messages.set(key, new MessageGroup(message));
    else this.#dropped++;
  }

  get context(): LogContext {
    return this.#context;
  }

  findings(): Finding[] {
    const messages = [...this.#messages.values()].map((group) => group.finding(this.#context));
    const groups = [...this.#signatures.values()].map(
      ({ finding, ...grown }): Finding => ({ ...finding, ...grown }),
    );
    return [...this.#single, ...groups, ...messages].sort((a, b) => a.line - b.line);
  }

  /** Only the first of a signature is explained in words. */
  #group(report: MemoryReport): void {
    const key = memorySignature(report);
    const known = this.#signatures.get(key);
    if (known !== undefined) {
      known.count++;
      known.lastLine = report.line;
      known.lastTime = report.time;
    } else if (this.#signatures.size < GROUPS_MAX) {
      const { line, time } = report;
      const finding = explainMemory(report);
      this.#signatures.set(key, { finding, count: 1, lastLine: line, lastTime: time });
    } else this.#dropped++;
  }

  /** "oom-kill:constraint=…" and "Out of memory: Killed process …" tell of one kill. */
  #repeatsKill(message: FailureMessage): boolean {
    if (message.kind !== "oom-kill") return false;
    const before = this.#killed;
    this.#killed = message.constraint === null ? null : message;
    return (
      message.constraint === null &&
      before?.kind === "oom-kill" &&
      before.comm === message.comm &&
      message.line - before.line <= KILL_LINES
    );
  }

  #learn(message: FailureMessage): void {
    const known = this.#context;
    if (message.kind === "proc-table" && known.tableLine === null) {
      this.#context = { ...known, tableLine: message.line };
    } else if (message.kind === "memory-encryption") this.#context = { ...known, encrypted: true };
    else if (message.kind === "memory-size") this.#context = { ...known, ramKib: message.kib };
    else if (message.kind === "command-line") {
      this.#context = { ...known, swiotlb: message.swiotlb };
    } else if (message.kind === "swiotlb-pool") {
      const poolBytes = message.end - message.start;
      this.#context = { ...known, poolBytes, poolLine: message.line };
    }
  }
}
