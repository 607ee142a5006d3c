/** Memory under pressure: pages that may move or go, reclaim, compaction, CMA. */
export { type CmaAnswer, type CmaArea, cmaAlloc, cmaNamed, cmaRelease, createCma } from "./cma.ts";
export { type CompactResult, compactZone } from "./compact.ts";
export { type ReclaimCounts, totalCounts } from "./counts.ts";
export {
  dropPage,
  ELSEWHERE,
  LOST,
  lockPage,
  NO_HANDLE,
  newPage,
  passHandle,
  pinPage,
  touchPage,
  unlockPage,
  unpinPage,
  usePinned,
} from "./handles.ts";
export { type OfflineAnswer, offlinePages, onlinePages } from "./hotplug.ts";
export { type KcompactdRun, runKcompactd, setProactiveness } from "./kcompactd.ts";
export { type KswapdRun, runKswapd } from "./kswapd.ts";
export { type RangeRefusal, takeRange } from "./move-range.ts";
export { type OomBounds, type OomConstraint, type OomVerdict, oomVerdict } from "./oom.ts";
export { addOwner, disownPages, ownPages, usePages } from "./owners.ts";
export {
  managePages,
  type PageOptions,
  type PageOwner,
  type PageStore,
  type Pages,
} from "./pages.ts";
export { type RecoveredPages, recoverPages } from "./recover-pages.ts";
export { attachPages, type SharedPages, sharePages } from "./share-pages.ts";
export { SharedStore, type SharedStoreTicket } from "./shared-store.ts";
export { usePressure } from "./slow-path.ts";
export { MemoryStore } from "./store.ts";
export { verifyPages } from "./verify-pages.ts";
