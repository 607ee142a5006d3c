/**
 * One run of a recording's address requests through the engine, domain by domain.
 *
 * Recorded addresses say which earlier block a free or an unmap means, nothing
 * else: a block that the engine placed elsewhere is freed there, so a wrong
 * answer stays wrong and spoils later ones.
 *
 *   frees "given"      each block is freed when the recording frees it
 *   frees "predicted"  at its unmap, or where unmaps are lazy when the flush timer
 *                      fires, which is modelled
 */
import {
  allocIovaFast,
  createFlushQueue,
  createIovaDomain,
  type FlushHooks,
  type FlushQueue,
  fireFlushTimer,
  flushTimerArmed,
  freeIovaFast,
  type IovaDomain,
  isFree,
  queueIova,
  reserveIova,
  roundedSize,
} from "../../dma/iommu/index.ts";
import { iovaRule } from "../../kernels/iommu.ts";
import { createImage } from "../../mm/image.ts";
import type { AllocCall, IovaCall } from "./calls.ts";
import type { DomainMode, IommuFacts } from "./facts.ts";

export interface RunOptions {
  readonly facts: IommuFacts;
  readonly frees: "given" | "predicted";
  /** Of a domain, by the devices that used it. */
  readonly modeOf: (domain: string) => DomainMode;
  readonly reservedOf: (domain: string) => readonly { start: number; end: number }[];
  /** Whether a request falls back on emptying the caches. */
  readonly flushes: (call: AllocCall) => boolean;
  /** Microseconds from a tick of the kernel's clock to the trace's zero. */
  readonly phase: number;
}

export interface IovaRun {
  /** Our answers, in the order of the requests. */
  readonly answers: readonly number[];
  readonly domains: ReadonlyMap<string, IovaDomain>;
  /** Blocks that were there before the recording began, as their frees tell. */
  readonly earlier: number;
}

const GRANULE_SHIFT = 12;
/** Blocks at once in one domain; a rcache keeps at most a few thousand. */
const RANGES = 1 << 16;

interface Space {
  readonly domain: IovaDomain;
  readonly queue: FlushQueue | null;
  /** First page that we gave, by the one that was recorded. */
  readonly ours: Map<number, number>;
  readonly hooks: FlushHooks;
}

export function runIova(calls: readonly IovaCall[], options: RunOptions): IovaRun {
  const spaces = new Map<string, Space>();
  const answers: number[] = [];
  let earlier = 0;
  const clock = new TickClock(options.facts.hz, options.phase);
  const spaceOf = (name: string): Space => {
    let space = spaces.get(name);
    if (space === undefined) {
      space = createSpace(name, options);
      spaces.set(name, space);
    }
    return space;
  };
  for (const call of calls) {
    if (options.frees === "predicted") fireDue(spaces, clock, call.time, call.cpu);
    if (call.kind === "alloc") answers.push(request(spaceOf(call.domain), call, options));
    else if (options.frees === "given") {
      if (call.kind === "free") {
        const known = giveBack(spaceOf(call.domain), call.pfn, call.pages, call.cpu);
        if (!known) earlier++;
      }
    } else if (call.kind === "unmap") {
      const name = call.domain ?? holder(spaces, call.pfn);
      if (name !== null) unmap(spaceOf(name), call.pfn, call.pages, call.cpu, call.time);
    }
  }
  const domains = new Map([...spaces].map(([name, { domain }]) => [name, domain]));
  return { answers, domains, earlier };
}

function createSpace(name: string, options: RunOptions): Space {
  const { facts } = options;
  const rule = iovaRule(facts.version);
  const image = createImage(false);
  const { cpus } = facts;
  const domain = createIovaDomain(image, {
    name,
    rule,
    granuleShift: GRANULE_SHIFT,
    startPfn: 1,
    cpus,
    maxRanges: RANGES,
    roundsAll: false,
  });
  for (const { start, end } of options.reservedOf(name)) {
    reserveIova(domain, pageOf(start), pageOf(end - 1));
  }
  const lazy = options.frees === "predicted" && options.modeOf(name) === "lazy";
  return {
    domain,
    queue: lazy ? createFlushQueue(image, name, rule.flushQueue, cpus) : null,
    ours: new Map(),
    hooks: {
      flushIotlb: () => undefined,
      release: (pfn, pages, _tables, cpu) => freeIovaFast(domain, pfn, pages, cpu),
    },
  };
}

function pageOf(address: number): number {
  return Math.floor(address / 2 ** GRANULE_SHIFT);
}

function request({ domain, ours }: Space, call: AllocCall, options: RunOptions): number {
  const pfn = allocIovaFast(domain, call.pages, call.limitPfn, options.flushes(call), call.cpu);
  if (call.pfn > 0 && pfn > 0) ours.set(call.pfn, pfn);
  return pfn;
}

/** False for a block that the recording did not see given out: it is taken where it was, and freed. */
function giveBack({ domain, ours }: Space, recorded: number, pages: number, cpu: number): boolean {
  const pfn = ours.get(recorded);
  ours.delete(recorded);
  if (pfn !== undefined) {
    freeIovaFast(domain, pfn, pages, cpu);
    return true;
  }
  const last = recorded + roundedSize(domain, pages) - 1;
  if (isFree(domain, recorded, last) && reserveIova(domain, recorded, last)) {
    freeIovaFast(domain, recorded, pages, cpu);
  }
  return false;
}

function unmap(space: Space, recorded: number, pages: number, cpu: number, time: number): void {
  const { queue, ours, hooks } = space;
  const pfn = ours.get(recorded);
  if (pfn === undefined) return;
  if (queue === null) {
    giveBack(space, recorded, pages, cpu);
    return;
  }
  ours.delete(recorded);
  queueIova(queue, pfn, pages, 0, cpu, time, hooks);
}

/** The one domain that has a block there. */
function holder(spaces: ReadonlyMap<string, Space>, recorded: number): string | null {
  const names = [...spaces].filter(([, { ours }]) => ours.has(recorded)).map(([name]) => name);
  return names.length === 1 ? (names[0] ?? null) : null;
}

/** Queues whose timer has fired by now, the one that was armed first before the others. */
function fireDue(
  spaces: ReadonlyMap<string, Space>,
  clock: TickClock,
  time: number,
  cpu: number,
): void {
  const due = [...spaces.values()]
    .flatMap(({ queue, hooks }) => {
      const armed = queue === null ? -1 : flushTimerArmed(queue);
      return queue === null || armed < 0
        ? []
        : [{ queue, hooks, fires: clock.fires(armed, queue.timeoutMs) }];
    })
    .filter(({ fires }) => fires <= time)
    .sort((a, b) => a.fires - b.fires);
  for (const { queue, hooks } of due) fireFlushTimer(queue, cpu, hooks);
}

/**
 * When a timer fires, in ticks: the timeout is rounded up to ticks, and the
 * wheel fires one tick later, so that it never does so early.
 *
 * Linux: msecs_to_jiffies(), calc_index(), kernel/time/timer.c
 */
class TickClock {
  readonly #tick: number;
  readonly #phase: number;

  constructor(hz: number, phase: number) {
    this.#tick = 1e6 / hz;
    this.#phase = phase;
  }

  /** Microseconds, as the trace's times. */
  fires(armed: number, timeoutMs: number): number {
    const tick = this.#tick;
    const jiffies = Math.floor((armed - this.#phase) / tick);
    const ticks = Math.ceil((timeoutMs * 1000) / tick) + 1;
    return this.#phase + (jiffies + ticks) * tick;
  }
}
