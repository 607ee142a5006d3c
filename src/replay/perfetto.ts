/**
 * A replay as events of the Chrome trace format, which ui.perfetto.dev and
 * chrome://tracing open. One JSON object an event, times never go back.
 *
 *   process memory   counters: free pages and marks of each zone, pages in free blocks by order,
 *                    pages on per-CPU lists
 *   process kernel   a thread a task: slices for direct reclaim and for kswapd's passes; instants for
 *                    kswapd's wakes, fallbacks, refused requests and differences from the recording
 *
 * The size has a bound: counters are written ever more seldom, a doubling every
 * SAMPLES of them, and only where they changed; of each kind of instant and slice
 * there are at most EVENTS, and what was left out is counted at the end.
 *
 * Format: "Trace Event Format", Google, phases M, C, i, B, E
 */
import {
  type Memory,
  P_COUNT,
  PCP_WORDS,
  Z_BLOCKS,
  Z_BOOST,
  Z_LOW,
  Z_MANAGED,
  Z_MIN,
  ZONE_WORDS,
} from "../mm/memory.ts";
import type { ReplayEvent } from "./event.ts";
import type { Score } from "./score.ts";
import { freeOf } from "./timeline.ts";

/** What comes before the events in the file, and after them. */
export const PERFETTO_HEAD = '{"displayTimeUnit":"ms","traceEvents":[\n';
export const PERFETTO_TAIL = "\n]}\n";

const SAMPLES = 1024;
/** Events of the recording between two samples, at first. */
const FIRST_EVERY = 16;
const EVENTS = 10_000;

const MEMORY = 1;
const KERNEL = 2;

type Args = Readonly<Record<string, number | string>>;

export class PerfettoEvents {
  readonly #m: Memory;
  readonly #names: readonly string[];
  readonly #write: (event: string) => void;
  /** The last written arguments of each counter. */
  readonly #last: Map<string, string> = new Map();
  readonly #written: Map<string, number> = new Map();
  readonly #leftOut: Map<string, number> = new Map();
  readonly #threads: Set<number> = new Set();
  /** Slices that are open, by task. */
  readonly #open: Map<number, string[]> = new Map();
  #every = FIRST_EVERY;
  #samples = 0;
  #seen = 0;
  #time = 0;
  #misses = 0;

  /** `write` takes each event as JSON; `names` are the zones', by number. */
  constructor(m: Memory, names: readonly string[], write: (event: string) => void) {
    this.#m = m;
    this.#names = names;
    this.#write = write;
    this.#meta("process_name", MEMORY, 0, "memory");
    this.#meta("process_name", KERNEL, 0, "kernel");
  }

