/** The page allocator: memory by zones, as Linux allocates it. */
export { allocPages, allocPass, freePages, freePagesPastPcp, NO_PFN } from "./allocate.ts";
export {
  type BootOptions,
  type BootZone,
  bootMemory,
} from "./boot-memory.ts";
export { type BoundMemory, bindMemory } from "./bound.ts";
export { allocPagesBulk } from "./bulk.ts";
export { type BytePlace, type ByteSource, bytesOf, viewPages } from "./bytes.ts";
export {
  allocContigRange,
  beginContig,
  type Contig,
  endContig,
  lendCma,
  takeContig,
} from "./contig.ts";
export {
  type AllocWish,
  type CreateOptions,
  createMemory,
  type OwnZone,
  PageMemory,
} from "./create-memory.ts";
export { decayPcp, drainCpu } from "./drain.ts";
export { busy, detach, drainAllPages, idle } from "./drain-all.ts";
export * from "./gfp.ts";
export { gfpOf } from "./gfp-of.ts";
export { diff, equal, type ImageDifference, restore, type Snapshot, snapshot } from "./image.ts";
export { kmap, kmapCount, kmapSlot, kunmap } from "./kmap.ts";
export { type MarkOptions, setMarks } from "./marks.ts";
export type { EventSink, Memory } from "./memory.ts";
export { lockFrame, tryLockFrame, unlockFrame } from "./page-lock.ts";
export * from "./pressure/index.ts";
export { buddyinfoOf, pagetypeinfoOf, zoneinfoOf } from "./procfs.ts";
export { foldCounts } from "./queue.ts";
export { type Recovered, recover } from "./recover.ts";
export { explainRefusal } from "./refusal.ts";
export type * from "./refusal-words.ts";
export { attachMemory, passTo, type SharedMemory, shareMemory } from "./share.ts";
export { verify } from "./verify.ts";
export { type FreeArea, type Pageset, ZoneFields, zoneFields } from "./zone-fields.ts";
