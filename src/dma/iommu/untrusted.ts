/**
 * Devices that are not trusted see whole pages only of what is theirs alone: a
 * buffer that is not whole pages bounces, with zeros around it. So do, for another
 * reason, small buffers of devices that do not look into caches, on arm64.
 *
 * Linux: iommu_dma_map_page(), drivers/iommu/dma-iommu.c
 */
import { rowOf } from "../../mm/memory.ts";
import type { DmaDevice } from "../dma-device.ts";
import type { SgEntry } from "../ops.ts";
import { isSmallBuffer } from "../small-buffers.ts";
import { DMA_ATTR_SKIP_CPU_SYNC, type DmaDirection, toDevice } from "../words.ts";
import { PAGE_BYTES } from "./domain.ts";
import type { Iommu } from "./iommu.ts";

/** Why the last call refused. */
export interface IommuRefusal {
  readonly reason: string;
  readonly message: string | null;
}

/** Whether a buffer must not be mapped as it lies. RAM bounces, registers do not. */
export function mustBounce(
  iommu: Iommu,
  device: DmaDevice,
  physical: number,
  size: number,
  direction: DmaDirection,
): boolean {
  if (!guards(iommu, device) && !isSmall(iommu, device, size, direction)) return false;
  if (physical % PAGE_BYTES === 0 && size % PAGE_BYTES === 0) return false;
  return rowOf(iommu.spec.memory, Math.floor(physical / PAGE_BYTES)) >= 0;
}

/** Whether entries of a list are mapped one by one, as some may bounce. */
export function mapsSingly(
  iommu: Iommu,
  device: DmaDevice,
  entries: readonly SgEntry[],
  direction: DmaDirection,
): boolean {
  if (device.untrusted) return true;
  return entries.some(({ length }) => isSmall(iommu, device, length, direction));
}

function guards(iommu: Iommu, device: DmaDevice): boolean {
  return device.untrusted && iommu.rule.untrusted !== "no-bounce";
}

function isSmall(iommu: Iommu, device: DmaDevice, size: number, direction: DmaDirection): boolean {
  if (!iommu.rule.bouncesSmall || iommu.spec.vendor !== "smmu-v3") return false;
  return isSmallBuffer(device, size, direction);
}

/** A bounce buffer whose pages hold nothing else: its physical address. */
export function bounceIn(
  iommu: Iommu,
  device: DmaDevice,
  physical: number,
  size: number,
  direction: DmaDirection,
  attrs: number,
  cpu: number,
): number | IommuRefusal {
  const { bounce = null } = iommu.spec;
  if (bounce === null) {
    const words = "DMA bounce buffers are inactive, unable to map unaligned transaction.";
    const message = `${device.driver === "" ? "pci" : device.driver} ${device.name}: ${words}`;
    iommu.sayOnce("inactive", message);
    return { reason: "no bounce pool", message };
  }
  const whole = Math.ceil(size / PAGE_BYTES) * PAGE_BYTES;
  const mask = PAGE_BYTES - 1;
  const buffer = bounce.map(device, physical, size, whole, mask, direction, attrs, cpu);
  if (buffer < 0) return { reason: "bounce pool full", message: null };
  // Only what an untrusted device may look at is zeroed.
  if (!device.untrusted) return buffer;
  const copies = toDevice(direction) && (attrs & DMA_ATTR_SKIP_CPU_SYNC) === 0;
  const keeps = copies || iommu.rule.untrusted === "zeroed-padding";
  const start = buffer - (buffer % PAGE_BYTES);
  const end = Math.ceil((buffer + size) / PAGE_BYTES) * PAGE_BYTES;
  if (keeps) {
    zero(iommu, start, buffer);
    zero(iommu, buffer + size, end);
  } else zero(iommu, start, end);
  return buffer;
}

function zero(iommu: Iommu, start: number, end: number): void {
  const { bytes, bytesPfn } = iommu.spec.memory;
  const base = bytesPfn * PAGE_BYTES;
  bytes?.fill(0, Math.max(0, start - base), Math.max(0, end - base));
}
