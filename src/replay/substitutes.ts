/**
 * Which page of ours goes when the recording frees one that we have not given
 * away. A blind run from a start that knew no lists answers with other pages
 * than the kernel, and may not look at the kernel's; the free still ends
 * somebody's use, so one of ours goes in its stead: of the same zone and order,
 * of the same task where it has one, the longest held first. Otherwise every
 * such pair would cost a page for good.
 */
import { type Memory, zoneOf } from "../mm/memory.ts";
import { isListed, isTaken } from "./surgery.ts";

export class Substitutes {
  readonly #m: Memory;
  /** Task that holds a row, plus one; 0 for what was taken before. */
  readonly #holder: Int32Array;
  /** Rows by zone and order, then by task, in the order they were given. */
  readonly #held: Map<number, Map<number, Set<number>>> = new Map();

  constructor(m: Memory) {
    this.#m = m;
    this.#holder = new Int32Array(m.rows);
  }

  took(row: number, order: number, pid: number): void {
    this.#freed(row, order);
    const key = zoneOf(this.#m, row) * 16 + order;
    let tasks = this.#held.get(key);
    if (tasks === undefined) {
      tasks = new Map();
      this.#held.set(key, tasks);
    }
    let rows = tasks.get(pid);
    if (rows === undefined) {
      rows = new Set();
      tasks.set(pid, rows);
    }
    rows.add(row);
    this.#holder[row] = pid + 1;
  }

  #freed(row: number, order: number): void {
    const holder = this.#holder[row];
    if (holder === 0) return;
    this.#holder[row] = 0;
    const tasks = this.#held.get(zoneOf(this.#m, row) * 16 + order);
    const rows = tasks?.get(holder - 1);
    rows?.delete(row);
    if (rows?.size === 0) tasks?.delete(holder - 1);
  }

  /**
   * Before (row, order) is freed: the block that goes in its stead, when it is on a list of ours;
   * -1 for itself. `batched`: it is freed with others, as pages of tasks are.
   */
  insteadOf(row: number, order: number, pid: number, batched: boolean): number {
    const m = this.#m;
    let other = -1;
    // HighMem pages that go one by one were vmalloc's: taken by a bulk call that no event told.
    const unseen = !batched && m.names[zoneOf(m, row)] === "HighMem";
    if (!unseen && isListed(m, row, order)) {
      const tasks = this.#held.get(zoneOf(m, row) * 16 + order);
      const rows = tasks?.get(pid) ?? tasks?.values().next().value;
      other = rows?.values().next().value ?? -1;
    }
    this.#freed(other < 0 ? row : other, order);
    return isTaken(m, other, order) ? other : -1;
  }
}
