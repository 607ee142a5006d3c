/**
 * Everything a screen says about a capture: the kernel's own numbers, a plan,
 * and how the two agree.
 *
 * A capture may lack the memory map, as this machine does without root on
 * hardware without a firmware map. The plan then starts from the spans in
 * zoneinfo, so that devices and pools can still be told, and nothing is
 * compared: that would be comparing a file with itself.
 */
import type { Issue } from "../base/issue.ts";
import type { Range } from "../base/range.ts";
import type { Inspection, SourceDocument } from "../documents/index.ts";
import type { Capture } from "../formats/capture.ts";
import type { Zoneinfo } from "../formats/zoneinfo.ts";
import {
  checkCapture,
  headroomOf,
  type MachineInput,
  machineFromCapture,
  type Plan,
  planMachine,
} from "../plan/index.ts";

export function inspectCapture(
  capture: Capture,
  sources: readonly SourceDocument[],
  issues: readonly Issue[],
): Inspection {
  const { value: headroom, issues: more } = headroomOf(capture);
  const base = { name: capture.name, zoneinfo: capture.zoneinfo, headroom, sources };
  const machine = machineFromCapture(capture);
  const check = checkCapture(capture);
  // A check of zoneinfo's own numbers knows neither pools nor devices, which are wanted here.
  if (machine.value !== null && check.value !== null) {
    const all = [...issues, ...check.issues, ...more];
    return { ...base, plan: check.value.plan, check: check.value, checkWhyNot: null, issues: all };
  }
  const trouble = [...machine.issues, ...check.issues];
  const whyNot = trouble.find(({ severity }) => severity === "error")?.message ?? "no plan";
  const own = planFrom(machine);
  if (own.plan !== null || capture.zoneinfo === null) {
    const all = [...issues, ...check.issues, ...own.issues, ...more].map(asWarning);
    return { ...base, plan: own.plan, check: null, checkWhyNot: whyNot, issues: all };
  }
  const spans = planFrom(machineFromCapture(withMapFromSpans(capture, capture.zoneinfo)));
  if (spans.plan === null && check.value !== null) {
    const all = [...issues, ...check.issues, ...more];
    return { ...base, plan: check.value.plan, check: check.value, checkWhyNot: null, issues: all };
  }
  const words = `${whyNot}; zoneinfo's own spans are drawn, and nothing is compared with them`;
  const all = [...issues, ...spans.issues, ...more].map(asWarning);
  return { ...base, plan: spans.plan, check: null, checkWhyNot: words, issues: all };
}

function planFrom(machine: {
  readonly value: MachineInput | null;
  readonly issues: readonly Issue[];
}): { plan: Plan | null; issues: readonly Issue[] } {
  if (machine.value === null) return { plan: null, issues: machine.issues };
  const { value, issues } = planMachine(machine.value);
  return { plan: value, issues };
}

/** Each zone's span counts as RAM: holes inside it are not known. */
function withMapFromSpans(capture: Capture, zoneinfo: Zoneinfo): Capture {
  const pageSize = 4096; // what zoneinfo counts is not said in it; 4 KiB is the default everywhere
  const ram: Range[] = [];
  for (const { startPfn, spanned, present } of zoneinfo.zones) {
    if (startPfn === null || present === 0) continue;
    ram.push({ start: startPfn * pageSize, end: (startPfn + spanned) * pageSize });
  }
  return {
    ...capture,
    bootLog: null,
    firmwareMemmap: ram.map((range) => ({ ...range, type: "System RAM" })),
    iomem: { entries: [], redacted: false, ram },
  };
}

/** On a screen that goes on without it, nothing is fatal. */
function asWarning(issue: Issue): Issue {
  return issue.severity === "error" ? { ...issue, severity: "warning" } : issue;
}
