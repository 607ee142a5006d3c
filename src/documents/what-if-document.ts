/** The part of `zonewright replay --json` that --set makes: both machines' numbers side by side. */
import * as z from "zod";
import type { Both, WhatIf } from "../replay/index.ts";

const count = z.number().int().min(0);

function both(unit: string): z.ZodType<Both> {
  return z.object({ recorded: count, changed: count }).describe(unit);
}

export type WhatIfDocument = Omit<WhatIf, "timeline">;

export const whatIfSchema: z.ZodType<WhatIfDocument> = z.object({
  set: z.array(
    z.object({
      name: z.string(),
      value: z.string(),
      before: z.string().nullable().describe("of the recorded machine; null where nobody told"),
    }),
  ),
  allocations: z.object({
    recorded: count.describe("mm_page_alloc with a page"),
    served: count.describe("of those the ones that the changed machine serves"),
    samePage: count.describe("served with the very page of the recording"),
  }),
  refused: z.object({
    requests: count.describe("served in the recording, and not here"),
    mayWait: count.describe(
      "of those the ones that a kernel would reclaim for, which is not modelled",
    ),
    mayWaitPages: count.describe("pages that those ask for"),
    groups: z.array(
      z.object({
        zone: z.string().describe("that served them in the recording"),
        order: count,
        gfp: z.string(),
        mayWait: z.boolean(),
        count,
        first: z.object({
          line: count.describe("1-based, in the trace"),
          because: z.array(z.string()).describe("what each zone said"),
        }),
      }),
    ),
    further: count.describe("requests of groups that are not listed"),
  }),
  recordedRefusals: z.object({
    requests: count.describe("mm_page_alloc without a page"),
    served: count.describe("of those the ones that the changed machine serves"),
  }),
  fallbacks: both("blocks taken from another migratetype"),
  zoneShift: z
    .array(z.object({ from: z.string(), to: z.string(), requests: count, pages: count }))
    .describe("requests that another zone serves than in the recording"),
  kswapd: z.object({
    traced: count.describe("mm_vmscan_kswapd_wake in the trace"),
    wakes: both("by one rule for both machines"),
    awake: both("by that rule, microseconds"),
    belowLow: both("requests that found no zone above its low mark"),
  }),
  extraReclaims: count.describe("requests that enter direct reclaim on the changed machine only"),
  frees: z.object({
    done: count,
    lost: count.describe("of what the changed machine did not give"),
    unseen: count.describe("of what nobody was seen to take"),
  }),
  zones: z.array(
    z.object({
      node: count,
      name: z.string(),
      managed: both("pages"),
      min: both("pages"),
      low: both("pages"),
      high: both("pages"),
      lowestFree: both("fewest free pages at any event"),
      freeAtEnd: both("pages"),
    }),
  ),
});

export function whatIfDocument({ timeline: _, ...told }: WhatIf): WhatIfDocument {
  return told;
}
