/**
 * The kernel command line: the parameters that decide where memory goes,
 * parsed as the kernel parses them. Everything else on the line is kept by
 * name but not looked at.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { Arch } from "../kernels/policy.ts";
import type { Complain, Draft } from "./draft.ts";
import { PARAMETERS } from "./parameters.ts";
import { nearestName, splitWords, type Word } from "./words.ts";

/** A `memmap=` piece in the order given. Bytes; ranges are [start, start + bytes). */
export type MemmapEdit =
  | { readonly kind: "exactmap" }
  | { readonly kind: "limit"; readonly bytes: number }
  | {
      readonly kind: "add" | "acpi" | "reserve" | "protected";
      readonly start: number;
      readonly bytes: number;
    }
  | {
      readonly kind: "retype";
      readonly start: number;
      readonly bytes: number;
      readonly from: number | null;
      readonly to: number | null;
    };

/**
 * `mem=`. x86: the end of RAM; arm64: how much RAM to keep; arm: a bank of RAM that
 * replaces the firmware's.
 */
export interface MemEdit {
  readonly kind: "mem";
  readonly bytes: number;
  /** arm only, `mem=size@start`: where the bank starts; absent for the first RAM address. */
  readonly start?: number;
}

/** `kernelcore=` / `movablecore=`: an amount, a percentage of all pages, or mirror. */
export type CoreSize =
  | { readonly kind: "bytes"; readonly bytes: number }
  | { readonly kind: "percent"; readonly percent: number }
  | { readonly kind: "mirror" };

export interface CommandLine {
  readonly text: string;
  /** `mem=` and `memmap=`, in the order given: they are applied as they are met. */
  readonly edits: readonly (MemEdit | MemmapEdit)[];
  readonly kernelcore: CoreSize | null;
  readonly movablecore: CoreSize | null;
  readonly movableNode: boolean;
  readonly highmemBytes: number | null;
  readonly vmallocBytes: number | null;
  readonly cma: {
    readonly bytes: number;
    /** Fixed base or lower limit; 0 when not given. */
    readonly base: number;
    /** Exclusive upper limit; 0 when not given. */
    readonly limit: number;
  } | null;
  readonly hugetlbCmaBytes: number;
  readonly swiotlb: {
    readonly slots: number | null;
    readonly areas: number | null;
    readonly force: boolean;
    readonly noforce: boolean;
  };
  /** The words of `iommu=`: "off", "soft", "pt" … */
  readonly iommu: readonly string[];
  readonly crashkernel: readonly string[];
  /** `hugepagesz=`/`hugepages=` pairs; null = the default size. Per-node counts are summed. */
  readonly hugePages: readonly { readonly pageBytes: number | null; readonly count: number }[];
  readonly numa:
    | { readonly kind: "auto" }
    | { readonly kind: "off" }
    | { readonly kind: "noacpi" }
    | {
        readonly kind: "fake";
        /** What follows `fake=`: a count, a size, or a count per node with a U. */
        readonly text: string;
        /** Present when `numa=off` or `numa=noacpi` was given as well: no affinity is read then. */
        readonly over?: "off" | "noacpi";
      };
  readonly transparentHugepage: "always" | "madvise" | "never" | null;
  readonly maxCpus: number | null;
  readonly nrCpus: number | null;
  readonly possibleCpus: number | null;
  /** As the kernel uses it: rounded up to a power of two. */
  readonly logBufBytes: number | null;
  readonly kaslr: boolean;
}

/** Reporting stops here: a line of a thousand mistakes is not a command line. */
const MAX_ISSUES = 100;

/** Nobody's command line is longer; arm64 and x86 cut at 2048 bytes. Linux: COMMAND_LINE_SIZE */
const LONGEST = 65536;

/**
 * Parses the line as the kernel of `arch` does: in order, each parameter by its
 * own rule for being repeated. A value the kernel would refuse is left out and
 * reported; one that it reads otherwise than meant is read as the kernel does,
 * and reported. `pageSize` is in bytes. Never throws.
 * Linux: parse_early_options(), init/main.c
 */
export function parseCommandLine(text: string, arch: Arch, pageSize: number): Outcome<CommandLine> {
  const issues: Issue[] = [];
  if (text.length > LONGEST) {
    issues.push({
      severity: "warning",
      message: `the command line has ${text.length} characters, only ${LONGEST} are read`,
    });
  }
  const draft = emptyDraft(text);
  for (const word of splitWords(text.slice(0, LONGEST))) {
    // What follows is for init: the kernel does not look at it.
    if (word.text === "--") break;
    const complain: Complain = (severity, message, mend) => {
      const issue: Issue = { severity, message, source: shorten(word.text) };
      if (issues.length < MAX_ISSUES) issues.push(mend === undefined ? issue : { ...issue, mend });
    };
    const read = PARAMETERS.get(word.name);
    if (read !== undefined) read(draft, word.value, { arch, pageSize, complain });
    else reportMisspelling(word, complain);
  }
  return { value: finish(draft), issues };
}

function emptyDraft(text: string): Draft {
  return {
    text,
    edits: [],
    kernelcore: null,
    movablecore: null,
    movableNode: false,
    highmemBytes: null,
    vmallocBytes: null,
    cma: null,
    hugetlbCmaBytes: 0,
    swiotlb: { slots: null, areas: null, force: false, noforce: false },
    iommu: [],
    crashkernel: [],
    hugePages: [],
    numaFlags: { off: false, noacpi: false, fake: null },
    transparentHugepage: null,
    maxCpus: null,
    nrCpus: null,
    possibleCpus: null,
    logBufBytes: null,
    kaslr: true,
    defaultHugePageBytes: null,
    hugePageState: "default",
  };
}

function finish(draft: Draft): CommandLine {
  const { numaFlags, defaultHugePageBytes, hugePageState: _, ...plain } = draft;
  const hugePages = draft.hugePages.map(({ pageBytes, count }) => ({
    pageBytes: pageBytes ?? defaultHugePageBytes,
    count,
  }));
  return { ...plain, hugePages, numa: numaOf(numaFlags) };
}

function numaOf({ off, noacpi, fake }: Draft["numaFlags"]): CommandLine["numa"] {
  const over = off ? "off" : noacpi ? "noacpi" : null;
  if (fake !== null) return { kind: "fake", text: fake, ...(over === null ? {} : { over }) };
  return { kind: over ?? "auto" };
}

function reportMisspelling(word: Word, complain: Complain): void {
  const meant = nearestName(word.name, PARAMETERS.keys());
  if (meant === null) return;
  complain(
    "warning",
    `the kernel has no parameter ${word.name}; it is ignored`,
    `write ${meant}${word.value === null ? "" : "="} if that is meant`,
  );
}

function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 79)}…`;
}
