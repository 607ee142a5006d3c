// Devices and memory that the tests of swiotlb share.
import type { DmaDevice } from "../../../src/dma/dma-device.ts";
import { NO_LIMIT } from "../../../src/dma/words.ts";

export function device(fields: Partial<DmaDevice> = {}): DmaDevice {
  return {
    name: "0000:00:04.0",
    driver: "e1000",
    streamingLimit: 2 ** 32 - 1,
    coherentLimit: 2 ** 32 - 1,
    busLimit: NO_LIMIT,
    windows: null,
    parent: null,
    node: -1,
    maxSegmentSize: 65536,
    segmentBoundary: 2 ** 32 - 1,
    minAlignMask: 0,
    coherent: true,
    untrusted: false,
    forceBounce: false,
    ...fields,
  };
}
