/**
 * A recording as a replay reads it: a stream of events that can be had again,
 * because a second run starts from the beginning, and the lists at its end.
 */
import type { ReplayEvent } from "./event.ts";
import type { ListSnapshot } from "./snapshot.ts";

export interface Recording {
  /** The events, a block at a time, from the first on at each call. */
  blocks(): AsyncIterable<readonly ReplayEvent[]>;
  /**
   * What the lists are compared with at the end; null for nothing. Asked after
   * the events were gone through once.
   */
  lists(): Promise<ListSnapshot | null>;
}

/** A recording that lies in memory. */
export function recordingOf(
  events: readonly ReplayEvent[],
  lists: ListSnapshot | null,
  size: number = 1 << 13,
): Recording {
  return {
    async *blocks(): AsyncIterable<readonly ReplayEvent[]> {
      for (let at = 0; at < events.length; at += size) yield events.slice(at, at + size);
    },
    lists: async () => lists,
  };
}

/** The same, held in memory after the first reading unless it has more than `most` events. */
export function keptRecording(recording: Recording, most: number = 1 << 22): Recording {
  let kept: (readonly ReplayEvent[])[] | null = [];
  let whole = false;
  return {
    async *blocks(): AsyncIterable<readonly ReplayEvent[]> {
      if (whole && kept !== null) {
        yield* kept;
        return;
      }
      // A reading that was broken off is begun anew.
      const blocks: (readonly ReplayEvent[])[] = [];
      let events = 0;
      for await (const block of recording.blocks()) {
        events += block.length;
        if (events <= most) blocks.push(block);
        else blocks.length = 0;
        yield block;
      }
      kept = events <= most ? blocks : null;
      whole = true;
    },
    lists: () => recording.lists(),
  };
}
