/**
 * Trace events to DMA calls. Where the kernel has tracepoints of the DMA API
 * (6.12) they tell all but masks; before, probes on its functions do, and an
 * interrupt's calls may stand between a call and its return.
 *
 * Linux: dma_map_page_attrs(), dma_alloc_attrs(), kernel/dma/mapping.c; swiotlb_tbl_map_single()
 */
import { DMA_MAPPING_ERROR, NO_LIMIT } from "../../dma/words.ts";
import type { PageAlloc, ProbeHit, TraceEvent, TraceHead } from "../../formats/ftrace-event.ts";
import type { BareCall, DmaCall, EventCall, PageAnswer, SgPart } from "./call.ts";
import {
  direction,
  handleOf,
  missingOf,
  named,
  numberOf,
  pageOf,
  physicalOf,
  textOf,
} from "./values.ts";

/** What the whole recording has; a first reading tells. */
export interface DmaSources {
  /** There are calls at all. */
  readonly any: boolean;
  /** Tracepoints of the DMA API: then probes on mapping functions say the same a second time. */
  readonly tracepoints: boolean;
  /** Probes on swiotlb_tbl_map_single: then swiotlb_bounced is no call of its own. */
  readonly slotProbes: boolean;
  /** An IOMMU translates; its addresses are no business of swiotlb's. */
  readonly translated: boolean;
}

/** Events, and functions of probes, that a call is made of. */
const CALL = /^(?:dma_(?:map|unmap|alloc|set)_?\w*|swiotlb_(?:bounced|tbl_map_single))$/;

/** From the names of all events of the recording, probes by their functions. */
export function dmaSources(names: ReadonlySet<string>): DmaSources {
  const some = (...wanted: readonly string[]): boolean => wanted.some((name) => names.has(name));
  return {
    any: [...names].some((name) => CALL.test(name)),
    tracepoints: some("dma_map_page", "dma_map_phys", "dma_map_sg"),
    slotProbes: some("swiotlb_tbl_map_single"),
    translated: some("alloc_iova_fast", "map", "attach_device_to_domain"),
  };
}

/** Calls within calls on one CPU; more are returns that were lost. */
const DEEPEST = 32;

/** Calls that wait at most for what follows them. */
const MOST_WAITING = 1 << 15;

interface Frame {
  readonly symbol: string;
  readonly pid: number;
  readonly values: ProbeHit["values"];
  /** Page requests within. */
  readonly answers: PageAnswer[];
  /** The bounce that the call made; NaN for none. */
  tlb: number;
}

export class DmaCollector {
  #calls: DmaCall[] = [];
  /** Names of what was seen: events, and the functions of probes. */
  readonly names: Set<string> = new Set();
  readonly #sources: DmaSources | null;
  readonly #from: string | null;
  readonly #to: string | null;
  readonly #frames: Frame[][] = [];
  /** By CPU and context: attempts at bounces that no mapping has followed yet. */
  readonly #attempts: Map<string, EventCall[]> = new Map();
  /** By CPU: the last page request of a task. */
  readonly #lastPages: PageAlloc[] = [];
  #open: boolean;
  #done = false;

  /** Without `sources` it only notes names. `from` and `to` name snapshots, as for pages. */
  constructor(sources: DmaSources | null, from: string | null, to: string | null) {
    this.#sources = sources;
    this.#from = from;
    this.#to = to;
    this.#open = from === null;
  }

  get ended(): boolean {
    return this.#done;
  }

  get waiting(): number {
    return this.#calls.length;
  }

