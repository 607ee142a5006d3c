/**
 * A replay from the first event of a boot on: memory as memblock hands it over,
 * with neither marks nor pagesets, and what the boot does to it without an
 * event, at the moments that its log tells. Everything is the plan's prediction;
 * nothing is read of zoneinfo, buddyinfo or pagetypeinfo.
 *
 *   start      free ranges of the `memblock=debug` log; pagesets of one page
 *   pagesets   by the pages handed over so far, no mark yet   setup_per_cpu_pageset()
 *   deferred   the rest of the pages                          page_alloc_init_late()
 *   initcalls  marks, reserves, pagesets as planned           init_per_zone_wmark_min()
 *   snapshot   reserves by what is managed then               lowmem_reserve_ratio_sysctl_handler()
 *
 * Pages that are freed later (initrd, init memory, CMA areas) are events.
 */
import type { Issue, Outcome } from "../base/issue.ts";
import type { Range } from "../base/range.ts";
import type { Layout } from "../boot/hardware.ts";
import { replayForHandover } from "../boot/managed.ts";
import { freeRanges } from "../boot/memblock.ts";
import type { BootLog } from "../formats/boot-log.ts";
import { driftThreshold } from "../mm/marks.ts";
import {
  type Memory,
  P_BATCH,
  P_HIGH,
  P_HIGH_MAX,
  P_HIGH_MIN,
  PCP_WORDS,
  Z_HIGH,
  Z_LOW,
  Z_MANAGED,
  Z_MIN,
  Z_PROMO,
  Z_RESERVE,
  Z_THRESHOLD,
  ZONE_WORDS,
} from "../mm/memory.ts";
import { zoneBatch } from "../mm/pageset.ts";
import { lowmemReserve } from "../mm/protection.ts";
import { type AllocatorRule, CMA } from "../mm/rule.ts";
import type { MachineInput } from "../plan/machine.ts";
import type { Plan, PlannedZone } from "../plan/plan.ts";
import { takeTraceBuffer } from "./boot-buffer.ts";
import { type Handover, handOverEarly, handoverOf, LatePages } from "./boot-handover.ts";
import type { BootMoments } from "./boot-moments.ts";
import type { ReplayEvent } from "./event.ts";
import type { ListSnapshot, MachineFacts } from "./snapshot.ts";
import { type StartState, startState } from "./start-state.ts";

/** What a boot does to memory while its events are replayed. One for each run. */
export interface BootSteps {
  /** Before an event: what was due by its time. */
  before(m: Memory, e: ReplayEvent): void;
  /** A free: true when it handed a deferred page over, which has been done then. */
  free(m: Memory, row: number, order: number): boolean;
}

export interface BootStart {
  /** Zones, and nothing free; a replay's `from`. */
  readonly from: ListSnapshot;
  readonly facts: MachineFacts;
  state(change: Partial<AllocatorRule>): Outcome<StartState | null>;
  steps(m: Memory): BootSteps;
  /** Takes what the trace's own buffer took before the first event, for a run that is told nothing. */
  takeBuffer(m: Memory): void;
}

/** A machine with its log, and what was planned of it. */
export interface BootEvidence {
  readonly input: MachineInput;
  readonly layout: Layout;
  readonly plan: Plan;
  readonly moments: BootMoments;
  /** Upstream release, e.g. "6.1.176". */
  readonly upstream: string;
}

/** A boot ends with marks even where the log lost the line that tells when. */
const SECOND = 1e6;

