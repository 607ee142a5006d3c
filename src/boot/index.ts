/** The boot in parts: from hardware and parameters to zones, managed pages, pools and marks. */
export {
  type CommandLine,
  type CoreSize,
  type MemEdit,
  type MemmapEdit,
  parseCommandLine,
} from "./command-line.ts";
export type {
  Build,
  CmaArea,
  Cpus,
  CustomZone,
  Hardware,
  Layout,
  Managed,
  ManagedCounts,
  ManagedSource,
  Pools,
  SwiotlbPool,
  ZoneSpan,
} from "./hardware.ts";
export { layOut } from "./layout.ts";
export { layoutFromLog } from "./layout-from-log.ts";
export { managedFromLog, managedFromParameters, managedGiven } from "./managed.ts";
export { type MemblockState, type ReplayOptions, replayMemblock } from "./memblock.ts";
export { planPools } from "./pools.ts";
export {
  bootNumbers,
  type Numbers,
  type Settings,
  type SettingsChange,
  settledNumbers,
  type TimelineInput,
  type ZoneNumbers,
} from "./timeline.ts";
