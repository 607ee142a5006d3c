/** The allocators' and the DMA layer's own use of the bits. */
import { isUnder, type Rule } from "../judgement.ts";

const CORE = ["mm", "kernel", "include/linux", "include/trace", "include/asm-generic"];

/** Memory management itself. */
export const core: Rule = ({ file, hit }) => {
  const isHeader = /(^|\/)include\//.test(file) && file.endsWith(".h");
  const isCore = /^(mm|kernel)\//.test(file) || isUnder(file, ...CORE.slice(2));
  if (!isCore && !(isHeader && !isUnder(file, "arch"))) return null;
  if (isUnder(file, "drivers", "sound/soc", "sound/pci")) return null;
  return {
    category: "core",
    verdict: "legitimate",
    group: "machinery",
    why: `this is the code that ${hit.role === "test" ? "answers" : "implements or serves"} such requests`,
    fix: "goes when its last user goes",
    confidence: hit.macro === null ? "high" : "medium",
  };
};

/** Code that only looks at its caller's flags, or takes the bit out. */
export const flagTest: Rule = ({ file, hit }) => {
  if (hit.role !== "test" && hit.role !== "clear") return null;
  const isGraphics = isUnder(file, "drivers/gpu");
  const word = hit.role === "test" ? "asks whether its caller set the bit" : "takes the bit out";
  return {
    category: isGraphics ? "gpu-iommu-32bit" : "flag-test",
    verdict: "legitimate",
    group: "machinery",
    why: `the line ${word}; it requests nothing itself`,
    fix: "goes when the callers' flag goes",
    confidence: "high",
  };
};
