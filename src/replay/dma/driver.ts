/**
 * Runs a recording's DMA calls through the engine: decides what bounces, looks
 * for slots, and compares with what the kernel answered. Nothing is mended: a
 * wrong slot stays, and spoils later ones.
 *
 * Linux: dma_direct_map_page(), dma_capable(), include/linux/dma-direct.h, kernel/dma/direct.h
 */
import { BOUNCE_NO_POOL } from "../../dma/bounce.ts";
import type { DmaDevice } from "../../dma/dma-device.ts";
import { createSwiotlb, type Swiotlb } from "../../dma/swiotlb/swiotlb.ts";
import { DMA_BIDIRECTIONAL, DMA_MAPPING_ERROR, type DmaDirection } from "../../dma/words.ts";
import { gfpEra } from "../../kernels/gfp.ts";
import type { GfpEra } from "../../kernels/gfp-era.ts";
import { createImage } from "../../mm/image.ts";
import type {
  DmaCall,
  EndCall,
  EndListCall,
  EventCall,
  ListCall,
  MapCall,
  SgPart,
} from "./call.ts";
import { newCoherentScore, scoreCoherent } from "./coherent.ts";
import { ReplayDevices } from "./devices.ts";
import type { DmaFacts, DmaPool } from "./facts.ts";
import { EarlyEnds, type LiveMap, LiveMaps } from "./live.ts";
import { type DmaDeviceScore, type DmaScore, newDeviceScore } from "./score.ts";

const SLOT_BYTES = 2048;
const PAGE_BYTES = 4096;
/** Entries that dma_map_sg lists; dma_unmap_sg lists all. Linux: DMA_TRACE_MAX_ENTRIES */
const LISTED = 128;

/** What of the recorded machine is otherwise. */
export interface DmaVariant {
  readonly pool: DmaPool | null;
  readonly force: boolean;
}

/** The first mapping that the engine refused. */
export interface FirstRefusal {
  readonly line: number;
  readonly time: number;
  readonly device: string;
  readonly bytes: number;
  /** Slots in use then. */
  readonly used: number;
}

/** Told of each refusal; `reason` is a BOUNCE_* of the pool, as it is right after it. */
export type RefusalSink = (
  driver: DmaDriver,
  call: MapCall | ListCall | EventCall,
  device: DmaDevice,
  part: Pick<SgPart, "physical" | "bytes">,
  reason: number,
) => void;

export class DmaDriver {
  readonly score: DmaScore;
  readonly swiotlb: Swiotlb | null;
  firstRefusal: FirstRefusal | null = null;
  readonly #facts: DmaFacts;
  readonly devices: ReplayDevices;
  readonly #era: GfpEra;
  readonly #force: boolean;
  readonly #refused: RefusalSink | undefined;
  readonly #maps: LiveMaps<LiveMap> = new LiveMaps();
  readonly #lists: LiveMaps<readonly LiveMap[]> = new LiveMaps();
  readonly #early: EarlyEnds = new EarlyEnds();
  /** Entries of a list that the kernel refused, so far. */
  readonly #tried: { readonly device: string; readonly own: LiveMap }[] = [];

  constructor(facts: DmaFacts, { pool, force }: DmaVariant, refused?: RefusalSink) {
    this.#facts = facts;
    this.#refused = refused;
    this.#force = force;
    this.devices = new ReplayDevices(facts, force);
    this.#era = gfpEra(facts.upstream);
    const { rule } = facts;
    this.swiotlb =
      pool === null
        ? null
        : createSwiotlb(createImage(false), null, { rule, ...pool, pageSize: PAGE_BYTES, force });
    this.score = {
      devices: new Map(),
      coherent: newCoherentScore(),
      events: { recorded: 0, maskEqual: 0, forceEqual: 0 },
      open: 0,
      unknownEnds: 0,
      missing: 0,
      unplaced: 0,
      phases: [],
    };
  }

