// Goal: the area that is named is the smallest, in whole blocks, with a place for every range by the
// kernel's first fit; real kernels put their ranges where the model does.
// Method: every size tried by brute force beside the search on random ranges; the search for a place
// against one that looks page by page; recordings of an arm64 kernel.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ftraceReader } from "../../../src/formats/ftrace.ts";
import { readText } from "../../../src/formats/reader.ts";
import { type CmaCall, CmaCalls, type Sizing, sizeCma } from "../../../src/replay/index.ts";
import { tryArea } from "../../../src/replay/size/cma.ts";
import { CmaBits } from "../../../src/replay/size/cma-bits.ts";
import { traceFiles } from "../../support/corpus.ts";

interface Life {
  readonly pages: number;
  readonly align: number;
  /** Ranges that are asked for while it is kept. */
  readonly for: number;
  readonly refused: boolean;
}

function callsOf(lives: readonly Life[]): CmaCall[] {
  const calls: CmaCall[] = [];
  const ends = new Map<number, CmaCall[]>();
  for (const [i, { pages, align, for: length, refused }] of lives.entries()) {
    calls.push(...(ends.get(i) ?? []));
    const pfn = refused ? -1 : 0x10000 + i * 0x10000;
    const place = { line: i + 1, time: i, area: "reserved", by: "task-1" };
    calls.push({ ...place, kind: "take", pfn, pages, align });
    if (refused) continue;
    const at = i + 1 + length;
    const give: CmaCall = { ...place, kind: "give", pfn, pages, align: 0 };
    ends.set(at, [...(ends.get(at) ?? []), give]);
  }
  return calls;
}

const life = fc.record({
  pages: fc.integer({ min: 1, max: 1500 }),
  align: fc.integer({ min: 0, max: 8 }),
  for: fc.integer({ min: 0, max: 20 }),
  refused: fc.boolean(),
});

async function sized(calls: readonly CmaCall[], more: object = {}): Promise<Sizing> {
  const rest = { kernel: "6.12.95", areas: [], margin: null, pause: async () => true };
  return sizeCma({ calls, ...rest, ...more });
}

test("brute force: no smaller number of blocks has room for all, and more has", async () => {
  for (const [kernel, block] of [
    ["6.12.95", 512],
    ["5.10.200", 1024],
  ] as const) {
    await fc.assert(
      fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 60 }), async (lives) => {
        const calls = callsOf(lives);
        const { answer, trials, status, monotonic, below } = await sized(calls, { kernel });
        const first = calls.find(({ pfn }) => pfn >= 0);
        const before = (first?.pfn ?? 0) % block;
        const most = Math.max(...trials.map(({ bytes }) => bytes)) / 4096;
        const sizes = Array.from({ length: most / block + 1 }, (_, i) => i * block);
        const all = sizes.map((pages) => tryArea(pages, before, calls).carries);
        for (const { bytes, carries } of trials) equal(carries, all[bytes / 4096 / block]);
        equal(status, "sized");
        const at = (answer?.bytes ?? -1) / 4096 / block;
        equal(all[at], true);
        if (at > 0) {
          equal(all[at - 1], false);
          equal(below?.bytes, (at - 1) * block * 4096);
          ok((below?.refused ?? 0) > 0 && below?.first !== null);
        }
        if (!all.slice(all.indexOf(true)).includes(false)) {
          deepEqual([at, monotonic], [all.indexOf(true), true]);
        }
      }),
      { numRuns: 60 },
    );
  }
});

test("first fit is the first place at which every page is free", () => {
  const step = fc.record({
    count: fc.integer({ min: 1, max: 40 }),
    order: fc.integer({ min: 0, max: 5 }),
    take: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.array(step), (pages, steps) => {
      const bits = new CmaBits(pages);
      const taken = new Set<number>();
      for (const { count, order, take } of steps) {
        if (!take) {
          for (let page = order; page < order + count; page++) taken.delete(page);
          bits.clear(order, count);
        }
        let at = -1;
        for (let own = 0; at < 0 && own + count <= pages; own += 2 ** order) {
          const range = Array.from({ length: count }, (_, i) => own + i);
          if (!range.some((page) => taken.has(page))) at = own;
        }
        equal(bits.find(count, 2 ** order), at);
        if (!take || at < 0) continue;
        for (let page = at; page < at + count; page++) taken.add(page);
        bits.set(at, count);
        equal(bits.used, taken.size);
      }
    }),
  );
});

describe("clear answers", () => {
  const one: Life = { pages: 600, align: 8, for: 1, refused: false };

  test("nothing was asked", async () => {
    const { status, because } = await sized([]);
    equal(status, "untold");
    match(because ?? "", /record the events cma/);
  });

  test("a range that was refused is asked for, and given back at once", async () => {
    const { answer, notes } = await sized(callsOf([one, { ...one, refused: true }]));
    equal(answer?.set, "cma=6M");
    match(notes.join(), /1 ranges were refused in the recording/);
  });

  test("margin, the recorded area, other areas", async () => {
    const calls = callsOf([one]);
    const others = calls.map((call) => ({ ...call, area: "hugetlb" }));
    const start = (calls[0]?.pfn ?? 0) * 4096;
    const areas = [{ start, end: start + 64 * 2 ** 20 }];
    const { answer, margin, recorded, below, notes } = await sized([...others, ...calls], {
      areas,
      margin: 60,
    });
    deepEqual([answer?.set, margin?.set, recorded?.set], ["cma=4M", "cma=8M", "cma=64M"]);
    deepEqual(below?.first?.because, [
      "it needs 600 pages in a row, the first at a multiple of 256: 512 of 512 pages are free",
    ]);
    match(notes.join(), /areas of other names are left out: hugetlb/);
    match(notes.join(), /1 of 1 ranges lie where first fit puts them/);
  });

  test("interrupted", async () => {
    let left = 2;
    const { status, trials } = await sized(callsOf([one]), { pause: async () => left-- > 0 });
    deepEqual([status, trials.length], ["stopped", 2]);
  });
});

test("an arm64 kernel: each range lies where first fit puts it, behind what was taken before", async () => {
  const files = traceFiles("g-cma-arm64-256M-6.12");
  const collected = new CmaCalls();
  readText(ftraceReader(collected.sink), files.get("trace.txt") ?? "");
  const { calls } = collected;
  equal(calls.length, 8);
  deepEqual(calls.map(({ kind, area, pages }) => `${kind} ${area} ${pages}`).slice(5), [
    "take reserved 23",
    "take reserved 4",
    "take reserved 16",
  ]);
  const { answer, peak, notes } = await sized(calls);
  equal(answer?.set, "cma=2M");
  // Six of 23, one of 4, one of 16, and three times 32 pages before.
  equal(peak?.amount, (6 * 23 + 4 + 16 + 96) * 4096);
  match(notes.join(), /the first range lies 384 KiB into a block/);
  // An area from that block on.
  const start = ((calls[0]?.pfn ?? 0) - 96) * 4096;
  const areas = [{ start, end: start + 16 * 2 ** 20 }];
  const known = await sized(calls, { areas });
  deepEqual([known.answer?.set, known.recorded?.set], ["cma=2M", "cma=16M"]);
  match(known.notes.join(), /8 of 8 ranges lie where first fit puts them/);
});