  /** The calls since the last time; those whose attempts are not settled stay for the next. */
  take(): DmaCall[] {
    const open = [...this.#attempts.values()].flatMap((own) => own.slice(0, 1));
    const firsts = open.map((call) => this.#calls.indexOf(call)).filter((at) => at >= 0);
    const until = this.#done || this.#calls.length > MOST_WAITING ? [] : firsts;
    return this.#calls.splice(0, Math.min(this.#calls.length, ...until));
  }

  /** No more events come. */
  end(): DmaCall[] {
    for (const open of this.#attempts.values()) failAll(open);
    return this.#calls.splice(0);
  }

  readonly sink = (e: TraceEvent): void => {
    if (e.name === "lost") return;
    this.names.add(e.name === "probe" ? e.symbol : e.name);
    if (e.name === "tracing_mark_write") this.#mark(e.text, e);
    if (this.#sources === null || !this.#open || this.#done) return;
    if (e.name === "mm_page_alloc") this.#page(e);
    else if (e.name === "probe") {
      if (e.caller === null) this.#enter(e);
      else this.#leave(e);
    } else if (e.name === "swiotlb_bounced") {
      const { device, address: physical, bytes } = e;
      const limit = Math.min(e.dmaMask, NO_LIMIT);
      const force = e.force === "FORCE";
      const { line, time, cpu } = e;
      const call: EventCall = {
        kind: "event",
        line,
        time,
        cpu,
        device,
        limit,
        force,
        physical,
        bytes,
        failed: false,
      };
      this.#calls.push(call);
      if (this.#sources.tracepoints) this.#attempt(e, call);
      if (!this.#sources.tracepoints && !this.#sources.slotProbes) {
        this.#put(e, { kind: "bounced", device, direction: 0, physical, bytes, dma: Number.NaN });
      }
    } else this.#tracepoint(e);
  };

  #put({ line, time, cpu }: TraceHead, call: BareCall): void {
    this.#calls.push({ line, time, cpu, ...call });
  }

  #mark(text: string, e: TraceHead): void {
    const moment = /^SNAP BEGIN (\S+)/.exec(text.trim())?.[1];
    if (moment !== undefined) {
      if (moment === this.#from) this.#open = true;
      else if (this.#open && moment === this.#to) this.#done = true;
    }
    const phase = /^PHASE (.+)/.exec(text.trim())?.[1];
    if (phase !== undefined && this.#open && !this.#done) {
      this.#put(e, { kind: "phase", name: phase });
    }
  }

  #page(e: PageAlloc): void {
    if (e.flags !== null && e.flags.context !== "task") return;
    this.#lastPages[e.cpu] = e;
    const frame = this.#frames[e.cpu]?.at(-1);
    if (frame?.symbol !== "dma_alloc_attrs" || frame.pid !== e.pid) return;
    frame.answers.push({ pfn: e.pfn, order: e.order, gfp: e.gfp });
  }

  #enter(e: ProbeHit): void {
    const device = textOf(e, "dev");
    switch (e.symbol) {
      case "dma_set_mask":
      case "dma_set_coherent_mask": {
        const coherent = e.symbol === "dma_set_coherent_mask";
        this.#put(e, {
          kind: "mask",
          device,
          limit: Math.min(numberOf(e, "mask"), NO_LIMIT),
          coherent,
        });
        return;
      }
      case "dma_map_page_attrs":
      case "swiotlb_tbl_map_single":
      case "dma_alloc_attrs": {
        this.#frames[e.cpu] ??= [];
        const frames = this.#frames[e.cpu];
        if (frames.length >= DEEPEST) frames.length = 0;
        const { symbol, pid, values } = e;
        frames.push({ symbol, pid, values, answers: [], tlb: Number.NaN });
        return;
      }
      case "dma_unmap_page_attrs":
      case "swiotlb_tbl_unmap_single": {
        if (this.#sources?.tracepoints === true) return;
        const isSlot = e.symbol === "swiotlb_tbl_unmap_single";
        const dma = numberOf(e, isSlot ? "tlb" : "handle");
        const kind = isSlot ? "release" : "unmap";
        const bytes = numberOf(e, "size");
        this.#put(e, { kind, device, dma, bytes, direction: direction(numberOf(e, "dir")) });
        return;
      }
    }
  }

  #leave(e: ProbeHit): void {
    const frames = this.#frames[e.cpu] ?? [];
    const at = frames.findLastIndex(({ symbol }) => symbol === e.symbol);
    if (at < 0) return;
    const [frame] = frames.splice(at);
    const call = { ...e, values: frame.values };
    const device = textOf(call, "dev");
    const direct = direction(numberOf(call, "dir"));
    if (e.symbol === "dma_alloc_attrs") {
      const { answers } = frame;
      const physical = physicalOf(e.values.get("cpu"));
      const gfp = numberOf(call, "gfp");
      const bytes = numberOf(call, "size");
      this.#put(e, { kind: "alloc", device, bytes, gfp, physical, answers });
      return;
    }
    if (this.#sources?.tracepoints === true) return;
    if (e.symbol === "swiotlb_tbl_map_single") {
      const outer = frames.at(-1);
      const dma = handleOf(numberOf(e, "tlb"));
      if (outer?.symbol === "dma_map_page_attrs" && outer.pid === frame.pid) {
        outer.tlb = dma;
        return;
      }
      const physical = numberOf(call, "orig");
      const bytes = numberOf(call, "mapsize");
      this.#put(e, { kind: "bounced", device, direction: direct, physical, bytes, dma });
    } else {
      const physical = pageOf(frame.values.get("page")) + numberOf(call, "off");
      const bytes = numberOf(call, "size");
      const dma = handleOf(numberOf(e, "handle"));
      this.#put(e, { kind: "map", device, direction: direct, physical, bytes, dma });
    }
  }

  /**
   * What an attempt at a bounce belongs to is told by the mapping that follows it;
   * attempts that none follows were of a list that the kernel refused.
   */
  #attempt(e: TraceHead, call: EventCall): void {
    const place = contextOf(e);
    const open = this.#attempts.get(place) ?? [];
    const [first] = open;
    if (first !== undefined && first.device !== call.device) failAll(open);
    open.push(call);
    this.#attempts.set(place, open);
  }

  /** A mapping of these pages was made: the last attempts were its own. */
  #made(e: TraceHead, device: string, parts: readonly SgPart[]): void {
    const open = this.#attempts.get(contextOf(e));
    if (open === undefined) return;
    for (let i = parts.length - 1; i >= 0; i--) {
      const last = open.at(-1);
      if (last?.device === device && last.physical === parts[i].physical) open.pop();
    }
    failAll(open);
  }

