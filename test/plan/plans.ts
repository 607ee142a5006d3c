// Plans for tests: of descriptions, of the corpus, and of captures written down file by file.
import assert from "node:assert/strict";
import { type Capture, readCapture } from "../../src/formats/capture.ts";
import {
  type MachineDescription,
  type MachineInput,
  type MachineOptions,
  machineFromDescription,
  type Plan,
  type PlannedZone,
  type PlanOptions,
  planMachine,
} from "../../src/plan/index.ts";
import { captureFiles } from "../support/corpus.ts";

export const MIB: number = 2 ** 20;
export const GIB: number = 2 ** 30;

/** What a description needs besides `own`: a name and a kernel. */
export type Description = Partial<MachineDescription> & { readonly arch: string };

export function described(own: Description, options: MachineOptions = {}): MachineInput {
  const { value, issues } = machineFromDescription({ name: "m", kernel: "6.1", ...own }, options);
  assert.ok(value !== null, JSON.stringify(issues));
  return value;
}

export function planFor(machine: MachineInput, options: PlanOptions = {}): Plan {
  const { value, issues } = planMachine(machine, options);
  assert.ok(value !== null, JSON.stringify(issues));
  return value;
}

export function planOf(own: Description, options: PlanOptions = {}): Plan {
  return planFor(described(own), options);
}

export async function corpusCapture(name: string): Promise<Capture> {
  return (await readCapture(captureFiles(name))).value;
}

/** A capture of nothing but these files. */
export async function captureOf(files: Readonly<Record<string, string>>): Promise<Capture> {
  const { value } = await readCapture({
    name: "box",
    paths: Object.keys(files),
    async *open(path: string): AsyncIterable<string> {
      yield files[path] ?? "";
    },
  });
  return value;
}

export function zonesOf(plan: Plan): PlannedZone[] {
  return plan.nodes.flatMap(({ zones }) => zones);
}

export function zoneOf(plan: Plan, name: string, node = 0): PlannedZone {
  const zone = plan.nodes.find((own) => own.node === node)?.zones.find((own) => own.name === name);
  assert.ok(zone !== undefined, `no zone N${node}/${name}`);
  return zone;
}

/** Zones as "DMA 1+4095/3998", and those that exist but are empty as their names. */
export function shape(plan: Plan): string[] {
  return plan.nodes.flatMap(({ node, zones }) =>
    zones.map(({ name, startPfn, spanned, present }) =>
      startPfn === null
        ? name
        : `${node === 0 ? "" : `N${node}/`}${name} ${startPfn}+${spanned}/${present}`,
    ),
  );
}

/** Whole numbers as text for what is wrong with an input: "error source: message". */
export function words(
  issues: readonly { severity: string; source?: string; message: string }[],
): string[] {
  return issues.map(({ severity, source, message }) => `${severity} ${source ?? "-"}: ${message}`);
}
