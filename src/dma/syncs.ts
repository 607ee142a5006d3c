/**
 * Handing a mapped buffer over without ending the mapping: to the CPU, back to
 * the device, or a part of it.
 *
 * Linux: dma_sync_single_for_cpu(), dma_sync_sg_for_device(), kernel/dma/mapping.c;
 * dma_direct_sync_single_for_cpu(), kernel/dma/direct.h
 */
import { directionOf, TYPE_SG, TYPE_SINGLE } from "./books.ts";
import type { Core } from "./core.ts";
import { C_SYNCS, COUNT_WORDS } from "./counts.ts";
import { beforeCpu } from "./mapping-steps.ts";
import type { SgEntry } from "./ops.ts";
import type { Device } from "./runtime-device.ts";
import { DMA_BIDIRECTIONAL, type DmaDirection } from "./words.ts";

/** `dma` may point into a mapping, and `size` be less than what follows. */
export function syncSingle(
  core: Core,
  device: Device,
  dma: number,
  size: number,
  direction: DmaDirection,
  toCpu: boolean,
): void {
  check(core, device, dma, size, direction, TYPE_SINGLE, 0, toCpu);
  const entry = core.books.covering(device.id, dma, size);
  if (entry >= 0) {
    const physical = core.books.physical[entry] + dma - core.books.dma[entry];
    handOver(core, device, entry, dma, physical, size, toCpu);
  }
  core.counts[device.id * COUNT_WORDS + C_SYNCS]++;
  const name = toCpu ? "dma_sync_single_for_cpu" : "dma_sync_single_for_device";
  core.onEvent?.({ name, device: device.name, direction, dma, size });
}

/** The same for a whole list. */
export function syncSg(
  core: Core,
  device: Device,
  entries: readonly SgEntry[],
  direction: DmaDirection,
  toCpu: boolean,
): void {
  const parts = entries.filter((own) => own.dmaLength > 0);
  for (const { dma, dmaLength } of parts) {
    check(core, device, dma, dmaLength, direction, TYPE_SG, entries.length, toCpu);
  }
  const merged = parts.length !== entries.length;
  for (const { dma, dmaLength, physical } of parts) {
    const entry = core.books.covering(device.id, dma, dmaLength);
    if (entry < 0) continue;
    if (!merged) {
      handOver(core, device, entry, dma, physical, dmaLength, toCpu);
      continue;
    }
    // A merged part holds several buffers that lie apart: all of the list's are handed over.
    const mapped = directionOf(core.books, entry);
    for (const own of entries) {
      caches(core, device, own.physical, own.length, mapped, toCpu);
      told(core, entry, own.physical, own.length, toCpu);
    }
    if (toCpu) device.ops.syncForCpu(device, dma, dmaLength, mapped);
    else device.ops.syncForDevice(device, dma, dmaLength, mapped);
  }
  core.counts[device.id * COUNT_WORDS + C_SYNCS]++;
  const name = toCpu ? "dma_sync_sg_for_cpu" : "dma_sync_sg_for_device";
  const dmas = parts.map((own) => own.dma);
  const sizes = parts.map((own) => own.dmaLength);
  core.onEvent?.({ name, device: device.name, direction, dmas, sizes });
}

function check(
  core: Core,
  device: Device,
  dma: number,
  size: number,
  direction: DmaDirection,
  type: number,
  entries: number,
  toCpu: boolean,
): void {
  if (core.debug !== null && !core.debug.disabled) {
    const ref = { dma, size, direction, type, physical: -1, entries };
    core.debug.checkSync(device, ref, toCpu);
    return;
  }
  const entry = core.books.covering(device.id, dma, size);
  if (entry < 0) {
    const words = `synced by ${device.name}, but not mapped`;
    core.reports.misuse("sync of nothing", device.name, dma, words, null);
    return;
  }
  const mapped = directionOf(core.books, entry);
  if (mapped === DMA_BIDIRECTIONAL || mapped === direction) return;
  const words = `synced by ${device.name} with another direction than it was mapped`;
  core.reports.misuse("sync direction", device.name, dma, words, null);
}

/** The direction is the mapping's: a driver's wrong one has been reported. */
function handOver(
  core: Core,
  device: Device,
  entry: number,
  dma: number,
  physical: number,
  size: number,
  toCpu: boolean,
): void {
  const direction = directionOf(core.books, entry);
  caches(core, device, physical, size, direction, toCpu);
  if (toCpu) device.ops.syncForCpu(device, dma, size, direction);
  else device.ops.syncForDevice(device, dma, size, direction);
  told(core, entry, physical, size, toCpu);
}

function caches(
  core: Core,
  device: Device,
  physical: number,
  size: number,
  direction: DmaDirection,
  toCpu: boolean,
): void {
  if (toCpu) beforeCpu(core, device, physical, size, direction, 0);
  else core.cache?.clean(physical, size);
}

function told(core: Core, entry: number, physical: number, size: number, toCpu: boolean): void {
  if (toCpu) core.apart.syncedForCpu(entry, physical, size);
  else core.apart.syncedForDevice(entry, physical, size);
}
