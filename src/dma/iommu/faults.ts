/**
 * The lines that a kernel logs when an IOMMU stops a device: by vendor, and by
 * release where the text changed.
 *
 * Linux: dmar_fault_do_one(), drivers/iommu/intel/dmar.c; amd_iommu_report_page_fault(),
 * drivers/iommu/amd/iommu.c; arm_smmu_evtq_thread(), drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c
 */
import { type IommuVendor, releaseRank } from "../../kernels/iommu.ts";
import type { DmaDevice } from "../dma-device.ts";

/** What was wrong with an access. */
export type FaultKind =
  | "unmapped" // nothing is there, or no longer
  | "direction" // mapped, but not for reading or writing
  | "beyond"; // more address bits than the tables have

export interface FaultSite {
  readonly vendor: IommuVendor;
  /** Release whose text is wanted, e.g. "6.1". */
  readonly version: string;
  readonly device: DmaDevice;
  readonly domainId: number;
  readonly address: number;
  readonly write: boolean;
  readonly kind: FaultKind;
}

/** The kernel's words, one line or several. */
export function faultMessage(site: FaultSite): string {
  switch (site.vendor) {
    case "intel":
      return intel(site);
    case "amd":
      return amd(site);
    case "smmu-v3":
      return smmu(site);
  }
}

const REASONS = {
  4: "Access beyond MGAW",
  5: "PTE Write access is not set",
  6: "PTE Read access is not set",
} as const;

function intel({ version, device, address, write, kind }: FaultSite): string {
  const reason = kind === "beyond" ? 4 : write ? 5 : 6;
  const access = write ? "DMA Write" : "DMA Read";
  const place = `Request device [${pciPlace(device.name)}]`;
  const hex = address.toString(16);
  const rank = releaseRank(version);
  // Without a PASID; 5.2 to 5.13 print its number anyway.
  if (rank >= releaseRank("5.14")) {
    const code = `0x${reason.toString(16).padStart(2, "0")}`;
    return `DMAR: [${access} NO_PASID] ${place} fault addr 0x${hex} [fault reason ${code}] ${REASONS[reason]}`;
  }
  const pasid = rank >= releaseRank("5.2") ? " PASID ffffffff" : "";
  const code = `${reason}`.padStart(2, "0");
  return `DMAR: [${access}] ${place}${pasid} fault addr ${hex} [fault reason ${code}] ${REASONS[reason]}`;
}

/** Of an event's flags: the page is present, it was written, the rights forbade it. */
const AMD_PRESENT = 0x10;
const AMD_WRITE = 0x20;
const AMD_RIGHTS = 0x40;

function amd({ version, device, domainId, address, write, kind }: FaultSite): string {
  const flags = (write ? AMD_WRITE : 0) | (kind === "direction" ? AMD_PRESENT | AMD_RIGHTS : 0);
  const wide = releaseRank(version) >= releaseRank("5.3") ? 0 : 16;
  const at = address.toString(16).padStart(wide, "0");
  const domain = domainId.toString(16).padStart(4, "0");
  const what = `domain=0x${domain} address=0x${at} flags=0x${flags.toString(16).padStart(4, "0")}`;
  return `${named(device)}: AMD-Vi: Event logged [IO_PAGE_FAULT ${what}]`;
}

const F_TRANSLATION = 0x10n;
const F_ADDR_SIZE = 0x11n;
const F_PERMISSION = 0x13n;
const READ = 1n << 35n;
/** The fault is about the address that came in, not about a table. */
const CLASS_IN = 2n << 40n;

/** The event's four words; which device it was is the stream number of the first. */
function smmu({ device, address, write, kind }: FaultSite): string {
  const id = kind === "unmapped" ? F_TRANSLATION : kind === "beyond" ? F_ADDR_SIZE : F_PERMISSION;
  const words = [
    id | (BigInt(streamOf(device.name)) << 32n),
    CLASS_IN | (write ? 0n : READ),
    BigInt(address),
    0n,
  ];
  const lines = words.map(
    (word) => `arm-smmu-v3 arm-smmu-v3.0.auto: \t0x${word.toString(16).padStart(16, "0")}`,
  );
  return [`arm-smmu-v3 arm-smmu-v3.0.auto: event 0x${id.toString(16)} received:`, ...lines].join(
    "\n",
  );
}

function named({ name, driver }: DmaDevice): string {
  return driver === "" ? `pci ${name}` : `${driver} ${name}`;
}

const PCI = /^(?:[\da-f]{4}:)?([\da-f]{2}):([\da-f]{2})\.([0-7])$/;

export function isPci(name: string): boolean {
  return PCI.test(name);
}

/** "03:00.0" of "0000:03:00.0"; other names as they are. */
function pciPlace(name: string): string {
  const [, bus, slot, func] = PCI.exec(name) ?? [];
  return bus === undefined ? name : `${bus}:${slot}.${func}`;
}

/** Requester number of a PCI device; 0 of others. */
function streamOf(name: string): number {
  const [, bus = "0", slot = "0", func = "0"] = PCI.exec(name) ?? [];
  return (Number.parseInt(bus, 16) << 8) | (Number.parseInt(slot, 16) << 3) | Number(func);
}
