/** The DMA layer: what drivers call, on real memory; and what stands between a device and it. */
export { DECLARED_AS_PROPOSED, type DmaPolicy, dmaPolicy } from "../kernels/dma.ts";
export { type GartRule, gartRule } from "../kernels/gart.ts";
export * from "./bounce.ts";
export { isFault } from "./bus.ts";
export type { DmaBuffer } from "./coherent.ts";
export type { DeviceCounts } from "./counts.ts";
export type { CpuCache } from "./cpu-cache.ts";
export type { CpuView, UserArea } from "./cpu-view.ts";
export type { DmaOptions } from "./create-core.ts";
export type { DebugOptions, DmaDebug, ForbiddenArea } from "./debug.ts";
export {
  DMA_MEMORY_EXCLUSIVE,
  DMA_MEMORY_INCLUDES_CHILDREN,
  DMA_MEMORY_IO,
  DMA_MEMORY_MAP,
} from "./declared.ts";
export * from "./device.ts";
export { createDma, Dma } from "./dma.ts";
export type { DmaDevice, DmaWindow } from "./dma-device.ts";
export { type DmaEvent, formatDmaEvent } from "./events.ts";
export { createGart, type Gart, type GartSpec } from "./gart/gart.ts";
export { GartOps } from "./gart/gart-ops.ts";
export {
  type Aperture,
  type ApertureAsk,
  findAperture,
  GART_DEFAULTS,
  type GartOptions,
  parseGartOptions,
} from "./gart/options.ts";
export { type IommuEvent, iommuEventText } from "./iommu/events.ts";
export { type GroupChoice, Iommu, type IommuSpec } from "./iommu/iommu.ts";
export { IommuOps } from "./iommu/iommu-ops.ts";
export { sgList } from "./lists.ts";
export * from "./mask-pool/index.ts";
export type { DmaTable } from "./noncontiguous.ts";
export type * from "./ops.ts";
export type { DmaPool, PoolBlock } from "./pool.ts";
export type { DmaRefusal, Misuse, Reports } from "./reports.ts";
export { Device } from "./runtime-device.ts";
export * from "./swiotlb/index.ts";
export * from "./words.ts";
