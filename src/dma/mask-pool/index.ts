/** The mask pool: low memory by address, in place of ZONE_DMA. */
export {
  allocGfp,
  bootWithMaskPool,
  freeGfp,
  type PoolBoot,
  type PooledMemory,
} from "./boot-mask-pool.ts";
export { createBuddyScan } from "./buddy-scan.ts";
export { type MaskCounter, maskCounts } from "./mask-counts.ts";
export {
  allocAgain,
  allocMask,
  createMaskPool,
  freeMask,
  MASK_REFUSED,
  MASK_TIMEOUT_MS,
  MASK_WAIT,
  MAY_WAIT,
  type MaskPool,
  type MaskPoolOptions,
  type MaskWaiter,
  type MaskWish,
  maskRefusalLine,
  POOL_ONLY,
} from "./mask-pool.ts";
export { normalPages } from "./normal-first.ts";
export { NO_PAGES, type PageSource } from "./page-source.ts";
export { createPoolBounce, type PoolBounce } from "./pool-bounce.ts";
export { createPoolOps } from "./pool-ops.ts";
export { createRangeTree } from "./range-tree.ts";
export { zoneSource } from "./zone-source.ts";
