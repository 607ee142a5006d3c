/** Which allocator rules a replay runs by, and how sure that is: for those who print it. */
import { allocatorRule, ruleBasis } from "../mm/rule-eras.ts";
import type { MachineFacts } from "./snapshot.ts";

export interface ReplayAllocator {
  /** Name of the rule: the newest that is not newer than the kernel. */
  readonly rule: string;
  readonly basis: "captured" | "read" | "inferred";
  /** What such kernels have and the engine does not. */
  readonly differs: readonly string[];
}

/** Null for a kernel older than all rules: nothing of it can be replayed. */
export function allocatorOf({ upstream }: MachineFacts): ReplayAllocator | null {
  const rule = allocatorRule(upstream);
  if (rule === undefined) return null;
  return { rule: rule.name, basis: ruleBasis(rule, upstream), differs: rule.differs };
}
