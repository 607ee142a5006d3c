/** What went wrong with the pool at boot, and its old cousins. */
import { formatBytes } from "../../base/units.ts";
import type { FailureMessage } from "../../formats/index.ts";
import type { Claim } from "../finding.ts";
import { deviceWords, type MessageCase, type MessageRule } from "../message-case.ts";

export const swiotlbSetup: MessageRule = {
  name: "swiotlb-setup",
  kind: "swiotlb",
  decides:
    "the pool could not be reserved, was rounded, could not grow (6.6), was used beyond a mapping, or an Intel IOMMU's bounce map failed; GART's aperture is another thing",
  linux:
    "swiotlb_init_remap(), swiotlb_adjust_nareas(), kernel/dma/swiotlb.c; alloc_iommu(), arch/x86/kernel/amd_gart_64.c",
  claim: (found) => CLAIMS[found.message.kind]?.(found) ?? null,
};

type Setup = (found: MessageCase) => Claim;

/** By the kind of the sentence. */
const CLAIMS: Partial<Record<FailureMessage["kind"], Setup>> = {
  "swiotlb-not-reserved": swiotlbNotReserved,
  "swiotlb-rounded": swiotlbRounded,
  "swiotlb-not-grown": swiotlbNotGrown,
  "swiotlb-misused": swiotlbMisused,
  "gart-full": gartFull,
  "bounce-map-failed": bounceMapFailed,
};

function swiotlbNotReserved(found: MessageCase): Claim {
  const size = "size" in found.message ? found.message.size : null;
  const smaller = "smaller" in found.message && found.message.smaller;
  return {
    cause: "pool-not-reserved",
    sentence: smaller
      ? `Only a smaller bounce buffer could be had at boot${size === null ? "" : `, ${formatBytes(size)}`}: no free range of the size asked for lies below the limit.`
      : "The bounce buffer could not be had at boot: no free range of its size lies below the limit.",
    confidence: "hint",
    advice: [
      {
        change: "a smaller swiotlb=, or less reserved low (crashkernel=…,low, cma=)",
        why: "the kernel halves the size down to 1 MiB before it gives up",
        basis: "reasoned",
      },
    ],
    missing: [
      "the command line (swiotlb=noforce asks for no pool), the memory map and other reservations of this boot",
    ],
  };
}

function swiotlbRounded(found: MessageCase): Claim {
  const size = "size" in found.message ? found.message.size : null;
  return {
    cause: "pool-rounded",
    sentence: `The bounce buffer was made larger than asked for${size === null ? "" : `, ${formatBytes(size)}`}: each of its areas (one a CPU, 6.0) gets at least a segment.`,
    confidence: "proven",
    harmless: "only memory is spent",
    advice: [
      {
        change: "swiotlb=<slots>,<areas> with fewer areas",
        why: "the size is rounded up to areas times 256 KiB",
        basis: "reasoned",
      },
    ],
  };
}

function swiotlbNotGrown(): Claim {
  return {
    cause: "pool-full",
    sentence:
      "The bounce buffer grows by itself (CONFIG_SWIOTLB_DYNAMIC, 6.6), and no memory below the limit was found for a further pool.",
    confidence: "consistent",
    also: ["below-watermark", "fragmentation"],
    advice: [
      {
        change: "a larger swiotlb= from boot on",
        why: "a pool that is there from the start needs no memory later",
        basis: "reasoned",
      },
    ],
    missing: ["the state of zones DMA and DMA32 at that moment (SysRq-m)"],
  };
}

function swiotlbMisused(found: MessageCase): Claim {
  return {
    cause: "size-mismatch",
    sentence: `${deviceWords(found)} syncs or unmaps bytes of a bounced buffer that it did not map.`,
    confidence: "consistent",
    advice: [
      {
        change: "look at the offset and length that the driver gives to dma_sync_* and unmap",
        why: "the numbers of this line are the mapping's and the call's",
        basis: "reasoned",
      },
    ],
    noHelp: [{ change: "swiotlb=<larger>", why: "the pool has room; the call is wrong" }],
  };
}

function gartFull(found: MessageCase): Claim {
  const size = "size" in found.message ? found.message.size : null;
  return {
    cause: "aperture-full",
    sentence: `${deviceWords(found)} found no ${size ?? "?"} bytes in GART's aperture; this is not the bounce buffer.`,
    confidence: "consistent",
    advice: [
      {
        change: "a larger aperture in the firmware, or iommu=memaper=…",
        why: "mappings of all devices share it",
        basis: "reasoned",
      },
    ],
    noHelp: [{ change: "swiotlb=<larger>", why: "GART has its own space" }],
  };
}

function bounceMapFailed(found: MessageCase): Claim {
  const size = "size" in found.message ? found.message.size : null;
  return {
    cause: "pool-unexplained",
    sentence: `${deviceWords(found)} is untrusted (external), so its buffers of ${size} bytes that do not fill pages bounce; the pool gave no slots.`,
    confidence: "hint",
    missing: ["the line of the pool just before this one, which has its fill"],
  };
}
