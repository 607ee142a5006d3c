/**
 * What a recording says about the addresses behind an IOMMU: requests, frees and
 * unmaps in order, with the call of the DMA API that each request came from.
 *
 *   probe on             tells
 *   alloc_iova_fast      domain (the pointer), pages, limit; its return the answer
 *   free_iova_fast       domain, first page, pages: the moment of freeing
 *   dma_map_page_attrs   device, offset and size; its return the handle
 *   dma_alloc_attrs      device, size, gfp; pages between entry and return
 *   dma_unmap_page_attrs device and handle of the unmap that follows
 *   dma_set_mask         streaming mask of a device; dma_set_coherent_mask the other
 *
 * Events: `map` and `unmap` of iommu, `dma_map_sg`, `dma_unmap_sg` and `dma_alloc`
 * where the kernel has them (6.12), `add_device_to_group`, mm_page_alloc inside a
 * coherent call and before a map.
 *
 * Calls nest, as an interrupt may map and unmap in the middle of a task's call:
 * entries and returns are paired by a stack a task and kind of interrupt. An unmap names no domain:
 * where no call before it names the device, the free of that page says whose it
 * was, which is the one thing that is looked up in what comes later.
 *
 * Linux: include/trace/events/{iommu,dma}.h
 */
import type { PageAlloc, ProbeHit, TraceEvent, TraceHead } from "../../formats/ftrace-event.ts";

/** The call of the API that asked for addresses. */
export interface ApiCall {
  readonly kind: "page" | "coherent" | "sg";
  readonly device: string;
  /** Offset of the first byte in its page. */
  readonly offset: number;
  readonly bytes: number;
  /** sg: page ranges that the segments of the answer touch; null where not all were listed. */
  readonly segmentPages: number | null;
  /** coherent: as given, and what was taken for it: orders of blocks by gfp flags as printed. */
  readonly gfp: number;
  readonly attrs: number;
  readonly blocks: { readonly order: number; readonly gfp: string }[];
  /** The address that the device gets; null where it is not recorded. */
  handle: number | null;
}

export interface AllocCall {
  readonly kind: "alloc";
  readonly line: number;
  readonly time: number;
  readonly cpu: number;
  readonly domain: string;
  readonly pages: number;
  readonly limitPfn: number;
  /** The answer: first page, 0 for none. */
  pfn: number;
  api: ApiCall | null;
  /** Streaming or coherent mask of the device then; null where it was not set. */
  readonly mask: bigint | null;
  /** What was mapped there, in order. */
  readonly maps: { readonly pfn: number; readonly physical: number; readonly pages: number }[];
  /** Zeroed pages that the task took between the answer and the last map: page tables. */
  tables: number;
}

export interface FreeCall {
  readonly kind: "free";
  readonly line: number;
  readonly time: number;
  readonly cpu: number;
  readonly domain: string;
  readonly pfn: number;
  readonly pages: number;
}

export interface UnmapCall {
  readonly kind: "unmap";
  readonly line: number;
  readonly time: number;
  readonly cpu: number;
  readonly pfn: number;
  readonly pages: number;
  /** Null until a later free tells. */
  domain: string | null;
}

export type IovaCall = AllocCall | FreeCall | UnmapCall;

interface Open {
  readonly symbol: string;
  readonly alloc: AllocCall | null;
  readonly api: ApiCall | null;
}

/** What a task, or an interrupt on top of it, was last seen doing. */
interface Actor {
  readonly stack: Open[];
  /** Of the unmap call that was entered last: device, and where it is. */
  unmaps: { readonly device: string; readonly handle: number | null } | null;
  /** Its last request without a call around it: a scatterlist's. */
  loose: AllocCall | null;
  /** Its last request, while what was asked for is being mapped. */
  mapping: AllocCall | null;
  /** Zeroed pages taken since. */
  zeroed: number;
}

const PAGE = 4096;
/** Entries of a scatterlist that the kernel lists at most. Linux: DMA_TRACE_MAX_ENTRIES */
const LISTED = 128;

