/**
 * The sentences of the DMA API's debugging, by their fixed words.
 *
 * Linux: kernel/dma/debug.c (lib/dma-debug.c up to 4.18)
 */
import type { DmaApiMistake } from "./failure-message.ts";
import { deviceOf, type Sentence } from "./failure-sentences.ts";

/** Words that tell the mistakes apart; the first that fits. */
const MISTAKES: readonly (readonly [string, DmaApiMistake])[] = [
  ["tries to free DMA memory it has not allocated", "free-not-allocated"],
  ["tries to free an invalid DMA memory address", "free-not-allocated"],
  ["tries to sync DMA memory it has not allocated", "sync-not-allocated"],
  ["with different size", "different-size"],
  ["with wrong function", "wrong-function"],
  ["with different CPU address", "different-address"],
  ["with different entry count", "different-count"],
  ["syncs DMA sg list with different", "different-count"],
  ["with different direction", "different-direction"],
  ["has pending DMA allocations", "pending-at-release"],
  ["failed to check map error", "error-not-checked"],
  ["maps memory from stack", "stack"],
  ["maps memory from kernel text or rodata", "kernel-text"],
  ["maps memory from invalid area", "invalid-area"],
  ["maps memory from vmalloc area", "invalid-area"],
  ["mapping sg segment longer than device claims", "segment"],
  ["mapping sg segment across boundary", "segment"],
  ["syncs DMA memory outside allocated range", "sync-range"],
  ["syncs device read-only DMA memory for cpu", "different-direction"],
  ["syncs device write-only DMA memory to device", "different-direction"],
  ["cacheline tracking EEXIST", "overlap"],
  ["overlapping mappings of cacheline", "overlap-count"],
  ["cacheline tracking ENOMEM", "tracker-off"],
  ["device driver", "other"],
];

const BRACKETS = /\[((?:[a-z]+ ){0,3}?[a-z]+)(?:=| as )([^\]=]{1,60})\]/g;

/** "device driver tries" is broken by mail clients: one blank between words is enough. */
function mistakeIn(text: string): DmaApiMistake | null {
  return MISTAKES.find(([words]) => text.includes(words))?.[1] ?? null;
}

function factsIn(text: string): ReadonlyMap<string, string> {
  const facts = new Map<string, string>();
  for (const [, name = "", value = ""] of text.matchAll(BRACKETS)) {
    if (!facts.has(name)) facts.set(name, value);
  }
  return facts;
}

export const DMA_API_SENTENCES: readonly Sentence[] = [
  {
    words: "DMA-API:",
    pattern: /(.{0,200}?):? ?DMA-API: (.*)/,
    read: ([, before, rest = ""]) => {
      const mistake = mistakeIn(rest);
      if (mistake === null) return null;
      // Up to 4.20 the device stands before the prefix, since 5.0 behind it.
      const behind = /^(.*?): (?:device driver|cacheline|exceeded|mapping|mapped)/.exec(rest)?.[1];
      const device = deviceOf(behind) ?? deviceOf(before);
      return { kind: "dma-api", device, mistake, facts: factsIn(rest) };
    },
  },
];
