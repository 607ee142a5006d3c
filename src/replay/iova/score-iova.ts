/**
 * How the engine's addresses behind an IOMMU compare with a recording's: the
 * `iova` part of a replay.
 *
 * Linux: iommu_dma_alloc_iova(), iommu_dma_alloc(), drivers/iommu/dma-iommu.c
 */
import { coherentOrders, granulesOf } from "../../dma/iommu/index.ts";
import { iovaRule } from "../../kernels/iommu.ts";
import type { AllocCall, IovaCalls } from "./calls.ts";
import type { DomainMode, IommuGroup, IovaEvidence } from "./facts.ts";
import { type IovaRun, type RunOptions, runIova } from "./run-iova.ts";
import { scoreTables, type TableScore } from "./tables.ts";

export interface Checked {
  readonly recorded: number;
  readonly equal: number;
}

export interface IovaDifference {
  readonly line: number;
  readonly device: string | null;
  readonly pages: number;
  /** First pages. */
  readonly ours: number;
  readonly theirs: number;
}

export interface IovaDomainScore extends Checked {
  readonly group: number | null;
  readonly devices: readonly string[];
  readonly mode: DomainMode;
}

export interface IovaScore {
  readonly era: string;
  /** Answers of alloc_iova_fast, with the recorded frees. */
  readonly allocations: Checked;
  readonly frees: number;
  readonly firstDifference: IovaDifference | null;
  /**
   * The same where the engine also says when blocks are freed. Lazy unmaps are
   * freed by a timer whose tick no recording tells: `equal` is for ticks at whole
   * multiples of the trace's clock, `low` and `high` over all places of the tick.
   */
  readonly predicted: Checked & { readonly low: number; readonly high: number };
  /** Pages asked for, from the call of the API. */
  readonly sizes: Checked;
  /** Last page asked for, from the device's mask: below 4 GiB first. */
  readonly limits: Checked;
  /** The address that the device gets: block and offset. */
  readonly handles: Checked;
  /** Blocks of memory that coherent calls took. */
  readonly coherent: Checked;
  /** Pages that each mapping took for page tables; null where the log does not tell their shape. */
  readonly tables: TableScore | null;
  readonly domains: readonly IovaDomainScore[];
  /** What no file told and was taken for granted. */
  readonly assumed: readonly string[];
}

const PAGE = 4096;
/** Places of the tick that are tried for the range. */
const PHASES = 16;
const LIMIT_32 = 0xfffff;
/** x86's window of interrupt messages, which each domain there keeps free. */
const MSI = { start: 0xfee00000, end: 0xfef00000 };

/** null where nothing asked an IOMMU for addresses. */
export function scoreIova(calls: IovaCalls, evidence: IovaEvidence): IovaScore | null {
  const requests = calls.calls.filter((call) => call.kind === "alloc");
  if (requests.length === 0) return null;
  const names = new DomainNames(calls, evidence);
  const options: RunOptions = {
    facts: evidence,
    frees: "given",
    modeOf: (domain) => names.modeOf(domain),
    reservedOf: (domain) => names.reservedOf(domain),
    flushes: (call) => !names.triesOnly32(call),
    phase: 0,
  };
  const given = runIova(calls.calls, options);
  const { allocations, firstDifference } = compare(requests, given);
  return {
    era: iovaRule(evidence.version).name,
    allocations,
    frees: calls.calls.filter(({ kind }) => kind === "free").length,
    firstDifference,
    predicted: predicted(calls, requests, options),
    sizes: sizes(requests),
    limits: limits(requests),
    handles: handles(requests, given),
    coherent: coherent(requests),
    tables: scoreTables(calls.calls, evidence.tables),
    domains: names.scores(requests, given),
    assumed: [...earlierWords(given.earlier), ...names.assumed()],
  };
}

function earlierWords(blocks: number): string[] {
  return blocks === 0 ? [] : [`${blocks} blocks were taken before the recording began`];
}

function compare(
  requests: readonly AllocCall[],
  run: IovaRun,
): { allocations: Checked; firstDifference: IovaDifference | null } {
  let equal = 0;
  let firstDifference: IovaDifference | null = null;
  for (const [i, call] of requests.entries()) {
    const ours = run.answers[i] ?? 0;
    if (ours === call.pfn) equal++;
    else {
      const { line, pages, pfn: theirs } = call;
      firstDifference ??= { line, device: call.api?.device ?? null, pages, ours, theirs };
    }
  }
  return { allocations: { recorded: requests.length, equal }, firstDifference };
}

function predicted(
  calls: IovaCalls,
  requests: readonly AllocCall[],
  options: RunOptions,
): IovaScore["predicted"] {
  const equalAt = (phase: number): number => {
    const run = runIova(calls.calls, { ...options, frees: "predicted", phase });
    return compare(requests, run).allocations.equal;
  };
  const tick = 1e6 / options.facts.hz;
  // Where nothing waits for a tick, its place does not matter.
  const lazy = requests.some(({ domain }) => options.modeOf(domain) === "lazy");
  const places = lazy ? PHASES : 1;
  const all = Array.from({ length: places }, (_, i) => equalAt((i * tick) / PHASES));
  const [equal = 0] = all;
  return { recorded: requests.length, equal, low: Math.min(...all), high: Math.max(...all) };
}

