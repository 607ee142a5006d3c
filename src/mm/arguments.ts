/** What callers give, asserted at the call: numbers that would walk out of a table further in, or for ever. */
import { assert } from "../base/assert.ts";
import type { Memory } from "./memory.ts";

type Sizes = Pick<Memory, "maxOrder" | "zoneCount" | "cpuCount">;
type Cpus = Pick<Memory, "cpu" | "cpuCount">;

/** Whole, from 0 to the largest block's. One comparison tells all that are no such number: this is a hot path's. */
export function assertOrder({ maxOrder }: Sizes, order: number): void {
  assert(order >>> 0 === order && order <= maxOrder, "order out of range", order);
}

export function assertZone({ zoneCount }: Sizes, zone: number): void {
  assert(zone >>> 0 === zone && zone < zoneCount, "no zone of this number", zone);
}

export function assertCpu({ cpuCount }: Sizes, cpu: number): void {
  assert(cpu >>> 0 === cpu && cpu < cpuCount, "no such CPU", cpu);
}

/** CPUs that died: nobody recovers itself. */
export function assertOthers({ cpu: own, cpuCount }: Cpus, dead: readonly number[]): void {
  for (const cpu of dead) {
    assert(cpu >>> 0 === cpu && cpu < cpuCount && cpu !== own, "no other CPU", cpu);
  }
}
