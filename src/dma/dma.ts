/**
 * One DMA layer over one memory: devices, their mappings, their coherent memory,
 * and the bus.
 *
 *   const dma = createDma(memory, { era: "6.12", bounce });
 *   const nic = dma.addDevice({ ...simpleDevice("0000:00:04.0", 32), driver: "e1000" });
 *   const address = dma.mapSingle(nic, physical, 1500, DMA_TO_DEVICE);
 *   if (dma.mappingError(nic, address)) …            dma.reports.lastRefusal says why
 *   nic.read(address, 1500)                          what the card gets, or the fault it meets
 *
 * Names are the kernel's; physical addresses take the place of pointers.
 *
 * Linux: include/linux/dma-mapping.h, kernel/dma/mapping.c
 */
import { assert } from "../base/assert.ts";
import type { Memory } from "../mm/memory.ts";
import { busRead, busWrite, cpuRead, cpuWrite } from "./bus.ts";
import { countsOf, type DeviceCounts } from "./counts.ts";
import type { CpuCache } from "./cpu-cache.ts";
import { createCore, type DmaOptions, setMasks, setRestricted } from "./create-core.ts";
import type { DmaDebug } from "./debug.ts";
import { initReservedMemory } from "./declared-api.ts";
import type { DeviceSpec } from "./device.ts";
import { mapSg, unmapSg } from "./lists.ts";
import { ramOutsideWindows, zoneNameOf } from "./machine.ts";
import { MemoryForLong } from "./memory-for-long.ts";
import type { DmaOps, SgEntry } from "./ops.ts";
import { Device, type DeviceBus, hasRestrictedPool } from "./runtime-device.ts";
import { bindStreaming, type Streaming } from "./streaming.ts";
import { syncSg, syncSingle } from "./syncs.ts";
import { streamingLast } from "./translate.ts";
import { DMA_MAPPING_ERROR, type DmaDirection, NO_LIMIT } from "./words.ts";

export class Dma extends MemoryForLong {
  /** The direct mapping: what devices without an IOMMU have. */
  readonly direct: DmaOps;
  readonly debug: DmaDebug | null;
  /** The CPU's cache; null where all devices look into it. */
  readonly cache: CpuCache | null;
  /** dma_map_page() with a physical address: the hot path, bound once. */
  readonly map: Streaming["map"];
  readonly unmap: Streaming["unmap"];
  /** The same as `unmap`: both ways to map end alike. */
  readonly unmapPage: Streaming["unmap"];
  readonly unmapSingle: Streaming["unmap"];
  readonly mapResource: Streaming["mapResource"];
  readonly unmapResource: Streaming["unmapResource"];
  readonly #options: DmaOptions;
  readonly #bus: DeviceBus;

