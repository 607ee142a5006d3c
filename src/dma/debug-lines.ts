/**
 * dma-debug's sentences, in the kernel's words.
 *
 * Linux: check_unmap(), check_sync(), check_sg_segment(), kernel/dma/debug.c
 */
import { TYPE_NAMES, TYPE_RESOURCE, TYPE_SINGLE } from "./books.ts";
import { hex, hex16 } from "./reports.ts";
import { DIRECTION_NAMES } from "./words.ts";

/** What a call says of a mapping, or what the books hold of it. */
export interface DebugRef {
  readonly dma: number;
  readonly size: number;
  readonly type: number;
  readonly direction: number;
  /** Physical address; only coherent memory is compared. */
  readonly physical: number;
  /** Entries of the list; 0 where it is none. */
  readonly entries: number;
}

const named = (direction: number): string => `DMA_${DIRECTION_NAMES[direction]}`;
const at = (ref: DebugRef): string => `[device address=0x${hex16(ref.dma)}]`;
const bytes = (ref: DebugRef): string => `[size=${ref.size} bytes]`;

export const FREES = "device driver frees DMA";

export function notAllocated(ref: DebugRef): string {
  return `device driver tries to free DMA memory it has not allocated ${at(ref)} ${bytes(ref)}`;
}

export function differentSize(ref: DebugRef, entry: DebugRef): string {
  return `${FREES} memory with different size ${at(ref)} [map size=${entry.size} bytes] [unmap size=${ref.size} bytes]`;
}

export function wrongFunction(ref: DebugRef, entry: DebugRef): string {
  return `${FREES} memory with wrong function ${at(ref)} ${bytes(ref)} [mapped as ${TYPE_NAMES[entry.type]}] [unmapped as ${TYPE_NAMES[ref.type]}]`;
}

export function differentCpuAddress(ref: DebugRef, entry: DebugRef): string {
  return `${FREES} memory with different CPU address ${at(ref)} ${bytes(ref)} [cpu alloc address=0x${hex16(entry.physical)}] [cpu free address=0x${hex16(ref.physical)}]`;
}

export function differentCount(ref: DebugRef, entry: DebugRef): string {
  return `${FREES} sg list with different entry count [map count=${entry.entries}] [unmap count=${ref.entries}]`;
}

export function differentDirection(ref: DebugRef, entry: DebugRef): string {
  return `${FREES} memory with different direction ${at(ref)} ${bytes(ref)} [mapped with ${named(entry.direction)}] [unmapped with ${named(ref.direction)}]`;
}

export function notChecked(ref: DebugRef, entry: DebugRef): string {
  return `device driver failed to check map error${at(ref)} ${bytes(ref)} [mapped as ${TYPE_NAMES[entry.type]}]`;
}

export function syncNotAllocated(ref: DebugRef): string {
  return `device driver tries to sync DMA memory it has not allocated ${at(ref)} ${bytes(ref)}`;
}

/** `what` is "DMA memory with different direction", "device read-only DMA memory for cpu" … */
export function syncWrong(what: string, ref: DebugRef, entry: DebugRef): string {
  return `device driver syncs ${what} ${at(ref)} ${bytes(entry)} [mapped with ${named(entry.direction)}] [synced with ${named(ref.direction)}]`;
}

export function syncCount(ref: DebugRef, entry: DebugRef): string {
  return `device driver syncs DMA sg list with different entry count [map count=${entry.entries}] [sync count=${ref.entries}]`;
}

export function pending(count: number, entry: DebugRef): string {
  return `device driver has pending DMA allocations while released from device [count=${count}]\nOne of leaked entries details: ${at(entry)} ${bytes(entry)} [mapped with ${named(entry.direction)}] [mapped as ${TYPE_NAMES[entry.type]}]`;
}

/** Linux: dump_show(), kernel/dma/debug.c */
export function dumpLine(driver: string, device: string, ref: DebugRef, checked: boolean): string {
  const { dma, size, type, direction, physical } = ref;
  const index = Math.floor(dma / 2 ** 13) % 16384;
  const asked = type === TYPE_SINGLE || type === TYPE_RESOURCE;
  const error = asked
    ? `dma map error ${checked ? "" : "not "}checked`
    : "dma map error check not applicable";
  const where = `P=${hex(physical)} N=${hex(Math.floor(physical / 4096))} D=${hex(dma)}`;
  return `${driver} ${device} ${TYPE_NAMES[type]} idx ${index} ${where} L=${hex(size)} ${named(direction)} ${error}`;
}

/** A perfect fit. Linux: __hash_bucket_find() */
export function fits(ref: DebugRef, own: DebugRef): boolean {
  if (ref.size !== own.size || ref.type !== own.type || ref.direction !== own.direction) {
    return false;
  }
  return ref.entries === own.entries;
}