export class IovaCalls {
  readonly calls: IovaCall[] = [];
  /** Domain by device, as far as a call named both. */
  readonly domainOf: Map<string, string> = new Map();
  readonly groupOf: Map<string, number> = new Map();
  /** Last address of the streaming mask by device. */
  readonly masks: Map<string, bigint> = new Map();
  readonly coherentMasks: Map<string, bigint> = new Map();
  readonly #actors = new Map<string, Actor>();
  /** Unmaps that no free was seen of, by first page. */
  readonly #pending = new Map<number, UnmapCall[]>();

  readonly sink = (e: TraceEvent): void => {
    switch (e.name) {
      case "probe":
        this.#probe(e);
        break;
      case "mm_page_alloc":
        this.#page(e);
        break;
      case "map":
        this.#mapped(this.#actor(e), e.start, e.address, e.bytes);
        break;
      case "add_device_to_group":
        this.groupOf.set(e.device, e.group);
        break;
      case "unmap":
        this.#unmap(e, e.start, e.bytes);
        break;
      case "dma_unmap_sg":
        this.#actor(e).unmaps = { device: e.device, handle: null };
        break;
      case "dma_alloc": {
        const api = this.#actor(e).stack.at(-1)?.api;
        if (api?.kind === "coherent") api.handle = e.dmaAddress;
        break;
      }
      case "dma_map_sg":
        this.#scatterlist(e);
        break;
      default:
        break;
    }
  };

