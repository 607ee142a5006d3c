/**
 * Mappings whose bytes exist twice: bounced ones, and those of devices that do
 * not look into the CPU's cache. Here is written down what one side wrote and the
 * other has not been told; nobody else's mappings cost anything.
 *
 * Ranges are physical, of the original buffer.
 */
import { intersect, type Range, rangeList, subtract } from "../base/range.ts";

interface Apart {
  /** The buffer. */
  readonly ranges: readonly Range[];
  /** Written by the device, not yet synced for the CPU. */
  byDevice: readonly Range[];
  /** Written by the CPU since the map, not yet synced for the device. */
  byCpu: readonly Range[];
}

const NOTHING: readonly Range[] = [];

export class ApartMappings {
  /** By entry of the books. */
  readonly #open = new Map<number, Apart>();

  open(entry: number, ranges: readonly Range[]): void {
    const sorted = ranges.length > 1 ? rangeList(ranges) : ranges;
    this.#open.set(entry, { ranges: sorted, byDevice: NOTHING, byCpu: NOTHING });
  }

  close(entry: number): void {
    this.#open.delete(entry);
  }

  count(): number {
    return this.#open.size;
  }

  deviceWrote(entry: number, physical: number, length: number): void {
    const own = this.#open.get(entry);
    if (own !== undefined) own.byDevice = rangeList([...own.byDevice, range(physical, length)]);
  }

  /** The CPU writes somewhere: every mapping of that memory now has old bytes on its device's side. */
  cpuWrote(physical: number, length: number): void {
    const written = [range(physical, length)];
    for (const own of this.#open.values()) {
      const touched = intersect(own.ranges, written);
      if (touched.length > 0) own.byCpu = rangeList([...own.byCpu, ...touched]);
    }
  }

  syncedForCpu(entry: number, physical: number, length: number): void {
    const own = this.#open.get(entry);
    if (own !== undefined) own.byDevice = subtract(own.byDevice, [range(physical, length)]);
  }

  syncedForDevice(entry: number, physical: number, length: number): void {
    const own = this.#open.get(entry);
    if (own !== undefined) own.byCpu = subtract(own.byCpu, [range(physical, length)]);
  }

  /** Entry of a mapping whose device wrote there and was not synced; -1 for none. */
  staleForCpu(physical: number, length: number): number {
    const asked = [range(physical, length)];
    for (const [entry, own] of this.#open) {
      if (intersect(own.byDevice, asked).length > 0) return entry;
    }
    return -1;
  }

  /** Whether the CPU wrote there after the map without telling the device. */
  staleForDevice(entry: number, physical: number, length: number): boolean {
    const own = this.#open.get(entry);
    return own !== undefined && intersect(own.byCpu, [range(physical, length)]).length > 0;
  }
}

function range(start: number, length: number): Range {
  return { start, end: start + length };
}
