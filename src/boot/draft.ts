/**
 * The command line while it is read: what readers of parameters share. Fields
 * are those of `CommandLine`, writable, with the few states that only matter
 * until the end of the line.
 */
import type { Severity } from "../base/issue.ts";
import type { Arch } from "../kernels/policy.ts";
import type { CommandLine } from "./command-line.ts";
import { memparse } from "./memparse.ts";

export type Complain = (severity: Severity, message: string, mend?: string) => void;

/** What a reader may ask about its surroundings. */
export interface Place {
  readonly arch: Arch;
  /** Bytes. */
  readonly pageSize: number;
  readonly complain: Complain;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The parsed line while it is read. */
export interface Draft extends Mutable<Omit<CommandLine, "edits" | "hugePages" | "numa">> {
  readonly edits: CommandLine["edits"][number][];
  readonly hugePages: { readonly pageBytes: number | null; readonly count: number }[];
  readonly numaFlags: { off: boolean; noacpi: boolean; fake: string | null };
  defaultHugePageBytes: number | null;
  /** What the next `hugepages=` counts: pages of this size, the default size, or nothing. */
  hugePageState: number | "default" | "refused" | "counted";
}

/** Reads one parameter; `value` is null where there is no `=`. */
export type ReadParameter = (draft: Draft, value: string | null, place: Place) => void;

/** Bytes with a suffix, complaining about what follows the number; null when there is no number. */
export function readBytes(value: string | null, place: Place): number | null {
  const number = memparse(value ?? "");
  if (value === null || number.end === 0) {
    place.complain("warning", "no number in the value; the kernel ignores the parameter");
    return null;
  }
  reportCapped(number.capped, place);
  if (number.end < value.length) {
    place.complain(
      "warning",
      `the kernel does not read "${value.slice(number.end, number.end + 40)}" after the number`,
      "suffixes are K M G T P E, without B",
    );
  }
  return number.value;
}

export function reportCapped(capped: boolean, { complain }: Place): void {
  if (capped) complain("warning", "the number is larger than any memory; 2^53 - 1 is used");
}