  take(call: DmaCall): void {
    // Another mapping begins, and the engine did not refuse what the kernel did.
    if (this.#tried.length > 0 && (call.kind === "map" || call.kind === "map-sg")) {
      this.#giveUp(this.#tried[0].device, false);
    }
    switch (call.kind) {
      case "mask":
        this.devices.setMask(call.device, call.limit, call.coherent);
        break;
      case "event":
        this.#event(call);
        break;
      case "map":
        this.#single(call);
        break;
      case "map-sg":
        this.#list(call);
        break;
      case "bounced":
        this.#bounced(call);
        break;
      case "unmap":
      case "release":
        this.#end(call);
        break;
      case "unmap-sg":
        this.#endList(call);
        break;
      case "alloc": {
        const device = this.devices.get(call.device);
        scoreCoherent(this.score.coherent, call, device, this.#facts, this.#era);
        break;
      }
      case "phase":
        this.#closePhase();
        this.score.phases.push({ name: call.name, peak: 0, slots: 0 });
    }
  }

  end(): void {
    this.#closePhase();
    this.score.unknownEnds = this.#early.unknown;
    this.score.open = this.#maps.count + this.#lists.count;
  }

  /** Most slots in use so far. */
  get peak(): number {
    return this.swiotlb?.highWater ?? 0;
  }

  get used(): number {
    return this.swiotlb?.used ?? 0;
  }

  #closePhase(): void {
    const phase = this.score.phases.at(-1);
    if (phase !== undefined) phase.peak = this.peak;
  }

  scoreOf(name: string): DmaDeviceScore {
    const known = this.score.devices.get(name);
    if (known !== undefined) return known;
    const score = newDeviceScore(name, this.devices.get(name).driver);
    this.score.devices.set(name, score);
    return score;
  }

  #event(call: EventCall): void {
    const { events } = this.score;
    const device = this.devices.get(call.device);
    events.recorded++;
    if (!this.devices.isTold(call.device)) {
      this.devices.setMask(call.device, call.limit, false);
    }
    if (device.streamingLimit === call.limit) events.maskEqual++;
    if (this.#force === call.force) events.forceEqual++;
    if (call.failed) this.#attempt(call, device);
  }

  /** An entry of a list that the kernel refused: it ends where the engine refuses. */
  #attempt(call: EventCall, device: DmaDevice): void {
    if (!this.#isPlaced({ ...call, dma: DMA_MAPPING_ERROR })) return;
    const own = this.#bounce(call, device, call, DMA_BIDIRECTIONAL);
    if (own.dma >= 0) this.#tried.push({ device: call.device, own });
    else this.#giveUp(call.device, true);
  }

