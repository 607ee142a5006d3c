// A Web Worker that is one CPU of a shared memory: takes and gives pages, leaves half of them to the
// others, and says when it is done.
import {
  attachMemory,
  bindMemory,
  detach,
  GFP_KERNEL,
  NO_PFN,
  passTo,
  type SharedMemory,
} from "../../src/mm/index.ts";

/** What a worker uses of a browser: the tests are compiled for Node. */
declare function postMessage(message: unknown): void;
declare function addEventListener(
  type: "message",
  listener: (event: { readonly data: Job }) => void,
): void;

interface Job {
  readonly shared: SharedMemory;
  readonly cpu: number;
  readonly steps: number;
  /** Counts this worker's steps: who terminated it sees when it has really ended. */
  readonly beat: SharedArrayBuffer;
}

addEventListener("message", (event) => {
  const { shared, cpu, steps, beat } = event.data;
  const beats = new Int32Array(beat);
  const m = attachMemory(shared, cpu);
  const { allocPages, freePages } = bindMemory(m);
  const held: number[] = [];
  let refused = 0;
  for (let i = 0; i < steps; i++) {
    Atomics.add(beats, 0, 1);
    const order = i % 7 === 0 ? 3 : 0;
    const pfn = allocPages(GFP_KERNEL, order);
    if (pfn === NO_PFN) refused++;
    else held.push(pfn * 16 + order);
    if (held.length > 500) {
      const block = held.splice((i * 7919) % held.length, 1)[0] ?? 0;
      freePages(block >> 4, block & 15);
    }
  }
  // What is left goes to the page's own CPU.
  for (const block of held) passTo(m, block >> 4, 0);
  detach(m);
  postMessage({ held, refused });
});
