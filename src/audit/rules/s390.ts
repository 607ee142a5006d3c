/** Channel I/O of s390: data addresses of 31 bits, and ZONE_DMA is the first 2 GiB. */
import { isUnder, type Rule } from "../judgement.ts";

/** Linux: MAX_DMA_ADDRESS, arch/s390/include/asm/dma.h; arch/s390/mm/init.c */
export const s390: Rule = ({ file, build, facts, zone, families }) => {
  const isPath = isUnder(file, "s390", "net/iucv") || /(^|\/)hvc_iucv\.c$/.test(file);
  const only = build?.architectures;
  const isOnly = only?.length === 1 && only[0] === "s390";
  if (!isPath && !isOnly && !facts.signs.includes("s390")) return null;
  if (zone !== "DMA") return null;
  return {
    category: "s390-31bit",
    verdict: "legitimate",
    group: "limited-hardware",
    why: "channel programs, SCLP and IUCV take real addresses below 2 GiB, which is what ZONE_DMA means on s390",
    fix: families.has("cache-create")
      ? "a cache of cio's DMA pool; keep today"
      : "ccw_device_dma_zalloc() or the cio DMA pool where a ccw device is at hand; keep elsewhere",
    confidence: isPath || isOnly ? "high" : "medium",
  };
};
