/** An IOMMU stopped an access. The class is in the flags; the reason nearly never is. */
import type { IommuFault } from "../../formats/index.ts";
import type { Cause, Claim } from "../finding.ts";
import { deviceWords, type MessageCase, type MessageRule } from "../message-case.ts";

export const iommuFault: MessageRule = {
  name: "iommu-fault",
  kind: "iommu",
  decides:
    "flags or reason say: not mapped, mapped without the permission, an interrupt's address, or a requester that the kernel does not know",
  linux:
    "iommu_print_event(), drivers/iommu/amd/iommu.c; dma_remap_fault_reasons, drivers/iommu/intel/dmar.c; arm_smmu_context_fault(), drivers/iommu/arm/arm-smmu/arm-smmu.c",
  claim: (found) => {
    const { message } = found;
    if (message.kind !== "iommu-fault") return null;
    return claimOf(found, message, CLASS_OF[message.vendor](message));
  },
};

type Class = "not-mapped" | "permission" | "interrupt" | "requester" | "unclear";

const AMD_INTERRUPT = 0x08;
const AMD_PRESENT = 0x10;
const AMD_PERMISSION = 0x40;
/** Interrupts of AMD's HyperTransport range, printed with the sign of 40 bits or without. */
const AMD_INTERRUPT_BASE = 0xfdf8000000n;
const AMD_INTERRUPT_END = 0xfdfa000000n;
/** Events by name: who asked is not in the device table, or its interrupts are not. */
const AMD_REQUESTER = "ILLEGAL_DEV_TABLE_ENTRY";
const ARM_TRANSLATION = 0x02;
const ARM_PERMISSION = 0x08;
/** F_TRANSLATION, F_ADDR_SIZE, F_ACCESS, F_PERMISSION. */
const ARM_V3_TRANSLATION = 0x10;
const ARM_V3_PERMISSION = 0x13;
/** C_BAD_STREAMID, F_STE_FETCH, C_BAD_STE, F_STREAM_DISABLED, F_TRANSL_FORBIDDEN. */
const ARM_V3_STREAM: ReadonlySet<number> = new Set([0x02, 0x03, 0x04, 0x06, 0x07]);
/** sGFSR.USF. */
const ARM_STREAM_UNKNOWN = 0x02;
/** Root or context entry absent or invalid; 0x0a and 0x0b: reserved bits in them. */
const INTEL_BAD_ENTRY = 3;
const INTEL_RESERVED_ENTRY: ReadonlySet<number> = new Set([0x0a, 0x0b]);

const CLASS_OF: Readonly<Record<IommuFault["vendor"], (fault: IommuFault) => Class>> = {
  amd: ({ code, address, reason }) => {
    const low = address & 0xffffffffffn;
    const high = address >> 40n;
    const signed = high === 0n || high === 0xffffffn;
    if (signed && low >= AMD_INTERRUPT_BASE && low < AMD_INTERRUPT_END) return "interrupt";
    if (reason !== null) return reason === AMD_REQUESTER ? "requester" : "unclear";
    if (code === null) return "unclear";
    if ((code & AMD_INTERRUPT) !== 0) return "interrupt";
    return (code & AMD_PRESENT) !== 0 && (code & AMD_PERMISSION) !== 0
      ? "permission"
      : "not-mapped";
  },
  intel: ({ code }) => {
    if (code === null) return "unclear";
    if (code >= 0x20) return "interrupt";
    if (code <= INTEL_BAD_ENTRY || INTEL_RESERVED_ENTRY.has(code)) return "requester";
    // 4: beyond the width that the IOMMU can map.
    return code >= 4 && code <= 6 ? "not-mapped" : "unclear";
  },
  "arm-v3": ({ code }) => {
    if (code === null) return "unclear";
    if (code === ARM_V3_PERMISSION) return "permission";
    if (code >= ARM_V3_TRANSLATION && code < ARM_V3_PERMISSION) return "not-mapped";
    return ARM_V3_STREAM.has(code) ? "requester" : "unclear";
  },
  "arm-global": ({ code }) =>
    code !== null && (code & ARM_STREAM_UNKNOWN) !== 0 ? "requester" : "unclear",
  other: ({ reason }) => {
    if (/permission|access protection|security|write prot|read prot/i.test(reason ?? "")) {
      return "permission";
    }
    return reason !== null && /^0x|unknown/i.test(reason) ? "unclear" : "not-mapped";
  },
  arm: ({ code }) => {
    const fsr = code ?? 0;
    if ((fsr & ARM_TRANSLATION) !== 0) return "not-mapped";
    return (fsr & ARM_PERMISSION) !== 0 ? "permission" : "unclear";
  },
};

const CAUSES: Readonly<Record<Class, Cause>> = {
  "not-mapped": "not-mapped",
  permission: "wrong-direction",
  interrupt: "interrupt-remapping",
  requester: "unknown-requester",
  unclear: "not-in-report",
};

