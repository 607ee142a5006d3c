/**
 * What a devicetree does not say and a kernel's source does: which kernel a board runs by its CPUs,
 * masks that drivers set, and DMA zones of 32-bit boards.
 */
import type { Arch } from "../kernels/policy.ts";

/**
 * Bits that a driver asks for whatever its hardware says, by the device's compatible; all others have
 * what of_dma_configure() gives. From the drivers of 6.1.
 */
export const DRIVER_MASKS: ReadonlyMap<string, number> = new Map([
  ["brcm,bcm2835-dma", 32], // drivers/dma/bcm2835-dma.c
  ["brcm,genet-v4", 40], // bcmgenet_probe(), GENET_HAS_40BITS: drivers/net/ethernet/broadcom/genet
  ["brcm,genet-v5", 40],
  ["brcm,bcm2711-genet-v5", 40],
  ["brcm,bcm7712-genet-v5", 40],
  ["brcm,systemport-v1.00", 40], // drivers/net/ethernet/broadcom/bcmsysport.c
  ["brcm,systemportlite-v1.00", 40],
  ["brcm,iproc-pdc-mbox", 39], // drivers/mailbox/bcm-pdc-mailbox.c
  ["brcm,iproc-flexrm-mbox", 40], // drivers/mailbox/bcm-flexrm-mailbox.c
  ["socionext,synquacer-netsec", 40], // drivers/net/ethernet/socionext/netsec.c
  ["qcom,fsm9900-emac", 46], // drivers/net/ethernet/qualcomm/emac/emac.c
  ["nvidia,tegra124-xusb", 40], // drivers/usb/host/xhci-tegra.c
  ["nvidia,tegra210-xusb", 40],
  ["nvidia,tegra186-xusb", 40],
  ["nvidia,tegra194-xusb", 40],
  ["marvell,xor-v2", 40], // drivers/dma/mv_xor_v2.c
  ["renesas,rcar-dmac", 40], // drivers/dma/sh/rcar-dmac.c
  ["renesas,rcar-gen4-dmac", 40],
  ["xlnx,zynqmp-dma-1.0", 44], // drivers/dma/xilinx/zynqmp_dma.c
  ["xlnx,zynqmp-qspi-1.0", 44], // drivers/spi/spi-zynqmp-gqspi.c
  ["apm,xgene-storm-dma", 42], // drivers/dma/xgene-dma.c
  ["fsl,ls1021a-qdma", 40], // drivers/dma/fsl-qdma.c
  ["vivante,gc", 40], // drivers/gpu/drm/etnaviv/etnaviv_drv.c
  ["mediatek,mtu3", 36], // drivers/usb/mtu3/mtu3_core.c
  ["fsl,imx8mp-lcdif", 36], // drivers/gpu/drm/mxsfb/lcdif_drv.c
  ["virtio,mmio", 64], // virtio_mmio_probe(), version 2: drivers/virtio/virtio_mmio.c
]);

/** A platform device before its driver asks. Linux: setup_pdev_dma_masks(), drivers/base/platform.c */
export const PLATFORM_MASK_BITS = 32;

/**
 * Nodes that are masters of a bus by their generic name: Devicetree Specification, 2.2.2. Those of
 * other names are listed where a property speaks of DMA.
 */
export const MASTER_NAMES: ReadonlySet<string> = new Set([
  "crypto",
  "display",
  "dma",
  "dma-controller",
  "ethernet",
  "gpu",
  "mmc",
  "nand-controller",
  "pcie",
  "sata",
  "usb",
  "vpu",
  "video-codec",
  "virtio_mmio",
]);

/** Properties that only a node has whose device does DMA. */
export const MASTER_PROPERTIES: readonly string[] = [
  "#dma-cells",
  "dma-coherent",
  "iommus",
  "iommu-map",
  "memory-region",
];

/** `dma_zone_size` of 32-bit boards, by the board's compatible. */
export interface ArmDmaZone {
  readonly bytes: number;
  /** Only kernels with LPAE have it. */
  readonly lpae: boolean;
}

const GIB = 2 ** 30;

/** Linux: DT_MACHINE_START() in arch/arm/mach-{bcm,highbank,keystone,omap2,versatile}, 6.1 */
export const ARM_DMA_ZONES: ReadonlyMap<string, ArmDmaZone> = new Map([
  ["brcm,bcm2711", { bytes: GIB, lpae: false }],
  ["calxeda,highbank", { bytes: 4 * GIB, lpae: true }],
  ["calxeda,ecx-2000", { bytes: 4 * GIB, lpae: true }],
  ...["ti,k2hk", "ti,k2e", "ti,k2l", "ti,k2g", "ti,keystone"].map(twoGib),
  ...["ti,omap5432", "ti,omap5430", "ti,omap5"].map(twoGib),
  ...["ti,dra762", "ti,am5728", "ti,am5726", "ti,dra742", "ti,dra7"].map(twoGib),
  ...["ti,am5718", "ti,am5716", "ti,dra722", "ti,dra718"].map(twoGib),
  ...["eb", "pb1176", "pb11mp", "pba8", "pbx"].map((board): [string, ArmDmaZone] => [
    `arm,realview-${board}`,
    { bytes: GIB / 4, lpae: false },
  ]),
]);

function twoGib(name: string): [string, ArmDmaZone] {
  return [name, { bytes: 2 * GIB, lpae: true }];
}

/** 32-bit cores of ARM; the others of their kind have 64 bits. Linux: Documentation/devicetree/bindings/arm/cpus.yaml */
const ARM_32 =
  /^(?:arm,(?:arm\d|cortex-a(?:5|7|8|9|12|15|17|32)$|cortex-[mr]|sa1100)|marvell,(?:feroceon|mohawk|pj4|sheeva|xsc3)|qcom,(?:scorpion|krait)|faraday,|intel,sa1|brcm,brahma-b15)/;
const ARM_64 =
  /^(?:arm,(?:armv8|arm-v8|kryo|cortex-[axs]\d|neoverse|foundation|rtsm)|apple,|cavium,|marvell,(?:cortex|thunder)|qcom,(?:kryo|oryon|saphira|falkor)|nvidia,(?:denver|carmel|tegra\d+-denver|tegra\d+-carmel)|brcm,(?:vulcan|brahma-b53)|samsung,(?:exynos-m|mongoose)|ampere,|apm,|fujitsu,|hisilicon,|phytium,|ftc\d|qemu,)/;

/** The architecture that a core's compatible tells; null for one that is not known. */
export function archOfCore(compatible: string): Arch | null {
  if (ARM_32.test(compatible)) return "arm";
  return ARM_64.test(compatible) ? "arm64" : null;
}
