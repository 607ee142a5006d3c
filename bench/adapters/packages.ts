/**
 * Allocators of other npm packages, as their authors ship them.
 *
 * A frame is 4 KiB of the buffer that they manage. `malloc` and `@thi.ng/malloc` keep headers in
 * that buffer, so each block costs them a page of cache; where the name says dense, a frame is 32
 * bytes, which no page allocator could hand out, but shows the algorithm apart from the layout.
 * `alloc` is a buddy allocator and aligns blocks as page frames are; the others do not, which is
 * easier.
 */
import { createRequire } from "node:module";
import type { Adapter } from "../workloads.ts";

export const PACKAGES = ["alloc", "malloc", "malloc-dense", "thi.ng-dense"] as const;
export type PackageName = (typeof PACKAGES)[number];

type Make = (loaded: unknown, frames: number) => Adapter | null;

/** Their own folder with its own lock file: nobody who only tests has to install them. */
const requirePeer = createRequire(new URL("../peers/package.json", import.meta.url));

const FRAME_BYTES = 4096;
const DENSE_BYTES = 32; // two words around the block, and what the packages handle at the least

/** The adapter, or why there is none. */
export function makeAdapter(name: PackageName, frames: number): Adapter | string {
  const { from, make } = ADAPTERS[name];
  try {
    return make(requirePeer(from), frames) ?? `${from} does not export what it did`;
  } catch (error) {
    return error instanceof Error ? (error.message.split("\n", 1)[0] ?? "") : String(error);
  }
}

const ADAPTERS: Record<PackageName, { from: string; make: Make }> = {
  alloc: { from: "alloc", make: buddyOf },
  malloc: { from: "malloc", make: skipListOf(FRAME_BYTES) },
  "malloc-dense": { from: "malloc", make: skipListOf(DENSE_BYTES) },
  "thi.ng-dense": { from: "@thi.ng/malloc", make: poolOf(DENSE_BYTES) },
};

type Newable<Args extends unknown[], T> = new (...args: Args) => T;

function isConstructor<Args extends unknown[], T>(value: unknown): value is Newable<Args, T> {
  return typeof value === "function";
}

function exported(loaded: unknown, name: string): unknown {
  return typeof loaded === "object" && loaded !== null
    ? Object.entries(loaded).find(([key]) => key === name)?.[1]
    : undefined;
}

interface Buddy {
  alloc(bytes: number): Buffer | null;
  free(block: Buffer): void;
}

/** A block is a Buffer object, kept here by its frame. */
function buddyOf(loaded: unknown, frames: number): Adapter | null {
  const BuddyAllocator = exported(loaded, "BuddyAllocator");
  if (!isConstructor<[Buffer, { minSize: number }], Buddy>(BuddyAllocator)) return null;
  const bytes = FRAME_BYTES * 2 ** Math.ceil(Math.log2(frames));
  const buffer = Buffer.allocUnsafeSlow(bytes);
  const make = (): Buddy => new BuddyAllocator(buffer, { minSize: FRAME_BYTES });
  let buddy = make();
  const blocks = new Array<Buffer | null>(frames).fill(null);
  return {
    name: "alloc",
    reset() {
      buddy = make();
      blocks.fill(null);
    },
    alloc(order) {
      const block = buddy.alloc(FRAME_BYTES * 2 ** order);
      if (block === null) return -1;
      const frame = (block.byteOffset - buffer.byteOffset) / FRAME_BYTES;
      blocks[frame] = block;
      return frame;
    },
    free(frame) {
      const block = blocks[frame];
      if (block === null || block === undefined) return;
      blocks[frame] = null;
      buddy.free(block);
    },
  };
}

interface SkipList {
  alloc(bytes: number): number;
  free(address: number): number;
}

/** A word before and one after each block. A frame's number is its address. */
function skipListOf(frameBytes: number): Make {
  return (loaded, frames) => {
    if (!isConstructor<[ArrayBuffer], SkipList>(loaded)) return null;
    const make = (): SkipList => new loaded(new ArrayBuffer(frames * frameBytes + FRAME_BYTES));
    let list = make();
    return {
      name: "malloc",
      reset() {
        list = make();
      },
      alloc(order) {
        const address = list.alloc(frameBytes * 2 ** order - 8);
        return address === 0 ? -1 : address;
      },
      free(frame) {
        list.free(frame);
      },
    };
  };
}

interface Pool {
  malloc(bytes: number): number;
  free(address: number): boolean;
}

/** Two words before each block. A frame's number is its address. */
function poolOf(frameBytes: number): Make {
  return (loaded, frames) => {
    const MemPool = exported(loaded, "MemPool");
    if (!isConstructor<[{ size: number }], Pool>(MemPool)) return null;
    const make = (): Pool => new MemPool({ size: frames * frameBytes + FRAME_BYTES });
    let pool = make();
    return {
      name: "@thi.ng/malloc",
      reset() {
        pool = make();
      },
      alloc(order) {
        const address = pool.malloc(frameBytes * 2 ** order - 8);
        return address === 0 ? -1 : address;
      },
      free(frame) {
        pool.free(frame);
      },
    };
  };
}
