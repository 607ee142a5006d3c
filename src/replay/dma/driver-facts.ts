/**
 * What drivers ask of bounce buffers for their devices, which no trace tells.
 *
 * Every PCI device starts with a boundary of 4 GiB and no alignment
 * (pci_device_add(), drivers/pci/probe.c). A SCSI host sets its device's
 * boundary when it is made (__scsi_init_queue(), drivers/scsi/scsi_lib.c).
 */
export interface DriverFacts {
  /** Low address bits that buffers keep. Linux: dma_set_min_align_mask() */
  readonly minAlignMask: number;
  /** Buffers do not cross multiples of this + 1. Linux: dma_set_seg_boundary() */
  readonly segmentBoundary: number;
}

const PCI: DriverFacts = { minAlignMask: 0, segmentBoundary: 0xffffffff };

/** ATA_DMA_BOUNDARY, include/linux/ata.h: a PRD entry of BMDMA stays within 64 KiB. */
const BMDMA_BOUNDARY = 0xffff;

/** Drivers whose host template is ATA_BMDMA_SHT or names ATA_DMA_BOUNDARY, drivers/ata/ of 6.1. */
const BMDMA: ReadonlySet<string> = new Set(
  `ata_generic ata_piix pata_acpi pata_ali pata_amd pata_artop pata_atiixp pata_atp867x pata_bk3710
   pata_cmd64x pata_cs5520 pata_cs5530 pata_cs5535 pata_cs5536 pata_cypress pata_efar pata_ftide010
   pata_hpt366 pata_hpt37x pata_hpt3x2n pata_hpt3x3 pata_it8213 pata_it821x pata_jmicron pata_macio
   pata_marvell pata_netcell pata_ninja32 pata_ns87415 pata_oldpiix pata_optidma pata_pdc2027x
   pata_pdc202xx_old pata_piccolo pata_pxa pata_radisys pata_rdc pata_sc1200 pata_sch
   pata_serverworks pata_sil680 pata_sis pata_sl82c105 pata_triflex pata_via sata_fsl sata_nv
   sata_promise sata_sil24 sata_sis sata_svw sata_sx4 sata_uli sata_via sata_vsc`.split(/\s+/),
);

const OWN: ReadonlyMap<string, DriverFacts> = new Map([
  // nvme_pci_alloc_dev(), drivers/nvme/host/pci.c: NVME_CTRL_PAGE_SIZE - 1
  ["nvme", { ...PCI, minAlignMask: 4095 }],
  // storvsc_probe(), drivers/scsi/storvsc_drv.c; netvsc_probe(), drivers/net/hyperv: HV_HYP_PAGE_SIZE - 1
  ["hv_storvsc", { ...PCI, minAlignMask: 4095 }],
  ["hv_netvsc", { ...PCI, minAlignMask: 4095 }],
]);

export function driverFacts(driver: string): DriverFacts {
  if (BMDMA.has(driver)) return { ...PCI, segmentBoundary: BMDMA_BOUNDARY };
  return OWN.get(driver) ?? PCI;
}