  /** Before each event of the run. */
  note(e: ReplayEvent, score: Score): void {
    this.#time = Math.max(this.#time, e.time);
    if (score.misses > this.#misses) {
      this.#misses = score.misses;
      this.#instant(e, "difference from the recording", { line: e.line });
    }
    if (this.#seen % this.#every === 0) this.#sample();
    this.#seen++;
    if (e.kind === "alloc") {
      if (e.pfn < 0) this.#instant(e, "refused", { line: e.line, order: e.order, gfp: e.gfp });
    } else if (e.kind === "extfrag") {
      const { line, order, a: fallbackOrder, type, b: fallbackType } = e;
      this.#instant(e, "fallback", { line, order, fallbackOrder, type, fallbackType });
    } else if (e.kind === "reclaim") this.#begin(e, "direct reclaim");
    else if (e.kind === "reclaim-end") this.#end(e, "direct reclaim");
    else if (e.kind === "kswapd") {
      this.#end(e, "kswapd pass");
      this.#instant(e, "kswapd wakes", { line: e.line, node: e.a });
      this.#begin(e, "kswapd pass");
    }
    if (e.passEnd) this.#end(e, "kswapd pass");
  }

  /** The run is over: counters as they are now, open slices end. Call once. */
  end(): void {
    this.#sample();
    for (const [pid, names] of this.#open) {
      for (const name of names.toReversed()) this.#event("E", name, KERNEL, pid);
    }
    for (const [name, count] of this.#leftOut) {
      this.#event("i", `${count} more of: ${name}`, KERNEL, 0, { count }, '"s":"g"');
    }
  }

  #sample(): void {
    const m = this.#m;
    for (const [zone, name] of this.#names.entries()) {
      const at = zone * ZONE_WORDS;
      if (m.zone[at + Z_MANAGED] === 0) continue;
      this.#counter(`free ${name}`, { pages: freeOf(m, zone) });
      const boost = m.zone[at + Z_BOOST];
      const [min, low] = [m.zone[at + Z_MIN] + boost, m.zone[at + Z_LOW] + boost];
      this.#counter(`marks ${name}`, { min, low });
      const cpus: Record<string, number> = {};
      for (let cpu = 0; cpu < m.cpuCount; cpu++) {
        cpus[`CPU ${cpu}`] = m.pcp[(zone * m.cpuCount + cpu) * PCP_WORDS + P_COUNT];
      }
      this.#counter(`per-CPU lists ${name}`, cpus);
      const orders: Record<string, number> = {};
      for (let order = 0; order <= m.maxOrder; order++) {
        orders[`order ${String(order).padStart(2, "0")}`] =
          m.zone[at + Z_BLOCKS + order] * 2 ** order;
      }
      this.#counter(`free by order ${name}`, orders);
    }
    this.#samples++;
    if (this.#samples % SAMPLES === 0) this.#every *= 2;
  }

  #counter(name: string, args: Args): void {
    const text = JSON.stringify(args);
    if (this.#last.get(name) === text) return;
    this.#last.set(name, text);
    this.#event("C", name, MEMORY, 0, args);
  }

  #instant(e: ReplayEvent, name: string, args: Args): void {
    if (this.#isFull(name)) return;
    this.#thread(e);
    this.#event("i", name, KERNEL, e.pid, { ...args, cpu: e.cpu }, '"s":"t"');
  }

  #begin(e: ReplayEvent, name: string): void {
    if (this.#isFull(name)) return;
    this.#thread(e);
    const open = this.#open.get(e.pid);
    if (open === undefined) this.#open.set(e.pid, [name]);
    else open.push(name);
    this.#event("B", name, KERNEL, e.pid, { line: e.line, cpu: e.cpu });
  }

  /** Nothing when no such slice is open. */
  #end(e: ReplayEvent, name: string): void {
    const open = this.#open.get(e.pid);
    if (open?.at(-1) !== name) return;
    open.pop();
    this.#event("E", name, KERNEL, e.pid);
  }

  #isFull(name: string): boolean {
    const written = this.#written.get(name) ?? 0;
    if (written < EVENTS) {
      this.#written.set(name, written + 1);
      return false;
    }
    this.#leftOut.set(name, (this.#leftOut.get(name) ?? 0) + 1);
    return true;
  }

  #thread(e: ReplayEvent): void {
    if (this.#threads.has(e.pid)) return;
    this.#threads.add(e.pid);
    const what = e.kswapd ? "kswapd" : e.reclaimer ? "kcompactd" : "task";
    this.#meta("thread_name", KERNEL, e.pid, `${what} ${e.pid}`);
  }

  #meta(what: string, pid: number, tid: number, name: string): void {
    this.#write(JSON.stringify({ ph: "M", name: what, pid, tid, args: { name } }));
  }

  #event(ph: string, name: string, pid: number, tid: number, args?: Args, more = ""): void {
    const ts = Math.round(this.#time * 1000) / 1000;
    const tail = more === "" ? "" : `,${more}`;
    const own = args === undefined ? "" : `,"args":${JSON.stringify(args)}`;
    this.#write(
      `{"ph":"${ph}","name":${JSON.stringify(name)},"pid":${pid},"tid":${tid},"ts":${ts}${own}${tail}}`,
    );
  }
}
