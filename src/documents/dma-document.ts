/**
 * The member `dma` of `zonewright replay --json`: drivers' calls of the
 * recording through the engine. Pairs are what was recorded, and how many of
 * those the engine answered alike. Slots are of 2 KiB.
 */
import * as z from "zod";
import type { DmaReplay, DmaWhatIf } from "../replay/index.ts";

const count = z.number().int().min(0);
const pair = z.object({ recorded: count, equal: count });
const both = z.object({ recorded: count, changed: count });
const model = z.object({
  model: count,
  kernel: count.nullable().describe("of debugfs; null where it was not captured"),
});

interface Pair {
  readonly recorded: number;
  readonly equal: number;
}

interface ModelAndKernel {
  readonly model: number;
  readonly kernel: number | null;
}

export interface DmaDocument {
  readonly tracepoints: boolean;
  readonly pool: { readonly start: number; readonly slots: number; readonly areas: number } | null;
  readonly force: boolean;
  readonly maps: number;
  readonly bounces: number;
  readonly decisions: Pair;
  readonly slots: Pair;
  readonly addresses: Pair;
  readonly refusals: Pair;
  readonly used: ModelAndKernel;
  readonly highWater: ModelAndKernel;
  readonly events: {
    readonly recorded: number;
    readonly maskEqual: number;
    readonly forceEqual: number;
  };
  readonly coherent: {
    readonly recorded: number;
    readonly zoneEqual: number;
    readonly requests: number;
    readonly orderEqual: number;
    readonly gfpEqual: number;
    readonly pageEqual: number;
  };
  readonly open: number;
  readonly unknownEnds: number;
  readonly missingEntries: number;
  readonly unplaced: number;
  readonly devices: readonly DeviceDocument[];
  readonly phases: readonly {
    readonly name: string;
    readonly peak: number;
    readonly slots: number;
  }[];
  readonly whatIf: DmaWhatIf | null;
  /** Addresses of an IOMMU: none here. */
  readonly iova: null;
}

interface DeviceDocument {
  readonly name: string;
  readonly driver: string;
  readonly maps: number;
  readonly entries: number;
  readonly decisions: Pair;
  readonly slots: Pair;
  readonly addresses: Pair;
  readonly refusals: Pair;
  readonly slotsTaken: number;
  readonly bytes: number;
  readonly refused: number;
}

const pool = z.object({ start: count.describe("bytes"), slots: count, areas: count }).nullable();

const whatIfSchema: z.ZodType<DmaWhatIf> = z.object({
  asked: z.string().describe("as given: swiotlb=…"),
  pool,
  force: z.boolean(),
  devices: z.array(
    z.object({
      name: z.string(),
      driver: z.string(),
      bounces: both,
      slots: both.describe("handed out over the whole recording"),
      bytes: both,
      refused: count,
      maxMapping: count.nullable().describe("bytes; null for no limit"),
      cut: z
        .object({
          requests: count.describe("larger than the changed machine maps at once"),
          became: count.describe("requests of their bytes, taken as one stream"),
          segments: count.describe("segments that would have been refused as they were"),
        })
        .nullable(),
    }),
  ),
  peak: z
    .object({
      recorded: count,
      changed: count.describe("when requests end as they did in the recording"),
      low: count.describe("when each ends before the next begins"),
      high: count.describe("when none ends before its burst is over"),
    })
    .describe("most slots in use at once: it depends on how long copies take"),
  firstRefusal: z
    .object({
      line: count,
      time: z.number(),
      device: z.string(),
      bytes: count,
      used: count.describe("slots in use then"),
    })
    .nullable(),
  refused: count,
  smallest: z
    .object({ recorded: count.nullable(), high: count.nullable() })
    .describe("slots of the smallest pool that refuses nothing, at either end of the range"),
  missing: count.describe("entries of scatterlists that the recording leaves out"),
});

export const dmaSchema: z.ZodType<DmaDocument> = z.object({
  tracepoints: z.boolean().describe("whether the events dma:* told the calls; else probes did"),
  pool,
  force: z.boolean(),
  maps: count.describe("single mappings and entries of scatterlists"),
  bounces: count.describe("of those that the engine bounces"),
  decisions: pair.describe("to bounce or not"),
  slots: pair.describe("the very slot of each recorded bounce"),
  addresses: pair.describe("what the driver got"),
  refusals: pair.describe("calls that the kernel refused"),
  used: model.describe("slots in use at the end"),
  highWater: model,
  events: z
    .object({ recorded: count, maskEqual: count, forceEqual: count })
    .describe("swiotlb_bounced"),
  coherent: z.object({
    recorded: count,
    zoneEqual: count,
    requests: count.describe("calls whose requests to the page allocator were recorded"),
    orderEqual: count,
    gfpEqual: count,
    pageEqual: count.describe("the one page asked for is what the driver got"),
  }),
  open: count.describe("mappings that do not end in the recording"),
  unknownEnds: count.describe("ends of mappings that the recording does not begin"),
  missingEntries: count.describe("entries of scatterlists that the kernel does not print"),
  unplaced: count.describe("mappings whose address or size is not told: left out"),
  devices: z.array(
    z.object({
      name: z.string(),
      driver: z.string(),
      maps: count.describe("single ones"),
      entries: count.describe("of scatterlists"),
      decisions: pair,
      slots: pair,
      addresses: pair,
      refusals: pair,
      slotsTaken: count,
      bytes: count.describe("through buffers"),
      refused: count,
    }),
  ),
  phases: z
    .array(z.object({ name: z.string(), peak: count.describe("up to its end"), slots: count }))
    .describe("markers PHASE of the recording"),
  whatIf: whatIfSchema.nullable().describe("another pool: --set swiotlb=…"),
  iova: z.null().describe("addresses of an IOMMU: none here"),
});

export function dmaDocument({ facts, sources, score, ...run }: DmaReplay): DmaDocument {
  const devices = [...score.devices.values()].map((own) => ({
    name: own.name,
    driver: own.driver,
    maps: own.maps,
    entries: own.entries,
    decisions: { recorded: own.decisions, equal: own.decisionsEqual },
    slots: { recorded: own.bounces, equal: own.slotsEqual },
    addresses: { recorded: own.dmas, equal: own.dmaEqual },
    refusals: { recorded: own.refusals, equal: own.refusalsEqual },
    slotsTaken: own.slots,
    bytes: own.bytes,
    refused: own.refused,
  }));
  const all = (of: (own: DeviceDocument) => Pair): Pair => ({
    recorded: devices.reduce((sum, own) => sum + of(own).recorded, 0),
    equal: devices.reduce((sum, own) => sum + of(own).equal, 0),
  });
  const values = [...score.devices.values()];
  return {
    tracepoints: sources.tracepoints,
    pool: facts.pool,
    force: facts.force,
    maps: values.reduce((sum, own) => sum + own.maps + own.entries, 0),
    bounces: values.reduce((sum, own) => sum + own.bounced, 0),
    decisions: all((own) => own.decisions),
    slots: all((own) => own.slots),
    addresses: all((own) => own.addresses),
    refusals: all((own) => own.refusals),
    used: { model: run.used, kernel: facts.usedAfter },
    highWater: { model: run.highWater, kernel: facts.highWater },
    events: { ...score.events },
    coherent: { ...score.coherent },
    open: score.open,
    unknownEnds: score.unknownEnds,
    missingEntries: score.missing,
    unplaced: score.unplaced,
    devices,
    phases: score.phases.map((phase) => ({ ...phase })),
    whatIf: run.whatIf,
    iova: null,
  };
}
