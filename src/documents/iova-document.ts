/**
 * The member `iova` of `dma` in `zonewright replay --json`: addresses that an
 * IOMMU's domains gave out. Pairs are what was recorded, and how many of those
 * the engine answered alike.
 */
import * as z from "zod";
import type { IovaScore } from "../replay/index.ts";

const count = z.number().int().min(0);
const pair = z.object({ recorded: count, equal: count });

export type IovaDocument = IovaScore;

/** `dma` of a recording whose devices an IOMMU translates. */
export interface TranslatedDocument {
  readonly iova: IovaDocument;
}

const iovaSchema: z.ZodType<IovaDocument> = z.object({
  era: z.string().describe("kernel whose allocator's rules were used"),
  allocations: pair.describe("answers of alloc_iova_fast, with the recorded frees"),
  frees: count,
  firstDifference: z
    .object({
      line: count,
      device: z.string().nullable(),
      pages: count,
      ours: count.describe("first page of the block; 0 for none"),
      theirs: count,
    })
    .nullable(),
  predicted: z
    .object({ recorded: count, equal: count, low: count, high: count })
    .describe(
      "answers where the engine frees too. Lazy unmaps wait for a tick that no recording tells: equal is for ticks at whole multiples of the trace's clock, low and high over all its places",
    ),
  sizes: pair.describe("pages asked for, from the call of the DMA API"),
  limits: pair.describe("last page asked for, from the device's mask"),
  handles: pair.describe("the address that the device gets: block and offset"),
  coherent: pair.describe("blocks of memory that coherent calls took"),
  tables: z
    .object({
      recorded: count,
      equal: count,
      pages: count.describe("for page tables in all, as recorded"),
    })
    .nullable()
    .describe(
      "pages that each mapping took for page tables; null where the log does not tell their shape",
    ),
  domains: z.array(
    z.object({
      group: count.nullable(),
      devices: z.array(z.string()),
      mode: z.enum(["strict", "lazy", "identity"]),
      recorded: count,
      equal: count,
    }),
  ),
  assumed: z.array(z.string()).describe("what no file told and was taken for granted"),
});

export const translatedSchema: z.ZodType<TranslatedDocument> = z.object({ iova: iovaSchema });

export function translatedDocument(iova: IovaScore): TranslatedDocument {
  return { iova };
}
