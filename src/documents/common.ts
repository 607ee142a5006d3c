/** What documents share: issues, and numbers that JSON does not have. */
import * as z from "zod";
import type { Issue } from "../base/issue.ts";

export const issueSchema: z.ZodType<Issue> = z.object({
  severity: z.enum(["error", "warning", "note"]),
  message: z.string(),
  source: z.string().optional(),
  line: z.number().int().min(1).optional(),
  mend: z.string().optional(),
}) as z.ZodType<Issue>; // exactOptionalPropertyTypes: zod's optional() also allows undefined

/** Infinity, which JSON lacks, is null: "no limit". */
export function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** Each issue once: a machine that is planned twice says things twice. */
export function issueList(issues: readonly Issue[]): Issue[] {
  const seen = new Set<string>();
  return issues.filter((issue) => {
    const key = JSON.stringify(issue);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
