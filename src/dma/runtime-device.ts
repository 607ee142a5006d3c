/**
 * A device at work: built from its description, with masks that its driver sets
 * and the kernel takes or refuses.
 *
 * A device starts with 32 bits on both masks. A bus with windows cuts them. Then
 * the driver asks for what its hardware has.
 *
 * Linux: of_dma_configure_id(), drivers/of/device.c; dma_set_mask(), kernel/dma/mapping.c;
 * dma_direct_set_offset(), kernel/dma/direct.c
 */
import { type DeviceSpec, maskLimit } from "./device.ts";
import type { DmaDevice, DmaWindow } from "./dma-device.ts";
import type { BusFault, DmaOps } from "./ops.ts";
import { busBounds } from "./translate.ts";
import { NO_LIMIT } from "./words.ts";

const DEFAULT_MASK = 0xffffffff;

/** Negative, as the kernel returns them. */
export const EIO = -5;
export const ENXIO = -6;
export const ENOMEM = -12;
export const EBUSY = -16;
export const ENODEV = -19;
export const EINVAL = -22;

/** What a device does on the bus; see bus.ts. */
export interface DeviceBus {
  read(device: Device, dma: number, length: number): Uint8Array | BusFault;
  write(device: Device, dma: number, bytes: Uint8Array): BusFault | null;
}

export class Device implements DmaDevice {
  readonly id: number;
  readonly spec: DeviceSpec;
  readonly name: string;
  readonly driver: string;
  streamingLimit: number;
  coherentLimit: number;
  busLimit: number = NO_LIMIT;
  windows: readonly DmaWindow[] | null = null;
  readonly parent: Device | null;
  readonly node: number;
  readonly maxSegmentSize: number;
  readonly segmentBoundary: number;
  readonly minAlignMask: number;
  readonly coherent: boolean;
  readonly untrusted: boolean;
  readonly forceBounce: boolean;
  /** Last address that its hardware can put on the bus, whatever was set. */
  readonly hardwareLimit: number;
  /** How it reaches memory. */
  readonly ops: DmaOps;
  readonly #bus: DeviceBus;
  /** What firmware said of its bus that was wrong, in words; null for nothing. */
  readonly firmwareIssue: string | null;

  constructor(
    id: number,
    spec: DeviceSpec,
    ops: DmaOps,
    bus: DeviceBus,
    parent: Device | null,
    forceBounce: boolean,
  ) {
    this.#bus = bus;
    this.id = id;
    this.spec = spec;
    this.ops = ops;
    this.name = spec.name;
    this.driver = spec.driver ?? "";
    this.parent = parent;
    this.node = spec.node ?? parent?.node ?? -1;
    this.maxSegmentSize = spec.maxSegmentSize ?? 0x10000;
    this.segmentBoundary = spec.segmentBoundary ?? 0xffffffff;
    this.minAlignMask = spec.minAlignMask ?? 0;
    this.coherent = spec.coherent ?? parent?.coherent ?? true;
    this.untrusted = spec.untrusted ?? parent?.untrusted ?? false;
    this.forceBounce = forceBounce || spec.forceBounce === true || hasRestrictedPool(spec);
    this.hardwareLimit = maskLimit(Math.max(spec.dmaBits, spec.coherentBits));
    this.streamingLimit = DEFAULT_MASK;
    this.coherentLimit = DEFAULT_MASK;
    this.firmwareIssue = this.#configure(spec, parent);
  }

  /** The bus's windows and limit, its own or its parent's. Linux: of_dma_configure_id() */
  #configure(spec: DeviceSpec, parent: Device | null): string | null {
    const windows = spec.windows ?? parent?.windows ?? null;
    this.busLimit = Math.min(spec.busLimit ?? NO_LIMIT, parent?.busLimit ?? NO_LIMIT);
    if (windows === null || windows.length === 0) return null;
    const bounds = busBounds(windows);
    if (bounds === null) return "the windows of the bus hold nothing";
    this.windows = windows;
    this.busLimit = Math.min(this.busLimit, bounds.busLimit);
    this.streamingLimit = Math.min(this.streamingLimit, bounds.mask);
    this.coherentLimit = Math.min(this.coherentLimit, bounds.mask);
    return null;
  }

  /**
   * One window for a board that no device tree describes: 0, or EINVAL where
   * there are windows already.
   *
   * Linux: dma_direct_set_offset(), kernel/dma/direct.c
   */
  setOffset(cpuStart: number, dmaStart: number, size: number): number {
    if (this.windows !== null) return EINVAL;
    if (cpuStart === dmaStart) return 0;
    this.windows = [{ cpuStart, dmaStart, size }];
    return 0;
  }

  /** The device reads `length` bytes at a DMA address: the bytes, or the fault it meets. */
  read(dma: number, length: number): Uint8Array | BusFault {
    return this.#bus.read(this, dma, length);
  }

  /** The device writes; null, or the fault it meets. */
  write(dma: number, bytes: Uint8Array): BusFault | null {
    return this.#bus.write(this, dma, bytes);
  }

  /** Drops the streaming mask: a device whose bus never gave it one. */
  clearMask(): void {
    this.streamingLimit = -1;
  }

  /**
   * The driver's streaming mask, `bits` wide: 0, or EIO with the old mask kept.
   *
   * Linux: dma_set_mask(), kernel/dma/mapping.c
   */
  setMask(bits: number): number {
    const limit = maskLimit(bits);
    if (this.streamingLimit < 0 || !this.ops.maskSupported(this, limit)) return EIO;
    this.streamingLimit = limit;
    return 0;
  }

  /** Linux: dma_set_coherent_mask(), kernel/dma/mapping.c */
  setCoherentMask(bits: number): number {
    const limit = maskLimit(bits);
    if (!this.ops.maskSupported(this, limit)) return EIO;
    this.coherentLimit = limit;
    return 0;
  }

  /** The coherent mask's answer does not count once the streaming one was taken. Linux: dma_set_mask_and_coherent() */
  setMaskAndCoherent(bits: number): number {
    const result = this.setMask(bits);
    if (result === 0) this.setCoherentMask(bits);
    return result;
  }
}

/** Whether streaming mappings of the device go through a pool of its own. */
export function hasRestrictedPool(spec: DeviceSpec): boolean {
  return spec.regions?.some((region) => region.kind === "restricted") ?? false;
}
