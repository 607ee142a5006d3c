/**
 * A swap device that is a real file: pages that memory has no room for, with what
 * tells a torn or foreign page from a whole one.
 *
 *   byte                      of the file
 *   0                         header: magic, version, page size, slots, identity; its CRC-32
 *   HEADER + slot * stride    the page's bytes, then a trailer: magic, slot, sequence number, identity,
 *                             CRC-32 of the bytes and of the trailer before it
 *
 * The trailer is written with the page, in one write. A crash in the middle leaves
 * a page whose sum does not fit: `read` then says no, and never gives bytes that
 * were not written to that slot. The identity is drawn anew for each store: two that were
 * given one path do not take each other's pages for their own. Which slots are in use is memory's business and is
 * lost with it, as with Linux's swap.
 *
 * Linux: mm/swapfile.c, mm/page_io.c
 */
import { randomBytes } from "node:crypto";
import { closeSync, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { assert } from "../base/assert.ts";
import type { PageStore } from "../mm/pressure/pages.ts";
import { SlotMap } from "../mm/pressure/slots.ts";
import { assertPage } from "../mm/pressure/store.ts";

const MAGIC = 0x5a575350; // "ZWSP"
const VERSION = 1;
const HEADER = 4096;
const HEADER_WORDS = 28;
const IDENTITY = 8;
const TRAILER = 24;

export class SwapFile implements PageStore {
  readonly path: string;
  /** -1 once it is closed: another file may have the number then. */
  #fd: number;
  readonly #identity = randomBytes(IDENTITY);
  readonly #pageSize: number;
  readonly #slots: SlotMap;
  /** Sequence number of what each slot holds: an older page of the same slot is as wrong as a torn one. */
  readonly #sequence: Uint32Array;
  readonly #buffer: Uint8Array;
  readonly #words: DataView;
  #next = 1;

  /**
   * Makes a file of `slots` pages of `pageSize` bytes at `path`; a swap file that was left there is
   * overwritten. Throws what the file system throws, and where something else is there, with the path
   * in it; asserts that both numbers are whole and above 0.
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
    this.#fd = openNew(path);
    try {
      ftruncateSync(this.#fd, 0);
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

  /** Asserts that it is a page, and the file open. */
  write(bytes: Uint8Array | null): number {
    this.#assertUsable(bytes);
    const slot = this.#slots.next();
    if (slot < 0) return -1;
    const size = this.#pageSize;
    if (bytes === null) this.#buffer.fill(0, 0, size);
    else this.#buffer.set(bytes);
    this.#words.setUint32(size, MAGIC);
    this.#words.setUint32(size + 4, slot);
    this.#words.setUint32(size + 8, this.#next);
    this.#buffer.set(this.#identity, size + 12);
    this.#words.setUint32(size + 20, crc32(this.#buffer.subarray(0, size + 20)));
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

  /** Asserts that it is a page, the slot taken, and the file open. */
  read(slot: number, bytes: Uint8Array | null): boolean {
    this.#assertUsable(bytes);
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
      this.#identity.equals(this.#buffer.subarray(size + 12, size + 20)) &&
      this.#words.getUint32(size + 20) === crc32(this.#buffer.subarray(0, size + 20));
    if (isWhole) bytes?.set(this.#buffer.subarray(0, size));
    return isWhole;
  }

  drop(slot: number): void {
    this.#slots.drop(slot);
  }

  /** Closes the file and removes it. Asserts that it is open. */
  close(): void {
    this.#assertUsable(null);
    const fd = this.#fd;
    this.#fd = -1;
    closeSync(fd);
    unlinkSync(this.path);
  }

  #assertUsable(bytes: Uint8Array | null): void {
    assert(this.#fd >= 0, "the swap file is closed");
    assertPage(bytes, this.#pageSize);
  }

  #place(slot: number): number {
    return HEADER + slot * (this.#pageSize + TRAILER);
  }

  #writeHeader(slots: number): void {
    const header = new Uint8Array(HEADER_WORDS);
    const words = new DataView(header.buffer);
    [MAGIC, VERSION, this.#pageSize, slots].forEach((word, i) => {
      words.setUint32(i * 4, word);
    });
    header.set(this.#identity, 16);
    words.setUint32(24, crc32(header.subarray(0, 24)));
    writeSync(this.#fd, header, 0, HEADER_WORDS, 0);
  }
}

/** A file that was not there, or that holds nothing but an older store. */
function openNew(path: string): number {
  try {
    return openSync(path, "wx+", 0o600);
  } catch (error) {
    const isThere = error instanceof Error && "code" in error && error.code === "EEXIST";
    if (!isThere) throw error;
  }
  const fd = openSync(path, "r+");
  const header = new Uint8Array(HEADER_WORDS);
  const words = new DataView(header.buffer);
  const length = readSync(fd, header, 0, HEADER_WORDS, 0);
  const isOurs =
    length === HEADER_WORDS &&
    words.getUint32(0) === MAGIC &&
    words.getUint32(24) === crc32(header.subarray(0, 24));
  if (isOurs || length === 0) return fd;
  closeSync(fd);
  throw new Error(`${path} is there already, and is no swap file: name another one`);
}
