/**
 * The DMA-API debugger: what a driver says of a mapping is compared with the
 * books, and each difference becomes a line in the kernel's words.
 *
 * As in the kernel, only the first error is printed unless all are wanted, only
 * the first cache line of a mapping is tracked, mappings to the device are not,
 * and a line's overlaps are counted up to seven.
 *
 * Linux: kernel/dma/debug.c
 */
import type { DebugPolicy } from "../kernels/dma.ts";
import {
  type Books,
  directionOf,
  F_CHECKED,
  hasFlag,
  META_DEVICE_SHIFT,
  META_FLAG_SHIFT,
  TYPE_COHERENT,
  TYPE_NAMES,
  TYPE_RESOURCE,
  TYPE_SG,
  TYPE_SINGLE,
  typeOf,
} from "./books.ts";
import { CachelineOverlaps, MAX_OVERLAP } from "./cacheline-overlaps.ts";
import {
  type DebugRef,
  differentCount,
  differentCpuAddress,
  differentDirection,
  differentSize,
  dumpLine,
  fits,
  notAllocated,
  notChecked,
  pending,
  syncCount,
  syncNotAllocated,
  syncWrong,
  wrongFunction,
} from "./debug-lines.ts";
import { hex, hex16, type Reports } from "./reports.ts";
import type { Device } from "./runtime-device.ts";
import {
  DMA_ATTR_SKIP_CPU_SYNC,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
} from "./words.ts";

/** Memory that must not be mapped: physical bytes, half-open. */
export interface ForbiddenArea {
  readonly kind: "stack" | "text" | "rodata" | "vmalloc";
  readonly start: number;
  readonly end: number;
}

export interface DebugOptions {
  /** dma_debug_entries=; 65536 by default. */
  readonly entries?: number;
  /** dma_debug_driver=: only this driver's errors are printed. */
  readonly driver?: string;
  /** debugfs all_errors; no by default. */
  readonly allErrors?: boolean;
  /** debugfs num_errors: how many are printed; 1 by default. */
  readonly showErrors?: number;
  readonly areas?: readonly ForbiddenArea[];
  /** Where a mapping comes from, asked at each map: a stack, a line of the driver. */
  readonly origin?: () => string;
}

const PREALLOCATED = 65536;

export class DmaDebug {
  /** Errors so far, printed or not. */
  errors = 0;
  /** Off once the entries ran out, in kernels that could not make more. */
  disabled = false;
  readonly #policy: DebugPolicy;
  readonly #options: DebugOptions;
  readonly #books: Books;
  readonly #reports: Reports;
  readonly #lineSize: number;
  #toShow: number;
  #entries: number;
  readonly #lines = new CachelineOverlaps();
  readonly #origins = new Map<number, string>();

  constructor(
    policy: DebugPolicy,
    options: DebugOptions,
    books: Books,
    reports: Reports,
    lineSize: number,
  ) {
    this.#policy = policy;
    this.#options = options;
    this.#books = books;
    this.#reports = reports;
    this.#lineSize = lineSize;
    this.#toShow = options.showErrors ?? 1;
    this.#entries = options.entries ?? PREALLOCATED;
    reports.say(`DMA-API: preallocated ${this.#entries} debug entries`);
    reports.say("DMA-API: debugging enabled by kernel config");
  }

  /** Where the mapping of an entry was made. */
  originOf(entry: number): string | null {
    if (entry < 0) return null;
    const serial = this.#books.serial[entry];
    return (
      this.#origins.get(entry) ?? `mapping ${serial} as ${TYPE_NAMES[typeOf(this.#books, entry)]}`
    );
  }