function sizes(requests: readonly AllocCall[]): Checked {
  let recorded = 0;
  let equal = 0;
  for (const { api, pages } of requests) {
    const ours =
      api?.kind === "sg"
        ? api.segmentPages
        : api === null
          ? null
          : granulesOf(api.offset, api.bytes, 12);
    if (ours === null) continue;
    recorded++;
    if (ours === pages) equal++;
  }
  return { recorded, equal };
}

/** Recordings begin with room below 4 GiB, so a wide mask never gets further than the first try. */
function limits(requests: readonly AllocCall[]): Checked {
  let recorded = 0;
  let equal = 0;
  for (const { mask, limitPfn } of requests) {
    if (mask === null) continue;
    recorded++;
    const first = mask > 0xffffffffn ? LIMIT_32 : Number(mask >> 12n);
    const whole = Number(mask >> 12n);
    if (limitPfn === first || (limitPfn > LIMIT_32 && limitPfn <= whole)) equal++;
  }
  return { recorded, equal };
}

function handles(requests: readonly AllocCall[], run: IovaRun): Checked {
  let recorded = 0;
  let equal = 0;
  for (const [i, { api }] of requests.entries()) {
    if (api === null || api.handle === null) continue;
    recorded++;
    if ((run.answers[i] ?? 0) * PAGE + api.offset === api.handle) equal++;
  }
  return { recorded, equal };
}

/** __GFP_DIRECT_RECLAIM, since 4.4. */
const MAY_BLOCK = 0x400;
const FORCE_CONTIGUOUS = 0x40;
/** Page sizes of the IOMMUs of x86 that fit into a block of the page allocator. */
const PAGE_SHIFTS = [12, 21];

/**
 * Callers that may wait get single blocks of the IOMMU's page sizes, mapped side
 * by side; the others one block.
 */
function coherent(requests: readonly AllocCall[]): Checked {
  let recorded = 0;
  let equal = 0;
  for (const { api } of requests) {
    if (api?.kind !== "coherent") continue;
    recorded++;
    const pages = granulesOf(0, api.bytes, 12);
    const pieces = (api.gfp & MAY_BLOCK) !== 0 && (api.attrs & FORCE_CONTIGUOUS) === 0;
    const same = pieces ? samePieces(pages, api.blocks) : api.blocks[0]?.order === orderOf(pages);
    if (same) equal++;
  }
  return { recorded, equal };
}

function samePieces(pages: number, blocks: NonNullable<AllocCall["api"]>["blocks"]): boolean {
  // Page tables are asked for without these two flags.
  const own = blocks.filter(
    ({ gfp }) => gfp.includes("__GFP_HIGHMEM") && gfp.includes("__GFP_NOWARN"),
  );
  let left = pages;
  for (const { order } of own) {
    if (!coherentOrders(left, PAGE_SHIFTS).includes(order)) return false;
    left -= 1 << order;
    if (left === 0) break;
  }
  return (
    left === 0 && own.length > 0 && own.reduce((sum, { order }) => sum + (1 << order), 0) === pages
  );
}

function orderOf(pages: number): number {
  return pages <= 1 ? 0 : 32 - Math.clz32(pages - 1);
}

/** Which group a domain is of, by the devices whose calls used it. */
class DomainNames {
  readonly #calls: IovaCalls;
  readonly #evidence: IovaEvidence;

  constructor(calls: IovaCalls, evidence: IovaEvidence) {
    this.#calls = calls;
    this.#evidence = evidence;
  }

  #devices(domain: string): string[] {
    return [...this.#calls.domainOf].filter(([, of]) => of === domain).map(([device]) => device);
  }

  #group(domain: string): IommuGroup | null {
    const devices = this.#devices(domain);
    const { groups } = this.#evidence;
    return groups.find((group) => group.devices.some((one) => devices.includes(one))) ?? null;
  }

  modeOf(domain: string): DomainMode {
    return this.#group(domain)?.mode ?? this.#evidence.modeOfAll ?? "lazy";
  }

  reservedOf(domain: string): readonly { start: number; end: number }[] {
    return [...this.#evidence.windows, ...(this.#group(domain)?.reserved ?? [MSI])];
  }

  /** PCI devices with more than 32 bits ask below 4 GiB first, and then do not empty the caches. */
  triesOnly32({ domain, limitPfn }: AllocCall): boolean {
    if (limitPfn !== LIMIT_32) return false;
    return this.#devices(domain).some((one) => (this.#calls.masks.get(one) ?? 0n) > 0xffffffffn);
  }

  scores(requests: readonly AllocCall[], run: IovaRun): IovaDomainScore[] {
    return [...run.domains.keys()].map((domain) => {
      let recorded = 0;
      let equal = 0;
      for (const [i, call] of requests.entries()) {
        if (call.domain !== domain) continue;
        recorded++;
        if (run.answers[i] === call.pfn) equal++;
      }
      const group = this.#group(domain);
      const devices = this.#devices(domain);
      const own = devices
        .map((one) => this.#calls.groupOf.get(one))
        .find((one) => one !== undefined);
      const number = group?.group ?? own ?? null;
      return { group: number, devices, mode: this.modeOf(domain), recorded, equal };
    });
  }

  assumed(): string[] {
    const { groups, modeOfAll, windows, hz, hzKnown } = this.#evidence;
    const assumed: string[] = [];
    if (groups.length === 0 && modeOfAll === null) assumed.push("unmaps are lazy");
    if (groups.length === 0) assumed.push("the interrupt window of x86 is reserved, no other");
    if (windows.length === 0) assumed.push("no PCI window is reserved");
    if (!hzKnown) assumed.push(`${hz} ticks a second`);
    return assumed;
  }
}
