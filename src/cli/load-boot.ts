/**
 * The start of a replay from a boot's first event on: a plan of the capture's
 * machine, and when its log says that pages came late. What the plan predicts
 * is not opened.
 */
import { hasErrors, type Issue } from "../base/issue.ts";
import type { Capture, CaptureFiles } from "../formats/index.ts";
import { readCapture } from "../formats/index.ts";
import { layoutOf } from "../plan/evidence.ts";
import { machineFromCapture, planMachine } from "../plan/index.ts";
import { type BootStart, bootMoments, bootStart } from "../replay/index.ts";
import { unreadable } from "./failure.ts";
import { below, isPredicted } from "./load.ts";
import type { TextOf } from "./load-snapshot.ts";

export interface LoadedBoot {
  readonly boot: BootStart;
  readonly issues: readonly Issue[];
}

export async function loadBoot(
  path: string,
  files: CaptureFiles,
  text: TextOf,
  config: (capture: Capture) => Promise<Capture["config"]>,
): Promise<LoadedBoot> {
  const read = await readCapture(files, { skip: isPredicted });
  const capture = { ...read.value, config: await config(read.value) };
  const machine = machineFromCapture(capture, {});
  const issues = below(path, [...read.issues, ...machine.issues]);
  if (machine.value === null || hasErrors(issues)) throw unreadable(issues);
  const input = machine.value;
  const planned = planMachine(input);
  const layout = layoutOf(input, []);
  issues.push(...below(path, planned.issues));
  if (planned.value === null || layout === null || hasErrors(issues)) throw unreadable(issues);
  const upstream = capture.version?.numbers.join(".") ?? planned.value.era.name;
  const moments = bootMoments((await text("dmesg")) ?? "");
  const start = bootStart({ input, layout, plan: planned.value, moments, upstream });
  issues.push(...below(path, start.issues));
  if (start.value === null || hasErrors(issues)) throw unreadable(issues);
  return { boot: start.value, issues };
}
