/**
 * Counts by device, in the memory's image.
 */
import { addRegion } from "../mm/image.ts";
import type { Memory } from "../mm/memory.ts";

/** Words of a device. Mappings count single ones, entries of lists apart. */
export const C_MAPS = 0;
export const C_UNMAPS = 1;
export const C_MAPPED_BYTES = 2;
export const C_REFUSED = 3;
export const C_BOUNCES = 4;
export const C_BOUNCED_BYTES = 5;
export const C_LISTS = 6;
/** Entries that lists came with, and that were used for them. */
export const C_LIST_ENTRIES = 7;
export const C_LIST_USED = 8;
export const C_SYNCS = 9;
export const C_ALLOCS = 10;
export const C_FREES = 11;
export const C_ALLOCATED_BYTES = 12;
export const C_BUS_BYTES = 13;
export const C_BUS_FAULTS = 14;
export const COUNT_WORDS = 16;

export type Counts = Float64Array;

export interface DeviceCounts {
  readonly device: string;
  /** Calls of map for single buffers, and of unmap. */
  readonly maps: number;
  readonly unmaps: number;
  readonly mappedBytes: number;
  readonly refused: number;
  readonly bounces: number;
  readonly bouncedBytes: number;
  readonly lists: number;
  readonly listEntries: number;
  readonly listUsed: number;
  readonly syncs: number;
  readonly allocs: number;
  readonly frees: number;
  /** Coherent bytes held now. */
  readonly allocatedBytes: number;
  readonly busBytes: number;
  readonly busFaults: number;
}

export function createCounts(memory: Memory, name: string, devices: number): Counts {
  return new Float64Array(
    addRegion(memory.image, `${name}.counts`, devices * COUNT_WORDS * 8).buffer,
  );
}

export function countsOf(counts: Counts, id: number, device: string): DeviceCounts {
  const of = (word: number): number => counts[id * COUNT_WORDS + word];
  return {
    device,
    maps: of(C_MAPS),
    unmaps: of(C_UNMAPS),
    mappedBytes: of(C_MAPPED_BYTES),
    refused: of(C_REFUSED),
    bounces: of(C_BOUNCES),
    bouncedBytes: of(C_BOUNCED_BYTES),
    lists: of(C_LISTS),
    listEntries: of(C_LIST_ENTRIES),
    listUsed: of(C_LIST_USED),
    syncs: of(C_SYNCS),
    allocs: of(C_ALLOCS),
    frees: of(C_FREES),
    allocatedBytes: of(C_ALLOCATED_BYTES),
    busBytes: of(C_BUS_BYTES),
    busFaults: of(C_BUS_FAULTS),
  };
}