  /** A new entry of the books. Linux: add_dma_entry() */
  added(device: Device, entry: number, attrs: number): void {
    if (this.disabled) return;
    if (this.#books.count() > this.#entries && !this.#grow()) return;
    const origin = this.#options.origin;
    if (origin !== undefined) this.#origins.set(entry, origin());
    const type = typeOf(this.#books, entry);
    if (type === TYPE_SINGLE || type === TYPE_SG) {
      this.#checkAreas(device, this.#books.physical[entry], this.#books.size[entry]);
    }
    this.#lineTaken(device, entry, attrs);
  }

  /** dma_map_single(): the address itself. Linux: debug_dma_map_single() */
  checkAddress(device: Device, physical: number, size: number, valid: boolean): void {
    if (this.disabled || !this.#policy.areas) return;
    const where = `[addr=${hex(physical)}] [len=${size}]`;
    if (!valid) {
      const words = `device driver maps memory from invalid area ${where}`;
      this.#error(device, -1, "invalid area", words, physical);
    }
    if (this.#within("vmalloc", physical, size)) {
      const words = `device driver maps memory from vmalloc area ${where}`;
      this.#error(device, -1, "vmalloc area", words, physical);
    }
  }

  /** Linux: check_sg_segment() */
  checkSegment(device: Device, dma: number, length: number, dmaLength: number): void {
    if (this.disabled || !this.#policy.segments) return;
    if (length > device.maxSegmentSize) {
      const words = `mapping sg segment longer than device claims to support [len=${length}] [max=${device.maxSegmentSize}]`;
      this.#error(device, -1, "segment too long", words, dma);
    }
    const boundary = device.segmentBoundary;
    const end = dma + dmaLength - 1;
    const span = boundary + 1;
    if (Math.floor(dma / span) !== Math.floor(end / span)) {
      const words = `mapping sg segment across boundary [start=0x${hex16(dma)}] [end=0x${hex16(end)}] [boundary=0x${hex16(boundary)}]`;
      this.#error(device, -1, "segment across boundary", words, dma);
    }
  }

  /** The driver asked whether `dma` is an error. Linux: debug_dma_mapping_error() */
  mappingError(device: Device, dma: number): void {
    let found = -1;
    this.#books.each(device.id, dma, (entry) => {
      if (!hasFlag(this.#books, entry, F_CHECKED)) found = entry;
    });
    if (found >= 0) this.#books.meta[found] |= F_CHECKED << META_FLAG_SHIFT;
  }

  /** An unmap or free, before the entry goes. `entry` is -1 where there is none. Linux: check_unmap() */
  checkUnmap(device: Device, entry: number, ref: DebugRef): void {
    if (this.disabled) return;
    const say = (kind: string, words: string): void =>
      this.#error(device, entry, kind, words, ref.dma);
    if (entry < 0) {
      const invalid = "device driver tries to free an invalid DMA memory address";
      if (ref.dma < 0) say("invalid address freed", invalid);
      else say("not allocated", notAllocated(ref));
      return;
    }
    const own = this.#refOf(entry);
    // Several that fit badly: the kernel then takes none of them for the right one.
    if (!fits(ref, own) && this.#startingAt(device, ref.dma) > 1) {
      say("not allocated", notAllocated(ref));
      this.#forget(entry);
      return;
    }
    if (ref.size !== own.size) say("different size", differentSize(ref, own));
    if (ref.type !== own.type) say("wrong function", wrongFunction(ref, own));
    else if (own.type === TYPE_COHERENT && ref.physical !== own.physical) {
      say("different CPU address", differentCpuAddress(ref, own));
    }
    if (ref.entries !== 0 && ref.type === TYPE_SG && ref.entries !== own.entries) {
      say("different entry count", differentCount(ref, own));
    }
    if (ref.direction !== own.direction) say("different direction", differentDirection(ref, own));
    const asked = own.type === TYPE_SINGLE || own.type === TYPE_RESOURCE;
    if (this.#policy.mapError && asked && !hasFlag(this.#books, entry, F_CHECKED)) {
      say("map error not checked", notChecked(ref, own));
    }
    this.#forget(entry);
  }

  #forget(entry: number): void {
    this.#lineGiven(entry);
    this.#origins.delete(entry);
  }

  #startingAt(device: Device, dma: number): number {
    let count = 0;
    this.#books.each(device.id, dma, () => {
      count++;
    });
    return count;
  }

  /** Linux: check_sync() */
  checkSync(device: Device, ref: DebugRef, toCpu: boolean): void {
    if (this.disabled) return;
    const entry = this.#books.covering(device.id, ref.dma, ref.size);
    const say = (kind: string, words: string): void =>
      this.#error(device, entry, kind, words, ref.dma);
    if (entry < 0) {
      const part = this.#books.covering(device.id, ref.dma, 1) >= 0;
      say(part ? "sync outside range" : "sync of nothing", syncNotAllocated(ref));
      return;
    }
    const own = this.#refOf(entry);
    if (own.direction === DMA_BIDIRECTIONAL) return;
    if (ref.direction !== own.direction) {
      say("sync direction", syncWrong("DMA memory with different direction", ref, own));
    }
    if (toCpu && own.direction !== DMA_FROM_DEVICE && ref.direction !== DMA_TO_DEVICE) {
      say("sync of read-only", syncWrong("device read-only DMA memory for cpu", ref, own));
    }
    if (!toCpu && own.direction !== DMA_TO_DEVICE && ref.direction !== DMA_FROM_DEVICE) {
      say("sync of write-only", syncWrong("device write-only DMA memory to device", ref, own));
    }
    if (ref.entries !== 0 && ref.type === TYPE_SG && ref.entries !== own.entries) {
      say("sync entry count", syncCount(ref, own));
    }
  }

