/**
 * Page tables of the recording's domains, kept by the engine beside it: how many
 * pages each mapping needs for tables that were not there yet.
 *
 * What was mapped where is the recording's, so a wrong address of ours spoils
 * nothing here.
 */
import {
  createPageTable,
  freeTables,
  mapRange,
  type PageTable,
  PTE_FORMATS,
  tableCount,
  unmapRange,
  walk,
} from "../../dma/iommu/index.ts";
import { bootMemory } from "../../mm/boot-memory.ts";
import type { AllocCall, IovaCall } from "./calls.ts";
import type { TableFacts } from "./facts.ts";

/** Pages for tables of one domain, at most. */
const MOST = 1 << 12;

export interface TableScore {
  /** Requests, and those whose count of pages is ours. */
  readonly recorded: number;
  readonly equal: number;
  /** Pages in all, as recorded. */
  readonly pages: number;
}

/** Requests whose pages for tables were counted, and how many counts are ours; null where tables are not known. */
export function scoreTables(
  calls: readonly IovaCall[],
  facts: TableFacts | null,
): TableScore | null {
  if (facts === null) return null;
  const tables = new Map<string, PageTable>();
  let recorded = 0;
  let equal = 0;
  let pages = 0;
  for (const call of calls) {
    if (call.kind === "free") continue;
    if (call.domain === null) continue;
    const own = tables.get(call.domain) ?? createTable(tables.size, facts);
    if (own === null) return null;
    tables.set(call.domain, own);
    if (call.kind === "unmap") {
      freeTables(own, unmapRange(own, call.pfn, call.pages));
      continue;
    }
    if (call.maps.length === 0) continue;
    recorded++;
    pages += call.tables;
    if (added(own, call) === call.tables) equal++;
  }
  return { recorded, equal, pages };
}

function createTable(number: number, facts: TableFacts): PageTable | null {
  const zones = [{ name: "Normal", startPfn: 0, pages: MOST * 2 }];
  return createPageTable({
    name: `${number}`,
    memory: bootMemory({ era: "6.1", zones }),
    format: PTE_FORMATS.intel,
    ...facts,
    gfp: 0,
    maxTables: MOST,
  });
}

/** Pages that mapping what the call mapped takes for tables. */
function added(table: PageTable, { maps }: AllocCall): number {
  const before = tableCount(table);
  for (const { pfn, physical, pages } of maps) {
    // An unmap that was not recorded.
    if (walk(table, pfn) !== null) freeTables(table, unmapRange(table, pfn, pages));
    mapRange(table, pfn, physical / 4096, pages, 3, () => undefined);
  }
  return tableCount(table) - before;
}
