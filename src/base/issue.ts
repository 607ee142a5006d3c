/**
 * What was wrong with an input, and where: readers never throw, they return a
 * value together with a list of issues.
 *
 * An issue of severity "error" means that the value must not be used; a
 * "warning" that something was left out of it; a "note" is worth knowing.
 */

export type Severity = "error" | "warning" | "note";

export interface Issue {
  readonly severity: Severity;
  /** One sentence: what is wrong. */
  readonly message: string;
  /** File, parameter or flag the trouble is in; absent when there is only one. */
  readonly source?: string;
  /** 1-based line in `source`. */
  readonly line?: number;
  /** What to do about it, where that can be said. */
  readonly mend?: string;
}

/** A value and what was noticed on the way to it. */
export interface Outcome<T> {
  readonly value: T;
  readonly issues: readonly Issue[];
}

/** Whether any of `issues` forbids using the value. */
export function hasErrors(issues: readonly Issue[]): boolean {
  return issues.some((issue) => issue.severity === "error");
}

/** `issues` as found in the file `source`, which is filled in where it is missing. */
export function issuesIn(source: string, issues: readonly Issue[]): Issue[] {
  return issues.map((issue) => (issue.source === undefined ? { ...issue, source } : issue));
}

/** One line for people: `source:line: message; mend`. */
export function formatIssue(issue: Issue): string {
  const place = [issue.source, issue.line].filter((part) => part !== undefined).join(":");
  return `${place === "" ? "" : `${place}: `}${issue.message}${issue.mend === undefined ? "" : `; ${issue.mend}`}`;
}