  /** The driver lets the device go. Linux: dma_debug_device_change() */
  unbound(device: Device): void {
    if (this.disabled) return;
    const left = this.#books.live(device.id);
    const last = left.at(-1);
    if (last === undefined) return;
    this.#error(device, last, "pending at unbind", pending(left.length, this.#refOf(last)), -1);
  }

  /** Live entries as debugfs' `dump` shows them. */
  dump(devices: readonly Device[]): string[] {
    return this.#books.live().map((entry) => {
      const { driver, name } = devices[this.#books.meta[entry] >>> META_DEVICE_SHIFT];
      return dumpLine(driver, name, this.#refOf(entry), hasFlag(this.#books, entry, F_CHECKED));
    });
  }

  #refOf(entry: number): DebugRef {
    const { dma, size, physical, entries } = this.#books;
    return {
      dma: dma[entry],
      size: size[entry],
      type: typeOf(this.#books, entry),
      direction: directionOf(this.#books, entry),
      physical: physical[entry],
      entries: entries[entry],
    };
  }

  /** Linux: check_for_stack(), check_for_illegal_area() */
  #checkAreas(device: Device, physical: number, size: number): void {
    if (this.#within("stack", physical, 1)) {
      const words = `device driver maps memory from stack [addr=${hex(physical)}]`;
      this.#error(device, -1, "stack", words, physical);
    }
    if (this.#within("text", physical, size) || this.#within("rodata", physical, size)) {
      const words = `device driver maps memory from kernel text or rodata [addr=${hex(physical)}] [len=${size}]`;
      this.#error(device, -1, "kernel text", words, physical);
    }
  }

  #within(kind: ForbiddenArea["kind"], start: number, size: number): boolean {
    const areas = this.#options.areas ?? [];
    return areas.some((own) => own.kind === kind && start < own.end && start + size > own.start);
  }

  /** Linux: active_cacheline_insert() */
  #lineTaken(device: Device, entry: number, attrs: number): void {
    if (this.#policy.cacheline === "none") return;
    if (directionOf(this.#books, entry) === DMA_TO_DEVICE) return;
    const line = Math.floor(this.#books.physical[entry] / this.#lineSize);
    const overlap = this.#lines.take(line);
    if (overlap === "first") return;
    if (overlap === "exceeded") {
      const words = `exceeded ${MAX_OVERLAP} overlapping mappings of cacheline 0x${hex16(line)}`;
      this.#reports.sayOnce("cacheline", `DMA-API: ${words}`);
    }
    if (this.#policy.cacheline !== "error") return;
    if (this.#policy.skipSyncExcuses && (attrs & DMA_ATTR_SKIP_CPU_SYNC) !== 0) return;
    const words = "cacheline tracking EEXIST, overlapping mappings aren't supported";
    this.#error(device, entry, "overlap", words, this.#books.dma[entry]);
  }

  /** Linux: active_cacheline_remove() */
  #lineGiven(entry: number): void {
    if (directionOf(this.#books, entry) === DMA_TO_DEVICE) return;
    this.#lines.give(Math.floor(this.#books.physical[entry] / this.#lineSize));
  }

  /** False when there is no entry any more. Linux: dma_entry_alloc() */
  #grow(): boolean {
    if (!this.#policy.grows) {
      this.#reports.say("DMA-API: debugging out of memory - disabling");
      this.disabled = true;
      return false;
    }
    const first = this.#options.entries ?? PREALLOCATED;
    this.#entries += first;
    const times = this.#entries / first;
    this.#reports.say(`DMA-API: dma_debug_entry pool grown to ${this.#entries} (${times}00%)`);
    return true;
  }

  /** Linux: err_printk() */
  #error(device: Device, entry: number, kind: string, words: string, address: number): void {
    this.errors++;
    const origin = this.originOf(entry);
    const who = `${device.driver} ${device.name}: `;
    const before = this.#policy.prefix === "before";
    const line = before ? `DMA-API: ${who}${words}` : `${who}DMA-API: ${words}`;
    this.#reports.misuse(kind, device.name, address, line, origin);
    const { driver, allErrors = false } = this.#options;
    const wanted = driver === undefined || driver === device.driver;
    if (wanted && (allErrors || this.#toShow > 0)) {
      for (const part of line.split("\n")) this.#reports.say(part);
      if (origin !== null) {
        this.#reports.say(before ? "DMA-API: Mapped at:" : "Mapped at:");
        this.#reports.say(` ${origin}`);
      }
    }
    if (!allErrors && this.#toShow > 0) this.#toShow--;
  }
}
