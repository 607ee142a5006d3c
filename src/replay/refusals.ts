/**
 * Requests that were served in the recording and are not on the changed
 * machine, grouped by the zone that served them, order and flags; of each group
 * the first with what every zone said to it.
 */
import type { Memory } from "../mm/memory.ts";
import { explainRefusal } from "../mm/refusal.ts";
import type { ReplayEvent } from "./event.ts";

export interface RefusedGroup {
  /** Zone that served them in the recording. */
  readonly zone: string;
  readonly order: number;
  readonly gfp: string;
  /** They may wait: a kernel would reclaim for them, which is not modelled. */
  readonly mayWait: boolean;
  count: number;
  /** 1-based line in the trace, and what each zone said, as explainRefusal words it. */
  readonly first: { readonly line: number; readonly because: readonly string[] };
}

/** An explanation may copy the memory, so their number has a bound. */
const GROUPS = 40;

export class Refusals {
  readonly groups: RefusedGroup[] = [];
  count = 0;
  /** Of those the ones that may wait. */
  waiting = 0;
  /** Pages that those ask for. */
  waitingPages = 0;
  /** Requests of further groups. */
  further = 0;
  readonly #byKey: Map<string, RefusedGroup> = new Map();

  /** `m` is the memory that refused, as it was then. */
  add(m: Memory, e: ReplayEvent, gfp: number, zone: string): void {
    const mayWait = (gfp & m.gfp.direct) !== 0;
    this.count++;
    if (mayWait) {
      this.waiting++;
      this.waitingPages += 2 ** e.order;
    }
    const key = `${zone} ${e.order} ${e.gfp}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      known.count++;
    } else if (this.groups.length === GROUPS) {
      this.further++;
    } else {
      const because = wordsOf(m, gfp, e.order);
      const first = { line: e.line, because };
      const group = { zone, order: e.order, gfp: e.gfp, mayWait, count: 1, first };
      this.groups.push(group);
      this.#byKey.set(key, group);
    }
  }
}

/** Each zone's last word; zones that are never asked only where no zone is. */
export function wordsOf(m: Memory, gfp: number, order: number): string[] {
  if (order > m.maxOrder) return [`order ${order} is above the largest, ${m.maxOrder}`];
  const verdicts = explainRefusal(m, gfp, order);
  const asked = verdicts.filter(({ pass }) => pass !== "zonelist");
  const last = new Map<number, string>();
  for (const { zone, text } of asked.length > 0 ? asked : verdicts) {
    // Passes go from the most careful to the boldest.
    last.delete(zone);
    last.set(zone, text);
  }
  return [...last.values()];
}
