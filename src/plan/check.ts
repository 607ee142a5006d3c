/**
 * Prediction against the kernel's own words: every field of a capture's
 * zoneinfo that the model predicts, compared.
 */
import type { ManagedSource } from "../boot/hardware.ts";
import type { Moment, Plan } from "./plan.ts";

export interface Difference {
  readonly node: number;
  readonly zone: string;
  /** e.g. "spanned", "managed", "min", "protection[2]", "pageset.high". */
  readonly field: string;
  readonly predicted: number | null;
  readonly kernel: number | null;
  /** Why they may differ, where it is known. */
  readonly why: string | null;
}

export interface Check {
  readonly plan: Plan;
  /** Fields compared; those "not predicted" are not counted. */
  readonly fields: number;
  readonly equal: number;
  readonly differences: readonly Difference[];
  /** Fields left out of the comparison, with the reason (e.g. managed given, pageset high tuned at run time). */
  readonly notPredicted: readonly { readonly field: string; readonly why: string }[];
  /** Which moment the kernel's marks and reserves belong to, as found by comparing. */
  readonly moments: { readonly watermarks: Moment; readonly protection: Moment };
  readonly managedFrom: ManagedSource;
}
