/**
 * Rules for memory set aside at boot: initrd, swiotlb, CMA, crashkernel,
 * gigantic pages, atomic DMA pools.
 *
 * Linux: reserve_initrd(), arch/x86/kernel/setup.c; kernel/dma/swiotlb.c;
 * cma_declare_contiguous_nid(), mm/cma.c; reserve_crashkernel*(); hugetlb_init(), mm/hugetlb.c
 */
import type { Range } from "../base/range.ts";
import { type Draft, keep } from "./boot-log-draft.ts";
import {
  decimal,
  exclusive,
  filled,
  hex,
  inclusive,
  keepRange,
  pages,
  type Rule,
  scaled,
  sized,
  type Verdict,
} from "./boot-log-rule.ts";

const KIB = 1024;
const MIB = KIB * 1024;
const GIB = MIB * 1024;

const RAMDISK_RULES: readonly Rule[] = [
  {
    what: "initrd",
    start: "RAMDISK: ",
    loose: true,
    sure: /\[mem/,
    pattern: /^RAMDISK: (?:\[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]|([0-9a-f]{8,}) - ([0-9a-f]{8,}))$/,
    read: (draft, [, first, last, start, end]) => {
      const range = first === undefined ? exclusive(start, end) : inclusive(first, last);
      if (range.end < range.start) return "garbled";
      draft.log.ramdisk ??= range;
      return "read";
    },
  },
  {
    what: "moved initrd",
    start: "Allocated new RAMDISK:",
    pattern:
      /^Allocated new RAMDISK: (?:\[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]|([0-9a-f]+) - ([0-9a-f]+))$/,
    read: (draft, [, first, last, start, end]) => {
      const range = first === undefined ? exclusive(start, end) : inclusive(first, last);
      if (range.end < range.start) return "garbled";
      draft.log.ramdiskMoved ??= range;
      return "read";
    },
  },
];

function setSwiotlb(draft: Draft, what: Partial<Draft["log"]["swiotlb"]>): "read" {
  const known = draft.log.swiotlb;
  draft.log.swiotlb = {
    mapped: known.mapped ?? what.mapped ?? null,
    areas: known.areas ?? what.areas ?? null,
    adjustedBytes: known.adjustedBytes ?? what.adjustedBytes ?? null,
    announced: known.announced || what.announced === true,
    failure: known.failure ?? what.failure ?? null,
  };
  return "read";
}

function setPool(draft: Draft, mapped: Range): Verdict {
  return mapped.end < mapped.start ? "garbled" : setSwiotlb(draft, { mapped });
}

const SWIOTLB_RULES: readonly Rule[] = [
  {
    what: "swiotlb",
    start: "software IO TLB",
    loose: true,
    sure: /^software IO TLB(?:: mapped| \[mem)/,
    pattern:
      /^software IO TLB(?:: mapped)? \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\] \(\d+MB\)(?: mapped at \[.*\])?$/,
    read: (draft, [, start, end]) => setPool(draft, pages(start, end)),
  },
  {
    what: "swiotlb",
    start: "software IO TLB at phys",
    pattern: /^software IO TLB at phys 0x([0-9a-f]+) - 0x([0-9a-f]+)$/,
    read: (draft, [, start, end]) => setPool(draft, exclusive(start, end)),
  },
  {
    // With a size in front it is virtual addresses, and the line above follows.
    what: "swiotlb",
    start: "Placing software IO TLB between",
    pattern: /^Placing software IO TLB between 0x([0-9a-f]+) - 0x([0-9a-f]+)$/,
    read: (draft, [, start, end]) => setPool(draft, exclusive(start, end)),
  },
  {
    what: "swiotlb",
    start: "software IO TLB: area num",
    pattern: /area num (\d+)\.$/,
    read: (draft, [, areas]) => setSwiotlb(draft, { areas: decimal(areas) }),
  },
  {
    what: "swiotlb",
    start: "software IO TLB: SWIOTLB bounce buffer size adjusted",
    pattern: /adjusted to (\d+)MB$/,
    read: (draft, [, mib]) => setSwiotlb(draft, { adjustedBytes: scaled(mib, MIB) }),
  },
  {
    what: "swiotlb",
    start: "software IO TLB: ",
    loose: true,
    pattern: /^software IO TLB: ((?:No low mem|Cannot allocate buffer|.*[Ff]ailed to allocate).*)$/,
    read: (draft, [, failure]) => setSwiotlb(draft, { failure: filled(failure) }),
  },
  {
    what: "swiotlb",
    start: "PCI-DMA: Using software bounce buffering",
    pattern: /./,
    read: (draft) => setSwiotlb(draft, { announced: true }),
  },
];

const CMA_RULES: readonly Rule[] = ["cma: Reserved", "cma: CMA: reserved", "CMA: reserved"].map(
  (start) => ({
    what: "CMA reservation",
    start,
    // Since 6.15 an area may have several ranges; that line says how many, not where.
    pattern:
      /[Rr]eserved (\d+) (KiB|MiB) (?:at (?:0x)?([0-9a-f]{8}|[0-9a-f]{16})(?: on node (-?\d+))?|in \d+ ranges?)$/,
    read: (draft, [, size, unit, address, node], line) => {
      if (address === undefined) {
        draft.warn(line, "the kernel does not print where this CMA area lies: not used");
        return "read";
      }
      const range = sized(hex(address), scaled(size, unit === "KiB" ? KIB : MIB));
      const onNode = node === undefined || node.startsWith("-") ? null : decimal(node);
      return keepRange(draft, draft.log.cma, { line, ...range, node: onNode });
    },
  }),
);

const CRASHKERNEL_RULES: readonly Rule[] = [
  {
    what: "crashkernel reservation",
    start: "Reserving ",
    loose: true,
    pattern: /^Reserving (\d+)MB of (low )?memory at (\d+)MB for crashkernel\b/,
    read: (draft, [, size, low, at], line) => {
      const range = sized(scaled(at, MIB), scaled(size, MIB));
      return keepRange(draft, draft.log.crashkernel, { line, ...range, low: low !== undefined });
    },
  },
  {
    what: "crashkernel reservation",
    start: "crashkernel ",
    loose: true,
    sure: /reserved: 0x/,
    pattern:
      /^crashkernel (?:(low|high|CMA) (?:memory )?)?reserved: 0x([0-9a-f]+) ?- ?0x([0-9a-f]+) \(\d+ ?MB\)$/,
    read: (draft, [, which, start, end], line) => {
      const entry = { line, ...pages(start, end), low: which === "low" };
      return keepRange(draft, draft.log.crashkernel, entry);
    },
  },
];

const UNITS: ReadonlyMap<string, number> = new Map([
  ["K", KIB],
  ["M", MIB],
  ["G", GIB],
]);

const HUGETLB_RULES: readonly Rule[] = ["HugeTLB: registered", "HugeTLB registered"].map(
  (start) => ({
    what: "huge pages",
    start,
    pattern: /registered ([\d.]+) ([KMG])i?B page size, pre-allocated (\d+) pages$/,
    read: (draft, [, size, unit, count], line) => {
      const pageBytes = Number(size) * (UNITS.get(filled(unit)) ?? Number.NaN);
      if (!Number.isSafeInteger(pageBytes)) return "garbled";
      keep(draft, draft.log.hugePages, { pageBytes, count: decimal(count), line });
      return "read";
    },
  }),
);

const ATOMIC_POOL_RULES: readonly Rule[] = [
  {
    what: "atomic DMA pool",
    start: "DMA: preallocated",
    pattern:
      /^DMA: preallocated (\d+) KiB (?:([\w|]+) )?pool for atomic (?:coherent )?allocations$/,
    read: (draft, [, kib, gfp]) => {
      keep(draft, draft.log.atomicPools, { kib: decimal(kib), gfp: gfp ?? "" });
      return "read";
    },
  },
];

export const POOL_RULES: readonly Rule[] = [
  ...RAMDISK_RULES,
  ...SWIOTLB_RULES,
  ...CMA_RULES,
  ...CRASHKERNEL_RULES,
  ...HUGETLB_RULES,
  ...ATOMIC_POOL_RULES,
];
