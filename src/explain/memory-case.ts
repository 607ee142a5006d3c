/** What the rules of memory reports look at: the report, and what the engine says of its zones. */
import type { MemoryReport, Reading } from "../formats/index.ts";
import { eraOf, type ReportEra } from "./era.ts";
import type { Claim, Evidence } from "./finding.ts";
import { type Judged, type Judgement, judge } from "./judge.ts";
import { type Request, requestOf } from "./request.ts";

export interface MemoryCase {
  readonly report: MemoryReport;
  readonly era: ReportEra;
  readonly request: Request | null;
  /** null without a request or without zones. */
  readonly judgement: Judgement | null;
  /** Zones that the request may use, in the order in which they are asked. */
  readonly asked: readonly Judged[];
  /** The zone that decides: the highest with memory worth the name; null without any. */
  readonly top: Judged | null;
  /** Only the cause is wanted: of a report like others, nobody reads evidence and advice. */
  readonly brief: boolean;
}

/** One idea of why memory was refused; the first of the list that has something to say is believed. */
export interface MemoryRule {
  readonly name: string;
  /** What is decided, for docs/explain.md. */
  readonly decides: string;
  /** Kernel source of the rule. */
  readonly linux: string;
  readonly claim: (found: MemoryCase) => Claim | null;
}

/** A zone with less than this share of what the request may use does not decide. */
const TINY_SHARE = 16;

export function memoryCase(report: MemoryReport, brief = false): MemoryCase {
  const era = eraOf(report);
  const request = requestOf(report, era);
  const judged = request !== null && report.zones.length > 0;
  const judgement = judged ? judge(report, request, era) : null;
  const asked = (judgement?.zones ?? []).filter(({ answer }) => answer.eligible);
  const all = asked.reduce((sum, { row }) => sum + (row.managed ?? 0), 0);
  const sizable = asked.filter(({ row }) => (row.managed ?? all) * TINY_SHARE >= all);
  const byHeight = [...(sizable.length > 0 ? sizable : asked)].sort((a, b) => b.index - a.index);
  const highest = byHeight.filter(({ index }) => index === byHeight[0]?.index);
  // Of nodes alike, the one that has least to spare explains nothing more than the one that has most.
  const top = highest.reduce<Judged | null>(
    (best, zone) => (best === null || spare(zone) > spare(best) ? zone : best),
    null,
  );
  return { report, era, request, judgement, asked, top, brief };
}

function spare({ answer }: Judged): number {
  return (answer.usable ?? 0) - (answer.needs ?? 0);
}

/** "Node 1 DMA32", or "DMA32" on machines of one node. */
export function zoneLabel({ report }: MemoryCase, { answer }: Judged): string {
  const nodes = new Set(report.zones.map(({ node }) => node)).size;
  return nodes > 1 ? `Node ${answer.node} ${answer.name}` : answer.name;
}

const SHOWN = ["free", "boost", "min", "low", "high", "reserved_highatomic", "managed", "free_cma"];

/** The rows that the comparison was read from, as printed. */
export function rowEvidence(found: MemoryCase, zones: readonly Judged[]): Evidence[] {
  if (found.brief) return [];
  return zones.flatMap((judged) => {
    const { zone } = judged.row;
    const fields = SHOWN.flatMap((name) => {
      const reading = zone.fields.get(name);
      return reading === undefined ? [] : [`${name}:${reading.value}kB`];
    });
    const label = zoneLabel(found, judged);
    const rows: Evidence[] = [{ line: zone.line, text: `${label} ${fields.join(" ")}` }];
    const first: Reading | undefined = zone.protection?.[0];
    if (first !== undefined && (judged.row.reserve ?? 0) > 0) {
      const row = zone.protection?.map(({ value }) => value).join(" ");
      rows.push({ line: first.line, text: `lowmem_reserve[]: ${row}` });
    }
    return rows;
  });
}

/** The line of a zone's free list, as printed. */
export function listEvidence(found: MemoryCase, zones: readonly Judged[], from = 0): Evidence[] {
  if (found.brief) return [];
  const kib = found.judgement?.pageKib ?? 4;
  return zones.flatMap((judged) => {
    const list = judged.row.zone.freeList;
    if (list === null) return [];
    const blocks = list.blocks
      .filter(({ order }) => order >= from)
      .map(({ order, count, types }) => {
        const letters = types === null || count === 0 ? "" : ` (${types})`;
        return `${count}*${kib * 2 ** order}kB${letters}`;
      });
    return [{ line: list.line, text: `${zoneLabel(found, judged)}: … ${blocks.join(" ")}` }];
  });
}
