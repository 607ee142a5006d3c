/** Which uses somebody should do something about. */
import type { Use } from "./use.ts";

/** Not: the right interface, hints that cost nothing, comments, the machinery. */
export function isFinding({ verdict }: Use): boolean {
  return verdict !== "legitimate" && verdict !== "n/a" && verdict !== "optimisation";
}

/** SARIF's and people's degree of it. */
export function levelOf({ verdict }: Use): "error" | "warning" | "note" {
  if (verdict === "bug") return "error";
  return verdict.startsWith("replaceable") || verdict === "dead" ? "warning" : "note";
}
