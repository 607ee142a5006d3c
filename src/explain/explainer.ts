/**
 * A log's findings, as its records come in. Sentences of one kind and device are one finding with a
 * count; reports of the allocator are a finding each, or one for each signature when there may be
 * thousands. Memory is bounded by the number of different findings, not by the log.
 *
 *   E1  findings come in the order of their first line
 */
import type { FailureMessage, FailureSink, MemoryReport } from "../formats/index.ts";
import { explainMemory } from "./explain-memory.ts";
import { isContext, MessageGroup, messageKey } from "./explain-message.ts";
import type { Finding } from "./finding.ts";
import type { LogContext } from "./message-case.ts";

/** Different findings that are kept; of further ones only the number is known. */
const GROUPS_MAX = 2000;
/** Reports of the allocator that are kept one by one. */
const SINGLE_MAX = 200;

export interface ExplainerOptions {
  /** Reports that say the same are one finding with a count. */
  readonly grouped?: boolean;
}

export class Explainer implements FailureSink {
  readonly #grouped: boolean;
  readonly #messages = new Map<string, MessageGroup>();
  readonly #single: Finding[] = [];
  readonly #signatures = new Map<string, Finding>();
  #context: LogContext = { poolBytes: null, poolLine: null, encrypted: false, tableLine: null };
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
    const finding = explainMemory(report);
    this.#reports++;
    if (!this.#grouped && this.#single.length < SINGLE_MAX) this.#single.push(finding);
    else this.#group(finding);
  }

  message(message: FailureMessage): void {
    if (isContext(message)) {
      this.#learn(message);
      return;
    }
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
    return [...this.#single, ...this.#signatures.values(), ...messages].sort(
      (a, b) => a.line - b.line,
    );
  }

  #group(finding: Finding): void {
    const { kind, cause, order, gfp } = finding;
    const zone = finding.zones.find(({ eligible }) => eligible)?.name ?? "";
    const key = [kind, cause, order, gfp.join("|"), zone].join("\n");
    const known = this.#signatures.get(key);
    if (known !== undefined) {
      const { line, time } = finding;
      this.#signatures.set(key, {
        ...known,
        count: known.count + 1,
        lastLine: line,
        lastTime: time,
      });
    } else if (this.#signatures.size < GROUPS_MAX) this.#signatures.set(key, finding);
    else this.#dropped++;
  }

  #learn(message: FailureMessage): void {
    if (message.kind === "proc-table" && this.#context.tableLine === null) {
      this.#context = { ...this.#context, tableLine: message.line };
    }
    if (message.kind === "memory-encryption") this.#context = { ...this.#context, encrypted: true };
    if (message.kind !== "swiotlb-pool") return;
    const poolBytes = message.end - message.start;
    this.#context = { ...this.#context, poolBytes, poolLine: message.line };
  }
}
