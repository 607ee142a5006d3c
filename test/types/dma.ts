// Goal: the DMA layer's public types refuse what must not be done. Method: no run at all; the compiler
// reports each line marked below where it finds *no* error, and any other line with one.
import {
  createDma,
  type Device,
  DMA_TO_DEVICE,
  type DmaBuffer,
  type DmaDirection,
  isFault,
} from "zonewright/dma";
import { bootMemory } from "zonewright/mm";

declare const device: Device;
declare const buffer: DmaBuffer;
const dma = createDma(bootMemory({ zones: [{ name: "Normal", startPfn: 0, pages: 64 }] }));

// @ts-expect-error: five is no direction
dma.mapSingle(device, 0, 64, 5);
export const direction: DmaDirection = DMA_TO_DEVICE;
// @ts-expect-error: what a driver holds of a buffer is not for it to change
buffer.dma = 0;
// @ts-expect-error: it may be a fault
device.read(0, 4)[0];
const answer = device.read(0, 4);
export const first: number | undefined = isFault(answer) ? undefined : answer[0];
// @ts-expect-error: a refusal is null
export const size: number = dma.allocCoherent(device, 64).size;
// @ts-expect-error: an era is a version, as text
createDma(dma.memory, { era: 6.12 });
// @ts-expect-error: who has a bus has no other
device.ops = dma.direct;
