/**
 * The image: all mutable state of a memory, as named regions of bytes.
 *
 * A region is created once at its full size, with views of fixed length:
 * reserving address space costs nothing, and length-tracking views of a growing
 * buffer are many times slower. What a snapshot copies are *chunks*: a chunked
 * region keeps one mark a chunk and copies only the marked ones, a plain region
 * is copied whole.
 *
 *   region    columns or words of one owner (frames.next, zone, pcp …)
 *   chunk     1 << chunkShift bytes of a chunked region
 *   touched   one byte a chunk: 1 once it may differ from zeros
 *
 * Invariants, checked by `verify` of the owners and by `equal`:
 *   I1  names are unique
 *   I2  a chunk that is not marked is all zeros
 */
import { assert } from "../base/assert.ts";

/** Version of what `snapshot` returns; `restore` refuses newer ones. */
export const IMAGE_VERSION = 1;

export interface Region {
  readonly name: string;
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly byteLength: number;
  /** null: always copied whole. */
  readonly touched: Uint8Array | null;
  readonly chunkShift: number;
  /** What threads tell each other: no state of the memory, and in no snapshot. */
  readonly passing: boolean;
}

export interface Image {
  readonly version: number;
  readonly shared: boolean;
  readonly regions: Map<string, Region>;
  /** Regions that another thread made and this image shares; null where it makes its own. */
  readonly given: ReadonlyMap<string, SharedArrayBuffer> | null;
}

/** `shared` puts every region into SharedArrayBuffers, so that workers can attach. */
export function createImage(shared: boolean): Image {
  return { version: IMAGE_VERSION, shared, regions: new Map(), given: null };
}

/** An image over the regions of one that another thread made: whoever lays it out adds the same ones. */
export function attachImage(given: ReadonlyMap<string, SharedArrayBuffer>): Image {
  return { version: IMAGE_VERSION, shared: true, regions: new Map(), given };
}

/** Adds a plain region of zeros. */
export function addRegion(image: Image, name: string, byteLength: number): Region {
  return adopt(image, name, allocate(image, name, byteLength), 0, byteLength, null, 0);
}

/** Adds a plain region of zeros that snapshots leave out: whoever runs, runs on after a restore. */
export function addPassingRegion(image: Image, name: string, byteLength: number): Region {
  const buffer = allocate(image, name, byteLength);
  return adopt(image, name, buffer, 0, byteLength, null, 0, true);
}

/** Adds a region of zeros whose chunks are marked in `touched` by the owner as it writes them. */
export function addChunkedRegion(
  image: Image,
  name: string,
  byteLength: number,
  chunkShift: number,
  touched: Uint8Array,
): Region {
  assert(
    touched.length * 2 ** chunkShift >= byteLength,
    "touched has too few marks",
    touched.length,
  );
  return adopt(image, name, allocate(image, name, byteLength), 0, byteLength, touched, chunkShift);
}

/** Adds bytes that the caller owns, e.g. a WebAssembly.Memory's. Copied whole by snapshots. */
export function adoptRegion(
  image: Image,
  name: string,
  buffer: ArrayBufferLike,
  byteOffset: number,
  byteLength: number,
): Region {
  return adopt(image, name, buffer, byteOffset, byteLength, null, 0);
}

function allocate(image: Image, name: string, byteLength: number): ArrayBufferLike {
  if (image.given !== null) {
    const buffer = image.given.get(name);
    assert(buffer?.byteLength === byteLength, "the shared image was laid out in another way");
    return buffer;
  }
  return image.shared ? new SharedArrayBuffer(byteLength) : new ArrayBuffer(byteLength);
}

function adopt(
  image: Image,
  name: string,
  buffer: ArrayBufferLike,
  byteOffset: number,
  byteLength: number,
  touched: Uint8Array | null,
  chunkShift: number,
  passing = false,
): Region {
  assert(!image.regions.has(name), "I1: two regions have one name");
  const region = { name, buffer, byteOffset, byteLength, touched, chunkShift, passing };
  image.regions.set(name, region);
  return region;
}

/** A copy of what was touched. Plain data: it can be posted to a worker or kept. */
export interface Snapshot {
  readonly version: number;
  readonly regions: readonly SavedRegion[];
}

interface SavedRegion {
  readonly name: string;
  readonly byteLength: number;
  readonly chunkShift: number;
  /** Chunks saved, ascending; a plain region is its one chunk 0. */
  readonly chunks: readonly { readonly index: number; readonly bytes: Uint8Array }[];
}

