/**
 * What becomes of a driver's requests on a machine whose bounce buffers limit
 * them otherwise. A block driver asks once for the largest mapping, and the
 * block layer makes no request larger than that: consecutive large requests are
 * taken as one stream of bytes, cut anew.
 *
 * That they are one stream is an assumption: no trace tells sectors, so merging
 * of large requests that have nothing to do with each other cannot be excluded.
 *
 * Linux: dma_max_mapping_size(), kernel/dma/mapping.c; scsi_add_host_with_dma(),
 * drivers/scsi/hosts.c; nvme_pci_alloc_dev(), drivers/nvme/host/pci.c
 */
import type { DmaDirection } from "../../dma/words.ts";
import type { DmaCall, EndListCall, ListCall, SgPart } from "./call.ts";
import { listName } from "./driver.ts";

/** When requests end that bounce only on the changed machine. */
export type Completion =
  | "recorded" // when they ended in the recording
  | "alone" // before the next one begins
  | "together"; // when the device has none open, and its stream is over

/** What the changed machine means for a device. */
export interface Reshape {
  /** Largest mapping, bytes; Infinity for as it was. */
  readonly limit: number;
  /** It bounces now and did not before. */
  readonly isNew: boolean;
}

export interface CutCount {
  /** Requests that were too large, and what they became. */
  requests: number;
  became: number;
  /** Segments that no buffer would have taken as they were. */
  segments: number;
}

interface Piece {
  call: ListCall;
  /** Recorded requests that it has bytes of and that have not ended. */
  waits: number;
  isMapped: boolean;
}

interface Stream {
  readonly direction: DmaDirection;
  readonly limit: number;
  parts: SgPart[];
  bytes: number;
  /** The piece that the next bytes go to, and those that wait for the stream's end. */
  open: Piece;
  readonly held: Piece[];
}

interface Device {
  stream: Stream | null;
  /** Recorded requests that are open. */
  requests: number;
  /** Ends that wait until none is. */
  readonly held: EndListCall[];
}

export class Reshaper {
  readonly cuts: Map<string, CutCount> = new Map();
  readonly #shapeOf: (device: string) => Reshape;
  readonly #completion: Completion;
  readonly #give: (call: DmaCall) => void;
  readonly #devices: Map<string, Device> = new Map();
  /** Pieces that hold bytes of a recorded request that is open, by its name. */
  readonly #pieces: Map<string, Piece[][]> = new Map();

  /** `give` gets the calls of the changed machine. */
  constructor(
    shapeOf: (device: string) => Reshape,
    completion: Completion,
    give: (call: DmaCall) => void,
  ) {
    this.#shapeOf = shapeOf;
    this.#completion = completion;
    this.#give = give;
  }

  take(call: DmaCall): void {
    if (call.kind === "map-sg") this.#request(call);
    else if (call.kind === "unmap-sg") this.#requestEnd(call);
    else {
      if (call.kind === "phase") this.end();
      this.#give(call);
    }
  }

  /** No more bytes come: what is left of streams are requests of their own. */
  end(): void {
    for (const own of this.#devices.values()) {
      this.#flush(own);
      if (own.requests === 0) this.#release(own);
    }
  }

  #device(name: string): Device {
    const known = this.#devices.get(name);
    if (known !== undefined) return known;
    const own: Device = { stream: null, requests: 0, held: [] };
    this.#devices.set(name, own);
    return own;
  }

  #request(call: ListCall): void {
    const { limit, isNew } = this.#shapeOf(call.device);
    const own = this.#device(call.device);
    const total = call.parts.reduce((sum, { bytes }) => sum + bytes, 0);
    const isLarge = total > limit;
    if (!isLarge || (own.stream !== null && own.stream.direction !== call.direction)) {
      this.#flush(own);
    }
    if (isLarge) {
      own.requests++;
      this.#cut(call, own, limit);
      return;
    }
    this.#give(call);
    if (isNew && this.#completion === "alone") this.#give(endOf(call));
    else own.requests++;
  }

  #requestEnd(call: EndListCall): void {
    const own = this.#device(call.device);
    const name = listName(call.device, call.physicals);
    const known = this.#pieces.get(name);
    const pieces = known?.shift();
    if (known?.length === 0) this.#pieces.delete(name);
    const { isNew } = this.#shapeOf(call.device);
    if (pieces !== undefined) {
      own.requests--;
      for (const piece of pieces) {
        piece.waits--;
        this.#maybeEnd(piece, own);
      }
    } else if (!isNew || this.#completion === "recorded") {
      own.requests = Math.max(0, own.requests - 1);
      this.#give(call);
    } else if (this.#completion === "together") {
      own.requests = Math.max(0, own.requests - 1);
      own.held.push(call);
    }
    if (own.requests === 0 && own.stream === null) this.#release(own);
  }

  #release(own: Device): void {
    for (const call of own.held.splice(0)) this.#give(call);
  }

  #cut(call: ListCall, own: Device, limit: number): void {
    const count = this.#count(call.device);
    count.requests++;
    const pieces: Piece[] = [];
    own.stream ??= {
      direction: call.direction,
      limit,
      parts: [],
      bytes: 0,
      open: newPiece(call),
      held: [],
    };
    const { stream } = own;
    for (const part of call.parts) {
      if (part.bytes > limit) count.segments++;
      let { physical, bytes } = part;
      while (bytes > 0) {
        if (!pieces.includes(stream.open)) {
          stream.open.waits++;
          pieces.push(stream.open);
        }
        const length = Math.min(bytes, limit - stream.bytes);
        stream.parts.push({ physical, bytes: length, dma: physical });
        stream.bytes += length;
        physical += length;
        bytes -= length;
        if (stream.bytes === limit) this.#send(call, own, stream);
      }
    }
    const name = listName(
      call.device,
      call.parts.map(({ physical }) => physical),
    );
    const known = this.#pieces.get(name);
    if (known === undefined) this.#pieces.set(name, [pieces]);
    else known.push(pieces);
  }

  /** What has come together is a request. */
  #send(place: ListCall, own: Device, stream: Stream): void {
    const { open, parts } = stream;
    const call: ListCall = { ...place, parts, missing: 0 };
    const piece = open;
    stream.parts = [];
    stream.bytes = 0;
    stream.open = newPiece(place);
    piece.call = call;
    piece.isMapped = true;
    this.#count(place.device).became++;
    this.#give(call);
    if (this.#completion === "together") stream.held.push(piece);
    else if (this.#completion === "alone") this.#give(endOf(call));
    else this.#maybeEnd(piece, own);
  }

  #maybeEnd(piece: Piece, own: Device): void {
    if (!piece.isMapped || piece.waits > 0 || this.#completion === "alone") return;
    if (own.stream?.held.includes(piece) === true) return;
    piece.isMapped = false;
    this.#give(endOf(piece.call));
  }

  #flush(own: Device): void {
    const { stream } = own;
    if (stream === null) return;
    if (stream.bytes > 0) this.#send(stream.open.call, own, stream);
    own.stream = null;
    for (const piece of stream.held) this.#maybeEnd(piece, own);
  }

  #count(device: string): CutCount {
    const known = this.cuts.get(device);
    if (known !== undefined) return known;
    const count = { requests: 0, became: 0, segments: 0 };
    this.cuts.set(device, count);
    return count;
  }
}

function newPiece(call: ListCall): Piece {
  return { call, waits: 0, isMapped: false };
}

function endOf({ line, time, cpu, device, direction, parts }: ListCall): EndListCall {
  const physicals = parts.map(({ physical }) => physical);
  return { kind: "unmap-sg", line, time, cpu, device, direction, physicals };
}
