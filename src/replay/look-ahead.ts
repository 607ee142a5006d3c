/**
 * A window over a stream of events: scanners see each event as it comes in, the
 * driver gets it a window later. So what only later events tell is known in
 * time, and a recording of any length replays in the memory of one window.
 */
import type { ReplayEvent } from "./event.ts";

export interface Scanner {
  /** The next event of the recording. */
  note(e: ReplayEvent): void;
  /** These are driven next: the last chance to write into them. */
  release?(events: readonly ReplayEvent[]): void;
  /** The last event has been noted. */
  end?(): void;
}

/** Enough for what lies within a call, an interrupt or a pass of kswapd. */
export const CALL_WINDOW: number = 1 << 15;
/** For the next use of a page, too (assumptions.ts), which is farther away. */
export const USE_WINDOW: number = 1 << 18;

export class LookAhead {
  readonly #scanners: readonly Scanner[];
  readonly #window: number;
  readonly #blocks: (readonly ReplayEvent[])[] = [];
  #waiting = 0;

  constructor(scanners: readonly Scanner[], window: number) {
    this.#scanners = scanners;
    this.#window = window;
  }

  /** Takes the next events. Returns those that are a window behind now, in order. */
  push(events: readonly ReplayEvent[]): readonly ReplayEvent[] {
    for (const scanner of this.#scanners) for (const e of events) scanner.note(e);
    this.#blocks.push(events);
    this.#waiting += events.length;
    return this.#take(this.#window);
  }

  /** The rest, after the last event. */
  end(): readonly ReplayEvent[] {
    for (const scanner of this.#scanners) scanner.end?.();
    return this.#take(0);
  }

  #take(kept: number): readonly ReplayEvent[] {
    const taken: (readonly ReplayEvent[])[] = [];
    while (this.#blocks[0] !== undefined && this.#waiting - this.#blocks[0].length >= kept) {
      const block = this.#blocks.shift() ?? [];
      this.#waiting -= block.length;
      taken.push(block);
    }
    const ready = taken.length === 1 ? (taken[0] ?? []) : taken.flat();
    for (const scanner of this.#scanners) scanner.release?.(ready);
    return ready;
  }
}
