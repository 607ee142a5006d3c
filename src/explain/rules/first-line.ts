/** A report whose state was not posted: what its first line says, and no verdict. */
import { COSTLY_ORDER } from "../../mm/words.ts";
import type { Claim } from "../finding.ts";
import type { MemoryCase, MemoryRule } from "../memory-case.ts";
import { asksFor } from "../request.ts";
import { list, requestWords } from "../words.ts";

const BOOT =
  /^(?:dma_atomic_pool_init|__dma_atomic_pool_init|atomic_pool_expand|do_one_initcall|kernel_init)/;
const POOL = /atomic_pool/;

export const firstLine: MemoryRule = {
  name: "first-line",
  decides: "no zone lines: the flags alone, and what would settle it",
  linux: "warn_alloc(), mm/page_alloc.c",
  claim: (found) => {
    const { report, request } = found;
    if (report.zones.length > 0) return null;
    if (request === null) return withoutRequest(found);
    const emptyZone = emptyZoneHint(found);
    if (emptyZone !== null) return emptyZone;
    const facts = factsOf(found);
    const words = facts.length === 0 ? "" : ` What its flags say: ${list(facts)}.`;
    return {
      cause: "not-in-report",
      sentence: `${requestWords(found)} was refused; the report has no zone lines, so why is not in it.${words}`,
      confidence: "hint",
      ...(request.order > 0 ? { also: ["fragmentation", "below-watermark"] as const } : {}),
      missing: ["the lines from Mem-Info on: zones, lowmem_reserve[] and free lists"],
    };
  },
};

function withoutRequest({ report }: MemoryCase): Claim {
  return {
    cause: "not-in-report",
    sentence: "A refusal is reported, but neither its request nor the zones are in the log.",
    confidence: "hint",
    evidence: [{ line: report.line, text: report.text }],
    missing: ["order and flags of the request, and the lines from Mem-Info on"],
  };
}

/** GFP_DMA at boot, for a pool: kernels whose low zone got no memory, as crash kernels' often. */
function emptyZoneHint(found: MemoryCase): Claim | null {
  const { report, request } = found;
  const zone = (request?.bits ?? 0) & 0x05;
  if (zone === 0 || !report.frames.some((frame) => BOOT.test(frame))) return null;
  if (!report.frames.some((frame) => POOL.test(frame))) return null;
  const name = zone === 1 ? "DMA" : "DMA32";
  return {
    cause: "zone-missing",
    sentence: `${requestWords(found)} was refused while boot set up the atomic pool of zone ${name}: most often that zone has no memory (a crash kernel whose reservation lies above it).`,
    confidence: "hint",
    evidence: [{ line: report.gfp?.line ?? report.line, text: report.text }],
    advice: [
      {
        change: `reserve the crash kernel's low part inside zone ${name} (crashkernel=…,low or a lower offset)`,
        why: "the pool can only be had from that zone",
        basis: "reasoned",
      },
    ],
    missing: ["the zone lines, or “Zone ranges” of this boot: whether the zone has memory"],
  };
}

function factsOf({ request, era, report }: MemoryCase): string[] {
  if (request === null) return [];
  const facts: string[] = [];
  if (request.order > COSTLY_ORDER) facts.push("above order 3 the kernel gives up early");
  if (!request.mayWait) facts.push("the request may not wait for reclaim");
  if (request.interrupt) facts.push("it came from an interrupt");
  if (request.memalloc) facts.push("it may ignore all marks, because the task frees memory");
  if (asksFor(request, era, "__GFP_NOMEMALLOC")) facts.push("it may not use the reserves");
  if ((request.bits & 0x05) !== 0 && report.kind !== "oom") {
    facts.push("a request for a DMA zone never calls the OOM killer");
  }
  return facts;
}
