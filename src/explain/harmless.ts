/**
 * Requests that somebody makes in the hope of better memory, with another way when they fail.
 *
 * Linux: vmap_pages_range(), mm/vmalloc.c; vmemmap_alloc_block(), mm/sparse-vmemmap.c;
 * refill_objects(), mm/slub.c; __page_frag_cache_refill(), mm/page_frag_cache.c
 */
import { COSTLY_ORDER } from "../mm/words.ts";
import type { MemoryCase } from "./memory-case.ts";
import { asksFor } from "./request.ts";

/** Why the failure may harm nobody; null where nothing says so. */
export function harmlessOf({ report, request, era }: MemoryCase): string | null {
  if (request === null || report.kind !== "page-allocation-failure") return null;
  const { frames } = report;
  if (report.opening === "vmalloc" && request.order > 0) {
    return "vmalloc tries huge pages first and falls back to single ones";
  }
  if (report.opening === "vmemmap" && request.order > 0) {
    return "the memory map falls back to single pages";
  }
  const slab = frames.some((frame) =>
    /^(?:allocate_slab|new_slab|refill_objects|cache_grow)/.test(frame),
  );
  if (slab && asksFor(request, era, "__GFP_NOMEMALLOC")) {
    return "slab's first try does without the reserves (__GFP_NOMEMALLOC) and is followed by another";
  }
  if (slab && request.order > 0 && asksFor(request, era, "__GFP_NORETRY")) {
    return "slab falls back to smaller blocks";
  }
  if (request.order > 0 && frames.some((frame) => /page_frag|skb_page_frag/.test(frame))) {
    return "the network's fragments fall back to single pages";
  }
  if (request.order > 0 && asksFor(request, era, "__GFP_NORETRY")) {
    return "the caller asked not to try hard (__GFP_NORETRY), which callers with another way do";
  }
  if (request.order > COSTLY_ORDER && asksFor(request, era, "__GFP_RETRY_MAYFAIL")) {
    return "the caller expects that it may fail (__GFP_RETRY_MAYFAIL)";
  }
  return null;
}
