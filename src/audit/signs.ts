/** Words of a file that hint at a bus, a subsystem or an architecture, when no Kconfig is at hand. */
import { CODE, type Lexical } from "./lexical.ts";

/** A sign and what shows it. */
const SIGNS: readonly (readonly [sign: string, word: RegExp])[] = [
  [
    "s390",
    /asm\/(ccwdev|cio|idals|sclp|ebcdic|qdio|chpid|ccwgroup|diag|appldata|vtoc|dasd|css)\.h/,
  ],
  [
    "isa",
    /\b(isa_virt_to_bus|isa_register_driver|isa_driver|module_isa_driver|request_dma|linux\/isa\.h)\b/,
  ],
  ["pnp", /\bpnp_(register_driver|register_card_driver|driver)\b/],
  ["pci", /\b(pci_register_driver|module_pci_driver|pci_driver|linux\/pci\.h)\b/],
  ["usb", /\b(usb_driver|module_usb_driver|linux\/usb\.h)\b/],
  ["spi", /\b(spi_driver|module_spi_driver|spi_transfer)\b/],
  ["i2c", /\b(i2c_driver|module_i2c_driver|i2c_client)\b/],
  ["platform", /\b(platform_driver|module_platform_driver)\b/],
  ["vb2", /\b(vb2_queue|videobuf2|videobuf)\b/],
  ["page_pool", /\bpage_pool\b/],
  ["iommu", /\b(iommu_ops|io_pgtable|iommu_domain|iommu_device_register|irq_remap)\b/],
  ["drm", /\b(drm_device|drm_driver|drm_gem_object|ttm_tt|agp_bridge_data|intel_gtt)\b/],
  ["block", /\b(blk_mq_ops|gendisk|blk_queue_|request_queue|scsi_host_template)\b/],
  ["parisc", /\basm\/(pdc|pdcpat|parisc-device)\.h/],
  ["zone-core", /\b(EXPORT_SYMBOL(_GPL)?\(dma_set_mask|zone_dma_bits|ZONE_DMA32?\b)/],
];

export function signsOf({ text, kinds }: Lexical): string[] {
  return SIGNS.filter(([, word]) => {
    const at = text.search(word);
    return at >= 0 && (kinds[at] === CODE || text.slice(0, at).endsWith("<"));
  }).map(([sign]) => sign);
}
