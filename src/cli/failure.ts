/** How a command stops early: with an exit code and the issues that say why. */
import { formatIssue, type Issue } from "../base/issue.ts";

export const EXIT_FINE = 0;
export const EXIT_FINDINGS = 1;
export const EXIT_USAGE = 2;
export const EXIT_INPUT = 3;
/** EX_IOERR of sysexits.h: the output could not be written. */
export const EXIT_OUTPUT = 74;
/** EX_SOFTWARE of sysexits.h: a bug of ours. */
export const EXIT_BUG = 70;

export class Failure extends Error {
  override readonly name = "Failure";
  readonly exitCode: number;
  readonly issues: readonly Issue[];

  constructor(exitCode: number, issues: readonly Issue[]) {
    super(issues.map(formatIssue).join("\n"));
    this.exitCode = exitCode;
    this.issues = issues;
  }
}

/** Wrong usage: `place` is the option or argument. */
export function usage(place: string, message: string, mend?: string): Failure {
  const issue: Issue = { severity: "error", source: place, message };
  return new Failure(EXIT_USAGE, [mend === undefined ? issue : { ...issue, mend }]);
}

/** Unreadable input: the errors among `issues`, which the caller knows to be there. */
export function unreadable(issues: readonly Issue[]): Failure {
  return new Failure(
    EXIT_INPUT,
    issues.filter((issue) => issue.severity === "error"),
  );
}
