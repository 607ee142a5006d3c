/**
 * What `import … from "zonewright"` gives: plans, devices and their reach, checks, and the records
 * they are made of. Readers of kernel text are in "zonewright/formats", files and threads in
 * "zonewright/host".
 */
export * from "./base/issue.ts";
export * from "./base/range.ts";
export * from "./boot/command-line.ts";
export * from "./boot/hardware.ts";
export * from "./dma/device.ts";
export * from "./dma/reach.ts";
export * from "./kernels/policy.ts";
export * from "./plan/check.ts";
export * from "./plan/plan.ts";