/** Null, with errors, when the log does not tell what memblock had free. */
export function bootStart(evidence: BootEvidence): Outcome<BootStart | null> {
  const { input, layout } = evidence;
  const { log } = input;
  const replayed = log === null ? null : replayForHandover(log);
  const issues: Issue[] = [...(replayed?.issues ?? [])];
  if (log === null || replayed === null || replayed.value === null) {
    const message = "its boot log does not tell which pages memblock handed over";
    const mend = "boot with memblock=debug and a larger log_buf_len=, or replay from a snapshot";
    issues.push({ severity: "error", source: "dmesg", message, mend });
    return { value: null, issues };
  }
  const { pageSize } = input.hardware.build;
  const free = freeRanges(replayed.value).flatMap((range): Range[] => {
    const start = Math.ceil(range.start / pageSize);
    const end = Math.floor(range.end / pageSize);
    return start < end ? [{ start, end }] : [];
  });
  const handover = handoverOf(layout, free, log.deferredInit.length > 0);
  const from = emptySnapshot(evidence, log);
  const facts = factsOfPlan(evidence);
  const value: BootStart = {
    from,
    facts,
    state: (change) => {
      const state = startState(from, facts, change);
      if (state.value !== null) begin(state.value, handover);
      return state;
    },
    takeBuffer: (m) => takeTraceBuffer(m, log.commandLine ?? ""),
    steps: (m) => new Steps(m, evidence, handover),
  };
  return { value, issues };
}

function plannedZones({ nodes }: Plan): { readonly node: number; readonly zone: PlannedZone }[] {
  return nodes.flatMap(({ node, zones }) => zones.map((zone) => ({ node, zone })));
}

function factsOfPlan({ input, plan, upstream }: BootEvidence): MachineFacts {
  const { cpus, build } = input.hardware;
  const cpuNode = Array.from({ length: cpus.online }, (_, cpu) => {
    for (const [node, own] of cpus.byNode ?? []) if (own.includes(cpu)) return node;
    return plan.nodes[0]?.node ?? 0;
  });
  return {
    era: plan.era.name,
    upstream,
    cma: build.cma,
    cpus: cpus.online,
    cpuNode,
    reserveRatios: plan.sysctls.lowmemReserveRatio,
    sysctls: new Map(),
    zones: plannedZones(plan).map(({ node, zone }) => {
      return { node, index: zone.index, name: zone.name, threshold: 0 };
    }),
  };
}

function emptySnapshot({ input, plan }: BootEvidence, log: BootLog): ListSnapshot {
  const { build, cpus } = input.hardware;
  const pageblockOrder = Math.log2(build.pageblockPages);
  const zones = plannedZones(plan).filter(({ zone }) => zone.spanned > 0);
  const areas = log.cma.map(({ start, end }) => ({
    start: Math.floor(start / build.pageSize),
    end: Math.ceil(end / build.pageSize),
  }));
  const cpuNumbers = Array.from({ length: cpus.online }, (_, cpu) => cpu);
  return {
    exact: false,
    pageblockOrder,
    maxOrder: Math.log2(build.maxOrderPages ?? 1024),
    zones: zones.map(({ node, zone }) => ({
      ...{ node, index: zone.index, name: zone.name, startPfn: zone.startPfn ?? 0 },
      ...{ spanned: zone.spanned, managed: zone.managed.pages, min: 0, low: 0, high: 0, promo: 0 },
      ...{ boost: 0, highatomic: 0, pagesetHigh: 0 },
    })),
    free: [],
    pcp: [],
    // BOOT_PAGESET_HIGH and BOOT_PAGESET_BATCH. Linux: per_cpu_pages_init(), mm/page_alloc.c
    counters: zones.flatMap(({ node, zone: { index } }) =>
      cpuNumbers.map((cpu) => ({
        ...{ node, index, cpu, count: 0, high: 0, batch: 1, factor: 0 },
        ...{ allocFactor: null, highMin: null, highMax: null },
      })),
    ),
    blocks: build.cma ? areas.map((area) => cmaBlocks(area, build.pageblockPages)) : [],
    movable: [],
    unmanaged: null,
  };
}

function cmaBlocks({ start, end }: Range, size: number): ListSnapshot["blocks"][number] {
  return { pfn: start, types: new Array<number>(Math.ceil((end - start) / size)).fill(CMA) };
}

function begin({ m }: StartState, handover: Handover): void {
  for (let z = 0; z < m.zoneCount; z++) {
    m.zone[z * ZONE_WORDS + Z_MANAGED] = 0;
    m.zone.fill(0, z * ZONE_WORDS + Z_RESERVE, z * ZONE_WORDS + Z_RESERVE + 8);
  }
  handOverEarly(m, handover);
}

class Steps implements BootSteps {
  readonly #due: { readonly time: number; readonly act: (m: Memory) => void }[];

