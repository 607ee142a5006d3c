/**
 * The sentences of IOMMUs on PCs and Arm servers, by their fixed words.
 *
 * Linux: iommu_print_event(), drivers/iommu/amd/iommu.c; dmar_fault_do_one(), drivers/iommu/intel/dmar.c;
 * arm_smmu_context_fault(), drivers/iommu/arm/arm-smmu/arm-smmu.c
 */
import type { MessageBody } from "./failure-message.ts";
import { deviceOf, hexadecimal, type Sentence, whole } from "./failure-sentences.ts";
import { smmuFacts } from "./smmu-event.ts";

export function hex(digits: string | undefined): number | null {
  const value = Number.parseInt(digits ?? "x", 16);
  return Number.isSafeInteger(value) ? value : null;
}

const AMD_WRITE = 0x20;
/** The first of Intel's reasons that are about interrupts. */
const INTERRUPT_REASON = 0x20;

export const DEVICE_SENTENCES: readonly Sentence[] = [
  {
    words: "PAGE_FAULT",
    pattern:
      /(.{0,200}?):? ?AMD-Vi: .{0,40}?\[?IO_PAGE_FAULT (?:device=(\S+) )?domain=0x[0-9a-f]+ address=(?:0x)?([0-9a-f]+)(?: flags=0x([0-9a-f]+))?/,
    read: ([, before, at, address = "0", flags]) => {
      const code = hex(flags);
      const body: MessageBody = {
        kind: "iommu-fault",
        vendor: "amd",
        device: deviceOf(at ?? before),
        address: hexadecimal(address),
        code,
        access: code === null ? null : (code & AMD_WRITE) !== 0 ? "write" : "read",
        reason: null,
      };
      return body;
    },
  },
  {
    words: "fault addr",
    pattern:
      /DMAR: ?\[(DMA|INTR-REMAP)[- ]?(\w+)?.{0,20}?\] Request device \[?([0-9a-f:.]+)\]?(?: PASID \w+)? fault addr (?:0x)?([0-9a-f]+)(?: (?:DMAR: ?)?\[fault reason (?:0x)?([0-9a-f]+)\] ?(.{0,60}))?/,
    read: ([, , access = "", device, address = "0", reason, words]) => ({
      kind: "iommu-fault",
      vendor: "intel",
      device: deviceOf(device),
      address: hexadecimal(address),
      code: hex(reason),
      access: /read/i.test(access) ? "read" : /write/i.test(access) ? "write" : null,
      reason: words === undefined || words === "" ? null : words.trim(),
    }),
  },
  {
    words: "context fault",
    pattern:
      /(.{0,200}?):? ?Unhandled context fault: fsr=0x([0-9a-f]+), iova=0x([0-9a-f]+), fsynr=0x([0-9a-f]+)/,
    read: ([, device, fsr, iova = "0", syndrome]) => {
      const write = ((hex(syndrome) ?? 0) & 0x10) !== 0; // FSYNR0.WNR
      const body: MessageBody = {
        kind: "iommu-fault",
        vendor: "arm",
        device: deviceOf(device),
        address: hexadecimal(iova),
        code: hex(fsr),
        access: write ? "write" : "read",
        reason: null,
      };
      return body;
    },
  },
  {
    words: "fault index",
    pattern:
      /INTR-REMAP: ?Request device \[?([0-9a-f:.]+)\]? fault index (?:0x)?([0-9a-f]+)(?: (?:DMAR: ?|INTR-REMAP: ?)*\[fault reason (?:0x)?([0-9a-f]+)\] ?(.{0,60}))?/,
    read: ([, device, index = "0", reason, words]) => ({
      kind: "iommu-fault",
      vendor: "intel",
      device: deviceOf(device),
      address: hexadecimal(index),
      code: hex(reason) ?? INTERRUPT_REASON,
      access: null,
      reason: words === undefined || words === "" ? null : words.trim(),
    }),
  },
  ...["event 0x0", "event 0x1", "event 0x2"].map(
    (words): Sentence => ({
      words,
      pattern: /(.{0,200}?):? ?event 0x([0-2][0-9a-f]) received:(.*)/,
      read: ([, device, event = "0", rest = ""]) => {
        const code = hex(event);
        const facts = smmuFacts(code, device, rest);
        const body: MessageBody = {
          kind: "iommu-fault",
          vendor: "arm-v3",
          ...facts,
          code,
          reason: null,
        };
        return body;
      },
    }),
  ),
  {
    words: "-page iova",
    pattern: /(.{0,200}?):? ?Allocating (\d+)-page iova (?:for (\S+) )?failed/,
    read: ([, before, pages, device]) => ({
      kind: "iova-exhausted",
      device: deviceOf(device ?? before),
      pages: whole(pages),
      error: null,
    }),
  },
  {
    words: "IOMMU mapping error",
    pattern:
      /(.{0,200}?):? ?AMD-Vi: IOMMU mapping error in map_sg \(io-pages: (\d+),? reason: (-?\d+)\)/,
    read: ([, device, pages, error]) => ({
      kind: "iommu-map-failed",
      device: deviceOf(device),
      pages: whole(pages),
      error: Number(error),
    }),
  },
  {
    words: "allocation deadlock",
    pattern:
      /(?:XFS: ?)?(\S+?)(?:\(\d+\))? possible memory allocation deadlock(?: size (\d+))? in \w+ \(mode: ?0x([0-9a-f]+)\)/,
    read: ([, comm, size, bits]) => ({
      kind: "allocation-deadlock",
      device: null,
      comm: comm ?? null,
      size: whole(size),
      bits: hex(bits),
    }),
  },
  {
    words: "vmap allocation for size",
    pattern: /vmap allocation for size (\d+) failed/,
    read: ([, size]) => ({ kind: "vmap-exhausted", device: null, size: whole(size) }),
  },
  {
    words: ", zone ",
    pattern: /^Node \d+, zone +\w+/,
    read: () => ({ kind: "proc-table", device: null }),
  },
  {
    words: "crashkernel",
    pattern:
      /crashkernel (?:low )?reservation failed|[Cc]annot (?:reserve|allocate) crashkernel|crashkernel: (?:memory value expected|reservation failed)/,
    read: () => ({ kind: "crashkernel-not-reserved", device: null, size: null }),
  },
];
