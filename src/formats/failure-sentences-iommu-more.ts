/**
 * Further sentences of IOMMUs: the other events of AMD's, global faults of Arm's, the IOMMUs of
 * phones and boards, and those that map without faults but run out of addresses.
 *
 * Linux: iommu_print_event(), drivers/iommu/amd/iommu.c; arm_smmu_global_fault(),
 * drivers/iommu/arm/arm-smmu/arm-smmu.c; exynos-iommu.c, rockchip-iommu.c, mtk_iommu.c, ipmmu-vmsa.c,
 * omap-iommu.c, sun50i-iommu.c, virtio-iommu.c, msm_iommu.c, drivers/iommu; tegra30_mc_handle_irq(),
 * drivers/memory/tegra/mc.c; iommu_map_page(), arch/powerpc/kernel/iommu.c
 */
import type { MessageBody } from "./failure-message.ts";
import { deviceOf, hexadecimal, type Sentence, whole } from "./failure-sentences.ts";
import { hex } from "./failure-sentences-iommu.ts";

interface Fault {
  readonly words: string;
  /** Groups: device, address, read or write, reason; each may be absent. */
  readonly pattern: RegExp;
}

/** IOMMUs that say little more than an address. */
const FAULTS: readonly Fault[] = [
  {
    words: "FAULT occurred at",
    pattern:
      /(?<device>.{0,200}?):? ?\[(?<access>READ|WRITE)\] (?<reason>[\w ,]{1,40}) FAULT occurred at 0x(?<address>[0-9a-f]+)/,
  },
  {
    words: "FAULT occurred at",
    pattern:
      /(?<device>.{0,200}?):? ?(?<reason>[A-Z][A-Z ]{2,40}) FAULT occurred at 0x(?<address>[0-9a-f]+)/,
  },
  {
    words: "Page fault at 0x",
    pattern:
      /(?<device>.{0,200}?): Page fault at 0x(?<address>[0-9a-f]+) of type (?<access>read|write)/,
  },
  {
    words: "fault type=0x",
    pattern:
      /(?<device>.{0,200}?): fault type=(?<reason>0x[0-9a-f]+) iova=0x(?<address>[0-9a-f]+) pa=0x[0-9a-f]+(?:.{0,80}?(?<access>read|write))?/,
  },
  {
    words: "Unhandled fault: status",
    pattern:
      /(?<device>.{0,200}?): Unhandled fault: status (?<reason>0x[0-9a-f]+) iova 0x(?<address>[0-9a-f]+)/,
  },
  {
    words: "errs:0x",
    pattern:
      /(?<device>.{0,200}?):? ?(?:iommu fault: )?errs:(?<reason>0x[0-9a-f]+) da:0x(?<address>[0-9a-f]+)/,
  },
  {
    words: "Page fault for 0x",
    pattern:
      /(?<device>.{0,200}?): Page fault for 0x(?<address>[0-9a-f]+) \(master \d+, dir (?<access>\w+)\)/,
  },
  {
    words: "fault from EP",
    pattern:
      /(?<device>.{0,200}?): (?<reason>\w+) fault from EP \d+ at 0x(?<address>[0-9a-f]+) \[(?<access>R?W?)/,
  },
  {
    words: "SMMU translation error",
    pattern:
      /(?<device>.{0,200}?): (?:secure |non-secure )?(?<access>read|write) @0x(?<address>[0-9a-f]+): (?<reason>.{0,80}?SMMU translation error)/,
  },
  {
    words: "Unexpected IOMMU page fault",
    pattern: /(?<device>)Unexpected IOMMU page fault!(?:.{0,200}?FAR += +(?<address>[0-9a-f]+))?/,
  },
];

function accessOf(word: string | undefined): "read" | "write" | null {
  const letter = word?.charAt(0).toLowerCase();
  return letter === "r" ? "read" : letter === "w" ? "write" : null;
}

const EVENTS =
  "ILLEGAL_DEV_TABLE_ENTRY|INVALID_DEVICE_REQUEST|INVALID_PPR_REQUEST|DEV_TAB_HARDWARE_ERROR|PAGE_TAB_HARDWARE_ERROR|COMMAND_HARDWARE_ERROR|ILLEGAL_COMMAND_ERROR|IOTLB_INV_TIMEOUT|RMP_PAGE_FAULT|RMP_HW_ERROR";
const EVENT = new RegExp(
  `(.{0,200}?):? ?AMD-Vi: Event logged \\[?(${EVENTS})(?: device=([0-9a-f:.]+),?)?(?:.{0,60}? (?:address|gpa|spa)=0x([0-9a-f]+))?(?:.{0,60}? flags=0x([0-9a-f]+))?`,
);

export const MORE_IOMMU_SENTENCES: readonly Sentence[] = [
  ...EVENTS.split("|").map(
    (words): Sentence => ({
      words,
      pattern: EVENT,
      read: ([, before, event, at, address = "0", flags]) => ({
        kind: "iommu-fault",
        vendor: "amd",
        device: deviceOf(at ?? before),
        address: hexadecimal(address),
        code: hex(flags),
        access: null,
        reason: event ?? null,
      }),
    }),
  ),
  {
    words: "Unexpected global fault",
    pattern: /(.{0,200}?):? ?Unexpected global fault.{0,300}?GFSR 0x([0-9a-f]+)/,
    read: ([, device, gfsr]) => globalFault(device, hex(gfsr)),
  },
  {
    words: "Unexpected global fault",
    pattern: /(.{0,200}?):? ?Unexpected global fault/,
    read: ([, device]) => globalFault(device, null),
  },
  {
    words: "Blocked unknown Stream ID",
    pattern: /(.{0,200}?):? ?Blocked unknown Stream ID 0x[0-9a-f]+/,
    read: ([, device]) => globalFault(device, STREAM_UNKNOWN),
  },
  ...["event: F_", "event: C_"].map(
    (words): Sentence => ({
      words,
      pattern:
        /event: ([FC]_\w+) client: (.{1,40}?) sid: (?:0x([0-9a-f]+))?.{0,80}?iova: 0x([0-9a-f]+)(?:.{0,120}?\b(?:un)?priv (?:inst|data) (read|write))?/,
      read: ([, event = "", client, stream, address = "0", access]) => ({
        kind: "iommu-fault",
        vendor: "arm-v3",
        device: client?.startsWith("(") === true ? null : deviceOf(client),
        address: hexadecimal(address),
        code: V3_EVENTS[event] ?? null,
        access: accessOf(access),
        stream: stream === undefined ? null : Number.parseInt(stream, 16),
        reason: event,
      }),
    }),
  ),
  ...FAULTS.map(
    ({ words, pattern }): Sentence => ({
      words,
      pattern,
      read: ({ groups }) => ({
        kind: "iommu-fault",
        vendor: "other",
        device: deviceOf(groups?.["device"]),
        address: hexadecimal(groups?.["address"] ?? "0"),
        code: null,
        access: accessOf(groups?.["access"]),
        reason: groups?.["reason"]?.trim() ?? null,
      }),
    }),
  ),
  {
    words: "iommu_alloc failed",
    pattern: /(.{0,200}?):? ?iommu_alloc failed, tbl .{0,80}?npages (\d+)/,
    read: ([, device, pages]) => exhausted(device, whole(pages)),
  },
  {
    words: "out of mapping resources",
    pattern: /(.{0,200}?):? ?(?:I\/O MMU|IOC?) ?@? ?.{0,40}? ?is out of mapping resources/,
    read: ([, device]) => exhausted(device, null),
  },
  {
    words: "algary: iommu full",
    pattern: /[Cc]algary: iommu full/,
    read: () => exhausted(undefined, null),
  },
  {
    words: "DMA PTE for vPFN",
    pattern: /ERROR: DMA PTE for vPFN 0x([0-9a-f]+) already set/,
    read: () => ({ kind: "iommu-mapped-twice", device: null }),
  },
  {
    words: "DMA translation for IOMMU page tables",
    pattern: /(.{0,200}?):? ?Cannot accommodate DMA translation for IOMMU page tables/,
    read: ([, device]) => ({
      kind: "iommu-map-failed",
      device: deviceOf(device),
      pages: null,
      error: null,
    }),
  },
];

/** Bit 1 of sGFSR: a stream that no entry is for. */
const STREAM_UNKNOWN = 0x02;

const V3_EVENTS: Readonly<Record<string, number>> = {
  C_BAD_STREAMID: 0x02,
  F_STE_FETCH: 0x03,
  C_BAD_STE: 0x04,
  F_STREAM_DISABLED: 0x06,
  F_TRANSL_FORBIDDEN: 0x07,
  C_BAD_SUBSTREAMID: 0x08,
  F_CD_FETCH: 0x09,
  C_BAD_CD: 0x0a,
  F_WALK_EABT: 0x0b,
  F_TRANSLATION: 0x10,
  F_ADDR_SIZE: 0x11,
  F_ACCESS: 0x12,
  F_PERMISSION: 0x13,
};

function globalFault(device: string | undefined, code: number | null): MessageBody {
  return {
    kind: "iommu-fault",
    vendor: "arm-global",
    device: deviceOf(device),
    address: 0n,
    code,
    access: null,
    reason: null,
  };
}

function exhausted(device: string | undefined, pages: number | null): MessageBody {
  return { kind: "iova-exhausted", device: deviceOf(device), pages, error: null };
}
