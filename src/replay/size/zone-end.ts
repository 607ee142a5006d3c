/**
 * The lowest address at which ZONE_DMA or ZONE_DMA32 may end: who asks for the
 * zone gets memory from it, also what the recorded machine refused, and nobody
 * goes without whom the recorded machine served.
 */
import { formatBytes, formatCount } from "../../base/units.ts";
import type { ListSnapshot, MachineFacts } from "../snapshot.ts";
import type { PageEvidence, ZoneDemand } from "./page-evidence.ts";
import type { PageQuestion } from "./page-search.ts";
import type { SizeValue } from "./result.ts";

export type ZoneEndName = "dma" | "dma32";

const PAGE_BYTES = 4096;
/** Zones end at a whole block: see change-zones.ts. */
const STEP_PAGES = 1024;
const MIB = 2 ** 20;

/** The question, or why there is none; where nobody asks for the zone it is one only if the user named it. */
export function zoneEndQuestion(
  name: ZoneEndName,
  { from, facts }: { readonly from: ListSnapshot; readonly facts: MachineFacts },
  evidence: PageEvidence,
  margin: number | null,
  isNamed: boolean,
): PageQuestion | string {
  const zone = name.toUpperCase();
  const index = facts.zones.find((own) => own.name === zone)?.index ?? -1;
  if (index < 0) return `this kernel has no zone ${zone}`;
  if (!facts.zones.some((own) => own.index === index + 1)) return `no zone lies above ${zone}`;
  const demand = evidence.demandOf(index);
  if (!isNamed && demand.served + demand.refused === 0) {
    return `no request of the recording asks for zone ${zone}`;
  }
  const own = from.zones.filter((one) => one.index === index && one.spanned > 0);
  const end = Math.max(0, ...own.map(({ startPfn, spanned }) => startPfn + spanned));
  const start = own.length === 0 ? 0 : Math.min(...own.map(({ startPfn }) => startPfn));
  const last = Math.max(...from.zones.map(({ startPfn, spanned }) => startPfn + spanned));
  return {
    asked: {
      name,
      unit: "bytes",
      where: "replay --set",
      criterion: `who asks for zone ${zone} gets memory, also who was refused in the recording, and nobody else who must not wait goes without; others may have to reclaim`,
    },
    ladder: {
      amounts: ends(start, end, demand.refused > 0 ? last : end),
      show: (pfn) => endValue(name, pfn),
    },
    recorded: end,
    changeOf: (pfn) => ({ set: [endValue(name, pfn).set] }),
    isOwn: (gfp) => evidence.zoneOf(gfp) === index,
    carries: ({ broken, lostOwn, lostAtOnce, stillOwn }) =>
      broken === null && lostOwn === 0 && lostAtOnce === 0 && stillOwn === 0,
    still: ({ stillOwn }) => stillOwn,
    carriesAll: ({ broken, lost, stillOwn }) => broken === null && lost === 0 && stillOwn === 0,
    peak: demand.peak,
    notes: [demandWords(zone, demand), ...NOTES],
    zero:
      demand.served + demand.refused === 0
        ? `no request asks for zone ${zone}`
        : `who asks for zone ${zone} is served from lower zones as well`,
    margin,
  };
}

/**
 * Every block up to the recorded end, from the zone's start on; beyond it powers of two below `last`: more is
 * taken from others, so that is asked only where the recorded zone refused somebody.
 */
function ends(start: number, end: number, last: number): number[] {
  const below: number[] = [0];
  for (let pfn = Math.ceil((start + 1) / STEP_PAGES) * STEP_PAGES; pfn < end; pfn += STEP_PAGES) {
    below.push(pfn);
  }
  if (end > 0) below.push(end);
  const above: number[] = [];
  for (let pfn = 2 ** Math.ceil(Math.log2(Math.max(end, STEP_PAGES) + 1)); pfn < last; pfn *= 2) {
    above.push(pfn);
  }
  return [...below, ...above];
}

function endValue(name: ZoneEndName, pfn: number): SizeValue {
  const bytes = pfn * PAGE_BYTES;
  const text = bytes % MIB === 0 ? `${bytes / MIB}M` : `${bytes / 1024}K`;
  return { value: bytes, bytes, set: `${name}=${pfn === 0 ? "0" : text}` };
}

export function demandWords(zone: string, { served, refused, peak }: ZoneDemand): string {
  const gone = refused === 0 ? "" : `, ${formatCount(refused)} of them refused`;
  const most = peak === null ? "" : `, at most ${formatBytes(peak.amount)} held at once`;
  const all = served + refused;
  if (all === 0) return `no request of the recording asks for zone ${zone}`;
  return `${formatCount(all)} ${all === 1 ? "request asks" : "requests ask"} for zone ${zone}${gone}${most}`;
}

const NOTES = [
  "pages in use when the recording begins stay where they are: what took them asked the recorded machine",
  "where a zone ends is the architecture's; 0 is a kernel without the zone (CONFIG_ZONE_DMA=n)",
  "reclaim is the recording's: what it freed is freed, and no page more",
];
