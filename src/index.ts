/**
 * What `import … from "zonewright"` gives: plans, checks and differences of machines, devices and
 * what they reach, the rules of zones as pure functions, and the records these are made of. It
 * runs wherever JavaScript does. Readers of kernel text are in "zonewright/formats", the boot in
 * parts in "zonewright/boot", files and streams in "zonewright/host".
 */
export * from "./base/issue.ts";
export * from "./base/range.ts";
export * from "./boot/index.ts";
export * from "./dma/device.ts";
export * from "./dma/reach.ts";
export * from "./dma/swiotlb/index.ts";
export * from "./kernels/eras.ts";
export * from "./kernels/policy.ts";
export * from "./mm/pageset.ts";
export * from "./mm/protection.ts";
export * from "./mm/watermark.ts";
export * from "./mm/zonelist.ts";
export * from "./plan/index.ts";
