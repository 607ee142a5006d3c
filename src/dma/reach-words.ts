/** What a device gets, in words: one sentence about streaming buffers, and what to watch. */
import { type Range, rangeList, subtract } from "../base/range.ts";
import { formatAddress, formatBytes } from "../base/units.ts";
import { reachedRanges } from "./bus-reach.ts";
import type { DeviceRegion, DeviceSpec } from "./device.ts";
import type { ReachMemory, StreamingVerdict } from "./reach-memory.ts";

/** All RAM, bytes. */
export function ramBytes({ zones, pageSize }: ReachMemory): Range[] {
  const ram = zones.flatMap((zone) => zone.ram);
  return rangeList(ram.map(({ start, end }) => ({ start: start * pageSize, end: end * pageSize })));
}

export function streamingWords(
  device: DeviceSpec,
  verdict: StreamingVerdict,
  reached: readonly Range[],
  supported: boolean,
  memory: ReachMemory,
): string {
  if (isRestricted(device) && !device.iommu) return "bounce always, own pool";
  if (!supported) return "mask refused";
  switch (verdict) {
    case "iommu":
      return "translated by the IOMMU";
    case "direct":
      return "direct";
    case "bounce":
      return memory.swiotlb?.forced === true
        ? "bounce always"
        : `bounce ${outside(reached, memory)}`;
    case "unreachable":
      return `unreachable ${outside(reached, memory)}`;
  }
}

/** "above 4 GiB", or the ranges themselves where RAM below is out of reach too. */
function outside(reached: readonly Range[], memory: ReachMemory): string {
  const [first, ...others] = reached;
  const firstRam = ramBytes(memory)[0]?.start ?? 0;
  if (first === undefined) return "everywhere";
  if (others.length === 0 && first.start <= firstRam) return `above ${formatBytes(first.end)}`;
  const words = reached
    .slice(0, 2)
    .map(({ start, end }) => `${formatAddress(start, 1)}-${formatAddress(end - 1, 1)}`);
  return `outside of ${words.join(", ")}${reached.length > 2 ? " …" : ""}`;
}

export function reachNotes(
  device: DeviceSpec,
  memory: ReachMemory,
  streaming: StreamingVerdict,
  supported: boolean,
): string[] {
  const notes: string[] = [];
  if (!supported)
    notes.push("the mask covers neither ZONE_DMA nor all of RAM: dma_set_mask() says -EIO");
  if (streaming === "unreachable" && supported) {
    notes.push(
      memory.swiotlb === null
        ? "there is no swiotlb pool to bounce through"
        : "the swiotlb pool itself lies above the mask",
    );
  }
  if (streaming === "bounce" && memory.swiotlb?.forced === true) {
    notes.push("every streaming mapping bounces, whatever its address");
  }
  notes.push(...(device.regions ?? []).map(ownWords));
  const coherent = reachedRanges(device.coherentBits, device);
  const area = memory.cma.find(
    ({ start, bytes }) =>
      start !== null && subtract([{ start, end: start + bytes }], coherent).length === 0,
  );
  if (area !== undefined && !device.iommu) {
    notes.push("coherent buffers of more than a page come from CMA first");
  }
  return notes;
}

export function isRestricted({ regions }: DeviceSpec): boolean {
  return regions?.some(({ kind }) => kind === "restricted") === true;
}

/** The driver asks for its region, but for a restricted pool, which the bus code sets up. */
function ownWords({ kind, name, start, size }: DeviceRegion): string {
  const area = `${name ?? `the region at ${formatAddress(start, 1)}`} of ${formatBytes(size)}`;
  return kind === "restricted"
    ? `may touch its own pool ${area} only: every mapping is copied there`
    : `coherent buffers come from ${area}, where its driver asks for it`;
}
