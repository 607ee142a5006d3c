/**
 * What really happens on the bus: a device reads and writes at DMA addresses,
 * through windows, page tables and bounce buffers, on real bytes; and the CPU
 * reads and writes its side.
 *
 * An access is checked against the hardware's address bits, the books, and the
 * direction; then translated. What fails is named, and nothing is read or
 * written. Bytes that one side wrote and did not hand over are *not* refused: the
 * other side gets the old ones, as on the hardware, and it is reported.
 */
import {
  DEVICE_READS,
  DEVICE_WRITES,
  F_APART,
  F_BOUNCED,
  F_DECLARED,
  hasFlag,
  TYPE_NAMES,
  typeOf,
} from "./books.ts";
import type { Core } from "./core.ts";
import { C_BUS_BYTES, C_BUS_FAULTS, COUNT_WORDS } from "./counts.ts";
import { landingOf } from "./mapping-steps.ts";
import type { BusFault } from "./ops.ts";
import { hex } from "./reports.ts";
import type { Device } from "./runtime-device.ts";

/** What a device has at most in one step: no granule or window of Linux is smaller. */
const STEP = 4096;

/** Whether an answer of the bus is a fault. */
export function isFault(answer: Uint8Array | BusFault | null): answer is BusFault {
  return answer !== null && !(answer instanceof Uint8Array);
}

/** A device reads; its bytes, or the fault that it met. */
export function busRead(
  core: Core,
  device: Device,
  dma: number,
  length: number,
): Uint8Array | BusFault {
  const bytes = new Uint8Array(length);
  const fault = access(core, device, dma, bytes, false);
  return fault ?? bytes;
}

/** A device writes; null, or the fault that it met. What came before the fault is written. */
export function busWrite(
  core: Core,
  device: Device,
  dma: number,
  bytes: Uint8Array,
): BusFault | null {
  return access(core, device, dma, bytes, true);
}

function access(
  core: Core,
  device: Device,
  dma: number,
  bytes: Uint8Array,
  write: boolean,
): BusFault | null {
  for (let at = 0; at < bytes.length; ) {
    const address = dma + at;
    const length = Math.min(bytes.length - at, STEP - (address % STEP));
    const fault = step(core, device, address, bytes.subarray(at, at + length), write);
    if (fault !== null) {
      core.counts[device.id * COUNT_WORDS + C_BUS_FAULTS]++;
      const what = `${write ? "write" : "read"} of ${device.name} at 0x${hex(fault.address)}`;
      const words = fault.message === "" ? `${what}: ${fault.reason}` : fault.message;
      core.reports.misuse(fault.reason, device.name, fault.address, words, null);
      return fault;
    }
    core.counts[device.id * COUNT_WORDS + C_BUS_BYTES] += length;
    at += length;
  }
  return null;
}

/** One granule at most. */
function step(
  core: Core,
  device: Device,
  dma: number,
  bytes: Uint8Array,
  write: boolean,
): BusFault | null {
  const { books } = core;
  if (dma < 0 || dma + bytes.length - 1 > device.hardwareLimit) return fault("mask", dma);
  const able = books.covering(device.id, dma, 1, write ? DEVICE_WRITES : DEVICE_READS);
  const first = able >= 0 ? able : books.covering(device.id, dma, 1);
  const held = first < 0 ? 0 : books.dma[first] + books.size[first] - dma;
  // A mapping ends within the step: what follows is looked up by itself.
  if (first >= 0 && held < bytes.length) {
    return (
      step(core, device, dma, bytes.subarray(0, held), write) ??
      step(core, device, dma + held, bytes.subarray(held), write)
    );
  }
  if (able < 0) {
    const reason =
      first >= 0 ? "direction" : books.freed(device.id, dma) >= 0 ? "freed" : "unmapped";
    if (core.strictBus) return fault(reason, dma);
    const words = `${write ? "write" : "read"} of ${device.name} at 0x${hex(dma)}: ${reason}, and done`;
    core.reports.misuse(reason, device.name, dma, words, null);
  }
  if (first >= 0 && hasFlag(books, first, F_DECLARED)) {
    return move(core, device, first, books.physical[first] + dma - books.dma[first], bytes, write);
  }
  const landing = device.ops.translate(device, dma, write);
  return typeof landing === "number" ? move(core, device, first, landing, bytes, write) : landing;
}

function fault(reason: string, address: number): BusFault {
  return { reason, address, message: "" };
}

/** The bytes themselves. `entry` is -1 for an access outside of the books. */
function move(
  core: Core,
  device: Device,
  entry: number,
  physical: number,
  bytes: Uint8Array,
  write: boolean,
): BusFault | null {
  const memory = core.space.view(physical, bytes.length);
  if (memory === null) return fault("no memory", physical);
  const { cache } = core;
  // A device that looks into the CPU's cache meets what is there.
  if (cache !== null && device.coherent) {
    if (write) cache.flush(physical, bytes.length);
    else cache.clean(physical, bytes.length);
  }
  if (entry >= 0 && hasFlag(core.books, entry, F_APART)) {
    apart(core, device, entry, physical, bytes.length, write);
  }
  if (write) memory.set(bytes);
  else bytes.set(memory);
  return null;
}

/** Notes what the device wrote, or reports that it reads what the CPU has meanwhile changed. */
function apart(
  core: Core,
  device: Device,
  entry: number,
  landing: number,
  length: number,
  write: boolean,
): void {
  const { books } = core;
  const original = originalOf(core, device, entry, landing);
  if (write) {
    core.apart.deviceWrote(entry, original, length);
    return;
  }
  if (!core.apart.staleForDevice(entry, original, length)) return;
  const as = TYPE_NAMES[typeOf(books, entry)];
  const words = `${device.name} reads old bytes of its ${as} mapping at 0x${hex(books.dma[entry])}: the CPU wrote and did not sync for the device`;
  core.reports.misuse(
    "missing sync for device",
    device.name,
    books.dma[entry],
    words,
    origin(core, entry),
  );
}

/** The buffer's own address of a byte that lies in memory or in a bounce buffer. */
function originalOf(core: Core, device: Device, entry: number, landing: number): number {
  const { dma, physical } = core.books;
  if (!hasFlag(core.books, entry, F_BOUNCED)) return landing;
  return physical[entry] + landing - landingOf(device, dma[entry]);
}

function origin(core: Core, entry: number): string | null {
  return core.debug?.originOf(entry) ?? null;
}

/** The CPU reads `length` bytes at a physical address; null where there are none. */
export function cpuRead(core: Core, physical: number, length: number): Uint8Array | null {
  const entry = core.apart.count() === 0 ? -1 : core.apart.staleForCpu(physical, length);
  if (entry >= 0) {
    const device = core.devices[core.books.meta[entry] >>> 16]?.name ?? "";
    const words = `the CPU reads old bytes at 0x${hex(physical)}: ${device} wrote and nobody synced for the CPU`;
    core.reports.misuse("missing sync for cpu", device, physical, words, origin(core, entry));
  }
  if (core.cache === null) return core.space.view(physical, length)?.slice() ?? null;
  const bytes = new Uint8Array(length);
  return core.cache.read(physical, bytes) ? bytes : null;
}

/** The CPU writes; false where there are no bytes. */
export function cpuWrite(core: Core, physical: number, bytes: Uint8Array): boolean {
  if (core.apart.count() > 0) core.apart.cpuWrote(physical, bytes.length);
  if (core.cache !== null) return core.cache.write(physical, bytes);
  const memory = core.space.view(physical, bytes.length);
  memory?.set(bytes);
  return memory !== null;
}
