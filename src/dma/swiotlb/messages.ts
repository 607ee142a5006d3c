/**
 * The kernel's lines about bounce buffers, word by word: other programs read them.
 *
 * Linux: swiotlb_tbl_map_single(), swiotlb_bounce(), swiotlb_map(), kernel/dma/swiotlb.c;
 * swiotlb_full(), lib/swiotlb.c
 */
import type { SwiotlbRule } from "../../kernels/swiotlb.ts";
import type { DmaDevice } from "../dma-device.ts";
import { DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, type DmaDirection, NO_LIMIT } from "../words.ts";

function prefix({ full }: SwiotlbRule): string {
  return full === "pci-space" ? "PCI-DMA" : "DMA";
}

function by({ driver, name }: DmaDevice, text: string): string {
  return `${driver} ${name}: ${text}`.trimStart();
}

/** `total` and `used` are slots. */
export function fullLine(
  rule: SwiotlbRule,
  device: DmaDevice,
  bytes: number,
  total: number,
  used: number,
): string {
  if (rule.full === "pci-space" || rule.full === "space") {
    return `${prefix(rule)}: Out of SW-IOMMU space for ${bytes} bytes at device ${device.name}`;
  }
  const head = `swiotlb buffer is full (sz: ${bytes} bytes)`;
  if (rule.full === "size") return by(device, head);
  return by(device, `${head}, total ${total} (slots), used ${used} (slots)`);
}

/** What a kernel with an overflow buffer dies of when the mapping is larger than that. */
export function panicLine(rule: SwiotlbRule, direction: DmaDirection): string {
  const isRead = direction === DMA_FROM_DEVICE || direction === DMA_BIDIRECTIONAL;
  const what = isRead ? "Memory would be corrupted" : "Random memory would be DMAed";
  return `Kernel panic - not syncing: ${prefix(rule)}: ${what}`;
}

export function noPoolLine(device: DmaDevice): string {
  const text =
    "Can not allocate SWIOTLB buffer earlier and can't now provide you with the DMA bounce buffer";
  return by(device, text);
}

export function unreachableLine(
  rule: SwiotlbRule,
  device: DmaDevice,
  dma: number,
  bytes: number,
): string {
  if (rule.unreachable === "panic") {
    return "Kernel panic - not syncing: map_single: bounce buffer is not DMA'ble";
  }
  const mask = device.streamingLimit >= NO_LIMIT ? "ffffffffffffffff" : hex(device.streamingLimit);
  const bus = device.busLimit >= NO_LIMIT ? "0" : hex(device.busLimit);
  const address = `0x${hex(dma).padStart(16, "0")}`;
  return by(device, `swiotlb addr ${address}+${bytes} overflow (mask ${mask}, bus limit ${bus}).`);
}

export function beforeStartLine(device: DmaDevice, offset: number, asked: number): string {
  const text = `Access before mapping start detected. orig offset ${offset}, requested offset ${asked}.`;
  return by(device, text);
}

/** `offset` is how far behind the slot's start the access begins; left out when that was no matter. */
export function overflowLine(
  device: DmaDevice,
  alloc: number,
  bytes: number,
  offset: number | null,
): string {
  const size = offset === null ? `${bytes}` : `${bytes}+${offset}`;
  return by(device, `Buffer overflow detected. Allocation size: ${alloc}. Mapping size: ${size}.`);
}

export function invalidSizesLine(device: DmaDevice, bytes: number, alloc: number): string {
  return by(device, `Invalid sizes (mapping: ${bytes} bytes, alloc: ${alloc} bytes)`);
}

function hex(value: number): string {
  return value.toString(16);
}
