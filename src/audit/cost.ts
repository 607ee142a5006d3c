/**
 * What the uses that must stay ask of low memory: requests by how far they may be from address 0, and
 * the bytes that are written as constants. A lower bound, one of each request at a time; what is
 * computed when the driver runs is counted, never guessed.
 */
import { isRequest, type Use } from "./use.ts";

export interface CostRow {
  /** Address bits that the memory must be below: 24, 31, 32 … */
  readonly bits: number;
  readonly zone: "DMA" | "DMA32";
  /** Allocating places. */
  readonly places: number;
  readonly files: number;
  /** Of the places with a constant size; each rounded up to what the allocator gives. */
  readonly bytes: number;
  readonly unknown: number;
}

export interface Cost {
  /** The architecture or configuration that is counted for; null: everything. */
  readonly architecture: string | null;
  readonly rows: readonly CostRow[];
  /** Bytes below 4 GiB that do without GFP_DMA32, and so on, summed: the pool's least size. */
  readonly leastBytes: number;
  /** As `plan --mask-pool` takes it: whole pages. */
  readonly maskPool: string;
}

/** Linux: KMALLOC_MIN_SIZE; the smallest kmalloc cache of most machines. */
const SMALLEST_OBJECT = 8;
const PAGE_BYTES = 4096;
/** ZONE_DMA of x86 and of s390; ZONE_DMA32. */
const ZONE_BITS = { x86: 24, s390: 31, dma32: 32 } as const;

/** `architecture` counts what can be built there; a .config, what it builds. */
export function costOf(uses: readonly Use[], architecture: string | null): Cost {
  const rows = new Map<string, { bits: number; zone: "DMA" | "DMA32"; uses: Use[] }>();
  for (const use of uses) {
    if (!isCounted(use, architecture)) continue;
    const zone = use.flag.endsWith("32") ? "DMA32" : "DMA";
    const bits = bitsOf(use, zone);
    const key = `${bits} ${zone}`;
    const row = rows.get(key) ?? { bits, zone, uses: [] };
    row.uses.push(use);
    rows.set(key, row);
  }
  const table = [...rows.values()]
    .sort((a, b) => a.bits - b.bits)
    .map(({ bits, zone, uses: some }): CostRow => {
      const sizes = some.map(({ size }) => size?.bytes ?? null);
      return {
        bits,
        zone,
        places: some.length,
        files: new Set(some.map(({ file }) => file)).size,
        bytes: sizes.reduce((sum: number, bytes) => sum + (bytes === null ? 0 : given(bytes)), 0),
        unknown: sizes.filter((bytes) => bytes === null).length,
      };
    });
  const low = table.filter(({ zone }) => zone === "DMA");
  const leastBytes = low.reduce((sum, { bytes, unknown }) => sum + bytes + unknown * PAGE_BYTES, 0);
  const pages = Math.ceil(leastBytes / PAGE_BYTES);
  return { architecture, rows: table, leastBytes, maskPool: `${pages * 4}K` };
}

/** A request that a zone must serve today and for good reason. */
function isCounted(use: Use, architecture: string | null): boolean {
  const stays =
    use.group === "limited-hardware" && /GFP_DMA|SLAB_CACHE_DMA|^__get_dma/.test(use.flag);
  const isNeeded = use.verdict.startsWith("legitimate");
  if (!stays || !isNeeded || !isRequest(use) || !use.textual || use.isBuilt === false) return false;
  return (
    architecture === null || use.architectures === null || use.architectures.includes(architecture)
  );
}

function bitsOf({ category, why }: Use, zone: "DMA" | "DMA32"): number {
  if (category === "s390-31bit") return ZONE_BITS.s390;
  const said = /device of (\d+) bits/.exec(why)?.[1];
  if (said !== undefined) return Number(said);
  return zone === "DMA32" ? ZONE_BITS.dma32 : ZONE_BITS.x86;
}

/** A power of two below a page, whole pages above. */
function given(bytes: number): number {
  if (bytes > PAGE_BYTES) return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
  return Math.max(SMALLEST_OBJECT, 2 ** Math.ceil(Math.log2(Math.max(1, bytes))));
}
