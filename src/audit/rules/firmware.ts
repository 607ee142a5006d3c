/** Memory whose physical address goes to firmware or a hypervisor, where there is no device to ask. */
import { isUnder, type Rule, touchedBy } from "../judgement.ts";

export const firmware: Rule = (use) => {
  const { file, facts, families, zone, hit } = use;
  if (hit.role !== "value") return null;
  const physical = touchedBy(use, /^(virt_to_phys|page_to_phys|__pa|virt_to_page)/);
  const isPlace =
    isUnder(file, "platform/x86", "virt", "parisc", "platform/efi", "efi", "kvm") ||
    facts.signs.includes("parisc") ||
    /(sti|pdc|bios|rbu|smbios|efi|acpi|wmi)\w*\.[ch]$/.test(file);
  const mapped = touchedBy(use, /^(dma|pci)_map/);
  if (mapped !== null || facts.signs.includes("zone-core")) return null;
  if (!isPlace && !(physical !== null && families.has("pages") && zone === "DMA32")) return null;
  return {
    category: "firmware-physical",
    verdict: "legitimate",
    group: "limited-hardware",
    why:
      physical === null
        ? "memory that firmware or a hypervisor is told the address of, in fewer than 64 bits"
        : `its physical address is handed out (${physical}), and the taker has ${zone === "DMA32" ? "32 bits" : "few bits"}`,
    fix:
      zone === "DMA32"
        ? "keep, or allocate by range below 4 GiB"
        : "GFP_DMA32 if 32 bits are enough (24 seldom are meant), or allocate by range",
    confidence: physical === null ? "medium" : "high",
  };
};