  #page(e: PageAlloc): void {
    const actor = this.#actor(e);
    const top = actor.stack.at(-1)?.api;
    if (top?.kind === "coherent") top.blocks.push({ order: e.order, gfp: e.gfp });
    if (actor.mapping !== null && e.order === 0 && e.gfp.includes("__GFP_ZERO")) actor.zeroed++;
  }

  #mapped(actor: Actor, start: number, physical: number, bytes: number): void {
    const alloc = actor.mapping;
    if (alloc === null) return;
    const pfn = start / PAGE;
    if (pfn < alloc.pfn || pfn >= alloc.pfn + alloc.pages) return;
    alloc.maps.push({ pfn, physical, pages: bytes / PAGE });
    alloc.tables += actor.zeroed;
    actor.zeroed = 0;
  }

  /** Interrupts have the number of the task that they stand on. */
  #actor({ pid, flags }: TraceHead): Actor {
    const key = `${pid} ${flags?.context ?? "task"}`;
    let actor = this.#actors.get(key);
    if (actor === undefined) {
      actor = { stack: [], unmaps: null, loose: null, mapping: null, zeroed: 0 };
      this.#actors.set(key, actor);
    }
    return actor;
  }

  #probe(e: ProbeHit): void {
    if (e.caller !== null) this.#returned(e);
    else if (e.symbol === "alloc_iova_fast") this.#requested(e);
    else if (e.symbol === "free_iova_fast") this.#freed(e);
    else if (e.symbol === "dma_map_page_attrs" || e.symbol === "dma_alloc_attrs") {
      const api = apiCall(e);
      this.#actor(e).stack.push({ symbol: e.symbol, alloc: null, api });
    } else if (e.symbol === "dma_unmap_page_attrs") {
      this.#actor(e).unmaps = { device: text(e, "dev"), handle: number(e, "handle") };
    } else if (e.symbol === "dma_set_mask" || e.symbol === "dma_set_coherent_mask") {
      const mask = e.values.get("mask");
      const known = e.symbol === "dma_set_mask" ? this.masks : this.coherentMasks;
      if (typeof mask === "bigint") known.set(text(e, "dev"), mask);
    }
  }

  #requested(e: ProbeHit): void {
    const actor = this.#actor(e);
    const api = actor.stack.at(-1)?.api ?? null;
    const domain = pointer(e);
    if (api !== null) this.domainOf.set(api.device, domain);
    const { line, time, cpu } = e;
    const pages = number(e, "size");
    const limitPfn = number(e, "limit");
    const alloc: AllocCall = {
      kind: "alloc",
      line,
      time,
      cpu,
      domain,
      pages,
      limitPfn,
      pfn: -1,
      api,
      mask: this.#maskOf(api),
      maps: [],
      tables: 0,
    };
    actor.stack.push({ symbol: e.symbol, alloc, api: null });
  }

  #maskOf(api: ApiCall | null): bigint | null {
    if (api === null) return null;
    const known = api.kind === "coherent" ? this.coherentMasks : this.masks;
    return known.get(api.device) ?? null;
  }

  #returned(e: ProbeHit): void {
    const actor = this.#actor(e);
    const at = actor.stack.findLastIndex(({ symbol }) => symbol === e.symbol);
    if (at < 0) return;
    const [open] = actor.stack.splice(at);
    if (open === undefined) return;
    if (open.alloc !== null) {
      open.alloc.pfn = number(e, "pfn");
      this.calls.push(open.alloc);
      actor.loose = open.alloc.api === null ? open.alloc : null;
      actor.mapping = open.alloc;
      actor.zeroed = 0;
    } else if (open.api?.kind === "page") {
      open.api.handle = number(e, "handle");
    }
  }

  #freed(e: ProbeHit): void {
    const { line, time, cpu } = e;
    const domain = pointer(e);
    const pfn = number(e, "pfn");
    const pages = number(e, "size");
    const waiting = this.#pending.get(pfn) ?? [];
    const fits = (one: UnmapCall): boolean => one.pages === pages && one.domain === domain;
    let at = waiting.findIndex(fits);
    if (at < 0) at = waiting.findIndex((one) => one.pages === pages && one.domain === null);
    const [unmap] = at < 0 ? [] : waiting.splice(at, 1);
    if (unmap !== undefined) unmap.domain = domain;
    if (waiting.length === 0) this.#pending.delete(pfn);
    this.calls.push({ kind: "free", line, time, cpu, domain, pfn, pages });
  }

  #unmap(e: TraceHead, start: number, bytes: number): void {
    const { line, time, cpu } = e;
    const actor = this.#actor(e);
    const { unmaps } = actor;
    actor.unmaps = null;
    const pfn = start / PAGE;
    const same = unmaps !== null && (unmaps.handle ?? start) - start < PAGE;
    const domain = same ? (this.domainOf.get(unmaps.device) ?? null) : null;
    const pages = bytes / PAGE;
    const call: UnmapCall = { kind: "unmap", line, time, cpu, pfn, pages, domain };
    this.calls.push(call);
    const waiting = this.#pending.get(pfn);
    if (waiting === undefined) this.#pending.set(pfn, [call]);
    else waiting.push(call);
  }

  /** Printed when the list has been mapped: what the device got. */
  #scatterlist(e: Extract<TraceEvent, { readonly name: "dma_map_sg" }>): void {
    const { device, dmaAddresses: addresses, bytes: sizes } = e;
    const actor = this.#actor(e);
    const { loose } = actor;
    const first = addresses[0];
    if (loose === null || first === undefined || sizes.length !== addresses.length) return;
    actor.loose = null;
    this.domainOf.set(device, loose.domain);
    let pages = 0;
    let bytes = 0;
    for (const [i, size] of sizes.entries()) {
      pages += Math.ceil((((addresses[i] ?? 0) % PAGE) + size) / PAGE);
      bytes += size;
    }
    loose.api = {
      kind: "sg",
      device,
      offset: (e.addresses[0] ?? first) % PAGE,
      bytes,
      segmentPages: sizes.length < LISTED ? pages : null,
      gfp: 0,
      attrs: 0,
      blocks: [],
      handle: first,
    };
  }
}

function apiCall(e: ProbeHit): ApiCall {
  const coherent = e.symbol === "dma_alloc_attrs";
  return {
    kind: coherent ? "coherent" : "page",
    device: text(e, "dev"),
    offset: coherent ? 0 : number(e, "off") % PAGE,
    bytes: number(e, "size"),
    segmentPages: null,
    gfp: coherent ? number(e, "gfp") : 0,
    attrs: coherent ? number(e, "attrs") : 0,
    blocks: [],
    handle: null,
  };
}

function number(e: ProbeHit, name: string): number {
  const value = e.values.get(name);
  return typeof value === "bigint" ? Number(BigInt.asUintN(64, value)) : 0;
}

function text(e: ProbeHit, name: string): string {
  const value = e.values.get(name);
  return typeof value === "string" ? value : "";
}

/** The domain's pointer, which does as its name. */
function pointer(e: ProbeHit): string {
  const value = e.values.get("iovad");
  return typeof value === "bigint" ? `0x${BigInt.asUintN(64, value).toString(16)}` : "";
}
