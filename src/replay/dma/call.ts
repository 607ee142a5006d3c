/**
 * What a recording says about DMA, one record a call of a driver.
 *
 *   kind        drives                                  checked
 *   mask        device, streaming or coherent limit
 *   map         physical, bytes, direction, cpu          dma
 *   map-sg      the same for each entry                  dma of each
 *   unmap       which earlier mapping: its recorded dma
 *   unmap-sg    which one: its physical addresses
 *   bounced     that a mapping bounces (told by nothing else), physical, bytes, cpu     dma, where it is told
 *   release     which bounce: its recorded dma
 *   alloc       bytes, gfp                               what the page allocator was asked and gave
 *   event       where no mapping came of it: the attempt   mask and force of the kernel's decision
 *   phase       a marker
 *
 * A recorded dma address is never looked at before the engine has answered; it
 * serves as the name of its mapping when that ends.
 *
 * Linux: include/trace/events/dma.h, swiotlb.h; kernel/dma/mapping.c
 */
import type { DmaDirection } from "../../dma/words.ts";

interface Place {
  /** 1-based line in the trace. */
  readonly line: number;
  /** Microseconds. */
  readonly time: number;
  readonly cpu: number;
}

export interface SgPart {
  readonly physical: number;
  readonly bytes: number;
  /** As recorded; DMA_MAPPING_ERROR where the kernel refused. */
  readonly dma: number;
}

export interface PageAnswer {
  readonly pfn: number;
  readonly order: number;
  /** As printed. */
  readonly gfp: string;
}

export interface MaskCall extends Place {
  readonly kind: "mask";
  readonly device: string;
  readonly limit: number;
  readonly coherent: boolean;
}

export interface MapCall extends Place, SgPart {
  readonly kind: "map" | "bounced";
  readonly device: string;
  readonly direction: DmaDirection;
}

export interface ListCall extends Place {
  readonly kind: "map-sg";
  readonly device: string;
  readonly direction: DmaDirection;
  readonly parts: readonly SgPart[];
  /** Entries that the line leaves out. */
  readonly missing: number;
}

export interface EndCall extends Place {
  readonly kind: "unmap" | "release";
  readonly device: string;
  readonly dma: number;
  readonly bytes: number;
  readonly direction: DmaDirection;
}

export interface EndListCall extends Place {
  readonly kind: "unmap-sg";
  readonly device: string;
  readonly physicals: readonly number[];
  readonly direction: DmaDirection;
}

export interface AllocCall extends Place {
  readonly kind: "alloc";
  readonly device: string;
  readonly bytes: number;
  /** Flags of the caller: a number, or as printed. */
  readonly gfp: number | string;
  /** What the caller got, physical bytes; DMA_MAPPING_ERROR for nothing. */
  readonly physical: number;
  /** Requests that the page allocator answered within the call. */
  readonly answers: readonly PageAnswer[];
}

/** swiotlb_bounced: what the kernel says of its decision. */
export interface EventCall extends Place {
  readonly kind: "event";
  readonly device: string;
  /** Last address of the mask that the kernel printed. */
  readonly limit: number;
  readonly force: boolean;
  readonly physical: number;
  readonly bytes: number;
  /** No mapping came of it: it was of a list that the kernel refused. */
  failed: boolean;
}

export interface PhaseCall extends Place {
  readonly kind: "phase";
  readonly name: string;
}

export type DmaCall =
  | MaskCall
  | MapCall
  | ListCall
  | EndCall
  | EndListCall
  | AllocCall
  | EventCall
  | PhaseCall;

/** What of a call depends on its kind. */
type Bare<C> = C extends Place ? Omit<C, keyof Place> : never;
export type BareCall = Bare<DmaCall>;
