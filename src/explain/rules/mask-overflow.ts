/** The device cannot reach the address. */
import type { Claim } from "../finding.ts";
import { deviceWords, type MessageCase, type MessageRule } from "../message-case.ts";

export const maskOverflow: MessageRule = {
  name: "mask-overflow",
  kind: "dma-mask",
  decides:
    "address + size - 1 is above the smaller of mask and bus limit: computed from the line itself; masks that were refused, from their words",
  linux: "dma_capable(), include/linux/dma-direct.h; dma_direct_map_page(), kernel/dma/direct.h",
  claim: (found) => {
    const { message } = found;
    if (message.kind === "mask-refused") return refused(found);
    if (message.kind !== "dma-overflow") return null;
    const { address, size, mask, limit, of } = message;
    const end = address + BigInt(size) - 1n;
    const lower = limit !== 0n && limit < mask ? limit : mask;
    const by = limit !== 0n && limit < mask ? "the bus limit" : "the mask";
    const sums = `ends at 0x${end.toString(16)}, ${by} is 0x${lower.toString(16)}`;
    if (end <= lower) {
      return {
        cause: "not-in-report",
        sentence: `${deviceWords(found)}: the line says overflow, but ${sums}: the address is inside.`,
        confidence: "hint",
        missing: ["the device's dma-ranges: an offset between bus and memory is not printed"],
      };
    }
    if (of === "bounce-slot") {
      return {
        cause: "bounce-slot-too-high",
        sentence: `${deviceWords(found)} cannot even reach its bounce buffer: the slot ${sums}.`,
        confidence: "proven",
        advice: [
          {
            change:
              "a pool below the device's limit: another place for swiotlb (restricted-dma-pool, arm64's zone limit), or the right dma-ranges",
            why: "the pool lies above what the device can address",
            basis: "reasoned",
          },
        ],
        noHelp: [{ change: "swiotlb=<larger>", why: "it would lie in the same place" }],
      };
    }
    return {
      cause: "mask-too-small",
      sentence: `${deviceWords(found)} cannot reach the buffer: it ${sums}, and it did not bounce.`,
      confidence: "proven",
      advice: [
        {
          change:
            "a wider mask if the hardware has one (dma_set_mask_and_coherent), or an IOMMU or bounce buffer for it",
          why: `the buffer needs ${end.toString(2).length} bits, the device has ${lower.toString(2).length}`,
          basis: "computed",
        },
      ],
      missing: ["why it did not bounce: no pool, or a refusal of the pool on the line before"],
    };
  },
};

const REFUSED = {
  "not-set": "got no DMA mask: the platform does not reach what the driver asked for",
  unset: "has no coherent mask: nobody set one before the first allocation",
  "smaller-than-zone": "has a coherent mask that covers less than the smallest DMA zone",
};

function refused(found: MessageCase): Claim | null {
  const { message } = found;
  if (message.kind !== "mask-refused") return null;
  return {
    cause: "mask-too-small",
    sentence: `${deviceWords(found)} ${REFUSED[message.words]}.`,
    confidence: "hint",
    advice: [
      {
        change: "look at dma_set_mask_and_coherent() in the driver, and at dma-ranges of its bus",
        why: "the mask must cover a zone that has memory, or an IOMMU must",
        basis: "reasoned",
      },
    ],
    missing: ["the mask asked for, and the zones of this machine"],
  };
}
