// A CPU of a shared memory that dies before a chosen write: its views count what they are told to
// store and throw instead of storing. What a terminated worker leaves behind, at every point that
// there is, without chance.
import { attachMemory, type Memory, type SharedMemory } from "../../src/mm/index.ts";

export class Crash extends Error {}

/** Writes left until the end; the same for all views of all CPUs. */
export const life: { left: number } = { left: Number.POSITIVE_INFINITY };
let isOver = false;

type View = Int32Array | Uint16Array | Uint8Array;
const views = new WeakMap<object, View>();

function write(): void {
  if (life.left <= 0) {
    isOver = true;
    throw new Crash();
  }
  life.left--;
}

/** A typed array whose stores, `fill` and `subarray` go through `write`. */
function counting(view: View): View {
  const proxy: View = new Proxy(view, {
    set(target, name, value) {
      write();
      return Reflect.set(target, name, value);
    },
    get(target, name) {
      const found: unknown = Reflect.get(target, name);
      if (typeof found !== "function") return found;
      if (name === "subarray") {
        return (from: number, to?: number) => counting(target.subarray(from, to));
      }
      return (...args: unknown[]) => {
        if (name === "fill") write();
        return Reflect.apply(found, target, args);
      };
    },
  });
  views.set(proxy, view);
  return proxy;
}

/**
 * Runs what a mortal CPU does until it ends or has made so many writes: how many it came to, and whether it
 * ended. `finally` blocks of a CPU that is no more run all the same: what they throw is not heeded.
 */
export function until(writes: number, act: () => void): { used: number; isDone: boolean } {
  life.left = writes;
  isOver = false;
  let used = 0;
  try {
    act();
  } catch (error) {
    if (!isOver) throw error;
  } finally {
    used = writes - life.left;
    life.left = Number.POSITIVE_INFINITY;
  }
  return { used, isDone: !isOver };
}

const ATOMIC_WRITES = ["store", "exchange", "compareExchange", "add", "sub", "or", "and"] as const;

/** Attaches a CPU whose writes count. The globals are as before when it returns. */
export function attachMortal(shared: SharedMemory, cpu: number): Memory {
  return mortal(() => attachMemory(shared, cpu));
}

/** The same for whatever else attaches. */
export function mortal<T>(attach: () => T): T {
  const kept = { Int32Array, Uint16Array, Uint8Array };
  for (const [name, Original] of Object.entries(kept)) {
    const Counting = function (this: unknown, ...args: unknown[]): unknown {
      const made: View = Reflect.construct(Original, args);
      return made.buffer instanceof SharedArrayBuffer ? counting(made) : made;
    };
    Reflect.set(globalThis, name, Object.assign(Counting, { from: Original.from }));
  }
  try {
    return attach();
  } finally {
    Object.assign(globalThis, kept);
  }
}

/** Lets Atomics take the counting views too; returns how to undo it. */
export function countAtomics(): () => void {
  const real = Object.fromEntries(
    Object.getOwnPropertyNames(Atomics).map((name) => [name, Reflect.get(Atomics, name)]),
  );
  for (const [name, found] of Object.entries(real)) {
    if (typeof found !== "function") continue;
    Reflect.set(Atomics, name, (view: object, ...args: unknown[]) => {
      const own = views.get(view);
      if (own !== undefined && ATOMIC_WRITES.some((writes) => writes === name)) write();
      return Reflect.apply(found, Atomics, [own ?? view, ...args]);
    });
  }
  return () => Object.assign(Atomics, real);
}
