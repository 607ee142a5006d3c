/** There is no pool. */
import { deviceWords, type MessageRule } from "../message-case.ts";

export const swiotlbAbsent: MessageRule = {
  name: "swiotlb-absent",
  kind: "swiotlb",
  decides: "total 0 (slots): no bounce buffer was set up, so nothing is full",
  linux: "swiotlb_tbl_map_single(), kernel/dma/swiotlb.c",
  claim: (found) => {
    const { message } = found;
    if (message.kind !== "swiotlb-full" || message.total !== 0) return null;
    return {
      cause: "pool-absent",
      sentence: `${deviceWords(found)} needs a bounce buffer for ${message.size} bytes, and there is none (total 0): the pool is not full, it does not exist.`,
      confidence: "proven",
      advice: [
        {
          change: "take iommu=pt, iommu=off or swiotlb=noforce away, or boot with swiotlb=force",
          why: "these decide whether a pool is set up; the device's mask does not reach the buffer, or the driver has no DMA setup of its own",
          basis: "reasoned",
        },
      ],
      noHelp: [
        { change: "swiotlb=<larger>", why: "the size is not what is wrong: 0 slots were set up" },
      ],
      missing: [
        "why there is no pool: the kernel's command line, and “software IO TLB” among the first lines of boot",
      ],
    };
  },
};
