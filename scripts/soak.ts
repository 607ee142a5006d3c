/**
 * A long random life of one machine, checked all the way:
 *
 *   npm run soak -- [--ops 1e8] [--seed N] [--era 6.1] [--every 1e5]
 *
 * Requests of all sorts and orders from several CPUs, through the general functions and the bound
 * ones, frees in random order, drains, new marks, and memory filled and emptied in turns. Every
 * `--every` operations `verify` must find nothing.
 * Progress goes to standard error. A failure prints the seed, what is broken and the last
 * operations, and exits with 1; the same seed and options repeat it. Wrong options exit with 2.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { allocPages, freePages, NO_PFN } from "../src/mm/allocate.ts";
import { bootMemory } from "../src/mm/boot-memory.ts";
import { type BoundMemory, bindMemory } from "../src/mm/bound.ts";
import { drainAllPages } from "../src/mm/drain-all.ts";
import { setMarks } from "../src/mm/marks.ts";
import { type Memory, Z_MANAGED, ZONE_WORDS } from "../src/mm/memory.ts";
import { verify } from "../src/mm/verify.ts";
import { Dice } from "../test/support/dice.ts";

interface Options {
  readonly ops: number;
  readonly seed: number;
  readonly era: string;
  readonly every: number;
}

const ERAS = ["2.6", "5.10", "6.1", "6.12"];
const CPUS = 4;
/** How many operations a failure shows. */
const TRAIL = 64;
/** Operations between two lines of progress. */
const PROGRESS = 1e6;
/** Pages held go up and down between these shares of memory, so that all of it is lived in. */
const LOW_SHARE = 0.1;
const HIGH_SHARE = 0.98;

/** By era: kernel, DMA, movable, reclaimable, atomic, without waiting. */
const MASKS: ReadonlyMap<string, readonly number[]> = new Map([
  ["2.6", [0xd0, 0xd1, 0xd2, 0x20, 0x10, 0x0]],
  ["5.10", [0xcc0, 0xcc1, 0x100cca, 0xcd0, 0xa20, 0x800]],
  ["6.1", [0xcc0, 0xcc1, 0x100cca, 0xcd0, 0xa20, 0x800]],
  ["6.12", [0xcc0, 0xcc1, 0x100cca, 0xcd0, 0x820, 0x800]],
]);

function parse(): Options | string {
  const { values } = parseArgs({
    options: {
      ops: { type: "string", default: "1e8" },
      seed: { type: "string", default: "1" },
      era: { type: "string", default: "6.1" },
      every: { type: "string", default: "1e5" },
    },
  });
  const ops = Number(values.ops);
  const seed = Number(values.seed);
  const every = Number(values.every);
  for (const [name, value] of Object.entries({ ops, seed, every })) {
    if (!(Number.isSafeInteger(value) && value > 0))
      return `--${name} is not a whole number above 0`;
  }
  if (!ERAS.includes(values.era)) return `--era is one of ${ERAS.join(", ")}`;
  return { ops, seed, era: values.era, every };
}

function machine(era: string): Memory {
  return bootMemory({
    era,
    cpus: CPUS,
    cpuNode: [0, 0, 1, 1],
    drift: true,
    zones: [
      { name: "DMA", startPfn: 1, pages: 4095, holes: [{ start: 159, end: 256 }] },
      { name: "DMA32", startPfn: 4096, pages: 61440, holes: [{ start: 50000, end: 50123 }] },
      { name: "Normal", startPfn: 65536, pages: 65536 },
      { name: "Normal", node: 1, startPfn: 131072, pages: 65536 },
    ],
  });
}

/** Blocks held, by place, and the last operations in a ring. */
class Life {
  readonly m: Memory;
  readonly #bound: BoundMemory;
  readonly #dice: Dice;
  readonly #masks: readonly number[];
  readonly #pfns: Int32Array;
  readonly #orders: Uint8Array;
  readonly #trail = new Int32Array(TRAIL * 4);
  readonly #pages: number;
  #count = 0;
  #held = 0;
  #ops = 0;
  #grows = true;

  constructor(m: Memory, seed: number, masks: readonly number[], pages: number) {
    this.m = m;
    this.#bound = bindMemory(m);
    this.#dice = new Dice(seed);
    this.#masks = masks;
    this.#pages = pages;
    this.#pfns = new Int32Array(pages);
    this.#orders = new Uint8Array(pages);
  }

  run(ops: number): void {
    for (let i = 0; i < ops; i++) this.#step();
  }

