/**
 * What would have been served: each piece of computed advice is a change that the engine was asked
 * about on the reported state. What acts over time is reasoned and names no amount.
 */
import { ALLOC_CMA } from "../mm/gfp-alloc.ts";
import { Z_RESERVE } from "../mm/words.ts";
import { asked } from "./check-row.ts";
import type { Advice } from "./finding.ts";
import { type Judged, judge } from "./judge.ts";
import { type MemoryCase, zoneLabel } from "./memory-case.ts";
import { blockWords, pages } from "./words.ts";

/** The largest order below the request's that some zone would give. */
export function smallerOrder(found: MemoryCase): Advice[] {
  const { request, judgement, era } = found;
  if (request === null || judgement === null || found.brief) return [];
  for (let order = request.order - 1; order >= 0; order--) {
    const zone = found.asked.find(
      ({ row }) => asked(row, judgement.column, order, request.allocFlags, era, false) === true,
    );
    if (zone === undefined) continue;
    return [
      {
        change: `ask for ${blockWords(order, judgement.pageKib)} at most, or for single pages (vmalloc, scatter-gather)`,
        why: `in the printed state ${zoneLabel(found, zone)} gives order ${order} and none gives order ${order + 1}`,
        basis: "computed",
      },
    ];
  }
  return [];
}

const ZONE_BITS = 0x07;

/** The same request without a zone of its own. */
export function withoutZone(found: MemoryCase): Advice[] {
  const { report, request, era } = found;
  if (request === null || (request.bits & 0x05) === 0 || found.brief) return [];
  const free = { ...request, bits: request.bits & ~ZONE_BITS };
  const other = judge(report, free, era);
  const zone = other.zones.find(({ answer, serves }) => answer.eligible && serves === true);
  if (zone === undefined) return [];
  const { usable, needs, name } = zone.answer;
  const margin = usable === null || needs === null ? "" : ` by ${pages(usable - needs)}`;
  return [
    {
      change: `ask without ${(request.bits & 1) === 1 ? "GFP_DMA" : "GFP_DMA32"}, if the device's mask allows it (for buffers: dma_alloc_coherent with the right mask)`,
      why: `in the printed state ${name} would serve it${margin}`,
      basis: "computed",
    },
  ];
}

/** The same request, movable. */
export function movable(found: MemoryCase, zone: Judged): Advice[] {
  const { request, judgement, era } = found;
  if (request === null || judgement === null || found.brief) return [];
  const flags = request.allocFlags | ALLOC_CMA;
  if (asked(zone.row, judgement.column, request.order, flags, era, false) !== true) return [];
  return [
    {
      change: "make cma= smaller by what devices do not need",
      why: `were its CMA pages ordinary ones, ${zoneLabel(found, zone)} would serve the request in the printed state`,
      basis: "computed",
    },
  ];
}

/** The default ratio towards a zone above, by the zone that holds back. Linux: sysctl_lowmem_reserve_ratio */
const RATIO: Readonly<Record<string, number>> = { DMA: 256, DMA32: 256, Normal: 32, HighMem: 0 };

/** A lowmem_reserve_ratio that lets the zone give: tried on the row. */
export function smallerReserve(found: MemoryCase, zone: Judged): Advice[] {
  const { request, judgement, era } = found;
  const { mark, usable, reserve } = zone.answer;
  if (request === null || judgement === null || found.brief) return [];
  if (mark === null || usable === null || reserve === null || usable <= mark) return [];
  const ratio = RATIO[zone.answer.name] ?? 0;
  const { column } = judgement;
  const above = judgement.zones
    .filter(({ row, index }) => row.zone.node === zone.answer.node && index > zone.index)
    .filter(({ index }) => index <= column)
    .reduce((sum, { row }) => sum + (row.managed ?? 0), 0);
  // Only where the printed reserve is the default ratio's can another ratio be computed.
  if (ratio === 0 || Math.abs(Math.floor(above / ratio) - reserve) > 1) return [];
  const wanted = Math.floor(above / (usable - mark)) + 1;
  const passes = asked(zone.row, column, request.order, request.allocFlags, era, false, (words) => {
    words[Z_RESERVE + column] = Math.floor(above / wanted);
  });
  if (passes !== true) return [];
  return [
    {
      change: `vm.lowmem_reserve_ratio of ${zone.answer.name} at ${wanted} or more (default ${ratio})`,
      why: `its reserve falls from ${pages(reserve)} to ${Math.floor(above / wanted)} or less, and the zone serves this request; it then lacks these pages for requests that can use no other zone`,
      basis: "computed",
    },
  ];
}

/** For requests that may not wait: earlier reclaim. */
export function earlierReclaim(found: MemoryCase): Advice[] {
  const { request, top } = found;
  if (request === null || top === null) return [];
  const { short, name } = top.answer;
  const lack = short === null ? "" : `; ${name} is ${pages(short)} short here`;
  if (request.mayWait) {
    return [
      {
        change: "less memory in use, or more of it: find what holds it",
        why: `the request could wait and reclaim had its turn before it was refused${lack}`,
        basis: "reasoned",
      },
    ];
  }
  return [
    {
      change: "raise vm.min_free_kbytes or vm.watermark_scale_factor",
      why: `kswapd then begins earlier and leaves more for requests that may not wait${lack}. How much is enough depends on the bursts, which no report shows: watch allocstall and the free pages under load`,
      basis: "reasoned",
    },
  ];
}
