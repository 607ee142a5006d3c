/**
 * One way to give pages with limits, in one process:
 *
 *   node bench/mask-pool-worker.ts METHOD FRAMES MAPPINGS
 *
 * Prints one line of JSON: ns for a mapping taken and given back in an empty pool, in one that is
 * 90 % full, and below a limit while everything above is in pieces; and how many frames were lost.
 *
 * Mappings are 1 B to 256 KiB, which is 1 to 64 frames, and never more than a 16th of the pool. Every
 * fourth has to lie in the lower half.
 */
import process from "node:process";
import { createBuddyScan } from "../src/dma/mask-pool/buddy-scan.ts";
import { NO_PAGES, type PageSource } from "../src/dma/mask-pool/page-source.ts";
import { createRangeTree } from "../src/dma/mask-pool/range-tree.ts";
import { createImage } from "../src/mm/image.ts";

const MAPPING_MAX = 64;
const FULL = 0.9;

const [, , method = "", framesText = "", mappingsText = ""] = process.argv;
const frames = Number(framesText);
const mappings = Number(mappingsText);
const largest = Math.min(MAPPING_MAX, frames / 16);

function create(): PageSource {
  const ranges = [{ start: 0, end: frames }];
  const image = createImage(false);
  return method === "range tree"
    ? createRangeTree(image, "pool", ranges)
    : createBuddyScan(image, "pool", ranges, 10);
}

/** xorshift32, as in workloads.ts. */
function random(): () => number {
  let state = 0x9e3779b9;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** What is held: first frame and count of each mapping, any of which can be the next to go. */
class Held {
  readonly at = new Int32Array(frames);
  readonly many = new Int32Array(frames);
  count = 0;

  add(pfn: number, pages: number): void {
    this.at[this.count] = pfn;
    this.many[this.count++] = pages;
  }

  giveOne(source: PageSource, draw: number): void {
    const index = Math.floor(draw * this.count);
    source.give(this.at[index] ?? 0, this.many[index] ?? 0);
    this.count--;
    this.at[index] = this.at[this.count] ?? 0;
    this.many[index] = this.many[this.count] ?? 0;
  }
}

/** Keeps `level` of the pool in use while random mappings come and go. ns a mapping, refused ones too. */
function churn(level: number): { ns: number; lost: number; refused: number } {
  const source = create();
  const held = new Held();
  const next = random();
  const target = frames * (1 - level);
  const take = (): boolean => {
    const pages = 1 + Math.floor(next() * largest);
    const end = next() < 0.25 ? frames / 2 : frames;
    const pfn = source.take(pages, 0, end, 1, 0);
    if (pfn === NO_PAGES) return false;
    held.add(pfn, pages);
    return true;
  };
  let refused = 0;
  const round = (): void => {
    while (source.free() < target && held.count > 0) held.giveOne(source, next());
    if (take()) return;
    refused++;
    // Somebody has to go, or the same would be refused for ever.
    if (held.count > 0) held.giveOne(source, next());
  };
  for (let i = 0; i < frames; i++) round();
  for (let i = 0; i < mappings / 4; i++) round();
  refused = 0;
  const ns = timed(() => {
    for (let i = 0; i < mappings; i++) round();
  });
  // To failure and back.
  for (let failures = 0; failures < 100; ) if (!take()) failures++;
  while (held.count > 0) held.giveOne(source, next());
  const broken = source.verify();
  if (broken.length > 0) throw new Error(broken[0]);
  return { ns: ns / mappings, lost: frames - source.free(), refused };
}

/** Every second frame of the upper seven eighths is free, and all of the lower eighth, which is wanted. */
function belowPieces(): number {
  const source = create();
  const low = frames / 8;
  const pfns = Array.from({ length: frames }, () => source.take(1, 0, frames, 1, 0));
  for (const pfn of pfns) if (pfn < low || pfn % 2 === 0) source.give(pfn, 1);
  const count =
    method === "range tree" ? mappings / 4 : Math.max(100, Math.min(mappings, 2e8 / frames));
  const once = (): void => {
    source.give(source.take(1, 0, low, 1, 0), 1);
  };
  for (let i = 0; i < count / 4; i++) once();
  const ns = timed(() => {
    for (let i = 0; i < count; i++) once();
  });
  return ns / count;
}

/** The lesser of wall clock and CPU time: the one counts other programs, the other the compiler. */
function timed(work: () => void): number {
  const cpu = process.cpuUsage();
  const wall = process.hrtime.bigint();
  work();
  const wallNs = Number(process.hrtime.bigint() - wall);
  const { user, system } = process.cpuUsage(cpu);
  return Math.min(wallNs, (user + system) * 1000);
}

const full = churn(FULL);
const empty = churn(0);
const answer = {
  emptyNs: empty.ns,
  fullNs: full.ns,
  belowPiecesNs: belowPieces(),
  refusedShare: full.refused / mappings,
  lost: empty.lost + full.lost,
};
console.log(JSON.stringify(answer));
