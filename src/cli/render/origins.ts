/** Where each number of a plan comes from, and what was guessed. */
import { formatIssue, type Issue } from "../../base/issue.ts";
import { formatBytes, formatCount } from "../../base/units.ts";
import { issueList } from "../../documents/index.ts";
import type { Plan } from "../../plan/index.ts";
import type { Style } from "../terminal.ts";
import { paint, spell, wrap } from "./paint.ts";

const ISSUES_SHOWN = 8;

/** "6.1.0-50-amd64 · rules of era 6.1, captured …" */
export function eraWords({ era, arch }: Plan): string {
  if (era.verified)
    return `rules of ${era.name}, captured: reproduced on captures of this kernel on ${arch}`;
  const how = era.basis === "read" ? "read in its source" : "inferred from the nearest older era";
  return `rules of ${era.name}, ${how}: UNVERIFIED for this kernel on ${arch}`;
}

/** "x86_64 · kernel 6.1 · 4 CPUs · 8 GiB of RAM"; RAM is what `zones` have. */
export function machineWords(plan: Plan, zones: readonly { readonly present: number }[]): string {
  const cpus = plan.nodes.reduce((sum, node) => sum + node.cpus, 0);
  const ram = zones.reduce((sum, { present }) => sum + present, 0) * plan.pageSize;
  const nodes = plan.nodes.length === 1 ? "" : ` on ${plan.nodes.length} nodes`;
  const cpuWords = cpus === 1 ? "1 CPU" : `${cpus} CPUs`;
  return `${plan.arch} · kernel ${plan.kernel} · ${cpuWords}${nodes} · ${formatBytes(ram)} of RAM`;
}

export function originLines(plan: Plan): string[] {
  const managed = [...new Set(plan.nodes.flatMap((n) => n.zones.map((z) => z.managed.from)))];
  const exact = plan.nodes.every((node) => node.zones.every((zone) => zone.managed.exact));
  const managedWords = managed.includes("given")
    ? "not predicted, marks are computed from it"
    : exact
      ? "exact"
      : "an interval, its best guess shown";
  const { sysctls } = plan;
  const when =
    plan.moment === "boot"
      ? "right after boot, from what the zones held when the kernel computed them"
      : "after a sysctl write, from what the zones hold";
  const minFree =
    sysctls.minFreeKbytesFrom === "given"
      ? "as written"
      : sysctls.minFreeKbytesFrom === "khugepaged"
        ? "raised by khugepaged"
        : "the kernel's default";
  return [
    `zones        ${plan.layoutFrom === "log" ? "the boot log's own zone lines" : "computed from the firmware's map and the kernel's parameters"}`,
    `managed      ${managed.join(", ")}: ${managedWords}`,
    `marks        ${when}; min_free_kbytes ${formatCount(sysctls.minFreeKbytes)} KiB, ${minFree}`,
  ];
}

export function issueLines(style: Style, issues: readonly Issue[]): string[] {
  const all = issueList(issues);
  const shown = [...all].sort((a, b) => rank(a) - rank(b)).slice(0, ISSUES_SHOWN);
  const lines = shown.flatMap((issue) => {
    const text = `${issue.severity}: ${formatIssue(issue)}`;
    const ink = issue.severity === "note" ? "dim" : "warn";
    return wrap(text, style.width - 4, "  ").map(
      (line) => `  ${paint(style, ink, spell(style, line))}`,
    );
  });
  const more = all.length - shown.length;
  if (more > 0) lines.push(paint(style, "dim", `  and ${more} more; --json lists all`));
  return lines;
}

function rank(issue: Issue): number {
  return ["error", "warning", "note"].indexOf(issue.severity);
}