const LOOK: Readonly<Record<Class, string>> = {
  "not-mapped":
    "a buffer used after unmap, a length that runs over, an address that was never given out by the DMA API (compare it with RAM's own), or a device left running by the kernel before (kdump)",
  permission: "the direction of the mapping against what the device does: reads need DMA_TO_DEVICE",
  interrupt:
    "interrupt remapping: a stale MSI, firmware, or a virtual function; no buffer is involved",
  requester:
    "who speaks with that requester id: a bridge's alias, a function that the firmware hides, a device left running",
  unclear: "the flags or the reason, which this line lacks or which are not known here",
};

function claimOf(found: MessageCase, message: IommuFault, kind: Class): Claim {
  const what: Readonly<Record<Class, string>> = {
    "not-mapped": "accesses an address that is not mapped for it",
    permission: "accesses a mapped address in a way that the mapping does not allow",
    interrupt: "sends an interrupt that is not remapped",
    requester: "is a requester that the kernel has no entry for",
    unclear: "was stopped by the IOMMU",
  };
  const how = message.access === null || kind === "interrupt" ? "" : ` (${message.access})`;
  const bits = kind === "not-mapped" ? topOfSpace(message.address) : null;
  const also: Cause[] = [];
  if (kind === "not-mapped" && message.vendor === "intel") also.push("wrong-direction");
  if (bits !== null) also.push("mask-too-small");
  return {
    cause: CAUSES[kind],
    sentence: `${whoWords(found, message)} ${what[kind]}${whereWords(message)}${how}${reasonWords(message, kind)}.`,
    confidence: kind === "unclear" ? "hint" : "consistent",
    also,
    advice: [
      {
        change: `look at ${LOOK[kind]}`,
        why: "the IOMMU sees the access, not why it came",
        basis: "reasoned",
      },
    ],
    noHelp:
      kind === "interrupt"
        ? [{ change: "swiotlb= or iommu=pt", why: "no DMA mapping is at fault" }]
        : [],
    missing: [
      ...streamWords(message),
      ...narrowWords(bits),
      "which mapping was meant: trace the driver's maps (iommu:map, iommu:unmap)",
    ],
  };
}

/** An event of SMMUv3 is printed under the SMMU's own name, and says who asked by a number. */
function whoWords(found: MessageCase, { stream, device }: IommuFault): string {
  if (stream === undefined || stream === null || !namesSmmu(device)) return deviceWords(found);
  const behind = device === null ? "" : ` behind ${deviceWords(found)}`;
  return `The device of stream 0x${stream.toString(16)}${behind}`;
}

function namesSmmu(device: string | null): boolean {
  return device === null || /\b(?:arm-smmu|smmuv3|iommu)\b/.test(device);
}

/** Which device a stream is. Linux: of_map_id(), drivers/of/base.c; iort_id_map(), drivers/acpi/arm64/iort.c */
function streamWords({ stream, device }: IommuFault): string[] {
  if (stream === undefined || stream === null || !namesSmmu(device)) return [];
  const hex = (value: number): string => value.toString(16).padStart(2, "0");
  const pci = `${hex((stream >> 8) & 0xff)}:${hex((stream >> 3) & 0x1f)}.${stream & 7}`;
  return [
    `which device stream 0x${stream.toString(16)} is: iommu-map or iommus in the devicetree, or IORT, say so; of PCI devices the low 16 bits often are the requester, here ${pci}`,
  ];
}

/** Faults of streams and tables have no address. */
function whereWords({ address, vendor }: IommuFault): string {
  return address === 0n && vendor !== "intel" ? "" : `: 0x${address.toString(16)}`;
}

/** What was printed where the class does not say it. */
function reasonWords({ reason }: IommuFault, kind: Class): string {
  return kind === "unclear" && reason !== null ? ` (“${reason}”)` : "";
}

/** Addresses are given out from the top of the mask's space; the first lie within this of its end. */
const TOP_BITS = 24;

/**
 * Bits of the mask that the address is the top of, where that is no common width: the device may
 * have fewer than its driver claims. null for others. Linux: alloc_iova(), drivers/iommu/iova.c
 */
function topOfSpace(address: bigint): number | null {
  const bits = address.toString(2).length;
  if (bits <= 32 || bits >= 64) return null;
  return address >> BigInt(TOP_BITS) === (1n << BigInt(bits - TOP_BITS)) - 1n ? bits : null;
}

function narrowWords(bits: number | null): string[] {
  if (bits === null) return [];
  return [
    `whether the device has ${bits} address bits: the address is the top of such a space, where I/O addresses are given out first; a device that drops the upper bits faults there, and a smaller mask in its driver mends it`,
  ];
}
