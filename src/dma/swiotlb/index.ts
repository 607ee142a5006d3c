/** Bounce buffers: the pool, its size and place, pools that are added, and the rules of each era. */
export { type SwiotlbRule, swiotlbRule } from "../../kernels/swiotlb.ts";
export { growPages } from "./grow-pages.ts";
export type { GrowPages, PhysicalBytes, SwiotlbSpec } from "./own.ts";
export {
  placeSwiotlb,
  readSwiotlbParameter,
  type SwiotlbMachine,
  type SwiotlbParameter,
  type SwiotlbPlace,
  type SwiotlbSize,
  sizeSwiotlb,
} from "./size.ts";
export type { AreaStats, SwiotlbStats } from "./stats.ts";
export { createSwiotlb, Swiotlb } from "./swiotlb.ts";
