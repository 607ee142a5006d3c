/**
 * Allocators of other npm packages, as their authors ship them.
 *
 * They manage bytes, so a frame is given the fewest bytes that they handle as one block: what they
 * keep inside blocks then lies as densely as it can, which is in their favour. `alloc` is a buddy
 * allocator and aligns blocks as page frames are; the other two do not, which is easier.
 */
import { createRequire } from "node:module";
import type { Adapter } from "../workloads.ts";

export const PACKAGES = ["alloc", "malloc", "@thi.ng/malloc"] as const;
export type PackageName = (typeof PACKAGES)[number];

/** Their own folder with its own lock file: nobody who only tests has to install them. */
const requirePeer = createRequire(new URL("../peers/package.json", import.meta.url));

/** Bytes that stand for one frame where a block has a header: the header and 8 bytes or more. */
const GRANULE = 32;

/** The adapter, or why there is none. */
export function makeAdapter(name: PackageName, frames: number): Adapter | string {
  let loaded: unknown;
  try {
    loaded = requirePeer(name);
  } catch (error) {
    return error instanceof Error ? (error.message.split("\n", 1)[0] ?? "") : String(error);
  }
  const adapter = ADAPTERS[name](loaded, frames);
  return adapter ?? `${name} does not export what it did`;
}

const ADAPTERS: Record<PackageName, (loaded: unknown, frames: number) => Adapter | null> = {
  alloc: buddyOf,
  malloc: skipListOf,
  "@thi.ng/malloc": poolOf,
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

/** One byte a frame. A block is a Buffer object, kept here by its frame. */
function buddyOf(loaded: unknown, frames: number): Adapter | null {
  const BuddyAllocator = exported(loaded, "BuddyAllocator");
  if (!isConstructor<[Buffer, { minSize: number }], Buddy>(BuddyAllocator)) return null;
  const make = (): Buddy => {
    return new BuddyAllocator(Buffer.alloc(2 ** Math.ceil(Math.log2(frames))), { minSize: 1 });
  };
  let buddy = make();
  const blocks = new Array<Buffer | null>(frames).fill(null);
  let start = 0;
  return {
    name: "alloc",
    reset() {
      buddy = make();
      const first = buddy.alloc(1);
      start = first?.byteOffset ?? 0;
      if (first !== null) buddy.free(first);
    },
    alloc(order) {
      const block = buddy.alloc(2 ** order);
      if (block === null) return -1;
      const frame = block.byteOffset - start;
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

/** Two words around each block. A frame's number is its address. */
function skipListOf(loaded: unknown, frames: number): Adapter | null {
  if (!isConstructor<[ArrayBuffer], SkipList>(loaded)) return null;
  const make = (): SkipList => new loaded(new ArrayBuffer((frames + 64) * GRANULE));
  let list = make();
  return {
    name: "malloc",
    reset() {
      list = make();
    },
    alloc(order) {
      const address = list.alloc(GRANULE * 2 ** order - 8);
      return address === 0 ? -1 : address;
    },
    free(frame) {
      list.free(frame);
    },
  };
}

interface Pool {
  malloc(bytes: number): number;
  free(address: number): boolean;
}

/** A header of two words before each block. A frame's number is its address. */
function poolOf(loaded: unknown, frames: number): Adapter | null {
  const MemPool = exported(loaded, "MemPool");
  if (!isConstructor<[{ size: number }], Pool>(MemPool)) return null;
  const make = (): Pool => new MemPool({ size: (frames + 64) * GRANULE });
  let pool = make();
  return {
    name: "@thi.ng/malloc",
    reset() {
      pool = make();
    },
    alloc(order) {
      const address = pool.malloc(GRANULE * 2 ** order - 8);
      return address === 0 ? -1 : address;
    },
    free(frame) {
      pool.free(frame);
    },
  };
}
