/** Pools in words, one line each. */
import { formatAddress, formatBytes, formatCount } from "../../base/units.ts";
import type { ReservedKind } from "../../boot/hardware.ts";
import type { Plan } from "../../plan/index.ts";

/** Bytes of one swiotlb slot. Linux: IO_TLB_SHIFT, include/linux/swiotlb.h */
const SLOT_WORDS = "2 KiB";

const KIND_WORDS: Readonly<Record<ReservedKind, string>> = {
  "no-map": "not mapped, nobody's",
  reserved: "kept from the kernel",
  coherent: "for dma_alloc_coherent() of its devices",
  restricted: "bounce pool of its devices",
  cma: "lent to movable pages",
};

export function poolLines({ pools, maskPool, pageSize }: Plan): string[] {
  const lines: string[] = [];
  if (maskPool !== null) {
    const reserve = maskPool.reserveWithout;
    lines.push(
      `mask pool    ${formatBytes(maskPool.bytes)} below ${formatAddress(maskPool.end, 1)} · in no zonelist, ` +
        `so no zone keeps a reserve for it (ZONE_DMA would: ${formatCount(reserve)} pages, ` +
        `${formatBytes(reserve * pageSize)}) · books of ${formatBytes(maskPool.metadataBytes)} outside the zones`,
    );
  }
  const { swiotlb } = pools;
  if (swiotlb === null) lines.push(`swiotlb      none: ${pools.swiotlbWhyNot ?? "not needed"}`);
  else {
    const areas = swiotlb.areas === 1 ? "" : ` in ${swiotlb.areas} areas`;
    lines.push(
      `swiotlb      ${formatBytes(swiotlb.bytes)}${place(swiotlb.start)} · ` +
        `${formatCount(swiotlb.slots)} slots of ${SLOT_WORDS}${areas} · ` +
        `largest mapping ${formatBytes(swiotlb.maxMapping)} · ${swiotlb.reason}`,
    );
  }
  for (const area of pools.cma) {
    lines.push(`cma          ${area.name}: ${formatBytes(area.bytes)}${place(area.start)}`);
  }
  for (const { name, kind, bytes, start } of pools.reserved ?? []) {
    // CMA areas stand above.
    if (kind === "cma") continue;
    const where = start === null ? ": no room for it" : place(start);
    lines.push(`set aside    ${name}: ${formatBytes(bytes)}${where} · ${KIND_WORDS[kind]}`);
  }
  for (const range of pools.crashkernel) {
    lines.push(`crashkernel  ${formatBytes(range.end - range.start)}${place(range.start)}`);
  }
  for (const { pageBytes, count } of pools.hugePages) {
    lines.push(`huge pages   ${formatCount(count)} of ${formatBytes(pageBytes)}`);
  }
  return lines;
}

function place(start: number | null): string {
  return start === null ? " (place not known from parameters)" : ` at ${formatAddress(start, 1)}`;
}
