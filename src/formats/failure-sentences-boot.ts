/**
 * The sentences of pools that boot sets up, and of guests whose memory is encrypted.
 *
 * Linux: swiotlb_init_remap(), swiotlb_init_late(), kernel/dma/swiotlb.c (lib/swiotlb.c up to 4.18);
 * print_mem_encrypt_feature_info(), arch/x86/mm/mem_encrypt.c; mem_init_print_info(), mm/mm_init.c
 */
import { type Sentence, scaled, whole } from "./failure-sentences.ts";

const NOT_RESERVED =
  /(?:software IO TLB|swiotlb): ?(?:Cannot allocate buffer|No low mem|.{0,120}?[Ff]ailed to (?:allocate|remap|map)|.{0,120}?cannot allocate|Can not allocate)|Cannot allocate SWIOTLB(?: overflow)? buffer|Can not allocate SWIOTLB buffer earlier|only able to allocate \d+ MB(?: for software IO TLB)?|Failed to get contiguous memory for DMA from Xen/;

export const BOOT_SENTENCES: readonly Sentence[] = [
  {
    words: "software IO TLB",
    pattern:
      /(?:software IO TLB|Placing \d+MB software IO TLB).{0,12}?:? (?:mapped )?\[?mem (?:0x)?([0-9a-f]+)-(?:0x)?([0-9a-f]+)\]? ?\((\d+)MB\)/,
    read: ([, start = "0", end = "0"]) => ({
      kind: "swiotlb-pool",
      device: null,
      start: Number.parseInt(start, 16),
      end: Number.parseInt(end, 16),
    }),
  },
  {
    words: "bounce buffer size roundup",
    pattern: /SWIOTLB bounce buffer size roundup to (\d+)MB/,
    read: ([, mib]) => ({ kind: "swiotlb-rounded", device: null, size: scaled(mib, 2 ** 20) }),
  },
  {
    words: "bounce buffer size adjusted",
    pattern: /SWIOTLB bounce buffer size adjusted (\d+) -> (\d+) slabs/,
    read: ([, , slabs]) => ({
      kind: "swiotlb-not-reserved",
      device: null,
      size: scaled(slabs, 2048),
      smaller: true,
    }),
  },
  {
    words: "Failed to allocate new pool",
    pattern: /Failed to allocate new pool/,
    read: () => ({ kind: "swiotlb-not-grown", device: null, size: null }),
  },
  ...["IO TLB", "SWIOTLB", "only able to allocate", "DMA from Xen"].map(
    (words): Sentence => ({
      words,
      pattern: NOT_RESERVED,
      read: ([text]) => ({
        kind: "swiotlb-not-reserved",
        device: null,
        size: scaled(/only able to allocate (\d+) MB/.exec(text)?.[1], 2 ** 20),
        smaller: text.includes("only able"),
      }),
    }),
  ),
  ...[
    "Memory encryption is active and",
    "Memory Encryption Features active: ",
    "Encrypted Virtualization (SEV) active",
    "tdx: Guest detected",
  ].map(
    (words): Sentence => ({
      words,
      pattern:
        /Memory encryption is active and system is using DMA bounce buffers|Memory Encryption Features active: .{0,60}?(?:SEV|TDX)|Encrypted Virtualization \(SEV\) active|tdx: Guest detected/,
      read: () => ({ kind: "memory-encryption", device: null }),
    }),
  ),
  {
    words: "K available",
    pattern: /^Memory: (\d+)[kK]\/(\d+)[kK] available/,
    read: ([, , kib]) => ({ kind: "memory-size", device: null, kib: whole(kib) ?? 0 }),
  },
  {
    words: "ommand line: ",
    pattern: /ommand line: (.{0,4000}?)$/,
    read: ([, line = ""]) => ({
      kind: "command-line",
      device: null,
      swiotlb: /(?:^|\s)swiotlb=(\S{1,60})/.exec(line)?.[1] ?? null,
    }),
  },
];
