/**
 * From what the user typed to what the engine takes: opened captures, machines
 * to plan, plans. Everything that goes wrong here is a `Failure` with the place
 * and a mend.
 */
import { hasErrors, type Issue, type Outcome } from "../base/issue.ts";
import type { SourceDocument } from "../documents/index.ts";
import { type Capture, type CaptureFiles, readCapture } from "../formats/capture.ts";
import { openCaptureFiles, openMachine } from "../host/index.ts";
import {
  type MachineInput,
  type MachineOptions,
  machineFromCapture,
  machineFromDescription,
  machineFromDevicetree,
  type Plan,
  type PlanOptions,
  planMachine,
} from "../plan/index.ts";
import { EXIT_INPUT, EXIT_USAGE, Failure, unreadable } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** What a plan predicts must not be looked at while planning. */
const PREDICTED = /(^|\/)(zoneinfo|buddyinfo|pagetypeinfo)$/;

export function isPredicted(path: string): boolean {
  return PREDICTED.test(path);
}

/** The machine that a path or `-` names, and what was noticed on the way. */
export async function loadMachine(
  path: string,
  options: MachineOptions,
  terminal: Terminal,
): Promise<MachineInput> {
  const opened = await openMachine(path, terminal.stdin, { skip: isPredicted });
  if (opened.value === null || hasErrors(opened.issues)) throw unreadable(opened.issues);
  const issues: Issue[] = [...opened.issues];
  if (opened.value.kind === "description") {
    const { value, issues: more } = machineFromDescription(opened.value.description, options);
    return orFailure(value, [...issues, ...more], path, options);
  }
  if (opened.value.kind === "devicetree") {
    const { tree, name } = opened.value;
    const { value, issues: more } = machineFromDevicetree(tree, name, options);
    return orFailure(value, [...issues, ...more], path, options);
  }
  const read = await readCapture(opened.value.files, { skip: isPredicted });
  issues.push(...below(path, read.issues));
  if (hasErrors(issues)) throw unreadable(issues);
  const { value, issues: more } = machineFromCapture(read.value, options);
  return orFailure(value, [...issues, ...more], path, options);
}

/** The plan of a machine. */
export function makePlan(
  machine: MachineInput,
  path: string,
  options: MachineOptions,
  planOptions: PlanOptions = {},
): Plan {
  const { value, issues } = planMachine(machine, planOptions);
  return orFailure(value, issues, path, { ...options, ...planOptions });
}

/** A capture with everything in it. */
export async function loadCapture(
  path: string,
  terminal: Terminal,
): Promise<{ capture: Capture; issues: Issue[]; sources: SourceDocument[] }> {
  const opened = await openCapture(path, terminal);
  if (opened.value === null) throw unreadable(opened.issues);
  const read = await readCapture(opened.value);
  const issues = [...opened.issues, ...below(path, read.issues)];
  const sources = (opened.value.missing ?? []).map(({ path: file, why }) => ({
    path: file,
    from: path,
    missing: why,
  }));
  return { capture: read.value, issues, sources };
}

async function openCapture(
  path: string,
  terminal: Terminal,
): Promise<Outcome<CaptureFiles | null>> {
  if (path !== "-") return openCaptureFiles(path);
  const { value, issues } = await openMachine(path, terminal.stdin);
  if (value === null) return { value, issues };
  if (value.kind === "capture") return { value: value.files, issues };
  const message = `a ${value.kind} is no capture: no kernel ran on it`;
  const mend = "pipe the archive of a capture, or use plan";
  throw unreadable([{ severity: "error", source: path, message, mend }]);
}

/** Issues of files below `path` name the whole path. */
export function below(path: string, issues: readonly Issue[]): Issue[] {
  const folder = path.replace(/\/+$/, "");
  return issues.map((issue) => ({
    ...issue,
    source: issue.source === undefined ? folder : `${folder}/${issue.source}`,
  }));
}

/** What the user asked for, to tell whose fault an error is. */
type Asked = MachineOptions & PlanOptions;

/** `value` with `issues` for its own, or the errors: wrong usage when an option is to blame. */
export function orFailure<T extends { readonly issues: readonly Issue[] }>(
  value: T | null,
  issues: readonly Issue[],
  path: string,
  options: Asked,
): T {
  if (value !== null && !hasErrors(issues)) return { ...value, issues };
  const errors = issues.filter((issue) => issue.severity === "error");
  const blamed = errors.map((issue) => ({ ...issue, source: blame(issue, path, options) }));
  const byOption = blamed.length > 0 && blamed.every((issue) => issue.source.startsWith("--"));
  throw new Failure(byOption ? EXIT_USAGE : EXIT_INPUT, blamed);
}

/** The option or file that an error of the engine is about. */
function blame(issue: Issue, path: string, options: Asked): string {
  const about = issue.source ?? "";
  if (about.startsWith("sysctl") && options.sysctls !== undefined) return `--${about}`;
  if (about === "mask-pool" && options.maskPoolBytes !== undefined) return "--mask-pool";
  if (about.startsWith("managed") && options.managed !== undefined) return "--managed";
  if (about === "kernel" && options.kernel !== undefined) return "--kernel";
  if (about === "arch" && options.arch !== undefined) return "--arch";
  if (about === path || about.startsWith(`${path}/`)) return about;
  const set = (options.set ?? []).some((parameter) => parameter.split("=", 1)[0] === about);
  if (set) return `--set ${about}`;
  return about === "" ? path : `${path}: ${about}`;
}
