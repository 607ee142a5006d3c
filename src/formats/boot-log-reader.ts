/**
 * Reads a boot log, whatever captured it: dmesg, a serial console, syslog, the
 * journal. Knows the messages of kernels 2.6 to 6.18 on x86, arm and arm64, and
 * on other architectures those that are the same there.
 *
 * Per boot the first match of a message wins; of several boots in one file the
 * last counts. Lines between that are none of ours are counted, no more. Memory
 * is bounded by the record's own limits, however long the file.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { BootLog } from "./boot-log.ts";
import { CPU_RULES } from "./boot-log-cpus.ts";
import { type Draft, newDraft } from "./boot-log-draft.ts";
import { FIRMWARE_RULES } from "./boot-log-firmware.ts";
import { closeDump, MEMBLOCK_RULES } from "./boot-log-memblock.ts";
import { MEMORY_RULES } from "./boot-log-memory.ts";
import { NODE_RULES } from "./boot-log-nodes.ts";
import { POOL_RULES } from "./boot-log-pools.ts";
import { filled, firstWord, type Rule, type RuleTable, ruleTable } from "./boot-log-rule.ts";
import { ZONE_RULES } from "./boot-log-zones.ts";
import { parseLogLine } from "./log-line.ts";
import { IssueList, MAX_LINE_LENGTH, type Reader } from "./reader.ts";

/** Reads one boot log; the record's `headless` tells whether its beginning is missing. */
export function bootLogReader(): Reader<BootLog> {
  return new BootLogReader();
}

const VERSION = "Linux version ";

const COMMAND_LINE_RULES: readonly Rule[] = ["Command line: ", "Kernel command line: "].map(
  (start) => ({
    what: "command line",
    start,
    pattern: /ommand line: (.*)$/,
    read: (draft, [, text]) => {
      draft.log.commandLine ??= filled(text);
      return "read";
    },
  }),
);

const RULES: RuleTable = ruleTable([
  ...MEMBLOCK_RULES,
  ...COMMAND_LINE_RULES,
  ...FIRMWARE_RULES,
  ...NODE_RULES,
  ...ZONE_RULES,
  ...MEMORY_RULES,
  ...POOL_RULES,
  ...CPU_RULES,
]);
const NO_RULES: readonly Rule[] = [];

class BootLogReader implements Reader<BootLog> {
  #issues = new IssueList();
  #draft: Draft;
  #lines = 0;
  #earlierBoots = 0;

  constructor() {
    this.#draft = newDraft(this.#warn);
  }

  line(text: string): void {
    this.#lines++;
    if (text.length > MAX_LINE_LENGTH) {
      this.#warn(this.#lines, `a line longer than ${MAX_LINE_LENGTH} characters: not used`);
      return;
    }
    const message = parseLogLine(text).message.trim();
    if (message.startsWith(VERSION)) this.#startBoot(message);
    // journalctl announces each boot; one whose first lines are gone has no version.
    else if (message.startsWith("-- Boot ") || message === "-- Reboot --") this.#startBoot(null);
    else this.#readMessage(message);
  }

  end(): Outcome<BootLog> {
    const draft = this.#draft;
    closeDump(draft);
    this.#checkWhole(draft);
    const notes: Issue[] = [];
    if (this.#earlierBoots > 0) {
      const message = `the log holds ${this.#earlierBoots + 1} boots: the last one is used`;
      notes.push({ severity: "note", message });
    }
    const log = draft.log;
    const value = { ...log, lines: this.#lines, headless: log.version === null };
    return { value, issues: [...notes, ...this.#issues.list()] };
  }

  #startBoot(version: string | null): void {
    if (this.#draft.log.recognised > 0) this.#earlierBoots++;
    this.#issues = new IssueList();
    this.#draft = newDraft(this.#warn);
    this.#draft.log.version = version;
    if (version !== null) this.#draft.log.recognised++;
  }

  #readMessage(message: string): void {
    const draft = this.#draft;
    for (const rule of RULES.get(firstWord(message)) ?? NO_RULES) {
      if (!message.startsWith(rule.start)) continue;
      const found = rule.pattern.exec(message);
      if (found === null && rule.loose === true && rule.sure?.test(message) !== true) continue;
      const verdict = found === null ? "garbled" : rule.read(draft, found, this.#lines);
      if (verdict === "read") draft.log.recognised++;
      if (verdict === "garbled") {
        this.#warn(
          this.#lines,
          `cannot read this line: ${rule.what}`,
          "it was cut or garbled: capture it again",
        );
      }
      return;
    }
  }

  #checkWhole(draft: Draft): void {
    const log = draft.log;
    if (this.#lines === 0) {
      const mend = "reading the kernel's log may need root: sudo dmesg -r";
      this.#issues.add({ severity: "warning", message: "the log is empty", mend });
    } else if (log.recognised === 0) {
      const mend =
        "give the kernel's boot log: dmesg, journalctl -k -b, or a serial console's output";
      this.#issues.add({
        severity: "error",
        message: "no line of a kernel's boot in this log",
        mend,
      });
    } else if (log.version === null) {
      const mend =
        "boot with a larger log_buf_len=, or take journalctl -k -b or a serial console's output";
      const message = "the beginning of the log is missing: the kernel's log buffer wrapped";
      this.#issues.add({ severity: "warning", message, mend });
    }
    if (log.zoneRanges !== null && log.nodeRanges.length === 0) {
      const message = "the log ends inside the zone ranges, or lost lines there";
      this.#issues.add({ severity: "warning", message });
    }
    if (draft.overflowed > 0) {
      const message = `${draft.overflowed} entries more than any kernel prints: not used`;
      this.#issues.add({ severity: "warning", message });
    }
  }

  readonly #warn = (line: number, message: string, mend?: string): void => {
    this.#issues.add({
      severity: "warning",
      message,
      line,
      ...(mend === undefined ? {} : { mend }),
    });
  };
}
