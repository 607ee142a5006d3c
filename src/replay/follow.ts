/**
 * A repaired run of a start that knew no lists: after each answer the memory is
 * brought to what the recording tells of it, block by block, so that only what
 * was unknown at the start stays so.
 *
 *   refill   told while a list of ours still has pages: they were not there. The
 *            recorded blocks become the list, and ours go back to the zone
 *   request  the recorded page leaves whatever list it is on. Where it was on none it
 *            waited on a per-CPU list unknown to us, and ours in its place did not
 *   drain    the recorded block goes back to the zone, wherever it was here; a block of
 *            ours that was drained in its stead returns to its list
 *
 * So the number of free pages follows the kernel's from the first event on,
 * and the lists become the kernel's as they are emptied and refilled.
 */
import {
  KIND_MASK,
  type Memory,
  MOBILE,
  P_COUNT,
  P_FACTOR,
  P_HIGH,
  P_HIGH_MAX,
  PCP,
  PCP_HUGE_LIST,
  PCP_LISTS,
  PCP_WORDS,
  rowOf,
  TAKEN,
  zoneOf,
} from "../mm/memory.ts";
import { MOVABLE, PCP_TYPES } from "../mm/rule.ts";
import type { Block } from "./block-queue.ts";
import type { Checks } from "./checks.ts";
import type { DriveOptions } from "./drive-options.ts";
import type { ReplayEvent } from "./event.ts";
import type { StartState } from "./start-state.ts";
import {
  giveToZone,
  isBlock,
  isTaken,
  putBack,
  settle,
  stockList,
  stockTail,
  takeFree,
  takeOff,
} from "./surgery.ts";

/** A block of a recorded refill; `percpu` when it went to a per-CPU list. */
interface Told extends Block {
  readonly percpu: boolean;
}

/** Mends a memory after each call; what was mended it counts. */
export class Follower {
  repairs = 0;
  readonly #m: Memory;
  readonly #checks: Checks;
  readonly #typeOf: (kernel: number) => number;
  /** By CPU: recorded blocks of the refill that the next request explains. */
  readonly #told: Told[][];
  /** 1 for each per-CPU list whose order is the kernel's. */
  readonly #known: Uint8Array;
  /** Blocks drained in this call that were on no list of ours. */
  #strangers = 0;

  /** With a boot's steps the order of lists is known from the start on. */
  constructor({ m, typeOf }: StartState, checks: Checks, { steps }: Pick<DriveOptions, "steps">) {
    const ordered = steps !== undefined;
    this.#known = new Uint8Array(m.zoneCount * m.cpuCount * PCP_LISTS).fill(ordered ? 1 : 0);
    this.#m = m;
    this.#checks = checks;
    this.#typeOf = typeOf;
    this.#told = Array.from({ length: m.cpuCount }, () => []);
  }

  refill(e: ReplayEvent): void {
    const { pfn, order, flag } = e;
    this.#told[e.cpu].push({ pfn, order, type: this.#typeOf(e.type), percpu: flag });
  }

