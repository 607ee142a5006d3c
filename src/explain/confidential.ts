/**
 * Guests whose memory is encrypted: the host cannot read it, so every DMA bounces. What boot printed
 * says how large the pool was made and by which rule, and what a larger one would have to ask for.
 *
 * Linux: mem_encrypt_setup_arch(), arch/x86/mm/mem_encrypt.c (5.18; before it sev_setup_arch(), 5.11)
 */
import { formatBytes } from "../base/units.ts";
import type { Advice } from "./finding.ts";
import type { LogContext, MessageCase } from "./message-case.ts";
import { SEGMENT_BYTES, SLOT_BYTES } from "./swiotlb-numbers.ts";

const PERCENT = 6;
const LEAST = 64 * 2 ** 20;
const MOST = 2 ** 30;

/** Bytes that boot gives such a guest of that much RAM, where the command line names no size. */
export function guestPool(ramBytes: number): number {
  const share = Math.floor((ramBytes * PERCENT) / 100);
  const bytes = Math.min(MOST, Math.max(LEAST, share));
  return Math.ceil(bytes / SEGMENT_BYTES) * SEGMENT_BYTES;
}

/** Of RAM in KiB that "Memory:" prints less than memblock has: what reserved ranges take. */
const RAM_SLACK = 0.02;

/** Why the pool is as large as it is: " 524288 slots are 1 GiB, …"; "" for guests of other kinds. */
export function poolWords({ context }: MessageCase, totalSlots: number | null): string {
  const bytes = totalSlots === null ? context.poolBytes : totalSlots * SLOT_BYTES;
  if (!context.encrypted || bytes === null || bytes === 0) return "";
  const size = formatBytes(bytes);
  if (context.swiotlb !== null) {
    return ` The pool of ${size} is what swiotlb=${context.swiotlb} asked for.`;
  }
  if (bytes === MOST) {
    return ` The pool of ${size} is the most that such a guest gets by itself, ${PERCENT} % of RAM up to 1 GiB.`;
  }
  if (context.ramKib === null) return "";
  const due = guestPool(context.ramKib * 1024);
  const near = Math.abs(due - bytes) <= due * RAM_SLACK;
  if (near) {
    return ` The pool of ${size} is ${PERCENT} % of RAM (${formatBytes(context.ramKib * 1024)}), what such a guest gets by itself.`;
  }
  return ` Such a guest of ${formatBytes(context.ramKib * 1024)} gets ${formatBytes(due)} by itself since 5.11; this pool has ${size}.`;
}

export function guestAdvice({ context }: MessageCase): Advice[] {
  if (!context.encrypted) return [];
  return [
    {
      change: "fewer bytes in flight (queues, read-ahead), or swiotlb=<slots> above the default",
      why: `this guest's memory is encrypted: every DMA bounces, whatever the device's mask or an IOMMU in the guest${defaultWords(context)}`,
      basis: "reasoned",
    },
  ];
}

function defaultWords({ swiotlb, ramKib }: LogContext): string {
  if (swiotlb !== null || ramKib === null) return "";
  const slots = guestPool(ramKib * 1024) / SLOT_BYTES;
  return `; the default of this guest is ${slots} slots, and the pool must lie below 4 GiB`;
}
