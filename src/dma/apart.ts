/**
 * Mappings whose bytes exist twice: bounced ones, and those of devices that do
 * not look into the CPU's cache. Here is written down what one side wrote and the
 * other has not been told; nobody else's mappings cost anything.
 *
 * Ranges are physical, of the original buffer. A mapping's record, in the heap:
 *
 *   0 buffer    1 written by the device, not yet synced for the CPU
 *   2 written by the CPU since the map, not yet synced for the device
 *   3 previous and 4 next record, oldest first    5 entry of the books
 *
 * The first three are lists of nodes: start, end, next. What finds no room in the heap
 * is not written down: a sync that is missing there is then not noticed.
 */
import { intersect, type Range, rangeList, subtract } from "../base/range.ts";
import { addRegion } from "../mm/image.ts";
import type { Memory } from "../mm/memory.ts";
import type { Heap } from "./heap.ts";

const R_BUFFER = 0;
const R_BY_DEVICE = 1;
const R_BY_CPU = 2;
const R_PREV = 3;
const R_NEXT = 4;
const R_ENTRY = 5;
const RECORD_CELLS = 6;

const N_START = 0;
const N_END = 1;
const N_NEXT = 2;
const NODE_CELLS = 3;

/** Cells of the heap that a mapping of one buffer needs, as classes round them up. */
export const APART_CELLS: number = 8 + 4;

export class ApartMappings {
  readonly #heap: Heap;
  /** Record by entry of the books. */
  readonly #records: Float64Array;
  /** First record, last, how many. */
  readonly #words: Float64Array;

  constructor(memory: Memory, name: string, heap: Heap, mappings: number) {
    this.#heap = heap;
    const region = addRegion(memory.image, `${name}.apart`, (mappings + 3) * 8);
    this.#words = new Float64Array(region.buffer, region.byteOffset, 3);
    this.#records = new Float64Array(region.buffer, region.byteOffset + 3 * 8, mappings);
  }

  open(entry: number, ranges: readonly Range[]): void {
    this.close(entry);
    const { cells } = this.#heap;
    const record = this.#heap.alloc(RECORD_CELLS);
    if (record === 0) return;
    const words = this.#words;
    this.#records[entry] = record;
    cells[record + R_ENTRY] = entry;
    this.#write(record + R_BUFFER, ranges.length > 1 ? rangeList(ranges) : ranges);
    const last = words[1];
    cells[record + R_PREV] = last;
    if (last === 0) words[0] = record;
    else cells[last + R_NEXT] = record;
    words[1] = record;
    words[2]++;
  }

  close(entry: number): void {
    const record = this.#records[entry];
    if (record === 0) return;
    const { cells } = this.#heap;
    for (const list of [R_BUFFER, R_BY_DEVICE, R_BY_CPU]) this.#drop(record + list);
    const prev = cells[record + R_PREV];
    const next = cells[record + R_NEXT];
    if (prev === 0) this.#words[0] = next;
    else cells[prev + R_NEXT] = next;
    if (next === 0) this.#words[1] = prev;
    else cells[next + R_PREV] = prev;
    this.#words[2]--;
    this.#records[entry] = 0;
    this.#heap.free(record, RECORD_CELLS);
  }

  count(): number {
    return this.#words[2];
  }

  deviceWrote(entry: number, physical: number, length: number): void {
    const list = this.#records[entry] + R_BY_DEVICE;
    if (list === R_BY_DEVICE) return;
    this.#write(list, rangeList([...this.#read(list), range(physical, length)]));
  }

  /** The CPU writes somewhere: every mapping of that memory now has old bytes on its device's side. */
  cpuWrote(physical: number, length: number): void {
    const { cells } = this.#heap;
    const written = [range(physical, length)];
    for (let record = this.#words[0]; record !== 0; record = cells[record + R_NEXT]) {
      if (!this.#meets(record + R_BUFFER, physical, length)) continue;
      const touched = intersect(this.#read(record + R_BUFFER), written);
      const list = record + R_BY_CPU;
      this.#write(list, rangeList([...this.#read(list), ...touched]));
    }
  }

  syncedForCpu(entry: number, physical: number, length: number): void {
    this.#synced(this.#records[entry], R_BY_DEVICE, physical, length);
  }

  syncedForDevice(entry: number, physical: number, length: number): void {
    this.#synced(this.#records[entry], R_BY_CPU, physical, length);
  }

  #synced(record: number, which: number, physical: number, length: number): void {
    if (record === 0 || this.#heap.cells[record + which] === 0) return;
    this.#write(record + which, subtract(this.#read(record + which), [range(physical, length)]));
  }

  /** Entry of a mapping whose device wrote there and was not synced; -1 for none. */
  staleForCpu(physical: number, length: number): number {
    const { cells } = this.#heap;
    for (let record = this.#words[0]; record !== 0; record = cells[record + R_NEXT]) {
      if (this.#meets(record + R_BY_DEVICE, physical, length)) return cells[record + R_ENTRY];
    }
    return -1;
  }

  /** Whether the CPU wrote there after the map without telling the device. */
  staleForDevice(entry: number, physical: number, length: number): boolean {
    const record = this.#records[entry];
    return record !== 0 && this.#meets(record + R_BY_CPU, physical, length);
  }

  /** Whether a range of the list whose head is in cell `list` has a byte of these. */
  #meets(list: number, physical: number, length: number): boolean {
    const { cells } = this.#heap;
    for (let node = cells[list]; node !== 0; node = cells[node + N_NEXT]) {
      if (cells[node + N_START] < physical + length && physical < cells[node + N_END]) return true;
    }
    return false;
  }

  #read(list: number): Range[] {
    const { cells } = this.#heap;
    const ranges: Range[] = [];
    for (let node = cells[list]; node !== 0; node = cells[node + N_NEXT]) {
      ranges.push({ start: cells[node + N_START], end: cells[node + N_END] });
    }
    return ranges;
  }

  #write(list: number, ranges: readonly Range[]): void {
    this.#drop(list);
    const { cells } = this.#heap;
    let from = list;
    for (const { start, end } of ranges) {
      const node = this.#heap.alloc(NODE_CELLS);
      if (node === 0) return;
      cells[node + N_START] = start;
      cells[node + N_END] = end;
      cells[from] = node;
      from = node + N_NEXT;
    }
  }

  #drop(list: number): void {
    const { cells } = this.#heap;
    for (let node = cells[list]; node !== 0; ) {
      const next = cells[node + N_NEXT];
      this.#heap.free(node, NODE_CELLS);
      node = next;
    }
    cells[list] = 0;
  }
}

function range(start: number, length: number): Range {
  return { start, end: start + length };
}
