/** What the parts of one swiotlb share: its state, its rule, and where lines go. */
import type { SwiotlbRule } from "../../kernels/swiotlb.ts";
import type { SwiotlbState } from "./state.ts";
import { C_WARNED } from "./state.ts";

/** Real bytes of physical memory, as a `Memory` has them. */
export interface PhysicalBytes {
  readonly bytes: Uint8Array | null;
  /** First page that `bytes` begins with. */
  readonly bytesPfn: number;
  readonly pageSize: number;
}

/** Where pages for further pools come from; all addresses bytes. */
export interface GrowPages {
  /** Physically contiguous memory that ends at or below `limit`; -1 for none. */
  take(bytes: number, limit: number, mayWait: boolean): number;
  give(start: number, bytes: number): void;
}

export interface SwiotlbSpec {
  /** Name of its regions in the image; "swiotlb" when left out. */
  readonly name?: string;
  readonly rule: SwiotlbRule;
  /** Physical address of the pool, page aligned. */
  readonly start: number;
  /** 0 for no pool. */
  readonly slots: number;
  /** Power of two; 1 before 6.0. */
  readonly areas: number;
  readonly pageSize: number;
  /** Every streaming mapping is to go through this pool: swiotlb=force, confidential guests. */
  readonly force?: boolean;
  /**
   * Slots out of the device's reach are passed over, so that any mask is served
   * that some slot fits. No kernel does: it takes the next slots and then
   * refuses the mapping.
   */
  readonly fitsMask?: boolean;
  /** Where the overflow buffer lies, in eras that have one. */
  readonly overflowStart?: number;
  /** CONFIG_SWIOTLB_DYNAMIC, for eras that can grow. */
  readonly grow?: {
    readonly pages: GrowPages;
    /** Last address that added pools may have. */
    readonly limit: number;
    /** How many pools can be added, and how many mappings can have one of their own; 16 and 64. */
    readonly pools?: number;
    readonly transient?: number;
  };
  /** Gets each line that the kernel would log. The kernel limits their rate; here all come. */
  readonly log?: (line: string) => void;
}

export interface Own {
  readonly s: SwiotlbState;
  readonly rule: SwiotlbRule;
  readonly spec: SwiotlbSpec;
  readonly memory: PhysicalBytes | null;
  /** The line of the last refusal; null where it has none. */
  lastLine: (() => string) | null;
}

export const WARN_BEFORE = 1;
export const WARN_OVERFLOW = 2;
export const WARN_CUT = 4;
export const WARN_UNREACHABLE = 8;
export const WARN_SIZES = 16;

/** Whether it is the first of these warnings; the kernel gives each once. */
export function isFirstWarning({ s }: Own, bit: number): boolean {
  const isFirst = (s.counts[C_WARNED] & bit) === 0;
  s.counts[C_WARNED] |= bit;
  return isFirst;
}
