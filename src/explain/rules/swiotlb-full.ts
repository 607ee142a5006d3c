/** The pool's slots are taken. */
import { guestAdvice, poolWords } from "../confidential.ts";
import { deviceWords, type MessageRule } from "../message-case.ts";
import { SLOT_BYTES } from "../swiotlb-numbers.ts";

/** From here on fill alone makes long free runs rare. */
const NEARLY = 0.9;

export const swiotlbFull: MessageRule = {
  name: "swiotlb-full",
  kind: "swiotlb",
  decides:
    "fewer slots are free than the mapping needs: full; from 90 % on, free slots in pieces explain the rest. A leak is claimed only as possible, and from a rising series",
  linux: "swiotlb_find_slots(), mem_used(), kernel/dma/swiotlb.c",
  claim: (found) => {
    const { message, series } = found;
    if (message.kind !== "swiotlb-full" || message.total === null || message.used === null)
      return null;
    const need = Math.ceil(message.size / SLOT_BYTES);
    const free = message.total - message.used;
    const full = free < need;
    if (!full && message.used < message.total * NEARLY) return null;
    const climbs =
      series.count > 1 && series.rising && (series.lastUsed ?? 0) > (series.firstUsed ?? 0);
    const trend = climbs
      ? ` Use rose from ${series.firstUsed} to ${series.lastUsed} slots over ${series.count} lines.`
      : "";
    const guest = poolWords(found, message.total);
    const sentence = full
      ? `${deviceWords(found)} needs ${need} slots of the bounce buffer, and ${free} of ${message.total} are free: it is full.${trend}${guest}`
      : `${deviceWords(found)} finds no ${need} free slots of the bounce buffer in a row: it is nearly full, ${message.used} of ${message.total} are taken.${trend}${guest}`;
    return {
      cause: full ? "pool-full" : "pool-fragmented",
      sentence,
      confidence: full ? "proven" : "consistent",
      also: full ? ["leak"] : ["pool-full", "leak"],
      advice: [
        {
          change: found.context.encrypted
            ? "a larger swiotlb= if the load is that high"
            : "a larger swiotlb= if the load is that high; an IOMMU or a 64-bit mask, and nothing bounces",
          why: "how many slots are enough is the most that are in use at once under load: /sys/kernel/debug/swiotlb/io_tlb_used_hiwater (6.4) tells",
          basis: "reasoned",
        },
        ...guestAdvice(found),
      ],
      noHelp: [
        {
          change: "a larger swiotlb= against a leak",
          why: "it only takes longer: look whether use falls when the device is idle",
        },
      ],
      missing: [
        "whether slots come back: used at idle, or lines over a longer time, settle load against leak",
      ],
    };
  },
};
