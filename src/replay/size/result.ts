/**
 * What comes of sizing one parameter: the smallest value that carried the
 * recorded workload, and every value that was tried, as evidence.
 */

/** The parameters that a workload can be sized for. */
export type SizeName =
  | "swiotlb"
  | "cma"
  | "dma"
  | "dma32"
  | "min_free_kbytes"
  | "lowmem_reserve_ratio";

/** What values count: slots, bytes (of a zone those below its end), KiB, or the share that a reserve is. */
export type SizeUnit = "slots" | "bytes" | "KiB" | "ratio";

/**
 *   sized    a smallest value was found
 *   zero     the workload needs none of it
 *   none     no value that can be asked for carries it
 *   untold   the recording has nothing to go by
 *   stopped  the search was interrupted before it came to an end
 */
export type SizeStatus = "sized" | "zero" | "none" | "untold" | "stopped";

/** A moment of the recording. */
export interface SizeMoment {
  /** 1-based line in the trace. */
  readonly line: number;
  /** The trace's clock, microseconds. */
  readonly time: number;
}

/** A request that was not served. */
export interface SizeRefusal extends SizeMoment {
  /** Who asked, as far as the recording tells; "" for unknown. */
  readonly by: string;
  readonly bytes: number;
  /** Why not, in sentences. */
  readonly because: readonly string[];
  /** No value of the parameter would serve it. */
  readonly never: boolean;
}

/** The most that was in use at once. */
export interface SizePeak extends SizeMoment {
  /** Slots, or bytes. */
  readonly amount: number;
  readonly by: string;
}

/** A value as it is asked for. */
export interface SizeValue {
  /** In the parameter's unit, as the kernel rounds it. */
  readonly value: number;
  readonly bytes: number;
  /** As `replay --set` takes it, and where `where` says. */
  readonly set: string;
}

export interface SizeTrial extends SizeValue {
  readonly carries: boolean;
  /** Requests that go without; of those the ones that a kernel would reclaim for. */
  readonly refused: number;
  readonly mayWait: number;
  /** The first of them. */
  readonly first: SizeRefusal | null;
  readonly peak: SizePeak | null;
}

/** Another answer, to a question next to the one that was asked. */
export interface SizeAlternative extends SizeValue {
  readonly why: string;
}

export interface SizeMargin extends SizeValue {
  readonly percent: number;
}

export interface Sizing {
  readonly name: SizeName;
  readonly status: SizeStatus;
  /** What values count. */
  readonly unit: SizeUnit;
  /** Where `set` goes: the kernel's command line, a sysctl, or nowhere but `replay --set`. */
  readonly where: "command line" | "sysctl" | "replay --set";
  /** In one sentence: what "carries" means here. */
  readonly criterion: string;
  /** Why there is no value, or why 0 is enough; null where a value is. */
  readonly because: string | null;
  readonly answer: SizeValue | null;
  /** The answer with the user's margin, rounded anew; null without one. */
  readonly margin: SizeMargin | null;
  readonly alternatives: readonly SizeAlternative[];
  /** Most in use at once by those whom the parameter is for; null where that is not counted. */
  readonly peak: SizePeak | null;
  /** The largest tried value that carries with all tried ones from the answer on. */
  readonly holdsTo: number | null;
  /** No value that was tried carries below one that does not. */
  readonly monotonic: boolean;
  /** Of the recorded machine; null where its value is not told. */
  readonly recorded: SizeTrial | null;
  /** The next smaller value than the answer. */
  readonly below: SizeTrial | null;
  /** In ascending order of values. */
  readonly trials: readonly SizeTrial[];
  /** What the answer is good for, and what was not modelled, in sentences. */
  readonly notes: readonly string[];
}

/** What was replayed. */
export interface SizeWorkload {
  /** Microseconds from the first to the last event that counts. */
  readonly length: number;
  /** What it was, in words: "3 119 mappings by 3 devices". */
  readonly words: string;
}

/** While it goes on: of which parameter, and how many tries are done. False stops. */
export type SizePause = (name: SizeName, tries: number) => Promise<boolean>;

/** A result with nothing in it. */
export function emptySizing(
  of: Pick<Sizing, "name" | "unit" | "where" | "criterion" | "because">,
): Sizing {
  return {
    ...of,
    status: "untold",
    answer: null,
    alternatives: [],
    margin: null,
    peak: null,
    holdsTo: null,
    monotonic: true,
    recorded: null,
    below: null,
    trials: [],
    notes: [],
  };
}
