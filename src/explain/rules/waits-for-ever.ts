/** A caller that does not fail: it asks again until it is served. */
import type { MessageRule } from "../message-case.ts";

const PAGE_BYTES = 4096;

export const waitsForEver: MessageRule = {
  name: "waits-for-ever",
  kind: "allocation-stall",
  decides:
    "XFS and others print that they keep asking; the size gives the order, the state is not printed",
  linux: "kmem_alloc(), fs/xfs/kmem.c up to 5.17",
  claim: ({ message }) => {
    if (message.kind !== "allocation-deadlock") return null;
    const { size } = message;
    const order = size === null ? null : Math.ceil(Math.log2(Math.max(1, size / PAGE_BYTES)));
    const what =
      size === null ? "memory" : `${size} bytes in one piece (order ${order} with pages of 4 KiB)`;
    return {
      cause: "not-in-report",
      sentence: `${message.comm ?? "A task"} keeps asking for ${what}; it will wait for ever rather than fail.`,
      confidence: "hint",
      also: order !== null && order > 0 ? ["fragmentation"] : ["below-watermark"],
      advice: [
        {
          change: "compare /proc/buddyinfo at this moment: blocks of that order and above",
          why: "a size above a page needs a block, and free memory in pieces does not help",
          basis: "reasoned",
        },
      ],
      missing: ["the zones' state: this message has none"],
    };
  },
};