  #giveUp(name: string, isOurs: boolean): void {
    countRefusal(this.scoreOf(name), isOurs);
    for (const { device, own } of this.#tried.splice(0)) {
      this.#unmap(device, own, DMA_BIDIRECTIONAL);
    }
  }

  /** Whether the recording tells where the buffer lies, and how large it is. */
  #isPlaced({ physical, bytes }: SgPart): boolean {
    if (physical >= 0 && bytes > 0) return true;
    this.score.unplaced++;
    return false;
  }

  #single(call: MapCall): void {
    if (!this.#isPlaced(call)) return;
    const score = this.scoreOf(call.device);
    score.maps++;
    const own = this.#map(call, call, call.direction);
    this.#compare(score, call, own);
    this.#keep(call, own);
  }

  /** Open until the recording ends it; what the kernel refused never was. */
  #keep(call: MapCall, own: LiveMap): void {
    const name = `${call.device} ${call.dma}`;
    const isOver = call.dma === DMA_MAPPING_ERROR || this.#early.take(name, call);
    if (isOver) this.#unmap(call.device, own, call.direction);
    else this.#maps.add(name, own);
  }

  /** All entries or none: at the first refusal the others are given back. */
  #list(call: ListCall): void {
    if (!call.parts.every((part) => this.#isPlaced(part))) return;
    const score = this.scoreOf(call.device);
    this.score.missing += call.missing;
    const own: LiveMap[] = [];
    let isRefused = false;
    for (const part of call.parts) {
      score.entries++;
      const map = this.#map(call, part, call.direction);
      this.#compare(score, part, map);
      isRefused = map.dma < 0;
      if (isRefused) break;
      own.push(map);
    }
    const name = listName(
      call.device,
      call.parts.map(({ physical }) => physical),
    );
    const isOver = this.#early.take(name, call);
    if (isOver || isRefused) {
      for (const map of own.splice(0)) this.#unmap(call.device, map, call.direction);
    }
    if (!isOver) this.#lists.add(name, own);
  }

  /** A bounce that no call tells: the decision is the recording's. */
  #bounced(call: MapCall): void {
    if (!this.#isPlaced(call)) return;
    const score = this.scoreOf(call.device);
    const device = this.devices.get(call.device);
    score.entries++;
    score.decisions++;
    if (this.#mustBounce(device, call)) score.decisionsEqual++;
    const own = this.#bounce(call, device, call, call.direction);
    if (!Number.isNaN(call.dma)) this.#compareAnswer(score, call.dma, own, true);
    this.#keep(call, own);
  }

  #compare(score: DmaDeviceScore, { dma }: SgPart, own: LiveMap): void {
    const isBounce = this.#isInPool(dma) || dma === DMA_MAPPING_ERROR;
    score.decisions++;
    if (isBounce === own.bounced) score.decisionsEqual++;
    this.#compareAnswer(score, dma, own, isBounce);
  }

  #compareAnswer(score: DmaDeviceScore, dma: number, own: LiveMap, isBounce: boolean): void {
    if (dma === DMA_MAPPING_ERROR) {
      countRefusal(score, own.dma < 0);
      return;
    }
    const isEqual = own.dma === dma;
    score.dmas++;
    if (isEqual) score.dmaEqual++;
    if (!isBounce) return;
    score.bounces++;
    if (isEqual) score.slotsEqual++;
  }

  /** Whether the recording's machine had its pool there. */
  #isInPool(dma: number): boolean {
    const { pool } = this.#facts;
    return pool !== null && dma >= pool.start && dma < pool.start + pool.slots * SLOT_BYTES;
  }

  #mustBounce(device: DmaDevice, { physical, bytes }: SgPart): boolean {
    if (this.#force) return true;
    return physical + bytes - 1 > Math.min(device.streamingLimit, device.busLimit);
  }

  #map(call: MapCall | ListCall, part: SgPart, direction: DmaDirection): LiveMap {
    const device = this.devices.get(call.device);
    if (this.#mustBounce(device, part)) return this.#bounce(call, device, part, direction);
    return { dma: part.physical, bytes: part.bytes, bounced: false };
  }

  #bounce(
    call: MapCall | ListCall | EventCall,
    device: DmaDevice,
    { physical, bytes }: Pick<SgPart, "physical" | "bytes">,
    direction: DmaDirection,
  ): LiveMap {
    const score = this.scoreOf(device.name);
    const { swiotlb } = this;
    const before = this.used;
    score.bounced++;
    const dma =
      swiotlb === null
        ? BOUNCE_NO_POOL
        : swiotlb.map(device, physical, bytes, bytes, 0, direction, 0, call.cpu);
    if (dma < 0 || swiotlb === null) {
      score.refused++;
      const { line, time } = call;
      this.firstRefusal ??= { line, time, device: device.name, bytes, used: before };
      this.#refused?.(this, call, device, { physical, bytes }, dma);
      return { dma, bytes, bounced: true };
    }
    const slots = swiotlb.used - before;
    score.slots += slots;
    score.bytes += bytes;
    const phase = this.score.phases.at(-1);
    if (phase !== undefined) phase.slots += slots;
    return { dma, bytes, bounced: true };
  }

  #end(call: EndCall): void {
    const name = `${call.device} ${call.dma}`;
    const own = this.#maps.take(name);
    if (own !== null) this.#unmap(call.device, own, call.direction);
    // Of a release: the driver's unmap was told already, and did it.
    else this.#early.note(name, call, call.kind === "unmap");
  }

  #endList(call: EndListCall): void {
    const name = listName(call.device, call.physicals);
    const own = this.#lists.take(name);
    if (own === null) this.#early.note(name, call, true);
    else for (const map of own) this.#unmap(call.device, map, call.direction);
  }

  #unmap(name: string, own: LiveMap, direction: DmaDirection): void {
    if (!own.bounced || own.dma < 0 || this.swiotlb === null) return;
    this.swiotlb.unmap(this.devices.get(name), own.dma, own.bytes, direction, 0);
  }
}

function countRefusal(score: DmaDeviceScore, isOurs: boolean): void {
  score.refusals++;
  if (isOurs) score.refusalsEqual++;
}

/** What a scatterlist is known by: the addresses that both of its events list. */
export function listName(device: string, physicals: readonly number[]): string {
  return `${device} ${physicals.slice(0, LISTED).join()}`;
}
