/**
 * What the parts of one DMA layer share. Made by `createDma`, seen by nobody else.
 */
import type { DmaPolicy } from "../kernels/dma.ts";
import type { Memory } from "../mm/memory.ts";
import type { ApartMappings } from "./apart.ts";
import type { AtomicPools } from "./atomic-pool.ts";
import type { Books } from "./books.ts";
import type { Bounce } from "./bounce.ts";
import type { Counts } from "./counts.ts";
import type { CpuCache } from "./cpu-cache.ts";
import type { DmaDebug } from "./debug.ts";
import type { DeclaredAreas } from "./declared.ts";
import type { DmaEvent } from "./events.ts";
import type { Machine } from "./machine.ts";
import type { DmaOps } from "./ops.ts";
import type { PoolTable } from "./pool-table.ts";
import type { Reports } from "./reports.ts";
import type { Device } from "./runtime-device.ts";
import type { Space } from "./space.ts";

export interface Core {
  readonly memory: Memory;
  readonly machine: Machine;
  readonly policy: DmaPolicy;
  readonly books: Books;
  readonly apart: ApartMappings;
  readonly counts: Counts;
  readonly reports: Reports;
  readonly space: Space;
  /** Null where all devices look into the CPU's cache. */
  readonly cache: CpuCache | null;
  readonly direct: DmaOps;
  /** Ops of devices that are translated; null where none are. */
  readonly translated: DmaOps | null;
  /** For those who may not wait; null where nobody needs them. */
  readonly atomic: AtomicPools | null;
  readonly bounceOf: (device: Device) => Bounce | null;
  /** Pools of devices that have one of their own, by device name. */
  readonly restricted: Map<string, Bounce | null>;
  readonly debug: DmaDebug | null;
  readonly onEvent: ((event: DmaEvent) => void) | null;
  /** By id. */
  readonly devices: Device[];
  /** Devices' own coherent memory. */
  readonly declared: DeclaredAreas;
  readonly pools: PoolTable;
  /** Whether accesses that the books do not know are refused, or only reported. */
  readonly strictBus: boolean;
}
