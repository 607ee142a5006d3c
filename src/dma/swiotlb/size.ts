/**
 * How large a pool is and where it lies: the parameter, what the kernel makes
 * of it, and the early allocator's place for it.
 *
 * Linux: setup_io_tlb_npages(), swiotlb_adjust_nareas(), swiotlb_adjust_size(),
 * swiotlb_init_remap(), kernel/dma/swiotlb.c; sev_setup_arch(), arch/x86/mm/mem_encrypt_amd.c
 */
import type { Range } from "../../base/range.ts";
import { parseCommandLine } from "../../boot/command-line.ts";
import type { SwiotlbRule } from "../../kernels/swiotlb.ts";
import { SEGMENT, SLOT_BYTES } from "./bits.ts";
import { limitAreas, MIN_SLOTS } from "./grow.ts";

const MIB = 2 ** 20;
/** 64 MiB. Linux: IO_TLB_DEFAULT_SIZE */
const DEFAULT_SLOTS = (64 * MIB) / SLOT_BYTES;
/** Of an encrypted guest: at most 1 GiB. */
const MOST_ENCRYPTED = 1024 * MIB;

/** `swiotlb=` as the era reads it; null for what it does not say. */
export interface SwiotlbParameter {
  readonly slots: number | null;
  readonly areas: number | null;
  readonly force: boolean;
  readonly noforce: boolean;
}

/** `text` is what stands behind `swiotlb=`. */
export function readSwiotlbParameter(
  text: string,
  rule: SwiotlbRule,
  pageSize: number,
): SwiotlbParameter {
  const { swiotlb } = parseCommandLine(`swiotlb=${text}`, "x86_64", pageSize).value;
  const unit = rule.unit === "pages" ? pageSize / SLOT_BYTES : 1;
  const slots = swiotlb.slots === null ? null : swiotlb.slots * unit;
  return { ...swiotlb, slots, areas: rule.areas ? swiotlb.areas : null };
}

export interface SwiotlbMachine {
  /** CPUs that are possible. */
  readonly cpus: number;
  /** RAM, bytes. */
  readonly ramBytes: number;
  /** Its memory is encrypted against the host: SEV, TDX. */
  readonly encrypted: boolean;
}

export interface SwiotlbSize {
  /** 0 for no pool. */
  readonly slots: number;
  readonly areas: number;
  readonly force: boolean;
  /** What the kernel logs, without "software IO TLB: ". */
  readonly lines: readonly string[];
}

/** The pool that is tried first. */
export function sizeSwiotlb(
  rule: SwiotlbRule,
  asked: SwiotlbParameter,
  { cpus, ramBytes, encrypted }: SwiotlbMachine,
): SwiotlbSize {
  const force = asked.force || encrypted;
  if (asked.noforce) return { slots: 0, areas: 1, force: false, lines: [] };
  const lines: string[] = [];
  let slots = roundUp(asked.slots ?? DEFAULT_SLOTS, SEGMENT);
  if (encrypted && rule.encryptedShare && slots === DEFAULT_SLOTS) {
    const share = Math.floor((ramBytes * 6) / 100);
    const bytes = Math.min(MOST_ENCRYPTED, Math.max(DEFAULT_SLOTS * SLOT_BYTES, share));
    slots = roundUp(Math.floor(roundUp(bytes, SLOT_BYTES) / SLOT_BYTES), SEGMENT);
    lines.push(`SWIOTLB bounce buffer size adjusted to ${mib(slots)}MB`);
  }
  if (!rule.areas) return { slots, areas: 1, force, lines };
  const areas = powerOfTwo(Math.max(1, asked.areas ?? cpus));
  lines.push(`area num ${areas}.`);
  const rounded = powerOfTwo(Math.max(slots, areas * SEGMENT));
  if (rounded !== slots) lines.push(`SWIOTLB bounce buffer size roundup to ${mib(rounded)}MB`);
  return { slots: rounded, areas, force, lines };
}

export interface SwiotlbPlace {
  /** Bytes. */
  readonly start: number;
  readonly slots: number;
  readonly areas: number;
  readonly lines: readonly string[];
}

/**
 * A place among the free ranges (bytes, ascending) below `limit`: 4 GiB, arm64's
 * DMA limit, 2 GiB on s390. Null when there is none for any size that is tried.
 */
export function placeSwiotlb(
  rule: SwiotlbRule,
  size: SwiotlbSize,
  free: readonly Range[],
  limit: number,
  pageSize: number,
): SwiotlbPlace | null {
  let { slots, areas } = size;
  if (slots === 0) return null;
  let start = placeOf(rule, free, slots * SLOT_BYTES, limit, pageSize);
  while (start < 0 && rule.halves && slots > MIN_SLOTS) {
    slots = roundUp(Math.floor(slots / 2), SEGMENT);
    areas = Math.max(1, limitAreas(areas, slots));
    start = placeOf(rule, free, slots * SLOT_BYTES, limit, pageSize);
  }
  if (start < 0) return null;
  const lines: string[] = [];
  if (slots !== size.slots) {
    lines.push(`SWIOTLB bounce buffer size adjusted ${size.slots} -> ${slots} slabs`);
  }
  const end = start + slots * SLOT_BYTES;
  lines.push(`mapped [mem ${address(start)}-${address(end)}] (${mib(slots)}MB)`);
  return { start, slots, areas, lines };
}

/** First byte of a whole number of pages in the highest free range that holds them, or the lowest; -1. */
function placeOf(
  rule: SwiotlbRule,
  free: readonly Range[],
  size: number,
  limit: number,
  pageSize: number,
): number {
  const bytes = roundUp(size, pageSize);
  const ranges = rule.placed === "high" ? free.toReversed() : free;
  for (const range of ranges) {
    const end = Math.min(range.end, limit);
    const low = roundUp(range.start, pageSize);
    const high = Math.floor((end - bytes) / pageSize) * pageSize;
    if (high >= low) return rule.placed === "high" ? high : low;
  }
  return -1;
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function powerOfTwo(value: number): number {
  let power = 1;
  while (power < value) power *= 2;
  return power;
}

function mib(slots: number): number {
  return Math.floor((slots * SLOT_BYTES) / MIB);
}

function address(bytes: number): string {
  return `0x${bytes.toString(16).padStart(16, "0")}`;
}