  readonly #late: LatePages;
  readonly #plan: Plan;
  #interrupts = false;
  #pagesets = false;

  constructor(m: Memory, evidence: BootEvidence, handover: Handover) {
    const late = new LatePages(m, handover);
    this.#late = late;
    this.#plan = evidence.plan;
    const { deferred, initcalls } = evidence.moments;
    const started = Math.min(initcalls, SECOND);
    this.#due = [
      {
        time: Math.min(deferred, started),
        act: () => {
          late.takeRest(m);
          earlyPagesets(m);
        },
      },
      { time: started, act: (m: Memory) => setPlanned(m, evidence.plan) },
    ];
  }

  free(m: Memory, row: number, order: number): boolean {
    return this.#late.take(m, row, order);
  }

  before(m: Memory, e: ReplayEvent): void {
    if (this.#interrupts && !this.#pagesets) {
      earlyPagesets(m);
      this.#pagesets = true;
    }
    if (e.kind === "snap") settleReserves(m, this.#plan);
    // Interrupts are switched on, then a few caches are made, and the pagesets come next.
    if (e.kind === "alloc" && (e.a === 1 || e.time > 0)) this.#interrupts = true;
    for (let [next] = this.#due; next !== undefined && e.time >= next.time; [next] = this.#due) {
      this.#due.shift();
      next.act(m);
    }
  }
}

/** By what the zones manage, without a mark. Linux: setup_zone_pageset(), zone_pcp_update() */
function earlyPagesets(m: Memory): void {
  for (let z = 0; z < m.zoneCount; z++) {
    const batch = Math.max(1, zoneBatch(m.zone[z * ZONE_WORDS + Z_MANAGED], m.pageSize));
    for (let cpu = 0; cpu < m.cpuCount; cpu++) {
      setPageset(m, z, cpu, { batch, high: 4 * batch, max: 4 * batch });
    }
  }
}

function setPlanned(m: Memory, plan: Plan): void {
  for (const [z, { zone }] of plannedZones(plan).entries()) {
    const at = z * ZONE_WORDS;
    const { min, low, high, promo } = zone.watermarks;
    m.zone[at + Z_MIN] = min;
    m.zone[at + Z_LOW] = low;
    m.zone[at + Z_HIGH] = high;
    m.zone[at + Z_PROMO] = promo ?? 2 * high - low;
    m.zone.set(zone.protection.slice(0, 8), at + Z_RESERVE);
    m.zone[at + Z_THRESHOLD] = driftThreshold(m, zone.managed.pages);
    if (zone.pageset === null) continue;
    const { high: most, batch, tunedTo } = zone.pageset;
    for (let cpu = 0; cpu < m.cpuCount; cpu++) {
      setPageset(m, z, cpu, { batch, high: most, max: tunedTo?.max ?? most });
    }
  }
}

/**
 * By what the zones manage at the end of the boot: reading vm/lowmem_reserve_ratio does that.
 *
 * Linux: lowmem_reserve_ratio_sysctl_handler(), mm/page_alloc.c
 */
function settleReserves(m: Memory, plan: Plan): void {
  const all = plannedZones(plan);
  for (const [z, { node, zone }] of all.entries()) {
    const managed = all.map((own) => (own.node === node ? own.zone.managed.pages : 0));
    const first = all.findIndex((own) => own.node === node);
    const rows = lowmemReserve(managed.slice(first), plan.sysctls.lowmemReserveRatio);
    const row = rows[zone.index]?.slice(0, 8);
    if (row !== undefined) m.zone.set(row, z * ZONE_WORDS + Z_RESERVE);
    m.zone[z * ZONE_WORDS + Z_MANAGED] = zone.managed.pages;
  }
}

function setPageset(
  m: Memory,
  zone: number,
  cpu: number,
  { batch, high, max }: { readonly batch: number; readonly high: number; readonly max: number },
): void {
  const at = (zone * m.cpuCount + cpu) * PCP_WORDS;
  m.pcp[at + P_HIGH] = high;
  m.pcp[at + P_BATCH] = batch;
  if (m.rule.pcp !== "tuned") return;
  m.pcp[at + P_HIGH_MIN] = high;
  m.pcp[at + P_HIGH_MAX] = max;
}
