/** No address for a mapping, or no memory for the tables. */
import { deviceWords, type MessageRule } from "../message-case.ts";
import { pages } from "../words.ts";

export const iommuSpace: MessageRule = {
  name: "iommu-space",
  kind: "iommu",
  decides:
    "no range of I/O addresses was free, or mapping itself failed; -12 is memory for the IOMMU's own tables",
  linux:
    "intel_alloc_iova(), drivers/iommu/intel/iommu.c; map_sg() of drivers/iommu/amd_iommu.c up to 5.4",
  claim: (found) => {
    const { message } = found;
    if (message.kind === "iova-exhausted") {
      return {
        cause: "iova-exhausted",
        sentence: `${deviceWords(found)} needs ${pages(message.pages ?? 0)} of I/O addresses in a row, and none are free.`,
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
    if (message.kind !== "iommu-map-failed") return null;
    return {
      cause: "not-in-report",
      sentence: `${deviceWords(found)} could not map ${pages(message.pages ?? 0)} (error ${message.error})${message.error === -12 ? ": memory for the IOMMU's own tables was refused" : ""}.`,
      confidence: "hint",
      missing: ["the page allocation failure of the same moment, if it was printed"],
    };
  },
};
