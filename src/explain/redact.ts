/**
 * Findings without what names people and machines: tasks, devices, cgroups, hosts, addresses. Each
 * gets a number, so that what was one stays one; what was taken out is counted and told.
 */
import type { Evidence, Finding } from "./finding.ts";

export interface Redacted {
  readonly findings: readonly Finding[];
  /** "tasks" → 2. */
  readonly removed: ReadonlyMap<string, number>;
}

/** Kernel threads are the same everywhere and tell what happens. */
const KERNEL_THREAD =
  /^(?:kswapd\d+|swapper\/\d+|kcompactd\d+|khugepaged|ksoftirqd\/\d+|kworker\/[\w:+-]+)$/;
interface Names {
  /** What is counted. */
  readonly kind: string;
  /** What stands in the text instead: "<address 2>". */
  readonly word: string;
  readonly pattern: RegExp;
}

/** Flags of requests and masks are hexadecimal too, and tell nothing about anybody. */
const PATTERNS: readonly Names[] = [
  {
    kind: "groups",
    word: "group",
    pattern:
      /(?<=\b(?:cpuset|oom_memcg|task_memcg)=)[^\s,<]+|(?<=\bTasks? in |\blimit of |\bcgroup )\/[^\s,<]*/g,
  },
  {
    kind: "tasks",
    word: "task",
    pattern: /(?<=,task=)[^,<]{1,32}(?=,pid=)|(?<=[Kk]ill(?:ed)? process \d+,? ?\()[^)<]{1,32}/g,
  },
  {
    kind: "devices",
    word: "device",
    pattern:
      /(?<=cma_alloc\w*: )(?!reserved\b|alloc )[\w.,@-]+(?=: alloc failed)|(?<=CMA area )(?!reserved\b)[\w.,@-]+/g,
  },
  {
    kind: "hosts",
    word: "host",
    pattern: /(?<=\d\d:\d\d:\d\d(?:\.\d+)? )[\w.-]+(?= kernel:)/g,
  },
  {
    kind: "build names",
    word: "build",
    pattern: /(?<=\d\.\d{1,3}(?:\.\d{1,3})?)-[\w.+~-]+/g,
  },
  {
    kind: "PCI devices",
    word: "PCI device",
    pattern: /\b(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b/g,
  },
  {
    kind: "addresses",
    word: "address",
    pattern:
      /(?<!mode: ?|gfp_mask=)\b0x(?!0*f+\b)[0-9a-f]{6,16}\b|(?<=\bfault addr |[0-9a-f]@)[0-9a-f]{6,16}\b/g,
  },
];

export function redact(findings: readonly Finding[]): Redacted {
  const names = new Map<string, Map<string, string>>();
  const alias = (kind: string, word: string, own: string): string => {
    const known = names.get(kind) ?? new Map<string, string>();
    names.set(kind, known);
    const text = known.get(own) ?? `<${word} ${known.size + 1}>`;
    known.set(own, text);
    return text;
  };
  const tasks = [...new Set(findings.flatMap(({ comm }) => comm ?? []))].filter(
    (comm) => !KERNEL_THREAD.test(comm),
  );
  const devices = [...new Set(findings.flatMap(({ device }) => device ?? []))];
  const strip = (text: string): string => {
    let out = text;
    for (const device of longestFirst(devices)) {
      out = replaceWord(out, device, () => alias("devices", "device", device));
    }
    for (const task of longestFirst(tasks)) {
      out = replaceWord(out, task, () => alias("tasks", "task", task));
    }
    for (const { kind, word, pattern } of PATTERNS) {
      out = out.replace(pattern, (own) => alias(kind, word, own));
    }
    return out;
  };
  const clean = findings.map((finding) => redactOne(finding, strip));
  return { findings: clean, removed: new Map([...names].map(([kind, all]) => [kind, all.size])) };
}

function redactOne(finding: Finding, strip: (text: string) => string): Finding {
  const evidence = finding.evidence.map(
    ({ line, text }): Evidence => ({ line, text: strip(text) }),
  );
  return {
    ...finding,
    evidence,
    sentence: strip(finding.sentence),
    ...(finding.harmless === undefined ? {} : { harmless: strip(finding.harmless) }),
    comm: finding.comm === null ? null : strip(finding.comm),
    device: finding.device === null ? null : strip(finding.device),
    kernel: finding.kernel === null ? null : strip(finding.kernel),
    missing: finding.missing.map(strip),
    advice: finding.advice.map((own) => ({
      ...own,
      change: strip(own.change),
      why: strip(own.why),
    })),
    noHelp: finding.noHelp.map((own) => ({ change: strip(own.change), why: strip(own.why) })),
  };
}

function longestFirst(names: readonly string[]): string[] {
  return [...names].sort((a, b) => b.length - a.length);
}

/** Only where the name is a word of its own: a task may be called "order". */
function replaceWord(text: string, word: string, by: () => string): string {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return text.replace(new RegExp(`(?<![\\w/])${escaped}(?![\\w/])`, "g"), by);
}
