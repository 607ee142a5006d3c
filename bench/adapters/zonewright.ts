/**
 * This package's page allocator in the published configuration: three zones, mobility, watermarks,
 * one CPU, the rules of 6.1. Requests are GFP_KERNEL.
 *
 * Nearly all frames are in Normal. What it has beyond the frames of the workload is what the
 * watermarks keep back, boosted ones included, so that none of them refuses.
 */
import type { Adapter } from "../workloads.ts";

/** Frames of DMA and of DMA32: next to nothing, but both zones exist. */
const LOW_ZONE_FRAMES = 4096;
/** Above the low mark of 1 GiB at 1280 pages, a full boost of 1.5 high marks, and one pcp. */
const SLACK_FRAMES = 8192;

interface Engine<Memory> {
  readonly GFP_KERNEL: number;
  bootMemory(spec: {
    zones: readonly { name: string; startPfn: number; pages: number }[];
    era: string;
    cpus: number;
  }): Memory;
  allocPages(memory: Memory, gfp: number, order: number): number;
  freePages(memory: Memory, pfn: number, order: number): void;
  drainAllPages(memory: Memory): void;
  /** Bytes to restore from. */
  snapshot?(memory: Memory): unknown;
}

/** The engine, or why it cannot be measured. */
export async function loadEngine(): Promise<Engine<unknown> | string> {
  const place = new URL("../../src/mm/index.ts", import.meta.url).href;
  try {
    const module: unknown = await import(place);
    return isEngine(module) ? module : "src/mm/index.ts does not have the five names used here";
  } catch (error) {
    return error instanceof Error ? (error.message.split("\n", 1)[0] ?? "") : String(error);
  }
}

function isEngine(module: unknown): module is Engine<unknown> {
  if (typeof module !== "object" || module === null) return false;
  const functions = ["bootMemory", "allocPages", "freePages", "drainAllPages"];
  const has = new Map<string, unknown>(Object.entries(module));
  return (
    functions.every((name) => typeof has.get(name) === "function") &&
    typeof has.get("GFP_KERNEL") === "number"
  );
}

/** Zones that serve `frames` frames to the last one; at least `total` frames of memory in all. */
export function zonesFor(
  frames: number,
  total: number = 0,
): { name: string; startPfn: number; pages: number }[] {
  const low = 2 * LOW_ZONE_FRAMES;
  return [
    { name: "DMA", startPfn: 0, pages: LOW_ZONE_FRAMES },
    { name: "DMA32", startPfn: LOW_ZONE_FRAMES, pages: LOW_ZONE_FRAMES },
    { name: "Normal", startPfn: low, pages: Math.max(frames + SLACK_FRAMES, total - low) },
  ];
}

export async function makeAdapter(frames: number, total: number = 0): Promise<Adapter | string> {
  const engine = await loadEngine();
  if (typeof engine === "string") return engine;
  const { bootMemory, allocPages, freePages, drainAllPages, GFP_KERNEL } = engine;
  const spec = { zones: zonesFor(frames, total), era: "6.1", cpus: 1 };
  let memory = bootMemory(spec);
  let isFresh = true;
  return {
    name: "zonewright",
    reset() {
      if (!isFresh) memory = bootMemory(spec);
      isFresh = false;
    },
    alloc: (order) => allocPages(memory, GFP_KERNEL, order),
    free(frame, order) {
      freePages(memory, frame, order);
    },
    drain() {
      drainAllPages(memory);
    },
  };
}
