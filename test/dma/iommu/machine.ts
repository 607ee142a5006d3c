// A machine with an IOMMU: 16 MiB of real bytes, devices by description, and how many pages are free.

import type { DmaDevice } from "../../../src/dma/dma-device.ts";
import { Iommu, type IommuSpec } from "../../../src/dma/iommu/iommu.ts";
import { IommuOps } from "../../../src/dma/iommu/iommu-ops.ts";
import { NO_LIMIT } from "../../../src/dma/words.ts";
import { bootMemory } from "../../../src/mm/boot-memory.ts";
import { drainAllPages } from "../../../src/mm/drain-all.ts";
import { type Memory, Z_FREE, ZONE_WORDS } from "../../../src/mm/memory.ts";
import { foldCounts } from "../../../src/mm/queue.ts";

export const PAGES = 4096;

export interface Rig {
  readonly memory: Memory;
  readonly iommu: Iommu;
  readonly ops: IommuOps;
}

export function memoryOf(pages: number = PAGES, withBytes = true, era = "6.1"): Memory {
  const bytes = withBytes ? { bytes: new Uint8Array(pages * 4096), bytesPfn: 0 } : {};
  return bootMemory({ era, cpus: 1, zones: [{ name: "Normal", startPfn: 0, pages }], ...bytes });
}

export function rig(spec: Partial<IommuSpec> = {}): Rig {
  const memory = spec.memory ?? memoryOf();
  const iommu = new Iommu({ memory, vendor: "intel", version: "6.1", mode: "strict", ...spec });
  return { memory, iommu, ops: new IommuOps(iommu) };
}

export function device(own: Partial<DmaDevice> = {}): DmaDevice {
  return {
    name: "0000:00:03.0",
    driver: "e1000",
    streamingLimit: 0xffffffff,
    coherentLimit: 0xffffffff,
    busLimit: NO_LIMIT,
    windows: null,
    parent: null,
    node: 0,
    maxSegmentSize: 65536,
    segmentBoundary: 0xffffffff,
    minAlignMask: 0,
    coherent: true,
    untrusted: false,
    forceBounce: false,
    ...own,
  };
}

/** Pages that nobody holds. */
export function freePagesOf(m: Memory): number {
  drainAllPages(m);
  foldCounts(m);
  let sum = 0;
  for (let zone = 0; zone < m.zoneCount; zone++) sum += m.zone[zone * ZONE_WORDS + Z_FREE] ?? 0;
  return sum;
}
