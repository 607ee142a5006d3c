// Goal: the books find what is mapped, by its start and by any byte, remember what is freed, refuse
// what they have no room for, and live in the image. Method: a list that is searched from end to end.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createBooks, directionOf, typeOf } from "../../src/dma/books.ts";
import { createDma, DMA_FROM_DEVICE, DMA_TO_DEVICE, simpleDevice } from "../../src/dma/index.ts";
import { restore, snapshot } from "../../src/mm/index.ts";
import { small } from "../support/dma.ts";

interface Naive {
  readonly entry: number;
  readonly device: number;
  readonly dma: number;
  readonly size: number;
  readonly direction: number;
  readonly type: number;
}

const step = fc.record({
  what: fc.nat({ max: 9 }),
  device: fc.nat({ max: 2 }),
  page: fc.constantFrom(0, 1, 2, 3, 0x80000, 0x100001),
  offset: fc.constantFrom(0, 64, 4032),
  size: fc.constantFrom(64, 4096, 20000),
  direction: fc.nat({ max: 2 }),
  type: fc.nat({ max: 3 }),
});

test("S8 the books agree with a list", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (program) => {
      const books = createBooks(small(512, 256), "books", 16);
      let held: Naive[] = [];
      for (const { what, device, page, offset, size, direction, type } of program) {
        const dma = page * 4096 + offset;
        const here = held.filter((own) => own.device === device && own.dma === dma);
        if (what < 5) {
          const entry = books.add(device, dma, size, dma, direction, type, 0);
          assert.equal(entry < 0, held.length === books.capacity);
          if (entry >= 0) held.push({ entry, device, dma, size, direction, type });
        } else if (what < 8) {
          const entry = books.find(device, dma, size, type, direction);
          assert.equal(entry >= 0, here.length > 0);
          const perfect = here.filter((own) => {
            return own.size === size && own.type === type && own.direction === direction;
          });
          if (perfect.length > 0) assert.ok(perfect.some((own) => own.entry === entry));
          if (entry < 0) continue;
          const fit = (own: Naive): number =>
            Number(own.size === size) +
            Number(own.type === type) +
            Number(own.direction === direction);
          const best = Math.max(...here.map(fit));
          assert.ok(
            here.some((own) => own.entry === entry && fit(own) === best),
            "the best fit",
          );
          books.remove(entry);
          held = held.filter((own) => own.entry !== entry);
        } else {
          const holds = (own: Naive): boolean =>
            own.device === device && own.dma <= dma + 100 && dma + 104 <= own.dma + own.size;
          const entry = books.covering(device, dma + 100, 4);
          const right = held.filter(holds);
          assert.equal(entry >= 0, right.length > 0);
          if (entry >= 0) assert.ok(right.some((own) => own.entry === entry));
        }
        assert.equal(books.count(), held.length);
      }
      for (const own of held) {
        assert.equal(directionOf(books, own.entry), own.direction);
        assert.equal(typeOf(books, own.entry), own.type);
      }
      const live = books.live().sort((a, b) => a - b);
      assert.deepEqual(
        live,
        held.map(({ entry }) => entry).sort((a, b) => a - b),
      );
    }),
    { numRuns: 300 },
  );
});

test("S8 a snapshot has the mappings and the counts", () => {
  const memory = small(512, 256);
  const dma = createDma(memory, { mappings: 64 });
  const nic = dma.addDevice(simpleDevice("nic", 32));
  const first = dma.map(nic, 0x10_0000, 64, DMA_TO_DEVICE);
  const saved = snapshot(memory.image);
  dma.unmap(nic, first, 64, DMA_TO_DEVICE);
  dma.map(nic, 0x10_1000, 64, DMA_FROM_DEVICE);
  assert.equal(restore(memory.image, saved), null);
  assert.equal(dma.liveMappings(nic), 1);
  assert.equal(dma.counts(nic).unmaps, 0);
  assert.equal(nic.write(0x10_1000, new Uint8Array(1))?.reason, "unmapped");
  assert.ok(nic.read(first, 4) instanceof Uint8Array);
  dma.unmap(nic, first, 64, DMA_TO_DEVICE);
  assert.equal(dma.liveMappings(), 0);
});

test("S8 more mappings than the books hold are refused, and say so", () => {
  const dma = createDma(small(512, 256), { mappings: 4 });
  const nic = dma.addDevice(simpleDevice("nic", 32));
  const addresses = [0, 1, 2, 3, 4].map((i) =>
    dma.map(nic, 0x10_0000 + i * 4096, 64, DMA_TO_DEVICE),
  );
  assert.deepEqual(
    addresses.map((address) => address < 0),
    [false, false, false, false, true],
  );
  assert.deepEqual(dma.reports.lastRefusal, {
    call: "dma_map",
    device: "nic",
    reason: "books full",
    message: 'more than 4 mappings: raise the option "mappings"',
  });
});

test("S8 of several mappings of one address the one that fits best is meant: size, type, direction alike", () => {
  const find = (others: readonly (readonly [number, number, number])[]): number => {
    const books = createBooks(small(512, 256), "books", 16);
    for (const [size, type, direction] of others) books.add(1, 64, size, 64, direction, type, 0);
    return books.find(1, 64, 100, 1, 2);
  };
  // Entry 0 differs in two of them, entry 1 in one; the newer is seen first.
  assert.equal(
    find([
      [100, 0, 0],
      [9, 1, 2],
    ]),
    1,
  );
  assert.equal(
    find([
      [100, 1, 0],
      [9, 0, 2],
    ]),
    0,
    "size and type",
  );
  assert.equal(
    find([
      [9, 1, 2],
      [9, 0, 2],
    ]),
    0,
    "type and direction",
  );
  assert.equal(
    find([
      [100, 0, 2],
      [9, 1, 0],
    ]),
    0,
    "size and direction",
  );
  assert.equal(
    find([
      [9, 1, 0],
      [9, 0, 0],
    ]),
    0,
    "type alone",
  );
});