  constructor(memory: Memory, options: DmaOptions) {
    const core = createCore(memory, options);
    super(core);
    this.#options = options;
    this.direct = core.direct;
    this.debug = core.debug;
    this.cache = core.cache;
    const bound = bindStreaming(core);
    this.map = bound.map;
    this.unmap = bound.unmap;
    this.unmapPage = bound.unmap;
    this.unmapSingle = bound.unmap;
    this.mapResource = bound.mapResource;
    this.unmapResource = bound.unmapResource;
    this.#bus = {
      read: (device, dma, length) => busRead(core, device, dma, length),
      write: (device, dma, bytes) => busWrite(core, device, dma, bytes),
    };
    for (const spec of options.devices ?? []) this.addDevice(spec);
  }

  /** Name of the kernel's rules: "6.1". */
  get era(): string {
    return this.core.policy.name;
  }

  get devices(): readonly Device[] {
    return this.core.devices;
  }

  /** The device of a name. Asserts that there is one. */
  device(name: string): Device {
    const found = this.core.devices.find((device) => device.name === name);
    assert(found !== undefined, "no device of this name");
    return found;
  }

  /**
   * A device whose driver has set its masks: what was refused leaves the 32 bits
   * that every device starts with, and a line. Its first own area, where firmware
   * gives one, is taken.
   */
  addDevice(spec: DeviceSpec): Device {
    const { devices, counts } = this.core;
    assert(devices.length < counts.length / 16, "more devices than maxDevices", devices.length);
    const parent = spec.parent === undefined ? null : this.device(spec.parent);
    const { encrypted = false } = this.#options;
    const { translated, direct } = this.core;
    const own = spec.iommu && translated !== null ? translated : direct;
    const device = new Device(devices.length, spec, own, this.#bus, parent, encrypted);
    devices.push(device);
    if (hasRestrictedPool(spec)) {
      setRestricted(this.core, device, this.#options.restrictedPool?.(spec) ?? null);
    }
    setMasks(this.core, device);
    if (spec.regions?.[0]?.kind === "declared") initReservedMemory(this.core, device, device, 0);
    return device;
  }

  /** The driver lets the device go: dma-debug says what is still mapped. */
  unbindDriver(device: Device): void {
    this.debug?.unbound(device);
  }

  // Streaming mappings ------------------------------------------------------

  /** Linux: dma_map_page() */
  mapPage(
    device: Device,
    pfn: number,
    offset: number,
    size: number,
    direction: DmaDirection,
    attrs = 0,
  ): number {
    return this.map(device, pfn * this.memory.pageSize + offset, size, direction, attrs);
  }

  /** A buffer of low memory, which has an address of its own for the CPU. Linux: dma_map_single_attrs() */
  mapSingle(
    device: Device,
    physical: number,
    size: number,
    direction: DmaDirection,
    attrs = 0,
  ): number {
    const zone = zoneNameOf(this.core.machine, physical);
    this.debug?.checkAddress(device, physical, size, zone !== null && zone !== "HighMem");
    if (zone === null) {
      const line = "rejecting DMA map of vmalloc memory";
      this.reports.refuse("dma_map_single", device.name, "no such memory", line);
      return DMA_MAPPING_ERROR;
    }
    return this.map(device, physical, size, direction, attrs);
  }

  /** Entries used on the device's side, 0 when the list was refused. Linux: dma_map_sg_attrs() */
  mapSg(device: Device, entries: SgEntry[], direction: DmaDirection, attrs = 0): number {
    return mapSg(this.core, device, entries, direction, attrs);
  }

  unmapSg(device: Device, entries: readonly SgEntry[], direction: DmaDirection, attrs = 0): void {
    unmapSg(this.core, device, entries, direction, attrs);
  }

  syncSingleForCpu(device: Device, dma: number, size: number, direction: DmaDirection): void {
    syncSingle(this.core, device, dma, size, direction, true);
  }

  syncSingleForDevice(device: Device, dma: number, size: number, direction: DmaDirection): void {
    syncSingle(this.core, device, dma, size, direction, false);
  }

  syncSgForCpu(device: Device, entries: readonly SgEntry[], direction: DmaDirection): void {
    syncSg(this.core, device, entries, direction, true);
  }

  syncSgForDevice(device: Device, entries: readonly SgEntry[], direction: DmaDirection): void {
    syncSg(this.core, device, entries, direction, false);
  }

  /** Whether an address is none; the debugger wants every map to be asked. Linux: dma_mapping_error() */
  mappingError(device: Device, dma: number): boolean {
    this.debug?.mappingError(device, dma);
    return dma === DMA_MAPPING_ERROR;
  }

  // What a device can have --------------------------------------------------

  /** Largest single mapping, bytes; NO_LIMIT where nothing limits. Linux: dma_max_mapping_size() */
  maxMappingSize(device: Device): number {
    return device.ops.maxMappingSize(device);
  }

  /** Largest mapping that is cheap. Linux: dma_opt_mapping_size() */
  optMappingSize(device: Device): number {
    return Math.min(this.maxMappingSize(device), device.ops.optMappingSize?.(device) ?? NO_LIMIT);
  }

  /** Narrowest mask that reaches all of memory, as its last address. Linux: dma_get_required_mask() */
  requiredMask(device: Device): number {
    return device.ops.requiredMask(device);
  }

  /** Whether some memory is out of the device's reach. Linux: dma_addressing_limited() */
  addressingLimited(device: Device): boolean {
    if (streamingLast(device) < this.requiredMask(device)) return true;
    if (!this.core.policy.masks.limitedByMap || device.ops !== this.direct) return false;
    return ramOutsideWindows(this.core.machine, device);
  }

  /**
   * Runs the worker that requests wake which may not wait: the atomic pools grow. Bytes added.
   * Linux: atomic_pool_work_fn(), kernel/dma/pool.c
   */
  work(): number {
    return this.core.atomic?.work() ?? 0;
  }

  // The CPU's side ----------------------------------------------------------

  /** What the CPU reads at a physical address, through its cache; null where there is nothing. */
  cpuRead(physical: number, length: number): Uint8Array | null {
    return cpuRead(this.core, physical, length);
  }

  /** The CPU writes; false where there is nothing. */
  cpuWrite(physical: number, bytes: Uint8Array): boolean {
    return cpuWrite(this.core, physical, bytes);
  }

  /** Registers or memory of a device, reached by its physical address; bytes of the caller's, or zeros. */
  addIoMemory(name: string, start: number, size: number, bytes?: Uint8Array): void {
    this.core.space.add({ name, start, size }, bytes ?? null);
  }

  // What happened -----------------------------------------------------------

  /** Mappings and coherent memory that nobody ended yet. */
  liveMappings(device?: Device): number {
    return device === undefined ? this.core.books.count() : this.core.books.live(device.id).length;
  }

  counts(device: Device): DeviceCounts {
    return countsOf(this.core.counts, device.id, device.name);
  }
}

/** Makes a DMA layer. Asserts that the era is known. */
export function createDma(memory: Memory, options: DmaOptions = {}): Dma {
  return new Dma(memory, options);
}
