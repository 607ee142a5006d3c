/** The host: files, archives and this machine, as what the engine reads. */
export { type AuditOptions, type AuditResult, auditTree, patchTree } from "./audit.ts";
export { writeScenarios } from "./audit-scenario.ts";
export { isAuditWorker } from "./audit-worker.ts";
export { InputError, inputErrorOf, packingOf, readAll, unpackWhole } from "./bytes.ts";
export { captureFromTar, type OpenOptions, openCaptureFiles } from "./capture-files.ts";
export { isLinux, type LiveCapture, type LiveSource, liveCapture } from "./live.ts";
export { openLog } from "./log-file.ts";
export {
  type Interruption,
  interruption,
  type LineWriter,
  type ListWriter,
  lineWriter,
  listWriter,
  yieldTurn,
} from "./long-work.ts";
export { type InputStream, type MachineFile, openMachine } from "./machine-file.ts";
export { SwapFile } from "./swap-file.ts";
export { openTrace, type TraceFile, textIn } from "./trace-file.ts";
