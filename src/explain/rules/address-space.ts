/** Addresses are missing, not pages. */
import { formatBytes } from "../../base/units.ts";
import type { MessageRule } from "../message-case.ts";

export const addressSpace: MessageRule = {
  name: "address-space",
  kind: "address-space",
  decides: "vmalloc's range has no gap of the size; or crashkernel= found no range",
  linux: "alloc_vmap_area(), mm/vmalloc.c; reserve_crashkernel(), kernel/crash_reserve.c",
  claim: ({ message }) => {
    if (message.kind === "crashkernel-not-reserved") {
      return {
        cause: "pool-not-reserved",
        sentence:
          "The crash kernel's memory was not reserved: no free range of its size where it must lie.",
        confidence: "hint",
        advice: [
          {
            change: "crashkernel=…,high with a small …,low, or a smaller size",
            why: "without high it must lie low, in one piece",
            basis: "reasoned",
          },
        ],
        missing: ["the memory map and the command line"],
      };
    }
    if (message.kind !== "vmap-exhausted") return null;
    const size = message.size === null ? "" : ` for ${formatBytes(message.size)}`;
    return {
      cause: "address-space-full",
      sentence: `vmalloc's range of addresses has no gap${size}: addresses are missing, not pages.`,
      confidence: "proven",
      advice: [
        {
          change: "vmalloc=<larger> on a 32-bit machine (it takes lowmem away), or a 64-bit kernel",
          why: "32-bit kernels share 1 GiB between lowmem and vmalloc",
          basis: "reasoned",
        },
      ],
      noHelp: [{ change: "more free memory", why: "no page was asked for yet" }],
    };
  },
};
