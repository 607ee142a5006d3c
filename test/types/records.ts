// Goal: the public types refuse what must not be done with a plan. Method: no run at all; the
// compiler reports each line marked below where it finds *no* error, and any other line with one.
import { type Arch, type DeviceSpec, type Outcome, type Plan, simpleDevice } from "zonewright";

declare const plan: Plan;
declare const outcome: Outcome<Plan>;

// A plan is an answer: nobody edits it.
// @ts-expect-error: readonly
plan.kernel = "6.1";
// @ts-expect-error: readonly all the way down
plan.pools.crashkernel = [];
// @ts-expect-error: a readonly list has no push
plan.nodes.push(...plan.nodes);

for (const zone of plan.nodes.flatMap((node) => node.zones)) {
  // @ts-expect-error: readonly
  zone.watermarks.min = 0;
  // @ts-expect-error: readonly
  zone.protection[0] = 0;
  // @ts-expect-error: an empty zone has no start
  zone.startPfn + 1;
  // @ts-expect-error: nor has it a pageset
  zone.pageset.batch;
}

// The value of an outcome comes with its issues, never alone.
// @ts-expect-error: an outcome is not its value
export const unwrapped: Plan = outcome;
export const value: Plan = outcome.value;

// @ts-expect-error: no such architecture
export const arch: Arch = "x86";
// @ts-expect-error: whether there is a bus limit has to be said
export const device: DeviceSpec = { name: "nic", dmaBits: 32, coherentBits: 32, iommu: false };
export const nic: DeviceSpec = simpleDevice("nic", 32);
// @ts-expect-error: readonly
nic.dmaBits = 64;