function lasting(image: Image): Region[] {
  return [...image.regions.values()].filter((region) => !region.passing);
}

export function snapshot(image: Image): Snapshot {
  const regions = lasting(image).map((region): SavedRegion => {
    const chunks = chunksOf(region).map((index) => ({
      index,
      bytes: chunk(region, index).slice(),
    }));
    const { name, byteLength, chunkShift } = region;
    return { name, byteLength, chunkShift, chunks };
  });
  return { version: IMAGE_VERSION, regions };
}

/**
 * Puts a snapshot back into the image it came from, or into one built alike.
 * Returns why it cannot be, or null when it is done; nothing is changed on refusal.
 */
export function restore(image: Image, saved: Snapshot): string | null {
  if (saved.version > IMAGE_VERSION)
    return `the snapshot has version ${saved.version}, newer than ${IMAGE_VERSION}`;
  if (saved.regions.length !== lasting(image).length)
    return "the snapshot has other regions than the image";
  for (const { name, byteLength, chunkShift } of saved.regions) {
    const region = image.regions.get(name);
    if (region === undefined) return `the image has no region "${name}"`;
    if (region.byteLength !== byteLength || region.chunkShift !== chunkShift) {
      return `region "${name}" has another size`;
    }
  }
  // Regions share marks: what is touched now is listed before any of them changes.
  const touched = new Map(lasting(image).map((own) => [own.name, chunksOf(own)]));
  for (const { name, chunks } of saved.regions) {
    const region = image.regions.get(name);
    if (region !== undefined) restoreRegion(region, touched.get(name) ?? [], chunks);
  }
  return null;
}

function restoreRegion(
  region: Region,
  touched: readonly number[],
  chunks: SavedRegion["chunks"],
): void {
  const kept = new Set(chunks.map((own) => own.index));
  for (const index of touched) if (!kept.has(index)) chunk(region, index).fill(0);
  for (const { index, bytes } of chunks) chunk(region, index).set(bytes);
  region.touched?.fill(0);
  for (const { index } of chunks) if (region.touched !== null) region.touched[index] = 1;
}

/** A place where two images, or an image and a snapshot, differ: first byte of each differing chunk. */
export interface ImageDifference {
  readonly region: string;
  readonly byte: number;
}

/** Differences between two snapshots of images built alike, at most one a chunk. */
export function diff(a: Snapshot, b: Snapshot): ImageDifference[] {
  const found: ImageDifference[] = [];
  const others = new Map(b.regions.map((region) => [region.name, region]));
  for (const region of a.regions) {
    const other = others.get(region.name);
    others.delete(region.name);
    if (other === undefined || other.byteLength !== region.byteLength) {
      found.push({ region: region.name, byte: 0 });
      continue;
    }
    const theirs = new Map(other.chunks.map((own) => [own.index, own.bytes]));
    for (const { index, bytes } of region.chunks) {
      const at = firstDifference(bytes, theirs.get(index) ?? null);
      theirs.delete(index);
      if (at >= 0)
        found.push({ region: region.name, byte: chunkStart(region.chunkShift, index) + at });
    }
    for (const [index, bytes] of theirs) {
      const at = firstDifference(bytes, null);
      if (at >= 0)
        found.push({ region: region.name, byte: chunkStart(region.chunkShift, index) + at });
    }
  }
  for (const name of others.keys()) found.push({ region: name, byte: 0 });
  return found;
}

/** Whether two snapshots hold the same state. */
export function equal(a: Snapshot, b: Snapshot): boolean {
  return diff(a, b).length === 0;
}

/** Index of the first byte that differs, -1 for none; null stands for zeros. */
function firstDifference(a: Uint8Array, b: Uint8Array | null): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== (b === null ? 0 : b[i])) return i;
  return -1;
}

function chunksOf(region: Region): number[] {
  const { touched } = region;
  if (touched === null) return [0];
  const marked: number[] = [];
  for (let at = touched.indexOf(1); at !== -1; at = touched.indexOf(1, at + 1)) marked.push(at);
  return marked;
}

function chunkStart(chunkShift: number, index: number): number {
  return chunkShift === 0 ? 0 : index * 2 ** chunkShift;
}

function chunk(region: Region, index: number): Uint8Array {
  const { buffer, byteOffset, byteLength, chunkShift } = region;
  const start = chunkStart(chunkShift, index);
  const length = chunkShift === 0 ? byteLength : Math.min(2 ** chunkShift, byteLength - start);
  return new Uint8Array(buffer, byteOffset + start, length);
}
