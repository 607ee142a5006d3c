/** The devices of a recording, as the DMA layer asks about them. Masks change as drivers set them. */
import type { DmaDevice } from "../../dma/dma-device.ts";
import { NO_LIMIT } from "../../dma/words.ts";
import { driverFacts } from "./driver-facts.ts";
import type { DmaFacts } from "./facts.ts";

/** What a device has until its driver says otherwise. */
const DEFAULT_LIMIT = 0xffffffff;
/** Longest segment of a scatterlist where nobody says otherwise. Linux: dma_get_max_seg_size() */
const DEFAULT_SEGMENT = 65536;

export class ReplayDevices {
  readonly #facts: DmaFacts;
  readonly #force: boolean;
  readonly #known: Map<string, DmaDevice> = new Map();
  /** Devices whose streaming mask the recording told. */
  readonly #told: Set<string> = new Set();

  constructor(facts: DmaFacts, force: boolean) {
    this.#facts = facts;
    this.#force = force;
  }

  get(name: string): DmaDevice {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const own = this.#facts.devices.get(name);
    const driver = own?.driver ?? "";
    const device: DmaDevice = {
      name,
      driver,
      streamingLimit: own?.limit ?? DEFAULT_LIMIT,
      coherentLimit: own?.coherentLimit ?? DEFAULT_LIMIT,
      busLimit: NO_LIMIT,
      windows: null,
      parent: null,
      node: -1,
      maxSegmentSize: DEFAULT_SEGMENT,
      ...driverFacts(driver),
      coherent: true,
      untrusted: false,
      forceBounce: this.#force,
    };
    this.#known.set(name, device);
    return device;
  }

  /** A mask as the recording tells it. */
  setMask(name: string, limit: number, isCoherent: boolean): void {
    const device = this.get(name);
    if (isCoherent) device.coherentLimit = limit;
    else {
      device.streamingLimit = limit;
      this.#told.add(name);
    }
  }

  /** Whether the recording or the capture told the streaming mask. */
  isTold(name: string): boolean {
    return this.#told.has(name) || this.#facts.devices.get(name)?.limit != null;
  }
}
