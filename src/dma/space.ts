/**
 * Bytes by physical address: RAM, and memory that lies on devices.
 *
 * A region on a device has bytes of its own, made when they are first asked for,
 * or the caller's.
 */
import { byteAt, type Machine } from "./machine.ts";

export interface IoRegion {
  readonly name: string;
  readonly start: number;
  readonly size: number;
}

interface Backed extends IoRegion {
  bytes: Uint8Array | null;
}

export class Space {
  readonly machine: Machine;
  readonly #regions: Backed[] = [];

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** Adds memory of a device; `bytes` are the caller's own, zeros by default. */
  add(region: IoRegion, bytes: Uint8Array | null = null): void {
    this.#regions.push({ ...region, bytes });
  }

  /** The bytes of [physical, physical + length), a view; null where there are none behind all of it. */
  view(physical: number, length: number): Uint8Array | null {
    const at = byteAt(this.machine, physical, length);
    if (at >= 0) return this.machine.memory.bytes?.subarray(at, at + length) ?? null;
    for (const region of this.#regions) {
      const offset = physical - region.start;
      if (offset < 0 || offset + length > region.size) continue;
      region.bytes ??= new Uint8Array(region.size);
      return region.bytes.subarray(offset, offset + length);
    }
    return null;
  }
}
