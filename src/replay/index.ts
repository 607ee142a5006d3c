/** Replay: what a real kernel did, run through the engine page by page. */
export { allocatorOf, type ReplayAllocator } from "./allocator.ts";
export { type AssumptionOptions, Assumptions, type FreeAtEnd } from "./assumptions.ts";
export { bootMoments } from "./boot-moments.ts";
export { type BootEvidence, type BootStart, bootStart } from "./boot-start.ts";
export {
  type Change,
  NOT_SETTABLE,
  pageChange,
  parseChange,
  SETTING_NAMES,
  type Setting,
} from "./change.ts";
export type { CheckCount } from "./checks.ts";
export {
  type Comparison,
  compareWith,
  type FreePages,
  isSame,
  type ListCount,
  type ListDifference,
} from "./compare.ts";
export { type Divergence, divergenceOf } from "./divergence.ts";
export type { DmaCall } from "./dma/call.ts";
export type { CoherentScore } from "./dma/coherent.ts";
export { DmaCollector, type DmaSources, dmaSources } from "./dma/collect.ts";
export type { FirstRefusal } from "./dma/driver.ts";
export { type DmaFacts, type DmaPool, type DmaTexts, type DmaZone, dmaFacts } from "./dma/facts.ts";
export { type DmaReplay, type DmaTask, replayDma } from "./dma/replay-dma.ts";
export type { CutCount } from "./dma/reshape.ts";
export type { DmaDeviceScore, DmaPhase, DmaScore } from "./dma/score.ts";
export type { SwiotlbChange } from "./dma/variant.ts";
export type { DmaWhatIf, DmaWhatIfDevice } from "./dma/what-if.ts";
export { Driver } from "./drive.ts";
export type { DriveOptions } from "./drive-options.ts";
export type { BulkCall, ReplayEvent, ReplayKind } from "./event.ts";
export { factsOf, listSnapshot, type SnapTexts } from "./from-snapshot.ts";
export { WindowCollector } from "./from-trace.ts";
export { InputScan } from "./inputs.ts";
export { IovaCalls } from "./iova/calls.ts";
export { type IovaEvidence, type IovaTexts, iovaEvidence } from "./iova/facts.ts";
export { type IovaScore, scoreIova } from "./iova/score-iova.ts";
export { CALL_WINDOW, LookAhead, type Scanner, USE_WINDOW } from "./look-ahead.ts";
export { PERFETTO_HEAD, PERFETTO_TAIL, PerfettoEvents } from "./perfetto.ts";
export { keptRecording, type Recording, recordingOf } from "./recording.ts";
export type { RefusedGroup } from "./refusals.ts";
export {
  type Replay,
  type ReplayTask,
  replay,
  type StartKind,
  type ZoneMarks,
} from "./replay.ts";
export type { Run } from "./run.ts";
export type { AssumptionCounts, InputCounts, Miss, Score } from "./score.ts";
export { type CmaSizingTask, cmaWorkload, sizeCma } from "./size/cma.ts";
export { type CmaCall, CmaCalls } from "./size/cma-calls.ts";
export {
  type PageSizeName,
  type PageSizings,
  type PageSizingTask,
  sizePageParameters,
} from "./size/pages.ts";
export type {
  SizeAlternative,
  SizeMargin,
  SizeMoment,
  SizeName,
  SizePause,
  SizePeak,
  SizeRefusal,
  SizeStatus,
  SizeTrial,
  SizeUnit,
  SizeValue,
  SizeWorkload,
  Sizing,
} from "./size/result.ts";
export { dmaWorkload, type SwiotlbSizingTask, sizeSwiotlb } from "./size/swiotlb.ts";
export type { ListSnapshot, MachineFacts, ZoneFacts } from "./snapshot.ts";
export { type FlagTexts, flagsSnapshot } from "./start-from-flags.ts";
export { type StartState, startState } from "./start-state.ts";
export { joined, type RunTimeline, type TimelinePart } from "./timeline.ts";
export type { Both, WhatIf, WhatIfZone } from "./what-if-result.ts";
