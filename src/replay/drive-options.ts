/** How a memory is driven with a recording; see drive.ts. */
import type { Assumptions } from "./assumptions.ts";
import type { BootSteps } from "./boot-start.ts";
import type { ToldKinds } from "./checks.ts";
import type { ReplayEvent } from "./event.ts";
import type { WrittenMarks } from "./marks.ts";
import type { Score } from "./score.ts";
import type { Watch } from "./watch.ts";

export interface DriveOptions {
  /** null: blind, or following. */
  readonly assumptions: Assumptions | null;
  /** Of a repaired run: watermarks that the recording does not tell. */
  readonly marks?: WrittenMarks;
  /** Which checked kinds the recording has; where left out, those that were seen until then. */
  readonly told?: ToldKinds;
  /** After each answer the memory becomes what was recorded, see follow.ts. */
  readonly follow?: boolean;
  /** A free of a page that nobody has here frees another one, see substitutes.ts. */
  readonly substitute?: boolean;
  /** What a boot does without an event, see boot-start.ts. */
  readonly steps?: BootSteps;
  /** The answer to each mm_page_alloc, before it is compared; -1 for no page, no zone. */
  readonly decide?: (e: ReplayEvent, pfn: number, zone: number) => void;
  /** Told of what the run does to its memory. */
  readonly watch?: Watch;
  /** Called before an event is replayed; false ends the run there. */
  readonly before?: (e: ReplayEvent, score: Score) => boolean;
}
