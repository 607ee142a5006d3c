/**
 * This package's page allocator as it is published (`npm run build` makes it): three zones,
 * mobility, watermarks, one CPU, the rules of 6.1. Requests are GFP_KERNEL.
 *
 * Nearly all frames are in Normal. What it has beyond the frames of the workload is what the
 * watermarks keep back, boosted ones included, so that none of them refuses.
 */
import { bindMemory, bootMemory, drainAllPages, GFP_KERNEL, type Memory } from "zonewright/mm";
import type { Adapter } from "../workloads.ts";

/** Frames of DMA and of DMA32: next to nothing, but both zones exist. */
const LOW_ZONE_FRAMES = 4096;
/** Above the low mark of 1 GiB at 1280 pages, a full boost of 1.5 high marks, and one pcp. */
const SLACK_FRAMES = 8192;

/** Zones that serve `frames` frames to the last one; at least `total` frames of memory in all. */
function zonesFor(
  frames: number,
  total: number,
): { name: string; startPfn: number; pages: number }[] {
  const low = 2 * LOW_ZONE_FRAMES;
  return [
    { name: "DMA", startPfn: 0, pages: LOW_ZONE_FRAMES },
    { name: "DMA32", startPfn: LOW_ZONE_FRAMES, pages: LOW_ZONE_FRAMES },
    { name: "Normal", startPfn: low, pages: Math.max(frames + SLACK_FRAMES, total - low) },
  ];
}

/** A memory for `frames` frames of a workload, `total` in all if that is more. */
export function bootFor(frames: number, total: number, cpus = 1, shared = false): Memory {
  return bootMemory({ zones: zonesFor(frames, total), era: "6.1", cpus, shared });
}

/** `shared`: as one worker on a memory that others could attach to. */
export function makeAdapter(frames: number, total: number, shared = false): Adapter {
  let { memory, allocPages, freePages } = bindMemory(bootFor(frames, total, 1, shared));
  let isFresh = true;
  const gfp = GFP_KERNEL;
  return {
    name: "zonewright",
    reset() {
      if (!isFresh)
        ({ memory, allocPages, freePages } = bindMemory(bootFor(frames, total, 1, shared)));
      isFresh = false;
    },
    alloc: (order) => allocPages(gfp, order),
    free(frame, order) {
      freePages(frame, order);
    },
    drain() {
      drainAllPages(memory);
    },
  };
}
