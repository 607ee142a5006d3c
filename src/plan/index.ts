/** Planning: machines in, plans, checks and differences out. */
export { type Check, type CheckOptions, checkCapture, type Difference } from "./check.ts";
export { checkPrinted, checkReport, checkZoneinfo } from "./check-printed.ts";
export {
  type Affected,
  type Change,
  diffPlans,
  EFFECTS,
  type Effect,
  type PlanDiff,
} from "./diff.ts";
export {
  type Bounds,
  type ClassHeadroom,
  type Headroom,
  headroomOf,
  type ZoneFragmentation,
} from "./headroom.ts";
export type { MachineInput, MachineOptions } from "./machine.ts";
export { machineFromCapture } from "./machine-from-capture.ts";
export {
  type DescribedNode,
  type MachineDescription,
  machineFromDescription,
} from "./machine-from-description.ts";
export { machineFromDevicetree } from "./machine-from-devicetree.ts";
export type { Moment, Plan, PlannedManaged, PlannedNode, PlannedZone } from "./plan.ts";
export { type PlanOptions, planMachine } from "./plan-machine.ts";
export { KNOWN_SYSCTLS, resolveShares, type SysctlShare, type SysctlWrite } from "./sysctls.ts";
