/**
 * What a mapping that cannot be comes to: a reason, the kernel's line, and in
 * old kernels a shared buffer or the end.
 *
 * Linux: swiotlb_map(), swiotlb_tbl_map_single(), kernel/dma/swiotlb.c; swiotlb_full(), lib/swiotlb.c
 */
import { BOUNCE_FULL, BOUNCE_TOO_LARGE, BOUNCE_UNREACHABLE } from "../bounce.ts";
import type { DmaDevice } from "../dma-device.ts";
import { DMA_ATTR_NO_WARN, type DmaDirection, SWIOTLB_ATTR_ENTRY } from "../words.ts";
import { DMA_ADDRESS_NONE, dmaAddressOf, reachOf } from "./address.ts";
import { SEGMENT, SLOT_BYTES } from "./bits.ts";
import { fullLine, panicLine, unreachableLine } from "./messages.ts";
import { isFirstWarning, type Own, WARN_UNREACHABLE } from "./own.ts";
import { C_FULL, C_OVERFLOWS, C_TOO_LARGE, C_UNREACHABLE, C_USED } from "./state.ts";
import { statsOf } from "./stats.ts";

/** Bytes of the overflow buffer. Linux: io_tlb_overflow */
const OVERFLOW_BYTES = 32 * 1024;

/** No slots for `bytes`, `total` with what alignment adds: a BOUNCE_* reason, or the overflow buffer. */
export function refuse(
  own: Own,
  device: DmaDevice,
  bytes: number,
  total: number,
  direction: DmaDirection,
  attrs: number,
): number {
  const { s, rule, spec } = own;
  const isLarge = total > SEGMENT * SLOT_BYTES;
  const used = s.counts[C_USED];
  s.counts[isLarge ? C_TOO_LARGE : C_FULL]++;
  own.lastLine = null;
  if ((attrs & DMA_ATTR_NO_WARN) === 0) {
    own.lastLine = () => fullLine(rule, device, bytes, statsOf(s).slots, used);
    spec.log?.(own.lastLine());
  }
  if (rule.overflow && (attrs & SWIOTLB_ATTR_ENTRY) === 0 && spec.overflowStart !== undefined) {
    if (bytes <= OVERFLOW_BYTES) {
      s.counts[C_OVERFLOWS]++;
      return spec.overflowStart;
    }
    own.lastLine = () => panicLine(rule, direction);
    spec.log?.(own.lastLine());
  }
  return isLarge ? BOUNCE_TOO_LARGE : BOUNCE_FULL;
}

export function isInReach({ rule }: Own, device: DmaDevice, buffer: number, size: number): boolean {
  const dma = dmaAddressOf(device, buffer);
  const last = rule.reach === "start" ? dma : dma + size - 1;
  return dma !== DMA_ADDRESS_NONE && last <= reachOf(device);
}

export function unreachable(own: Own, device: DmaDevice, buffer: number, size: number): number {
  own.s.counts[C_UNREACHABLE]++;
  const dma = dmaAddressOf(device, buffer);
  own.lastLine = () => unreachableLine(own.rule, device, dma, size);
  if (isFirstWarning(own, WARN_UNREACHABLE)) own.spec.log?.(own.lastLine());
  return BOUNCE_UNREACHABLE;
}
