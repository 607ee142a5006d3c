/** Memory under pressure: pages that may move or go, reclaim, compaction, CMA. */
export { type CmaAnswer, type CmaArea, cmaAlloc, cmaRelease, createCma } from "./cma.ts";
export { type CompactResult, compactZone } from "./compact.ts";
export {
  addOwner,
  disownPages,
  dropPage,
  LOST,
  lockPage,
  NO_HANDLE,
  newPage,
  ownPages,
  pinPage,
  touchPage,
  unlockPage,
  unpinPage,
  usePages,
} from "./handles.ts";
export { type OfflineAnswer, offlinePages, onlinePages } from "./hotplug.ts";
export { type KcompactdRun, runKcompactd, setProactiveness } from "./kcompactd.ts";
export { type KswapdRun, runKswapd } from "./kswapd.ts";
export { type RangeRefusal, takeRange } from "./move-range.ts";
export { type OomBounds, type OomConstraint, type OomVerdict, oomVerdict } from "./oom.ts";
export {
  managePages,
  type PageOptions,
  type PageOwner,
  type PageStore,
  type Pages,
  type ReclaimCounts,
} from "./pages.ts";
export { usePressure } from "./slow-path.ts";
export { MemoryStore } from "./store.ts";
export { verifyPages } from "./verify-pages.ts";