  #step(): void {
    const dice = this.#dice;
    this.#ops++;
    this.m.cpu = dice.roll(CPUS);
    if (this.#held > this.#pages * HIGH_SHARE) this.#grows = false;
    else if (this.#held < this.#pages * LOW_SHARE) this.#grows = true;
    const roll = dice.roll(100000);
    if (roll === 0) this.#drain();
    else if (roll === 1) this.#marks();
    else if (this.#count === 0 || dice.roll(100) < (this.#grows ? 60 : 40)) this.#take();
    else this.#give();
  }

  #take(): void {
    const dice = this.#dice;
    const gfp = this.#masks[dice.roll(this.#masks.length)] ?? 0;
    // Half are single pages; large blocks are as rare as they are in life.
    const order = dice.roll(2) === 0 ? 0 : Math.min(dice.roll(11), dice.roll(11), dice.roll(11));
    const isBound = dice.roll(2) === 0;
    const pfn = isBound ? this.#bound.allocPages(gfp, order) : allocPages(this.m, gfp, order);
    this.#note(pfn, order, gfp);
    if (pfn === NO_PFN) {
      // Nearly full for this kind of request: from here on more is freed than taken.
      if (order === 0) this.#grows = false;
      return;
    }
    this.#pfns[this.#count] = pfn;
    this.#orders[this.#count] = order;
    this.#count++;
    this.#held += 2 ** order;
  }

  #give(): void {
    const at = this.#dice.roll(this.#count);
    const pfn = this.#pfns[at] ?? 0;
    const order = this.#orders[at] ?? 0;
    this.#count--;
    this.#pfns[at] = this.#pfns[this.#count] ?? 0;
    this.#orders[at] = this.#orders[this.#count] ?? 0;
    this.#held -= 2 ** order;
    this.#note(pfn, order, -1);
    if (this.#dice.roll(2) === 0) this.#bound.freePages(pfn, order);
    else freePages(this.m, pfn, order);
  }

  #drain(): void {
    this.#note(0, 0, -2);
    drainAllPages(this.m);
  }

  #marks(): void {
    const minFreeKbytes = 1024 << this.#dice.roll(4);
    this.#note(minFreeKbytes, 0, -3);
    setMarks(this.m, { minFreeKbytes, drift: true });
  }

  #note(pfn: number, order: number, gfp: number): void {
    this.#trail.set([pfn, order, gfp, this.m.cpu], (this.#ops % TRAIL) * 4);
  }

  /** The last operations, oldest first, one a line. */
  trail(): string {
    const lines: string[] = [];
    for (let op = Math.max(1, this.#ops - TRAIL + 1); op <= this.#ops; op++) {
      const [pfn = 0, order = 0, gfp = 0, cpu = 0] = this.#trail.subarray((op % TRAIL) * 4);
      const where = `${op} cpu ${cpu}:`;
      if (gfp === -1) lines.push(`${where} free ${pfn} order ${order}`);
      else if (gfp === -2) lines.push(`${where} drain`);
      else if (gfp === -3) lines.push(`${where} min_free_kbytes ${pfn}`);
      else lines.push(`${where} alloc 0x${gfp.toString(16)} order ${order} = ${pfn}`);
    }
    return lines.join("\n");
  }
}

function soak(own: Options): number {
  const { ops, seed, era, every } = own;
  const m = machine(era);
  let pages = 0;
  for (let zone = 0; zone < m.zoneCount; zone++)
    pages += m.zone[zone * ZONE_WORDS + Z_MANAGED] ?? 0;
  const life = new Life(m, seed, MASKS.get(era) ?? [], pages);
  let busy = 0;
  let told = 0;
  for (let done = 0; done < ops; ) {
    const batch = Math.min(every, ops - done);
    const started = performance.now();
    const failed = attempt(life, batch);
    busy += performance.now() - started;
    done += batch;
    const broken = failed ?? verify(m);
    if (broken.length > 0) {
      const repeat = `--ops ${done} --seed ${seed} --era ${era} --every ${every}`;
      process.stdout.write(`${broken.join("\n")}\n${life.trail()}\nRepeat with ${repeat}\n`);
      return 1;
    }
    if (done - told >= PROGRESS || done === ops) {
      told = done;
      process.stderr.write(`${done} operations, ${((busy * 1e6) / done).toFixed(0)} ns each\n`);
    }
  }
  process.stdout.write(`${ops} operations of seed ${seed}, ${era}: nothing is broken\n`);
  return 0;
}

/** Runs; an assertion of the engine is a broken invariant, null is none. */
function attempt(life: Life, ops: number): readonly string[] | null {
  try {
    life.run(ops);
  } catch (error) {
    return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  }
  return null;
}

/** Options that `parseArgs` does not know are a message too. */
function options(): Options | string {
  try {
    return parse();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const chosen = options();
if (typeof chosen === "string") {
  process.stderr.write(`${chosen}\n`);
  process.exitCode = 2;
} else process.exitCode = soak(chosen);
