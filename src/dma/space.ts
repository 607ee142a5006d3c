/**
 * Bytes by physical address: RAM, and memory that lies on devices.
 *
 * A region on a device has bytes of its own, made when they are first asked for,
 * or the caller's. An area that a driver declared is such a region wherever no
 * other and no RAM is.
 */
import type { DeclaredAreas } from "./declared.ts";
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

  readonly #areas: DeclaredAreas;

  constructor(machine: Machine, areas: DeclaredAreas) {
    this.machine = machine;
    this.#areas = areas;
  }

  /** Adds memory of a device; `bytes` are the caller's own, zeros by default. */
  add(region: IoRegion, bytes: Uint8Array | null = null): void {
    this.#regions.push({ ...region, bytes });
  }

  /** The bytes of [physical, physical + length), a view; null where there are none behind all of it. */
  view(physical: number, length: number): Uint8Array | null {
    const at = byteAt(this.machine, physical, length);
    if (at >= 0) return this.machine.memory.bytes?.subarray(at, at + length) ?? null;
    const region = this.#regions.find((own) => holds(own, physical, length));
    if (region === undefined) return this.#declared(physical, length);
    region.bytes ??= new Uint8Array(region.size);
    const offset = physical - region.start;
    return region.bytes.subarray(offset, offset + length);
  }

  /** The same in a declared area that has no bytes yet. */
  #declared(physical: number, length: number): Uint8Array | null {
    const area = this.#areas.holding(physical, length);
    if (area === undefined) return null;
    const { busStart: start, pages, pageSize } = area;
    this.add({ name: `memory of device ${area.device}`, start, size: pages * pageSize });
    return this.view(physical, length);
  }
}

function holds({ start, size }: IoRegion, physical: number, length: number): boolean {
  return physical >= start && physical + length <= start + size;
}