  /** After a request that was answered with `own`, -1 for none. */
  request(e: ReplayEvent, own: number): void {
    const ours = this.#checks.takeRefills(e.cpu);
    const told = this.#told[e.cpu];
    if (mendRequest(this.#m, e, own, ours, told, this.#known)) this.repairs++;
    told.length = 0;
  }

  drain(e: ReplayEvent): void {
    if (this.#checks.realDrain(e)) return;
    this.repairs++;
    const m = this.#m;
    const row = rowOf(m, e.pfn);
    if (!isBlock(m, row, e.order)) return;
    if (!settle(m, row, e.order)) this.#strangers++;
    giveToZone(m, row, e.order, this.#typeOf(e.type));
  }

  /** Before a new call on this CPU: what `only` we have drained goes back. */
  beginCall(cpu: number, only: readonly Block[]): void {
    for (const block of only.toReversed()) {
      undrain(this.#m, block, cpu, this.#strangers === 0);
      this.#strangers = Math.max(0, this.#strangers - 1);
      this.repairs++;
    }
    this.#strangers = 0;
  }
}

/** Returns whether something was to be mended. */
function mendRequest(
  m: Memory,
  e: ReplayEvent,
  own: number,
  ours: readonly Block[],
  told: readonly Told[],
  known: Uint8Array,
): boolean {
  if (own === e.pfn && isSame(ours, told)) return false;
  const real = e.pfn < 0 ? -1 : rowOf(m, e.pfn);
  if (e.pfn >= 0 && !isBlock(m, real, e.order)) return false;
  const row = own < 0 ? -1 : rowOf(m, own);
  const state = e.type === MOVABLE ? MOBILE : TAKEN;
  // What was taken early may be freed by now.
  let held = isTaken(m, row, e.order);
  for (const block of ours) {
    const at = rowOf(m, block.pfn);
    if (at === row && held) held = false;
    else if ((m.state[at] & KIND_MASK) !== PCP) continue;
    takeOff(m, at, block.order);
    giveToZone(m, at, block.order, block.type);
  }
  // Refills grow while a list runs empty again and again, which this one did not.
  if (ours.length > 0 && told.length === 0 && m.rule.pcp === "tuned") {
    m.pcp[(zoneOf(m, rowOf(m, ours[0].pfn)) * m.cpuCount + e.cpu) * PCP_WORDS + P_FACTOR] = 0;
  }
  const refilled = told.some(({ percpu }) => percpu);
  if (refilled) refillAs(m, e.cpu, told, known);
  if (real < 0) {
    if (held) putBack(m, row, e.order);
    return true;
  }
  if (row === real && held) return true;
  const ahead = held && takeAhead(m, e, real, row, known);
  const direct = told.find(({ pfn, percpu }) => pfn === e.pfn && !percpu);
  const listed =
    (direct !== undefined && takeFree(m, real, e.order, direct.type)) || settle(m, real, e.order);
  m.state[real] = state | e.order;
  if (!held || refilled || ahead) return true;
  // A page of ours that was first on a list of unknown order, where the recorded one was on none, was
  // never on it. On a list that is known, the recorded one was before it.
  const set = zoneOf(m, row) * m.cpuCount + e.cpu;
  const isKnown = known[set * PCP_LISTS + (m.pcpListOf[e.order * 8 + e.type] ?? -1)] === 1;
  if (listed || isKnown) putBack(m, row, e.order);
  return true;
}

/**
 * The recorded page is farther back on the list that gave `own`, and the list's order is known:
 * those before it were taken, by a bulk call that tells nothing. Returns whether it was so.
 */
function takeAhead(
  m: Memory,
  e: ReplayEvent,
  real: number,
  own: number,
  known: Uint8Array,
): boolean {
  // Bulk calls take single pages.
  if (e.order > 0) return false;
  if ((m.state[real] & KIND_MASK) !== PCP || zoneOf(m, own) !== zoneOf(m, real)) return false;
  const stock = stockList(m, real);
  const list = stock % PCP_LISTS;
  const isServing = m.pcpListOf[e.order * 8 + e.type] === list;
  if (known[stock] !== 1 || !isServing) return false;
  const head = m.pcpHeads + stock;
  while (m.next[head] !== real) {
    const at = m.next[head];
    takeOff(m, at, e.order);
    setTaken(m, at, e.order);
  }
  return true;
}

function isSame(a: readonly Block[], b: readonly Block[]): boolean {
  if (a.length !== b.length) return false;
  return a.every(({ pfn, order, type }, i) => {
    return pfn === b[i].pfn && order === b[i].order && type === b[i].type;
  });
}

/**
 * Recorded refills, of this request and of bulk calls before it. A list is refilled when it is
 * empty: what we had on it was taken, and now it is what was told.
 */
function refillAs(m: Memory, cpu: number, told: readonly Told[], known: Uint8Array): void {
  let stock = -1;
  for (const { pfn, order, type, percpu } of told) {
    const at = rowOf(m, pfn);
    const list = m.pcpListOf[order * 8 + type];
    if (!percpu || list === undefined || list < 0 || !isBlock(m, at, order)) continue;
    const own = (zoneOf(m, at) * m.cpuCount + cpu) * PCP_LISTS + list;
    if (own !== stock) emptyStock(m, own, order);
    stock = own;
    known[stock] = 1;
    if (!takeFree(m, at, order, type)) settle(m, at, order);
    m.state.fill(0, at, at + (1 << order));
    stockTail(m, stock, at, order, typeOn(stock));
  }
}

function emptyStock(m: Memory, stock: number, order: number): void {
  const head = m.pcpHeads + stock;
  while (m.next[head] !== head) {
    const at = m.next[head];
    takeOff(m, at, order);
    setTaken(m, at, order);
  }
}

function setTaken(m: Memory, row: number, order: number): void {
  m.state.fill(0, row, row + (1 << order));
  m.state[row] = TAKEN | order;
}

/** The type that a list's pages are kept as. */
function typeOn(stock: number): number {
  const list = stock % PCP_LISTS;
  if (list < PCP_HUGE_LIST) return list % PCP_TYPES;
  return list === PCP_HUGE_LIST ? 0 : MOVABLE;
}

/**
 * A block that only we drained goes back to its list, unless it was never on it: for `listed`
 * false, and where the list would be so full that the kernel had drained it, too.
 */
function undrain(m: Memory, { pfn, order, type }: Block, cpu: number, listed: boolean): void {
  const row = rowOf(m, pfn);
  takeOff(m, row, order);
  setTaken(m, row, order);
  const list = m.pcpListOf[order * 8 + type];
  const set = zoneOf(m, row) * m.cpuCount + cpu;
  const count = m.pcp[set * PCP_WORDS + P_COUNT] + (1 << order);
  // Since 6.7 the limit moves: then it was higher than ours, below it was the list shorter.
  const { pcp: rule } = m.rule;
  const limit = m.pcp[set * PCP_WORDS + (rule === "tuned" ? P_HIGH_MAX : P_HIGH)];
  if (!listed || count >= limit || list === undefined || list < 0) return;
  if (rule === "tuned")
    m.pcp[set * PCP_WORDS + P_HIGH] = Math.max(m.pcp[set * PCP_WORDS + P_HIGH], count + 1);
  m.state[row] = 0;
  const stock = set * PCP_LISTS + list;
  stockTail(m, stock, row, order, typeOn(stock));
}
