/**
 * One pool size tried: the recorded calls through a pool of that size, who was
 * refused and why, and when the most slots were in use.
 */
import { formatBytes, formatCount } from "../../base/units.ts";
import { BOUNCE_NO_POOL, BOUNCE_TOO_LARGE, BOUNCE_UNREACHABLE } from "../../dma/bounce.ts";
import type { DmaDevice } from "../../dma/dma-device.ts";
import type { DmaCall } from "../dma/call.ts";
import type { DmaDriver, DmaVariant, RefusalSink } from "../dma/driver.ts";
import type { DmaFacts } from "../dma/facts.ts";
import type { Completion } from "../dma/reshape.ts";
import { branchOf, SEGMENT, SLOT_BYTES } from "../dma/variant.ts";
import type { SizePeak, SizeRefusal } from "./result.ts";

export interface PoolTrial {
  /** Nothing was refused. */
  readonly carries: boolean;
  readonly refused: number;
  /** The first refusal, and the first that no pool size would mend. */
  readonly first: SizeRefusal | null;
  readonly never: SizeRefusal | null;
  readonly peak: SizePeak | null;
  readonly driver: DmaDriver;
}

export function tryPool(
  facts: DmaFacts,
  variant: DmaVariant,
  completion: Completion,
  calls: readonly DmaCall[],
): PoolTrial {
  let first: SizeRefusal | null = null;
  let never: SizeRefusal | null = null;
  let refused = 0;
  let peak: SizePeak | null = null;
  const onRefusal: RefusalSink = (driver, call, device, part, reason) => {
    refused++;
    if (first !== null && (never !== null || reason !== BOUNCE_TOO_LARGE)) return;
    const own: SizeRefusal = {
      line: call.line,
      time: call.time,
      by: deviceWords(device),
      bytes: part.bytes,
      because: whyNot(driver, facts, device, part, reason),
      never: reason === BOUNCE_TOO_LARGE,
    };
    first ??= own;
    if (own.never) never ??= own;
  };
  const onCall = (driver: DmaDriver, call: DmaCall): void => {
    if (driver.peak <= (peak?.amount ?? 0)) return;
    const device = "device" in call ? call.device : "";
    const by = device === "" ? "" : deviceWords(driver.devices.get(device));
    peak = { amount: driver.peak, line: call.line, time: call.time, by };
  };
  const hooks = { refused: onRefusal, after: onCall };
  const { driver, reshaper } = branchOf(facts, variant, completion, null, hooks);
  for (const call of calls) reshaper.take(call);
  reshaper.end();
  driver.end();
  return { carries: refused === 0, refused, first, never, peak, driver };
}

/** "0000:00:05.0 nvme". */
export function deviceWords({ name, driver }: Pick<DmaDevice, "name" | "driver">): string {
  return `${name} ${driver}`.trim();
}

/** In words, with the pool's numbers as they are right after the refusal. */
function whyNot(
  { swiotlb }: DmaDriver,
  { rule }: DmaFacts,
  device: DmaDevice,
  { physical, bytes }: { readonly physical: number; readonly bytes: number },
  reason: number,
): string[] {
  if (swiotlb === null || reason === BOUNCE_NO_POOL) return ["there is no pool"];
  if (reason === BOUNCE_TOO_LARGE) {
    const most = formatBytes(swiotlb.maxMapping(device));
    return [`one mapping is ${most} at most, whatever the pool's size`];
  }
  if (reason === BOUNCE_UNREACHABLE) return ["the pool is out of the device's reach"];
  const kept = rule.minAlign ? (physical % SLOT_BYTES) & device.minAlignMask : 0;
  const wanted = Math.ceil((bytes + kept) / SLOT_BYTES);
  const { slots, used, areas } = swiotlb.stats;
  const free = slots - used;
  const room = `${formatCount(free)} of ${formatCount(slots)} are free`;
  const needs =
    wanted === 1 ? `it needs a slot, ${room}` : `it needs ${wanted} slots in a row, ${room}`;
  if (free < wanted) return [needs];
  const rooms = areas.map((area) => area.slots - area.used);
  const most = Math.max(...rooms);
  const where =
    areas.length > 1 ? `, at most ${formatCount(most)} in one of ${areas.length} areas` : "";
  const run = `no run of free slots within a segment of ${SEGMENT} is long enough, and as the device wants it`;
  return [`${needs}${where}`, run];
}
