/**
 * What a replay of DMA starts from: the pool by the boot log, force by the
 * command line, which driver has which device and how far that one reaches.
 */

import { parseCommandLine } from "../../boot/command-line.ts";
import { grantsOf } from "../../boot/memblock.ts";
import { NO_LIMIT } from "../../dma/words.ts";
import type { BootLog } from "../../formats/boot-log.ts";
import type { Capture } from "../../formats/capture.ts";
import { type SwiotlbRule, swiotlbRule } from "../../kernels/swiotlb.ts";

export interface DmaZone {
  readonly name: string;
  readonly startPfn: number;
  readonly spanned: number;
}

export interface DmaDeviceFacts {
  readonly driver: string;
  /** Last addresses of the masks as they were at the end; null where nobody tells. */
  readonly limit: number | null;
  readonly coherentLimit: number | null;
}

export interface DmaPool {
  readonly start: number;
  readonly slots: number;
  readonly areas: number;
}

export interface DmaFacts {
  /** Upstream release, e.g. "6.1.176". */
  readonly upstream: string;
  readonly rule: SwiotlbRule;
  readonly pool: DmaPool | null;
  /** swiotlb=force. */
  readonly force: boolean;
  /** Slots in use when the recording begins; null where nobody tells. */
  readonly usedBefore: number | null;
  /** debugfs at the end of the recording. */
  readonly usedAfter: number | null;
  readonly highWater: number | null;
  readonly devices: ReadonlyMap<string, DmaDeviceFacts>;
  readonly zones: readonly DmaZone[];
}

/** Texts beside a trace: `ls -l` of the devices' driver links, and "address class vendor device bits bits". */
export interface DmaTexts {
  readonly drivers: string | null;
  readonly pci: string | null;
}

const SLOT_BYTES = 2048;
const SEGMENT = 128;
/** 4 GiB. */
const MOST_SLOTS = 2 ** 21;

/** Null for a kernel whose swiotlb is not known. */
export function dmaFacts(
  upstream: string,
  start: Pick<Capture, "bootLog" | "commandLine" | "swiotlb" | "devices">,
  end: Pick<Capture, "swiotlb"> | null,
  texts: DmaTexts,
  zones: readonly DmaZone[],
): DmaFacts | null {
  const rule = swiotlbRule(upstream);
  if (rule === null) return null;
  const line = parseCommandLine(start.commandLine ?? "", "x86_64", 4096).value;
  return {
    upstream,
    rule,
    pool: start.bootLog === null ? null : poolOf(start.bootLog, rule),
    force: line.swiotlb.force,
    usedBefore: start.swiotlb?.used ?? null,
    usedAfter: end?.swiotlb?.used ?? null,
    highWater: end?.swiotlb?.highWater ?? null,
    devices: devicesOf(start.devices, texts),
    zones: zones.map(({ name, startPfn, spanned }) => ({ name, startPfn, spanned })),
  };
}

/** Where the log says it is; swiotlb=force on a small machine is only seen by its request to memblock. */
function poolOf({ swiotlb, memblock }: BootLog, rule: SwiotlbRule): DmaPool | null {
  const place = swiotlb.mapped ?? grantsOf(memblock, /^swiotlb_init/)[0]?.range ?? null;
  if (place === null) return null;
  const areas = rule.areas ? (swiotlb.areas ?? 1) : 1;
  const slots = (place.end - place.start) / SLOT_BYTES;
  // A log that says something else is none of a kernel's.
  const isPool = slots % SEGMENT === 0 && slots > 0 && slots <= MOST_SLOTS;
  const isSplit = (areas & (areas - 1)) === 0 && areas > 0 && areas * SEGMENT <= slots;
  return isPool && isSplit ? { start: place.start, slots, areas } : null;
}

const LINK = /\/devices\/(\S+)\/driver -> \S*\/([^/\s]+)\s*$/;
const PCI_LINE = /^(\S+) 0x[\da-f]+ 0x[\da-f]+ 0x[\da-f]+ (\d+) (\d+)/;

function devicesOf(
  lines: Capture["devices"],
  { drivers, pci }: DmaTexts,
): ReadonlyMap<string, DmaDeviceFacts> {
  const found = new Map<string, DmaDeviceFacts>();
  for (const { name, driver, dmaMaskBits, coherentMaskBits } of lines) {
    const coherent = coherentMaskBits === null ? null : limitOf(coherentMaskBits);
    const own = { driver: driver ?? "", limit: limitOf(dmaMaskBits), coherentLimit: coherent };
    found.set(name.split("/").at(-1) ?? name, own);
  }
  const none: DmaDeviceFacts = { driver: "", limit: null, coherentLimit: null };
  for (const text of pci?.split("\n") ?? []) {
    const [, name, bits, coherent] = PCI_LINE.exec(text) ?? [];
    if (name === undefined) continue;
    const limits = { limit: limitOf(Number(bits)), coherentLimit: limitOf(Number(coherent)) };
    found.set(name, { ...none, ...found.get(name), ...limits });
  }
  for (const text of drivers?.split("\n") ?? []) {
    const [, name, driver] = LINK.exec(text) ?? [];
    if (name === undefined || driver === undefined) continue;
    found.set(name, { ...none, ...found.get(name), driver });
  }
  return found;
}

function limitOf(bits: number): number {
  return bits >= 53 ? NO_LIMIT : 2 ** bits - 1;
}
