/** What DMA-API debugging found, as a class of mistakes. */
import type { DmaApiMistake } from "../../formats/index.ts";
import type { Cause } from "../finding.ts";
import type { MessageCase, MessageRule } from "../message-case.ts";

interface Class {
  readonly cause: Cause;
  readonly words: string;
  readonly look: string;
}

const CLASSES: Readonly<Record<DmaApiMistake, Class>> = {
  "free-not-allocated": {
    cause: "double-or-foreign-free",
    words: "unmaps or frees what is not mapped: twice, with another address, or for another device",
    look: "the address, length and device given to unmap against those of the map",
  },
  "sync-not-allocated": {
    cause: "api-mismatch",
    words: "syncs what is not mapped: another address or size, or memory that is coherent anyway",
    look: "the address and size given to dma_sync_* against those of the map",
  },
  "different-size": {
    cause: "size-mismatch",
    words: "unmaps another length than it mapped",
    look: "which of the two lengths is right: a received length is not a buffer's",
  },
  "wrong-function": {
    cause: "api-mismatch",
    words: "unmaps with another function than it mapped with (single, page, scatterlist, coherent)",
    look: "the pair of functions",
  },
  "different-address": {
    cause: "api-mismatch",
    words: "frees coherent memory by another CPU address",
    look: "the pair of addresses that dma_alloc_coherent gave",
  },
  "different-count": {
    cause: "api-mismatch",
    words: "unmaps or syncs another number of scatterlist entries than it mapped",
    look: "nents: unmap takes what was given to map, not what map returned",
  },
  "different-direction": {
    cause: "wrong-direction",
    words: "uses another direction than it mapped with",
    look: "DMA_TO_DEVICE and DMA_FROM_DEVICE of the pair",
  },
  "pending-at-release": {
    cause: "leak",
    words: "was released with mappings outstanding",
    look: "the entry printed: what it is of, and the path that does not unmap",
  },
  "error-not-checked": {
    cause: "unchecked-error",
    words: "did not check dma_mapping_error() after mapping",
    look: "the map call of that size",
  },
  stack: {
    cause: "unmappable-memory",
    words: "maps memory of the stack",
    look: "buffers in structures or variables of the caller: they belong on the heap",
  },
  "kernel-text": {
    cause: "unmappable-memory",
    words: "maps the kernel's own text or read-only data",
    look: "constant buffers; where len is that of a merged range, this may be a false alarm",
  },
  "invalid-area": {
    cause: "unmappable-memory",
    words: "maps memory outside the direct map (vmalloc, invalid)",
    look: "buffers from vmalloc or modules: use vmalloc_to_page or the heap",
  },
  segment: {
    cause: "size-mismatch",
    words: "maps a segment that is longer, or crosses a boundary, than the device says it takes",
    look: "dma_set_max_seg_size() and the boundary mask of the driver",
  },
  "sync-range": {
    cause: "size-mismatch",
    words: "syncs beyond the end of the mapping",
    look: "offset and size of the sync",
  },
  overlap: {
    cause: "overlap",
    words: "maps a cache line that is mapped already, and a device writes to it",
    look: "a missing unmap, or two buffers within one cache line; on coherent machines it may be a false alarm",
  },
  "overlap-count": {
    cause: "leak",
    words: "maps the same cache line again and again",
    look: "a missing unmap in a loop",
  },
  "tracker-off": {
    cause: "tracker-off",
    words: "no memory was left for the tracker, which is off from here on; no driver is at fault",
    look: "dma_debug_entries=",
  },
  other: {
    cause: "not-in-report",
    words: "did something that DMA-API debugging does not like, in words that are not known here",
    look: "the line itself",
  },
};

export const dmaApi: MessageRule = {
  name: "dma-api",
  kind: "dma-api",
  decides:
    "the sentence names the class of the mistake; the reason behind it only where two sentences meet",
  linux: "check_unmap(), check_sync(), add_dma_entry(), kernel/dma/debug.c",
  claim: (found) => {
    const { message } = found;
    if (message.kind !== "dma-api") return null;
    const { cause, words, look } = CLASSES[message.mistake];
    const harmless = message.mistake === "tracker-off" ? "only debugging is off" : undefined;
    return {
      cause,
      sentence: `${message.device === null ? "A driver" : `The driver of ${message.device}`} ${words}${factWords(found)}.`,
      confidence: message.mistake === "other" ? "hint" : "consistent",
      ...(harmless === undefined ? {} : { harmless }),
      advice: [
        {
          change: `look at ${look}`,
          why:
            message.device === null
              ? "the device itself is missing in the call (NULL), which is a mistake too"
              : "the sentence proves the class, not the place",
          basis: "reasoned",
        },
      ],
      missing: ["who mapped it: dma_debug_driver=, and the stack behind this line"],
    };
  },
};

/** " (size 64 bytes)": the facts that decide, as printed. */
function factWords({ message }: MessageCase): string {
  if (message.kind !== "dma-api") return "";
  const facts = ["map size", "unmap size", "size", "mapped", "unmapped", "count", "len"].flatMap(
    (name) => {
      const value = message.facts.get(name);
      return value === undefined ? [] : [`${name} ${value}`];
    },
  );
  return facts.length === 0 ? "" : ` (${facts.join(", ")})`;
}
