/** What a replay of DMA counts, by device and in all. "Equal" is the engine's answer against the kernel's. */
import type { CoherentScore } from "./coherent.ts";

export interface DmaDeviceScore {
  readonly name: string;
  readonly driver: string;
  /** Single mappings and entries of scatterlists. */
  maps: number;
  entries: number;
  /** Mappings for which the recording tells both whether it bounced and that it was made. */
  decisions: number;
  decisionsEqual: number;
  /** Mappings that the engine bounces. */
  bounced: number;
  /** Bounces of the recording, and those with our slot. */
  bounces: number;
  slotsEqual: number;
  /** Addresses that the recording tells. */
  dmas: number;
  dmaEqual: number;
  /** Slots handed out. */
  slots: number;
  /** Bytes that went through buffers. */
  bytes: number;
  /** Refused by the engine. */
  refused: number;
  /** Calls that the kernel refused, and of those the engine too. */
  refusals: number;
  refusalsEqual: number;
}

export interface DmaPhase {
  readonly name: string;
  /** Most slots in use up to its end. */
  peak: number;
  /** Slots handed out in it. */
  slots: number;
}

export interface DmaScore {
  readonly devices: Map<string, DmaDeviceScore>;
  readonly coherent: CoherentScore;
  /** swiotlb_bounced: the kernel's word on mask and force, where the model knew them by itself. */
  readonly events: { recorded: number; maskEqual: number; forceEqual: number };
  /** Mappings whose end was never told, at the end of the recording. */
  open: number;
  /** Ends of mappings that began before the recording, or were not told. */
  unknownEnds: number;
  /** Entries of scatterlists that a line leaves out. */
  missing: number;
  /** Mappings whose address or size is not told: these are left out. */
  unplaced: number;
  readonly phases: DmaPhase[];
}

export function newDeviceScore(name: string, driver: string): DmaDeviceScore {
  return {
    name,
    driver,
    maps: 0,
    entries: 0,
    decisions: 0,
    decisionsEqual: 0,
    bounced: 0,
    bounces: 0,
    slotsEqual: 0,
    dmas: 0,
    dmaEqual: 0,
    slots: 0,
    bytes: 0,
    refused: 0,
    refusals: 0,
    refusalsEqual: 0,
  };
}
