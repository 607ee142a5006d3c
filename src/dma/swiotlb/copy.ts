/**
 * The copies between a buffer and the memory that it stands for, whole or in
 * part, with the checks that each era makes.
 *
 * Linux: swiotlb_bounce(), kernel/dma/swiotlb.c; sync_single(), lib/swiotlb.c
 */
import type { DmaDevice } from "../dma-device.ts";
import { SLOT_BYTES } from "./bits.ts";
import { beforeStartLine, overflowLine } from "./messages.ts";
import {
  isFirstWarning,
  type Own,
  type PhysicalBytes,
  WARN_BEFORE,
  WARN_CUT,
  WARN_OVERFLOW,
} from "./own.ts";
import { headOf, poolOf } from "./slots.ts";
import { C_BYTES_IN, C_BYTES_OUT, C_CUT, C_MISUSE, P_FIRST, POOL_WORDS } from "./state.ts";

/** Low bits of an address that a device's buffers keep within a slot. */
export function keptOffset(own: Own, device: DmaDevice, address: number): number {
  const mask = own.rule.minAlign ? device.minAlignMask & (SLOT_BYTES - 1) : 0;
  return mask === 0 ? 0 : (address % SLOT_BYTES) & mask;
}

/** Copies `size` bytes from `buffer` on: to the buffer, or back to the original. */
export function bounce(
  own: Own,
  device: DmaDevice,
  buffer: number,
  size: number,
  isIn: boolean,
): void {
  const { s, rule } = own;
  const row = poolOf(s, buffer);
  if (row < 0) return;
  const into = buffer - s.starts[row];
  const slot = s.pools[row * POOL_WORDS + P_FIRST] + Math.floor(into / SLOT_BYTES);
  const head = headOf(s, slot);
  // A slot that nobody has, or pages of the pool: there is nothing to copy.
  if (head < 0 || Number.isNaN(s.orig[head]) || slot < head + s.pad[head]) return;
  const orig = s.orig[head] + (slot - head - s.pad[head]) * SLOT_BYTES;
  if (rule.partial === "start") {
    if (into % SLOT_BYTES !== 0 || slot !== head) s.counts[C_MISUSE]++;
    else copy(own, buffer, orig, size, isIn);
    return;
  }
  const kept = keptOffset(own, device, orig);
  const offset = (into % SLOT_BYTES) - kept;
  const bytes =
    rule.partial === "offset"
      ? size
      : checkedSize(
          own,
          device,
          s.size[head] - kept - (slot - head) * SLOT_BYTES,
          size,
          offset,
          kept,
        );
  if (bytes > 0) copy(own, buffer, orig + offset, bytes, isIn);
}

/** How much of `size` is copied; `left` are the bytes from this slot to the mapping's end. */
function checkedSize(
  own: Own,
  device: DmaDevice,
  left: number,
  size: number,
  offset: number,
  kept: number,
): number {
  const { s, rule, spec } = own;
  if (rule.partial === "checked") {
    if (offset < 0) {
      s.counts[C_MISUSE]++;
      if (isFirstWarning(own, WARN_BEFORE)) {
        spec.log?.(beforeStartLine(device, kept, kept + offset));
      }
      return 0;
    }
    if (offset > left) {
      s.counts[C_MISUSE]++;
      if (isFirstWarning(own, WARN_OVERFLOW)) spec.log?.(overflowLine(device, left, size, offset));
      return 0;
    }
  }
  const rest = left - offset;
  // Where the offset is beyond the end, later kernels subtract below zero and find nothing wrong.
  if (size <= rest || rest < 0) return size;
  s.counts[C_CUT]++;
  if (isFirstWarning(own, WARN_CUT)) spec.log?.(overflowLine(device, rest, size, null));
  return rest;
}

/** The copy itself: to the buffer, or back to the original. */
export function copy(own: Own, buffer: number, orig: number, size: number, isIn: boolean): void {
  own.s.counts[isIn ? C_BYTES_IN : C_BYTES_OUT] += size;
  if (own.memory === null || own.memory.bytes === null) return;
  if (isIn) copyBytes(own.memory, buffer, orig, size);
  else copyBytes(own.memory, orig, buffer, size);
}

/** Copies between two physical addresses where there are bytes at both. */
function copyBytes(memory: PhysicalBytes, to: number, from: number, size: number): void {
  const { bytes } = memory;
  if (bytes === null) return;
  const base = memory.bytesPfn * memory.pageSize;
  const target = to - base;
  const source = from - base;
  if (target < 0 || source < 0 || Math.max(target, source) + size > bytes.length) return;
  bytes.copyWithin(target, source, source + size);
}
