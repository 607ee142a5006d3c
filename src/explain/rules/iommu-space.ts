/** No address for a mapping, or no memory for the tables. */
import { deviceWords, type MessageRule } from "../message-case.ts";
import { pages } from "../words.ts";

export const iommuSpace: MessageRule = {
  name: "iommu-space",
  kind: "iommu",
  decides:
    "no range of I/O addresses was free, one was mapped twice, or mapping itself failed; -12 is memory for the IOMMU's own tables",
  linux:
    "intel_alloc_iova(), drivers/iommu/intel/iommu.c; map_sg() of drivers/iommu/amd_iommu.c up to 5.4",
  claim: (found) => {
    const { message } = found;
    if (message.kind === "iova-exhausted") {
      return {
        cause: "iova-exhausted",
        sentence: `${deviceWords(found)} needs ${message.pages === null ? "a range" : pages(message.pages)} of I/O addresses in a row, and none is free.`,
        confidence: "consistent",
        also: ["leak"],
        advice: [
          {
            change: "look for mappings that are never undone, and for a 32-bit mask",
            why: "a device of 32 bits has 4 GiB of I/O addresses for all it maps at once",
            basis: "reasoned",
          },
        ],
        missing: ["how many mappings are live"],
      };
    }
    if (message.kind === "iommu-mapped-twice") {
      return {
        cause: "overlap",
        sentence:
          "A page of I/O addresses was mapped that was mapped already: an unmap is missing, or two users share the addresses.",
        confidence: "consistent",
        advice: [
          {
            change: "look at who maps into this domain without unmapping (iommu:map, iommu:unmap)",
            why: "the table still holds the older mapping",
            basis: "reasoned",
          },
        ],
      };
    }
    if (message.kind !== "iommu-map-failed") return null;
    if (message.pages === null) {
      return {
        cause: "mask-too-small",
        sentence: `${deviceWords(found)}: the IOMMU's own page tables lie where it cannot reach them, so mappings fail.`,
        confidence: "consistent",
        advice: [
          {
            change: "look at the IOMMU's mask and dma-ranges: its tables must not bounce",
            why: "a table that is bounced is not the one that is walked",
            basis: "reasoned",
          },
        ],
        noHelp: [{ change: "swiotlb=<larger>", why: "tables are never used through a bounce" }],
      };
    }
    return {
      cause: "not-in-report",
      sentence: `${deviceWords(found)} could not map ${pages(message.pages)} (error ${message.error})${message.error === -12 ? ": memory for the IOMMU's own tables was refused" : ""}.`,
      confidence: "hint",
      missing: ["the page allocation failure of the same moment, if it was printed"],
    };
  },
};
