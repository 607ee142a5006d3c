/**
 * A swap device that is a real file: pages that memory has no room for, with what
 * tells a torn or foreign page from a whole one.
 *
 *   byte                      of the file
 *   0                         header: magic, version, page size, slots; its CRC-32
 *   HEADER + slot * stride    the page's bytes, then a trailer: magic, slot, sequence number, CRC-32
 *                             of the bytes and of the trailer before it
 *
 * The trailer is written with the page, in one write. A crash in the middle leaves
 * a page whose sum does not fit: `read` then says no, and never gives bytes that
 * were not written to that slot. Which slots are in use is memory's business and is
 * lost with it, as with Linux's swap.
 *
 * Linux: mm/swapfile.c, mm/page_io.c
 */
import { closeSync, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { assert } from "../base/assert.ts";
import type { PageStore } from "../mm/pressure/pages.ts";
import { SlotMap } from "../mm/pressure/slots.ts";
import { assertPage } from "../mm/pressure/store.ts";

const MAGIC = 0x5a575350; // "ZWSP"
const VERSION = 1;
const HEADER = 4096;
const TRAILER = 16;

export class SwapFile implements PageStore {
  readonly path: string;
  readonly #fd: number;
  readonly #pageSize: number;
  readonly #slots: SlotMap;
  /** Sequence number of what each slot holds: an older page of the same slot is as wrong as a torn one. */
  readonly #sequence: Uint32Array;
  readonly #buffer: Uint8Array;
  readonly #words: DataView;
  #next = 1;

  /**
   * Makes a file of `slots` pages of `pageSize` bytes at `path`, in place of what is there. Throws what
   * the file system throws, with the path in it; asserts that both numbers are whole and above 0.
   */
  constructor(path: string, slots: number, pageSize: number) {
    assert(Number.isSafeInteger(slots) && slots > 0, "a swap file has slots", slots);
    assert(Number.isSafeInteger(pageSize) && pageSize > 0, "a page has a size", pageSize);
    this.path = path;
    this.#pageSize = pageSize;
    this.#slots = new SlotMap(slots);
    this.#sequence = new Uint32Array(slots);
    this.#buffer = new Uint8Array(pageSize + TRAILER);
    this.#words = new DataView(this.#buffer.buffer);
    this.#fd = openSync(path, "w+", 0o600);
    try {
      ftruncateSync(this.#fd, HEADER + slots * (pageSize + TRAILER));
      this.#writeHeader(slots);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  get slots(): number {
    return this.#slots.slots;
  }

  get free(): number {
    return this.#slots.free;
  }

  write(bytes: Uint8Array | null): number {
    assertPage(bytes, this.#pageSize);
    const slot = this.#slots.next();
    if (slot < 0) return -1;
    const size = this.#pageSize;
    if (bytes === null) this.#buffer.fill(0, 0, size);
    else this.#buffer.set(bytes);
    this.#words.setUint32(size, MAGIC);
    this.#words.setUint32(size + 4, slot);
    this.#words.setUint32(size + 8, this.#next);
    this.#words.setUint32(size + 12, crc32(this.#buffer.subarray(0, size + 12)));
    try {
      const length = this.#buffer.length;
      if (writeSync(this.#fd, this.#buffer, 0, length, this.#place(slot)) !== length) return -1;
    } catch {
      // A full disk is a full store.
      return -1;
    }
    this.#sequence[slot] = this.#next;
    this.#next = (this.#next + 1) >>> 0;
    this.#slots.take(slot);
    return slot;
  }

  read(slot: number, bytes: Uint8Array | null): boolean {
    this.#slots.assertTaken(slot);
    const size = this.#pageSize;
    try {
      const length = this.#buffer.length;
      if (readSync(this.#fd, this.#buffer, 0, length, this.#place(slot)) !== length) return false;
    } catch {
      return false;
    }
    const isWhole =
      this.#words.getUint32(size) === MAGIC &&
      this.#words.getUint32(size + 4) === slot &&
      this.#words.getUint32(size + 8) === this.#sequence[slot] &&
      this.#words.getUint32(size + 12) === crc32(this.#buffer.subarray(0, size + 12));
    if (isWhole) bytes?.set(this.#buffer.subarray(0, size));
    return isWhole;
  }

  drop(slot: number): void {
    this.#slots.drop(slot);
  }

  /** Closes the file and removes it. */
  close(): void {
    closeSync(this.#fd);
    unlinkSync(this.path);
  }

  #place(slot: number): number {
    return HEADER + slot * (this.#pageSize + TRAILER);
  }

  #writeHeader(slots: number): void {
    const header = new DataView(new ArrayBuffer(20));
    [MAGIC, VERSION, this.#pageSize, slots].forEach((word, i) => {
      header.setUint32(i * 4, word);
    });
    header.setUint32(16, crc32(new Uint8Array(header.buffer, 0, 16)));
    writeSync(this.#fd, new Uint8Array(header.buffer), 0, 20, 0);
  }
}
