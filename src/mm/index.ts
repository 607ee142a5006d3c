/** The page allocator: memory by zones, as Linux allocates it. */
export { allocPages, freePages, NO_PFN } from "./allocate.ts";
export {
  type BootOptions,
  type BootZone,
  bootMemory,
  type MarkOptions,
  setMarks,
} from "./boot-memory.ts";
export * from "./gfp.ts";
export { diff, equal, type ImageDifference, restore, type Snapshot, snapshot } from "./image.ts";
export type { EventSink, Memory } from "./memory.ts";
export { drainAllPages, drainCpu } from "./pcp.ts";
export { foldCounts } from "./queue.ts";
