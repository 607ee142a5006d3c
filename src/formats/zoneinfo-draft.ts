/**
 * A zone of /proc/zoneinfo while its lines come in, and the record made of it.
 *
 * A zone is whole when it has its sizes and either every line of the tail that
 * zones of this file have, or no pages and its protection.
 */
import { CUT_MEND, type LineLog } from "./table.ts";
import type { ZoneinfoPageset, ZoneinfoZone } from "./zoneinfo.ts";

/** Without these a zone is of no use. */
const REQUIRED: readonly string[] = ["min", "low", "high", "spanned", "present"];

export interface PagesetDraft {
  readonly cpu: number;
  readonly pcp: number | null;
  readonly fields: Map<string, number>;
  readonly numa: Map<string, number>;
  threshold: number | null;
}

/** What has been read of a zone; null for lines that have not come yet. */
export class ZoneDraft {
  readonly node: number;
  readonly name: string;
  readonly line: number;
  lastLine: number;
  free: number | null = null;
  nodeStats = false;
  protection: number[] | null = null;
  hasPagesets = false;
  readonly sizes: Map<string, number> = new Map();
  readonly scannedBy: Map<string, number> = new Map();
  readonly nodeCounters: Map<string, number> = new Map();
  readonly counters: Map<string, number> = new Map();
  readonly pagesets: PagesetDraft[] = [];
  readonly tail: Map<string, number> = new Map();

  constructor(node: number, name: string, line: number) {
    this.node = node;
    this.name = name;
    this.line = line;
    this.lastLine = line;
  }

  /**
   * What a whole zone would have and this one lacks, or null. `sizes` and `tail`
   * name what the zones before it had: within a file all zones are alike.
   */
  lacks(sizes: readonly string[], tail: readonly string[]): string | null {
    if (this.free === null) return "pages free";
    const size = [...REQUIRED, ...sizes].find((name) => !this.sizes.has(name));
    if (size !== undefined) return size;
    if (this.tail.size > 0) {
      return ["start_pfn", ...tail].find((label) => !this.tail.has(label)) ?? null;
    }
    const empty = this.sizes.get("present") === 0 && !this.hasPagesets && this.counters.size === 0;
    if (!empty) return "start_pfn";
    return this.protection === null ? "protection" : null;
  }
}

/** The record of a draft that lacks nothing. */
export function zoneOf(draft: ZoneDraft, log: LineLog): ZoneinfoZone {
  const { sizes, tail } = draft;
  const other = new Map(sizes);
  const size = (name: string): number | null => {
    other.delete(name);
    return sizes.get(name) ?? null;
  };
  const zone: ZoneinfoZone = {
    node: draft.node,
    name: draft.name,
    line: draft.line,
    free: draft.free ?? 0,
    boost: size("boost"),
    min: size("min") ?? 0,
    low: size("low") ?? 0,
    high: size("high") ?? 0,
    promo: size("promo"),
    spanned: size("spanned") ?? 0,
    present: size("present") ?? 0,
    managed: size("managed"),
    cma: size("cma"),
    protection: draft.protection ?? [],
    counters: draft.counters,
    pagesets: draft.pagesets.flatMap((pageset) => pagesetOf(pageset, draft, log)),
    startPfn: tail.get("start_pfn") ?? null,
  };
  tail.delete("start_pfn");
  return {
    ...zone,
    ...(other.size > 0 ? { otherSizes: other } : {}),
    ...(draft.scannedBy.size > 0 ? { scannedBy: draft.scannedBy } : {}),
    ...(tail.size > 0 ? { tail } : {}),
  };
}

function pagesetOf(draft: PagesetDraft, zone: ZoneDraft, log: LineLog): ZoneinfoPageset[] {
  const { fields, numa, pcp, threshold } = draft;
  const count = fields.get("count");
  const high = fields.get("high");
  const batch = fields.get("batch");
  if (count === undefined || high === undefined || batch === undefined) {
    const message = `left out the pageset of CPU ${draft.cpu} in ${zone.name}: a line is missing`;
    log.report("warning", message, CUT_MEND, zone.lastLine);
    return [];
  }
  const low = fields.get("low");
  return [
    {
      cpu: draft.cpu,
      count,
      high,
      batch,
      highMin: fields.get("high_min") ?? null,
      highMax: fields.get("high_max") ?? null,
      ...(pcp === null ? {} : { pcp }),
      ...(low === undefined ? {} : { low }),
      ...(numa.size > 0 ? { numa } : {}),
      ...(threshold === null ? {} : { statThreshold: threshold }),
    },
  ];
}
