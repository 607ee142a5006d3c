// What every scenario asks at the end: does the device read what the CPU wrote? Each buffer gets bytes
// of its own, and the answers of the bus are counted.
import { type Device, type Dma, isFault } from "../../src/dma/index.ts";

const PROBE = 64;

/** Bytes that tell one buffer from another. */
export function probeBytes(number: number): Uint8Array {
  return Uint8Array.from({ length: PROBE }, (_, i) => (number * 31 + i * 7) & 0xff);
}

/** Whether the device reads at `dma` what the CPU wrote as buffer `number`. */
export function readsBack(device: Device, dma: number, number: number): boolean {
  const answer = device.read(dma, PROBE);
  if (isFault(answer)) return false;
  return probeBytes(number).every((byte, i) => answer[i] === byte);
}

/** Whether a coherent buffer is one memory for both: the CPU's bytes there, the device's back. */
export function isShared(
  dma: Dma,
  device: Device,
  buffer: { readonly dma: number; readonly physical: number },
  number: number,
): boolean {
  dma.cpuWrite(buffer.physical, probeBytes(number));
  if (!readsBack(device, buffer.dma, number)) return false;
  const back = probeBytes(number + 1);
  if (device.write(buffer.dma, back) !== null) return false;
  return dma.cpuRead(buffer.physical, PROBE)?.every((byte, i) => byte === back[i]) ?? false;
}
