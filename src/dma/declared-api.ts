/**
 * Giving a device memory of its own: by its driver with bus and device addresses,
 * or by firmware's `memory-region`.
 *
 * What flags mean is the era's: as proposed in 2004, children allocate from a
 * parent's area that includes them, and an exclusive area never falls back; merged
 * kernels ignored the children, later ones the flags.
 *
 * Linux: dma_declare_coherent_memory(), dma_release_declared_memory(), kernel/dma/coherent.c;
 * of_reserved_mem_device_init_by_idx(), drivers/of/of_reserved_mem.c
 */
import type { Core } from "./core.ts";
import { DMA_MEMORY_IO, DMA_MEMORY_MAP } from "./declared.ts";
import { type Device, EBUSY, EINVAL, ENODEV, ENOMEM } from "./runtime-device.ts";
import { coherentLast, physToDma } from "./translate.ts";

/**
 * Memory on the device's controller: the CPU sees it at `busAddress`, the device
 * at `deviceAddress`. Returns what the era's kernel returns: MAP or IO and 0 for
 * failure, or 0 and a negative number for failure.
 */
export function declareCoherentMemory(
  core: Core,
  device: Device,
  busAddress: number,
  deviceAddress: number,
  size: number,
  flags: number,
): number {
  const { declared } = core.policy;
  const byFlag = declared.returns === "flag";
  if (declared.flags === "absent") return byFlag ? 0 : ENODEV;
  const how = flags & (DMA_MEMORY_MAP | DMA_MEMORY_IO);
  if (declared.flags === "2004" && how === 0) return 0;
  if (!(size > 0)) return byFlag ? 0 : EINVAL;
  if (core.declared.get(device.id) !== undefined) return byFlag ? 0 : EBUSY;
  // Later kernels have no flags; one of them had EXCLUSIVE alone.
  const kept = declared.flags === "none" ? 0 : flags;
  if (!assign(core, device, busAddress, deviceAddress, size, kept)) return byFlag ? 0 : ENOMEM;
  if (!byFlag) return 0;
  return (flags & DMA_MEMORY_MAP) !== 0 ? DMA_MEMORY_MAP : DMA_MEMORY_IO;
}

/** False where its books find no room. */
function assign(
  core: Core,
  device: Device,
  busAddress: number,
  deviceAddress: number,
  size: number,
  flags: number,
): boolean {
  const area = core.declared.add(device.id, busAddress, deviceAddress, size, flags);
  return area !== undefined;
}

/** Takes the device's memory back, whatever is still allocated from it. */
export function releaseDeclaredMemory(core: Core, device: Device): void {
  core.declared.remove(device.id);
}

/**
 * Keeps a part of the device's memory, by the device's address, from being
 * allocated: the CPU's address of it, or a negative number.
 */
export function markDeclaredMemoryOccupied(
  core: Core,
  device: Device,
  deviceAddress: number,
  size: number,
): number {
  const area = core.declared.get(device.id);
  if (area === undefined) return EINVAL;
  return area.occupy(deviceAddress, size, core.policy.declared.marks);
}

/**
 * Gives `device` the region number `index` that firmware names for `source`:
 * a codec with two memory banks has a child device for each. 0, or a negative
 * number.
 */
export function initReservedMemory(
  core: Core,
  device: Device,
  source: Device,
  index: number,
): number {
  const region = source.spec.regions?.[index];
  if (region === undefined) return ENODEV;
  if (region.kind !== "declared") return 0;
  if (core.declared.get(device.id) !== undefined) return EBUSY;
  if (!(region.size > 0)) return EINVAL;
  const seen = physToDma(device, region.start);
  if (seen < 0 || seen + region.size - 1 > coherentLast(device)) {
    const who = `${device.driver} ${device.name}`.trim();
    core.reports.say(`${who}: reserved memory is beyond device's set DMA address range`);
  }
  return assign(core, device, region.start, seen, region.size, 0) ? 0 : ENOMEM;
}