  #tracepoint(e: Exclude<TraceEvent, { readonly name: "lost" | "probe" }>): void {
    switch (e.name) {
      case "dma_map_page":
      case "dma_map_phys": {
        const { device, bytes, address: physical } = e;
        const dma = handleOf(e.dmaAddress);
        const kind = "map";
        this.#made(e, device, [{ physical, bytes, dma }]);
        this.#put(e, { kind, device, direction: named(e.direction), physical, bytes, dma });
        return;
      }
      case "dma_unmap_page":
      case "dma_unmap_phys": {
        const { device, bytes, dmaAddress: dma } = e;
        this.#put(e, { kind: "unmap", device, dma, bytes, direction: named(e.direction) });
        return;
      }
      case "dma_map_sg": {
        const { device, bytes, dmaAddresses: dmas } = e;
        const parts: SgPart[] = e.addresses.map((physical, i) => ({
          physical,
          bytes: bytes[i] ?? 0,
          dma: handleOf(dmas[i] ?? DMA_MAPPING_ERROR),
        }));
        const missing = missingOf(e.entriesOf, parts.length);
        const kind = "map-sg";
        const direct = named(e.direction);
        this.#made(e, device, parts);
        this.#put(e, { kind, device, direction: direct, parts, missing });
        return;
      }
      case "dma_map_sg_err":
        this.#made(e, e.device, []);
        return;
      case "dma_unmap_sg": {
        const { device, addresses: physicals } = e;
        this.#put(e, { kind: "unmap-sg", device, physicals, direction: named(e.direction) });
        return;
      }
      case "dma_alloc":
        this.#allocated(e);
    }
  }

  /** Where a probe tells the same call with its page requests, it does. */
  #allocated(e: Extract<TraceEvent, { readonly name: "dma_alloc" }>): void {
    const frame = this.#frames[e.cpu]?.at(-1);
    if (frame?.symbol === "dma_alloc_attrs" && frame.pid === e.pid) return;
    const page = this.#lastPages[e.cpu];
    const isOwn = page !== undefined && page.pid === e.pid && page.pfn * 4096 === e.dmaAddress;
    const { device, bytes, gfp, dmaAddress: physical } = e;
    this.#put(e, { kind: "alloc", device, bytes, gfp, physical, answers: isOwn ? [page] : [] });
  }
}

/** Interrupts map, too, in the middle of a task's list. */
function contextOf({ cpu, flags }: TraceHead): string {
  return `${cpu} ${flags?.context ?? "task"}`;
}

function failAll(open: EventCall[]): void {
  for (const call of open.splice(0)) call.failed = true;
}
